"""Bad input from the network: each row its own clear error that names the fix, and nothing of it stays in the store.

What is wrong with the sound itself is in test_bad_audio.py.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.ingest import job
from services.ingest.catalogue import Catalogue
from services.ingest.engine import IngestEngine
from services.ingest.settings import Settings
from shared.errors import BadInputError, DiaryError, SourceUnavailableError
from shared.schemas import IngestRequest, Recording
from shared.store import load
from tests.fakes import FakeJob, MemoryStore
from tests.ingest import site as sites
from tests.ingest.conftest import voice_wav
from tests.ingest.site import Answered, Served, Site

pytestmark = pytest.mark.real

PAGE = b"<!doctype html><title>A page</title><p>Sign in to listen"
SECRET = "s3cretword"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


@pytest.fixture(scope="module")
def other_site() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, engine_python: str, site: Site) -> Settings:
    """Of all private addresses only the site's may be reached."""
    return Settings(
        log_dir=tmp_path_factory.mktemp("logs"),
        work_dir=tmp_path_factory.mktemp("work"),
        private_networks=sites.NETWORK,
        max_bytes=3_000_000,
        engine_command=f"{shlex.quote(engine_python)} -m tests.fakes recorded {site.url}",
    )


@pytest.fixture(scope="module")
def engine(strict: Settings) -> Iterator[IngestEngine]:
    found = IngestEngine(strict)
    yield found
    found.stop()


def bring(url: str, store: MemoryStore, engine: IngestEngine, folder: Path) -> Recording:
    work_dir = folder / f"work-{time.monotonic_ns()}"
    work_dir.mkdir()
    request = IngestRequest(show="lamplight", url=url)
    result = job.run(request, job=FakeJob(work_dir), store=store, downloads=folder / "downloads", engine=engine)
    return load(store, result.key, Recording)


# ---- one recording ---------------------------------------------------------------------------------------------------

