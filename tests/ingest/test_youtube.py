"""Shapes that yt-dlp gives for YouTube, recorded in info/, through the real engine: only the network is our own."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.ingest.engine import IngestEngine
from services.ingest.settings import Settings
from shared.errors import BadInputError
from tests.fakes import RECORDED_INFO, FakeJob
from tests.ingest import site as sites
from tests.ingest.conftest import voice_wav
from tests.ingest.site import Answered, Served, Site

pytestmark = pytest.mark.real

WATCH = "https://www.youtube.com/watch?v="
CAPTIONS = b"WEBVTT\n\n00:00.000 --> 00:02.000\nHello.\n"
SEGMENTS = "/api/skipSegments/" + hashlib.sha256(b"bread000001").hexdigest()[:4]


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    found.files = {
        "/sound.wav": Served(voice_wav(8), "audio/mp4"),
        "/captions.vtt": Served(CAPTIONS, "text/vtt"),
        SEGMENTS: Served((RECORDED_INFO / "sponsorblock.json").read_bytes(), "application/json"),
    }
    yield found
    found.close()


@pytest.fixture
def settings(tmp_path: Path, engine_python: str, site: Site) -> Settings:
    return Settings(
        log_dir=tmp_path / "logs",
        private_networks=sites.NETWORK,
        sponsorblock_url=site.url,
        engine_command=f"{shlex.quote(engine_python)} -m tests.fakes recorded {site.url}",
    )


@pytest.fixture
def engine(settings: Settings) -> Iterator[IngestEngine]:
    found = IngestEngine(settings)
    yield found
    found.stop()


def test_a_video_comes_with_chapters_sponsors_and_the_subtitles_that_people_made(
    engine: IngestEngine, site: Site, tmp_path: Path
):
    found = engine.download(f"{WATCH}bread000001", tmp_path, FakeJob(tmp_path))

    assert found.original.read_bytes() == voice_wav(8)
    assert found.metadata["site"] == "Youtube"
    assert found.metadata["title"] == "Bread at Three | Ben Marsh"
    assert found.description.startswith("Mara Quill talks to Ben Marsh")
    assert (str(found.published_on), found.duration_s) == ("2026-11-01", 8.0)
    assert [chapter.title for chapter in found.chapters] == ["Trailer", "Interview", "Our sponsor"]
    assert [(span.reason, span.start_s, span.end_s, span.detail) for span in found.sponsor_spans] == [
        ("trailer", 0.0, 2.0, "preview"),
        ("advert", 6.0, 6.9, "sponsor"),
    ]
    assert found.captions is not None
    assert (found.captions.read_bytes(), found.captions_language) == (CAPTIONS, "en")
    assert found.warnings == ()
    assert not site.of("/automatic.vtt")


def test_sponsorblock_that_is_away_costs_a_warning_and_not_the_recording(
    engine: IngestEngine, site: Site, tmp_path: Path
):
    site.files[SEGMENTS] = Answered(500)
    site.files["/captions.vtt"] = Answered(403)

    found = engine.download(f"{WATCH}bread000001", tmp_path, FakeJob(tmp_path))

    assert found.original.exists()
    assert found.sponsor_spans == ()
    assert "SponsorBlock gave no answer" in found.warnings[0]
    assert "subtitles (en) were left out" in found.warnings[1]
    assert found.captions is None


def test_sponsorblock_is_not_asked_where_it_is_switched_off(settings: Settings, site: Site, tmp_path: Path):
    engine = IngestEngine(settings.model_copy(update={"sponsorblock": False}))
    try:
        found = engine.download(f"{WATCH}bread000001", tmp_path, FakeJob(tmp_path))
    finally:
        engine.stop()

    assert (found.sponsor_spans, found.warnings) == ((), ())
    assert not site.of(SEGMENTS)


def test_a_sponsorblock_server_that_nobody_knows_costs_a_warning_too(settings: Settings, tmp_path: Path):
    engine = IngestEngine(settings.model_copy(update={"sponsorblock_url": "http://nowhere.invalid"}))
    try:
        found = engine.download(f"{WATCH}bread000001", tmp_path, FakeJob(tmp_path))
    finally:
        engine.stop()

    assert "SponsorBlock gave no answer" in found.warnings[0]


@pytest.mark.parametrize(
    ("video", "fix"),
    [
        ("live0000007", "a live stream; add it when it has ended"),
        ("soon0000005", "not published yet|no sound that can be fetched"),
        ("member00006", "members only; set INGEST_COOKIES_FILE"),
        ("adult000011", "viewer's age; set INGEST_COOKIES_FILE"),
    ],
)
def test_a_video_that_cannot_be_had_says_what_to_do(video: str, fix: str, engine: IngestEngine, tmp_path: Path):
    with pytest.raises(BadInputError, match=fix):
        engine.download(WATCH + video, tmp_path, FakeJob(tmp_path))


def test_a_playlist_is_no_single_recording(engine: IngestEngine, tmp_path: Path):
    with pytest.raises(BadInputError, match="more than one recording"):
        engine.download("https://www.youtube.com/playlist?list=PLlamplight", tmp_path, FakeJob(tmp_path))


def test_a_playlist_is_listed_without_what_is_private_or_deleted(engine: IngestEngine, tmp_path: Path):
    found = engine.look("https://www.youtube.com/playlist?list=PLlamplight", "auto", tmp_path, FakeJob(tmp_path))

    assert (found.kind, found.title) == ("site", "All talks")
    assert [(item.identity, item.url, item.duration_s) for item in found.items] == [
        ("youtube bread000001", f"{WATCH}bread000001", 3723.0),
        ("youtube cough000002", f"{WATCH}cough000002", 2700.0),
    ]
    assert found.warnings == ("left out 2 that are private or deleted",)


def test_the_tabs_of_a_channel_become_one_list_without_shorts(engine: IngestEngine, tmp_path: Path):
    found = engine.look("https://www.youtube.com/@lamplight", "auto", tmp_path, FakeJob(tmp_path))

    assert [item.identity for item in found.items] == [
        "youtube bread000001",
        "youtube cough000002",
        "youtube stream00008",
    ]
    said = "\n".join(found.warnings)
    assert "left out 2 shorts; add the address of the channel's Shorts tab" in said
    assert "left out 2 that are live or not published yet" in said
    assert "left out 1 that is for members only; INGEST_COOKIES_FILE" in said


def test_one_video_is_a_list_of_one(engine: IngestEngine, tmp_path: Path):
    found = engine.look(f"{WATCH}bread000001", "auto", tmp_path, FakeJob(tmp_path))

    assert [(item.identity, str(item.published_on)) for item in found.items] == [("youtube bread000001", "2026-11-01")]


def test_only_the_newest_are_listed_up_to_the_most(settings: Settings, tmp_path: Path):
    engine = IngestEngine(settings.model_copy(update={"max_items": 1}))
    try:
        found = engine.look("https://www.youtube.com/playlist?list=PLlamplight", "site", tmp_path, FakeJob(tmp_path))
    finally:
        engine.stop()

    assert [item.identity for item in found.items] == ["youtube bread000001"]
    assert "INGEST_MAX_ITEMS" in found.warnings[-1]


def test_cookies_are_brought_along_and_a_missing_file_is_named(settings: Settings, site: Site, tmp_path: Path):
    cookies = tmp_path / "cookies.txt"
    cookies.write_text(f"# Netscape HTTP Cookie File\n{sites.HOST}\tFALSE\t/\tFALSE\t0\tlogin\ts3cretword\n")
    before = cookies.read_text()
    engine = IngestEngine(settings.model_copy(update={"cookies_file": cookies}))
    try:
        engine.download(f"{WATCH}bread000001", tmp_path, FakeJob(tmp_path))
        cookies.rename(tmp_path / "elsewhere.txt")
        with pytest.raises(BadInputError, match="INGEST_COOKIES_FILE cannot be read"):
            engine.download(f"{WATCH}bread000001", tmp_path, FakeJob(tmp_path))
    finally:
        engine.stop()

    assert site.of("/sound.wav")[0].headers["cookie"] == "login=s3cretword"
    assert (tmp_path / "elsewhere.txt").read_text() == before
    assert "s3cretword" not in (settings.log_dir / "ingest-engine-downloads.log").read_text()


def test_yt_dlp_has_a_javascript_runtime_and_would_fetch_no_code(engine_python: str, tmp_path: Path):
    """YouTube's players need one. Asked of yt-dlp itself, with our very options, in the engine's environment."""
    ask = (
        "from pathlib import Path; from services.ingest import engine, source\n"
        "options = source.look_options(source.Manners(), Path('.'), None, deno=engine.javascript_runtime())\n"
        "with engine.yt_dlp_with(options | {'logger': None}) as ydl:\n"
        "    (name, runtime), = ydl._js_runtimes.items()\n"
        "    print(name, runtime.info.supported, runtime.info.path, sorted(ydl.params['remote_components']))\n"
    )
    answer = subprocess.run([engine_python, "-c", ask], capture_output=True, text=True, check=True).stdout.split()

    assert answer[:2] == ["deno", "True"]
    assert Path(answer[2]).parent == Path(engine_python).parent
    assert answer[3] == "[]"
