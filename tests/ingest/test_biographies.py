"""Facts about a guest out of a text or a page: with a scripted reader, and with the real engine before a bad site."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.ingest import biographies
from services.ingest.engine import IngestEngine
from services.ingest.settings import Settings
from shared.errors import BadInputError, DiaryError, SourceUnavailableError, TooSlowError
from shared.guests import MOST_CHARACTERS, GuestFacts, GuestRequest, guest_id
from tests.fakes import FakeJob, ScriptedIngestEngine
from tests.ingest import site as sites
from tests.ingest.site import Answered, Served, Site

BIOGRAPHY = "Orla Finch was born in 1970. She makes lamps."
PAGE = b"<html><nav>Orla Finch &gt; Home</nav><p>Orla Finch was born in <b>1970</b>.[1] She makes lamps."


def found(engine: biographies.Reader, folder: Path, **source: str) -> GuestFacts:
    request = GuestRequest(show="lamp", name="Orla Finch", **source)
    work_dir = folder / f"work-{time.monotonic_ns()}"
    work_dir.mkdir()
    return biographies.run(request, job=FakeJob(work_dir), engine=engine)


# ---- the story -------------------------------------------------------------------------------------------------------


def test_facts_of_a_given_text_need_no_network(tmp_path: Path):
    engine = ScriptedIngestEngine()

    facts = found(engine, tmp_path, text=BIOGRAPHY)

    assert [(fact.text, fact.date, fact.source) for fact in facts.facts] == [
        ("Orla Finch was born in 1970.", "1970", "text"),
        ("She makes lamps.", None, "text"),
    ]
    assert (facts.guest, facts.sentences, facts.url, facts.fetched_at) == (guest_id("orla finch"), 2, None, None)
    assert engine.calls == []


def test_facts_of_a_page_name_its_address_without_secrets(tmp_path: Path):
    url = "https://mara:hunter2@example.org/orla?token=s3cr3tword"

    facts = found(ScriptedIngestEngine(pages={url: BIOGRAPHY.encode()}), tmp_path, url=url)

    assert facts.url == "https://***@example.org/orla?token=***" and facts.fetched_at is not None
    assert {fact.source for fact in facts.facts} == {facts.url}
    assert "hunter2" not in facts.model_dump_json() and "s3cr3t" not in facts.model_dump_json()


def test_a_repeat_of_the_job_does_not_fetch_again(tmp_path: Path):
    engine = ScriptedIngestEngine(pages={"https://example.org/": BIOGRAPHY.encode()})
    request, job = GuestRequest(show="lamp", name="Orla Finch", url="https://example.org/"), FakeJob(tmp_path)

    first = biographies.run(request, job=job, engine=engine)

    assert biographies.run(request, job=job, engine=engine) == first and len(engine.calls) == 1


def test_where_nothing_is_found_the_error_says_what_was_looked_for(tmp_path: Path):
    with pytest.raises(
        BadInputError, match=r"in 2 sentences of the text: looked for.*'Orla Finch', 'Finch' alone.*dates"
    ):
        found(ScriptedIngestEngine(), tmp_path, text="Rain fell. Snow fell in 1998.")


def test_what_is_too_much_is_left_out_and_told(tmp_path: Path):
    page = "Orla Finch ran. " + " ".join(f"She made lamp {number} today." for number in range(12_000))

    facts = found(
        ScriptedIngestEngine(pages={"https://example.org/": page.encode()}), tmp_path, url="https://example.org/"
    )

    assert len(page) > MOST_CHARACTERS and len(facts.facts) == 60
    assert facts.warnings[0].startswith("only the first 200,000 of ") and "first 60 facts" in facts.warnings[1]


def test_a_site_that_is_too_slow_is_told_with_what_to_do_instead(tmp_path: Path):
    engine = ScriptedIngestEngine(pages={"https://example.org/": TooSlowError("raise INGEST_DOWNLOAD_LIMIT_S")})

    with pytest.raises(TooSlowError, match="--text FILE"):
        found(engine, tmp_path, url="https://example.org/")


# ---- the real engine -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    server = Site()
    yield server
    server.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, engine_python: str) -> Iterator[IngestEngine]:
    """Of all private addresses only the site's may be reached."""
    settings = Settings(
        log_dir=tmp_path_factory.mktemp("logs"),
        private_networks=sites.NETWORK,
        engine_command=f"{shlex.quote(engine_python)} -m services.ingest.engine",
    )
    running = IngestEngine(settings)
    yield running
    running.stop()