BAD: dict[str, tuple[object, type[DiaryError], str]] = {
    "404": (None, BadInputError, r"nothing is at the URL \(HTTP 404\); check the address"),
    "410": (Answered(410), BadInputError, r"any more \(HTTP 410\)"),
    "401": (Answered(401), BadInputError, r"user and password \(HTTP 401\); write them into the address"),
    "403": (Answered(403), BadInputError, r"does not let us in \(HTTP 403\).*upload the file"),
    "418": (Answered(418), BadInputError, r"refuses the request \(HTTP 418\)"),
    "429 with Retry-After": (
        Answered(429, {"Retry-After": "120"}),
        SourceUnavailableError,
        r"busy .*HTTP 429.* asks to wait 120 s",
    ),
    "503": (Answered(503), SourceUnavailableError, r"busy or broken \(HTTP 503\); the job waits"),
    "page instead of audio": (
        Served(PAGE, "text/html"),
        BadInputError,
        r"a web page \(HTML\) where audio",
    ),
    "page that says it is audio": (Served(PAGE, "audio/mpeg"), BadInputError, r"a web page \(HTML\) where audio"),
    "picture": (Served(b"\x89PNG\r\n\x1a\n", "image/png"), BadInputError, "leads to image/png, not to audio"),
    "empty": (Served(b""), BadInputError, r"empty \(0 bytes\)"),
    "no audio at all": (Served(bytes(range(256)) * 99), BadInputError, "not audio that ffmpeg can read"),
    "endless stream": (sites.endless, BadInputError, "larger than 3 MiB.*INGEST_MAX_BYTES"),
    "10 GB": (sites.ten_gigabytes, BadInputError, "larger than 3 MiB.*INGEST_MAX_BYTES"),
    "header bomb": (sites.header_bomb, BadInputError, "headers without end"),
    "no HTTP": (sites.no_http, BadInputError, "does not speak HTTP"),
    "redirect to 127.0.0.1": (
        sites.to("http://127.0.0.1:1/a.mp3"),
        BadInputError,
        "127.0.0.1, inside a private network",
    ),
    "redirect to the cloud's metadata": (
        sites.to("http://169.254.169.254/latest/meta-data/"),
        BadInputError,
        "169.254.169.254, inside a private network.*INGEST_PRIVATE_NETWORKS",
    ),
    "redirect to IPv6 loopback": (sites.to("http://[::1]:1/a.mp3"), BadInputError, "inside a private network"),
    "redirect to a file": (sites.to("file:///etc/passwd"), BadInputError, "only http and https.*'file'"),
    "redirect to ftp": (sites.to("ftp://example.org/a.mp3"), BadInputError, "only http and https.*'ftp'"),
    "redirects without end": (sites.endless_redirects, BadInputError, "redirects more than 10 times"),
    "redirect to nonsense": (sites.to("http://[oops/"), BadInputError, "not a valid URL"),
    "playlist of private addresses": (
        Served(b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:1/1.ts\n#EXT-X-ENDLIST\n", "application/vnd.apple.mpegurl"),
        BadInputError,
        "127.0.0.1, inside a private network",
    ),
    "playlist of files": (
        Served(b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "application/vnd.apple.mpegurl"),
        BadInputError,
        "neither http nor https|file://",
    ),
}


@pytest.mark.parametrize("row", BAD, ids=str)
def test_a_bad_address_names_the_fix_and_leaves_nothing_behind(
    row: str, site: Site, store: MemoryStore, engine: IngestEngine, tmp_path: Path
):
    answer, kind, fix = BAD[row]
    site.files = {} if answer is None else {"/talk.mp3": answer}  # type: ignore[dict-item]
    before = dict(store.objects)

    with pytest.raises(kind, match=fix) as found:
        bring(f"{site.url}/talk.mp3?token={SECRET}", store, engine, tmp_path)

    assert type(found.value) in (kind, *kind.__subclasses__())
    assert SECRET not in str(found.value)
    assert store.objects == before


def test_what_a_site_asks_to_wait_goes_along_with_the_error(site: Site, engine: IngestEngine, tmp_path: Path):
    site.files = {"/talk.mp3": Answered(429, {"Retry-After": "120"})}

    with pytest.raises(SourceUnavailableError) as found:
        engine.download(f"{site.url}/talk.mp3", tmp_path, FakeJob(tmp_path))
    assert found.value.retry_after_s == 120


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("file:///etc/passwd", "only http and https"),
        ("concat:a.mp3|b.mp3", "only http and https"),
        ("http://127.0.0.1/talk.mp3", "inside a private network"),
        ("http://0x7f000001/talk.mp3", "inside a private network"),
        ("http://127.0.0.2:1/talk.mp3", "does not answer"),
        ("http://nowhere.invalid/talk.mp3", "nowhere.invalid is not known"),
        ("http://shifty.example/talk.mp3", "127.0.0.1, inside a private network"),
    ],
    ids=[
        "file",
        "concat",
        "loopback",
        "loopback in hexadecimal",
        "closed port",
        "unknown host",
        "DNS changes its mind",
    ],
)
def test_an_address_that_may_not_be_fetched_says_why(
    url: str, fix: str, store: MemoryStore, engine: IngestEngine, tmp_path: Path
):
    before = dict(store.objects)

    with pytest.raises(BadInputError, match=fix):
        bring(url, store, engine, tmp_path)
    assert store.objects == before


def test_a_certificate_that_nobody_vouches_for_is_refused(
    site: Site, store: MemoryStore, engine: IngestEngine, tmp_path: Path
):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not on this machine: no certificate can be made")
    pem = tmp_path / "site.pem"
    subject = ("-subj", "/CN=127.0.0.2", "-addext", "subjectAltName=IP:127.0.0.2")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", str(pem), "-out", str(tmp_path / "crt")], check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + (tmp_path / "crt").read_bytes())
    safe = Site(pem)
    before = dict(store.objects)
    try:
        for url in (safe.url, site.url.replace("http:", "https:")):
            with pytest.raises(BadInputError, match=r"no safe connection to .*TLS"):
                bring(f"{url}/talk.mp3", store, engine, tmp_path)
    finally:
        safe.close()
    assert store.objects == before


def test_a_server_that_drips_is_given_up_after_the_time_limit(
    site: Site, store: MemoryStore, strict: Settings, tmp_path: Path
):
    site.files = {"/talk.mp3": Served(bytes(5000), drip_s=0.05)}
    engine = IngestEngine(strict.model_copy(update={"download_limit_s": 6.0}))
    before = dict(store.objects)
    began = time.monotonic()
    try:
        with pytest.raises(BadInputError, match=r"too slow.*6 s.*INGEST_DOWNLOAD_LIMIT_S"):
            bring(f"{site.url}/talk.mp3", store, engine, tmp_path)
        assert time.monotonic() - began < 60
        assert engine.network.pid is None  # nothing goes on in the background
    finally:
        engine.stop()
    assert store.objects == before


