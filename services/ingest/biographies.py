"""The story of a guest's facts: read the text or page that is given, keep what it says of the guest, word by word."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from services.ingest.facts import FEWEST_WORDS, Found, Guest, facts_of
from shared.errors import BadInputError, TooSlowError
from shared.guests import GIVEN_TEXT, LONGEST_ADDRESS, MOST_CHARACTERS, GuestFacts, GuestRequest, guest_id
from shared.jobs import JobContext
from shared.schemas import now
from shared.urls import redact


class Reader(Protocol):
    def read_page(self, url: str, folder: Path, job: JobContext) -> str: ...


def run(request: GuestRequest, *, job: JobContext, engine: Reader) -> GuestFacts:
    """Facts about a guest, each a sentence of the source; no model is asked, so that nothing is made up.

    raises   BadInputError for a page that may not or cannot be read, or a source that says nothing of the guest;
             SourceUnavailableError: later
    """
    found = job.step("find facts", lambda: _find(request, job, engine).model_dump(mode="json"))
    return GuestFacts.model_validate(found)


def _find(request: GuestRequest, job: JobContext, engine: Reader) -> GuestFacts:
    text, source = _read(request, job, engine)
    job.progress("looking for facts")
    found = facts_of(text[:MOST_CHARACTERS], request.name, source)
    if not found.facts:
        raise _nothing(request, found)
    return GuestFacts(
        show=request.show,
        guest=guest_id(request.name),
        name=request.name,
        facts=found.facts,
        url=source if request.url is not None else None,
        fetched_at=now() if request.url is not None else None,
        sentences=found.sentences,
        warnings=tuple(_warnings(text, found)),
    )


def _read(request: GuestRequest, job: JobContext, engine: Reader) -> tuple[str, str]:
    """The text, and what to call its source."""
    if request.url is None:
        return request.text or "", GIVEN_TEXT
    try:
        text = engine.read_page(request.url, job.work_dir, job)
    except TooSlowError as error:
        raise TooSlowError(
            "the site is too slow: the page did not come in time. Try again later, or copy what it says of the guest "
            "into a file, and give that: `diary guests add --text FILE`"
        ) from error
    return text, redact(request.url)[:LONGEST_ADDRESS]


def _nothing(request: GuestRequest, found: Found) -> BadInputError:
    names = Guest.of(request.name).names
    told = f"{found.sentences} sentence{'' if found.sentences == 1 else 's'}"
    looked = f"{request.name!r}" + (f", {names[-1].title()!r} alone" if len(names) > 1 else "")
    return BadInputError(
        f"nothing about the guest was found in {told} of the {'page' if request.url else 'text'}: looked for sentences "
        f"of {FEWEST_WORDS} words or more with {looked}, for those that go on with he, she or they, and for dates "
        "beside them. Write the name as the source does, or give another source"
    )


def _warnings(text: str, found: Found) -> list[str]:
    warnings = []
    if len(text) > MOST_CHARACTERS:
        warnings.append(f"only the first {MOST_CHARACTERS:,} of {len(text):,} characters were read")
    if found.more:
        warnings.append(f"the first {len(found.facts)} facts were kept; {found.more} more were found")
    return warnings