@pytest.mark.real
@pytest.mark.parametrize(
    "answer",
    [
        Served(PAGE, "text/html; charset=utf-8"),
        Served(PAGE, "text/html", packed=True),
        Served(PAGE, "application/xhtml+xml"),
        Served(BIOGRAPHY.encode(), "text/plain"),
    ],
    ids=["html", "gzip", "xhtml", "plain"],
)
def test_a_page_and_a_plain_text_are_read(answer: Served, site: Site, engine: IngestEngine, tmp_path: Path):
    site.files["/orla"] = answer
    site.files["/moved"] = sites.to(f"{site.url}/orla")

    facts = found(engine, tmp_path, url=f"{site.url}/moved")

    assert [fact.text for fact in facts.facts] == ["Orla Finch was born in 1970.", "She makes lamps."]
    assert facts.url == f"{site.url}/moved"


BAD: dict[str, tuple[object, type[DiaryError], str]] = {
    "404": (None, BadInputError, r"nothing is at the URL \(HTTP 404\)"),
    "401": (Answered(401), BadInputError, r"user and password \(HTTP 401\)"),
    "503": (Answered(503), SourceUnavailableError, r"HTTP 503"),
    "PDF": (Served(b"%PDF-1.7", "application/pdf"), BadInputError, r"leads to application/pdf; only web pages.*--text"),
    "sound": (Served(b"ID3", "audio/mpeg"), BadInputError, "leads to audio/mpeg"),
    "picture as text": (Served(b"\x89PNG\r\n\0\0", "text/plain"), BadInputError, "is no text"),
    "empty": (Served(b"", "text/html"), BadInputError, "has no text"),
    "of somebody else": (Served(b"<p>Ann Ash ran far.", "text/html"), BadInputError, "of the page: looked for"),
    "too large": (Served(b"x" * (5 * 1024**2), "text/plain"), BadInputError, "the page is larger than 4 MiB"),
    "too large, unpacked": (
        Served(b"x" * (5 * 1024**2), "text/plain", packed=True),
        BadInputError,
        "larger than 4 MiB, unpacked",
    ),
    "endless": (sites.endless_page, BadInputError, "larger than 4 MiB.*never ends"),
    "redirect to 127.0.0.1": (sites.to("http://127.0.0.1:1/"), BadInputError, "127.0.0.1, inside a private network"),
    "redirect to metadata": (
        sites.to("http://169.254.169.254/latest/meta-data/"),
        BadInputError,
        "169.254.169.254, inside a private network",
    ),
    "redirect to IPv6 loopback": (sites.to("http://[::1]:1/"), BadInputError, "inside a private network"),
    "redirect to a file": (sites.to("file:///etc/passwd"), BadInputError, "only http and https.*'file'"),
    "redirects without end": (sites.endless_redirects, BadInputError, "redirects more than 10 times"),
    "no HTTP": (sites.no_http, BadInputError, "does not speak HTTP"),
}


@pytest.mark.real
@pytest.mark.parametrize("name", BAD)
def test_a_page_that_may_not_or_cannot_be_read_is_a_clear_error(
    name: str, site: Site, engine: IngestEngine, tmp_path: Path
):
    answer, kind, words = BAD[name]
    site.files.pop("/bad", None)
    if answer is not None:
        site.files["/bad"] = answer  # type: ignore[assignment]

    with pytest.raises(kind, match=words):
        found(engine, tmp_path, url=f"{site.url}/bad")


@pytest.mark.real
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://localhost/", "file:///etc/passwd", "http://[oops/", "orla"]
)
def test_an_address_that_may_not_be_fetched_is_refused(url: str, engine: IngestEngine, tmp_path: Path):
    with pytest.raises(BadInputError, match=r"private network|only http and https|not a valid URL"):
        found(engine, tmp_path, url=url)