def test_a_page_without_end_is_not_read_into_memory(
    site: Site, store: MemoryStore, engine: IngestEngine, tmp_path: Path
):
    site.files = {"/show": sites.endless_page}

    with pytest.raises(BadInputError, match="never ends"):
        bring(f"{site.url}/show", store, engine, tmp_path)


def test_the_engine_works_on_after_all_of_this(site: Site, store: MemoryStore, engine: IngestEngine, tmp_path: Path):
    site.files = {"/page.html": Served(PAGE, "text/html"), "/talk.wav": Served(voice_wav(8), "audio/wav")}
    with pytest.raises(BadInputError):
        bring(f"{site.url}/page.html", store, engine, tmp_path)
    pid = engine.network.pid

    recording = bring(f"{site.url}/talk.wav", store, engine, tmp_path)

    assert recording.duration_s == pytest.approx(8, abs=0.1)
    assert engine.network.pid == pid


# ---- going on, and passwords -----------------------------------------------------------------------------------------


def test_a_download_that_broke_off_is_gone_on_with(site: Site, engine: IngestEngine, tmp_path: Path):
    sound = voice_wav(10)
    file = Served(sound, "audio/wav", etag='"v1"')
    site.files, site.asked = {"/talk.wav": file}, []
    (tmp_path / "download.part").write_bytes(b"of another file")
    engine.download(f"{site.url}/talk.wav", tmp_path, FakeJob(tmp_path))
    (tmp_path / "download").rename(tmp_path / "download.part")
    (tmp_path / "download.part").write_bytes(sound[:1_000_000])  # as a kill leaves it

    found = engine.download(f"{site.url}/talk.wav", tmp_path, FakeJob(tmp_path))

    ranges = [asked.headers.get("range") for asked in site.of("/talk.wav")]
    assert "bytes=1000000-" in ranges
    assert found.original.read_bytes() == sound


@pytest.mark.parametrize("etag", ['"v2"', ""], ids=["another version", "no version"])
def test_what_may_be_another_file_is_begun_anew(etag: str, site: Site, engine: IngestEngine, tmp_path: Path):
    site.files = {"/talk.wav": Served(voice_wav(6), "audio/wav", etag='"v1"' if etag else "")}
    engine.download(f"{site.url}/talk.wav", tmp_path, FakeJob(tmp_path))
    (tmp_path / "download").rename(tmp_path / "download.part")
    (tmp_path / "download.part").write_bytes(voice_wav(6)[:500_000])
    sound = voice_wav(7, level=0.2)
    site.files, site.asked = {"/talk.wav": Served(sound, "audio/wav", etag=etag)}, []

    found = engine.download(f"{site.url}/talk.wav", tmp_path, FakeJob(tmp_path))

    assert found.original.read_bytes() == sound
    assert not [asked for asked in site.asked if "range" in asked.headers]


def test_a_whole_file_of_the_same_version_is_not_fetched_again(site: Site, engine: IngestEngine, tmp_path: Path):
    site.files = {"/talk.wav": Served(voice_wav(6), "audio/wav", etag='"v1"')}
    engine.download(f"{site.url}/talk.wav", tmp_path, FakeJob(tmp_path))
    the_job = FakeJob(tmp_path)

    engine.download(f"{site.url}/talk.wav", tmp_path, the_job)

    assert "downloading" not in [event[0] for event in the_job.events]


def test_a_connection_that_is_cut_is_taken_up_again_within_one_download(
    site: Site, engine: IngestEngine, tmp_path: Path
):
    sound = voice_wav(10)

    file = Served(sound, "audio/wav", etag='"v1"')
    served = 0

    def door(door: sites._Door) -> None:
        nonlocal served
        served += 1
        file.breaks_off = 400_000 if served == 3 else None  # after our own look and yt-dlp's
        door._serve(file)

    site.files, site.asked = {"/talk.wav": door}, []

    found = engine.download(f"{site.url}/talk.wav", tmp_path, FakeJob(tmp_path))

    assert found.original.read_bytes() == sound
    (taken_up,) = [asked.headers["range"] for asked in site.asked if "range" in asked.headers]
    assert 0 < int(taken_up.removeprefix("bytes=").rstrip("-")) <= 400_000


def test_user_and_password_never_follow_a_redirect_to_another_server(
    site: Site, other_site: Site, engine: IngestEngine, tmp_path: Path
):
    sound = voice_wav(6)
    other_site.files, other_site.asked = (
        {"/talk.wav": Served(sound, "audio/wav"), "/show": Served(PAGE, "text/html")},
        [],
    )
    site.files = {
        "/moved": sites.to("/private.wav"),
        "/private.wav": Served(sound, "audio/wav", user="ann:passw0rd"),
        "/away": sites.to(f"{other_site.url}/talk.wav"),
        "/page": sites.to(f"{other_site.url}/show"),
    }

    same = engine.download(site.with_user("ann:passw0rd", "/moved"), tmp_path, FakeJob(tmp_path))
    away = engine.download(site.with_user("ann:passw0rd", "/away"), tmp_path, FakeJob(tmp_path))
    with pytest.raises(BadInputError):
        engine.download(site.with_user("ann:passw0rd", "/page"), tmp_path, FakeJob(tmp_path))

    assert same.original == away.original
    assert other_site.of("/talk.wav")
    assert other_site.of("/show")
    assert not [asked for asked in other_site.asked if "authorization" in asked.headers]


def test_the_log_holds_no_password(site: Site, engine: IngestEngine, strict: Settings, tmp_path: Path):
    site.files = {"/busy": Answered(503), "/page": Served(PAGE, "text/html")}
    for path in ("/busy", "/page", "/none"):
        with pytest.raises(DiaryError):
            engine.download(site.with_user("ann:passw0rd", f"{path}?token={SECRET}"), tmp_path, FakeJob(tmp_path))
    for kind in ("feed", "site"):
        with pytest.raises(DiaryError):
            engine.look(site.with_user("ann:passw0rd", f"/busy?token={SECRET}"), kind, tmp_path, FakeJob(tmp_path))

    log = (strict.log_dir / "ingest-engine-downloads.log").read_text()
    assert SECRET not in log
    assert "passw0rd" not in log


# ---- sources ---------------------------------------------------------------------------------------------------------

Look = Callable[..., Catalogue]


@pytest.fixture
def look(engine: IngestEngine, site: Site, tmp_path: Path) -> Look:
    def ask(path: str = "/feed.xml", kind: str = "auto", **known: str) -> Catalogue:
        url = path if "://" in path else site.url + path
        return engine.look(url, kind, tmp_path, FakeJob(tmp_path), **known)

    return ask


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><rss><channel><title>&b;</title>'
BAD_FEEDS: dict[str, tuple[object, type[DiaryError], str]] = {
    "404": (None, BadInputError, "HTTP 404"),
    "401": (Served(b"", user="ann:passw0rd"), BadInputError, r"user and password \(HTTP 401\)"),
    "429": (Answered(429, {"Retry-After": "60"}), SourceUnavailableError, "asks to wait 60 s"),
    "broken XML": (Served(b"<rss><channel><item><title>A", "text/xml"), BadInputError, "broken XML.*repair"),
    "billion laughs": (Served(LAUGHS, "text/xml"), BadInputError, "declares entities"),
    "a page": (Served(PAGE, "text/html"), BadInputError, r"a web page \(HTML\), not a feed"),
    "sound": (Served(voice_wav(6), "audio/wav"), BadInputError, "leads to audio or video, not to a feed"),
    "empty": (Served(b"", "text/xml"), BadInputError, r"empty \(0 bytes\)"),
    "no entries": (Served(sites.feed("A"), "text/xml"), BadInputError, "has no entries"),
    "gzip bomb": (sites.gzip_bomb(80), BadInputError, "larger than 64 MiB, unpacked"),
    "damaged gzip": (
        Answered(200, {"Content-Encoding": "gzip", "Content-Type": "text/xml"}, b"<rss/>"),
        BadInputError,
        "packed answer is damaged",
    ),
    "10 GB": (sites.ten_gigabytes, BadInputError, "audio or video, not to a feed"),
    "cut off": (Served(sites.feed("A") * 9, "text/xml", breaks_off=100), SourceUnavailableError, "broke off"),
    "header bomb": (sites.header_bomb, BadInputError, "headers without end"),
    "redirect to 169.254.169.254": (sites.to("http://169.254.169.254/"), BadInputError, "inside a private network"),
}  # fmt: skip


@pytest.mark.parametrize("row", BAD_FEEDS, ids=str)
def test_a_bad_feed_names_the_fix(row: str, site: Site, look: Look):
    answer, kind, fix = BAD_FEEDS[row]
    site.files = {} if answer is None else {"/feed.xml": answer}  # type: ignore[dict-item]

    with pytest.raises(kind, match=fix):
        look("/feed.xml", "feed")


def test_an_address_is_told_by_what_it_answers(site: Site, look: Look):
    site.files = {
        "/feed": Served(sites.feed("A", sites.episode(1, "/1.mp3")), "text/html", etag='"v1"'),
        "/packed": Served(sites.feed("A", sites.episode(1, "/1.mp3")), "text/xml", packed=True),
        "/talk.wav": Served(voice_wav(6), "audio/wav"),
    }

    feed, one = look("/feed"), look("/talk.wav")

    assert (feed.kind, feed.items[0].title, feed.etag) == ("feed", "Talk 1", '"v1"')
    assert feed.items[0].url == f"{site.url}/1.mp3"
    assert look("/packed").kind == "feed"
    assert (one.kind, one.items[0].title, one.items[0].url) == ("site", "talk", f"{site.url}/talk.wav")


def test_a_feed_that_is_as_it_was_is_not_sent_again(site: Site, look: Look):
    site.files = {"/feed.xml": Served(sites.feed("A", sites.episode(1, "/1.mp3")), "text/xml", etag='"v1"')}

    again = look("/feed.xml", etag=look("/feed.xml").etag)

    assert again == Catalogue(kind="feed", unchanged=True, etag='"v1"')


def test_a_private_feed_gives_its_password_to_its_own_server_only(
    site: Site, other_site: Site, look: Look, engine: IngestEngine, tmp_path: Path
):
    chapters = f'<podcast:chapters url="{other_site.url}/1.json" type="application/json+chapters"/>'
    document = sites.feed("A", sites.episode(1, f"{site.url}/1.wav", chapters))
    user = "ann:passw0rd"
    site.files = {
        "/feed.xml": Served(document, "text/xml", user=user),
        "/1.wav": Served(voice_wav(6), "audio/wav", user=user),
    }
    other_site.files, other_site.asked = {"/1.json": Served(b"{}", "application/json")}, []

    (item,) = look(site.with_user(user, "/feed.xml")).items
    found = engine.download(item.url, tmp_path, FakeJob(tmp_path))
    path = engine.fetch(item.chapters_url, tmp_path, "chapters.json", 1000, FakeJob(tmp_path))

    assert found.original.stat().st_size > 0
    assert path.read_bytes() == b"{}"
    assert "authorization" not in other_site.asked[0].headers


def test_ten_thousand_episodes_come_through_the_engine(site: Site, look: Look):
    document = sites.feed("A", *(sites.episode(number, f"/{number}.mp3") for number in range(10_000)))
    site.files = {"/feed.xml": Served(document, "text/xml")}

    found = look()

    assert len(found.items) == 10_000
    assert found.items[0].title == "Talk 9999"


@pytest.mark.parametrize(
    ("answer", "fix"),
    [
        (Answered(404), "HTTP 404"),
        (Served(bytes(2000), "application/json"), "larger than .* MiB; check"),
        (sites.endless, "larger than .* MiB, unpacked, or never ends"),
        (sites.to("http://127.0.0.1:1/x"), "inside a private network"),
    ],
    ids=["404", "large", "endless", "loopback"],
)
def test_a_small_file_that_cannot_be_had_names_the_fix_and_leaves_no_file(
    answer: object, fix: str, site: Site, engine: IngestEngine, tmp_path: Path
):
    site.files = {"/chapters.json": answer}  # type: ignore[dict-item]

    with pytest.raises(BadInputError, match=fix):
        engine.fetch(f"{site.url}/chapters.json", tmp_path, "chapters.json", 1000, FakeJob(tmp_path))
    assert not (tmp_path / "chapters.json").exists()
