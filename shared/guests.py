"""What is known of a guest: dated facts, each with the sentence of the source that it comes from, or as people say."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from shared import keys
from shared.errors import ArtifactMissingError
from shared.schemas import Lineage, Record, ShortText, Slug, now
from shared.spoken import guest_key
from shared.store import Store, load

MOST_CHARACTERS = 200_000
"""Of a source; as UTF-8 it fits into the body of a request."""
MOST_FACTS = 60
"""Of one source."""
MOST_IN_SHEET = 200
FACT_CHARACTERS, SENTENCE_CHARACTERS = 300, 1000
LONGEST_ADDRESS = 2000
GIVEN_TEXT = "text"

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


# ---- text and dates ------------------------------------------------------------------------------------------------


def without_invisible(text: str) -> str:
    """The text without control and zero-width characters; only line breaks stay, of whatever kind."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n\n")
    return "".join(_visible(character) for character in lines)


def _visible(character: str) -> str:
    kind = unicodedata.category(character)
    if character == "\n" or kind[0] != "C":
        return character
    return " " if kind == "Cc" else ""


def checked_date(text: str) -> str:
    """A date of any precision: 1998, 1998-05 or 1998-05-04. raises ValueError"""
    found = _DATE.fullmatch(text)
    advice = f"{text[:40]!r} is no date; write 1998, 1998-05 or 1998-05-04"
    if not found or not text.isascii():
        raise ValueError(advice)
    year, month, day = (int(part) if part else 1 for part in found.groups())
    try:
        date(year, month, day)
    except ValueError as error:
        raise ValueError(f"{advice} ({error})") from error
    return text


def _checked_name(name: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise ValueError("the guest's name has control characters; write it on one line, without tabs")
    seen = unicodedata.normalize("NFC", " ".join(without_invisible(name).split()))
    if not any(character.isalpha() for character in seen):
        raise ValueError("the guest's name has no letters; write it as the source does, first name and surname")
    return seen


def _checked_fact(text: str) -> str:
    seen = " ".join(without_invisible(text).split())
    if not seen:
        raise ValueError("a fact is empty; write a sentence, or leave it out")
    return seen


GuestName = Annotated[ShortText, AfterValidator(_checked_name)]
FactDate = Annotated[str, AfterValidator(checked_date)]
FactText = Annotated[str, Field(max_length=FACT_CHARACTERS), AfterValidator(_checked_fact)]


# ---- records -------------------------------------------------------------------------------------------------------


class GuestRequest(Record):
    """Whose fact sheet to make, and from what: a text, or the address of a page."""

    show: Slug
    name: GuestName
    text: str | None = Field(default=None, max_length=MOST_CHARACTERS)
    url: str | None = Field(default=None, max_length=LONGEST_ADDRESS)

    @model_validator(mode="after")
    def _one_source(self) -> GuestRequest:
        if (self.text is None) == (self.url is None):
            raise ValueError("give exactly one of text and url: what is written of the guest, or the address of a page")
        if self.text is not None and not without_invisible(self.text).strip():
            raise ValueError("the text is empty; give what is written of the guest, or the address of a page as url")
        return self


class Fact(Record):
    """One thing that is said of a guest.

    text       what an episode is told: the sentence, shortened where it is long; or a person's words
    date       of the first day, month or year that the sentence names, as ISO 8601
    sentence   of the source; empty where a person knows it
    source     `text`, or the page's address without secrets; empty where a person knows it
    by         who says so: a fact that a person added or changed is the person's
    """

    text: FactText
    date: FactDate | None = None
    sentence: str = Field(default="", max_length=SENTENCE_CHARACTERS)
    source: str = Field(default="", max_length=LONGEST_ADDRESS)
    by: Literal["source", "person"] = "person"


class GuestSheet(Record):
    """A guest's facts in order. `revision` counts the changes: who writes says which one was read."""

    schema_version: Literal[1] = 1
    id: str
    show: Slug
    name: str
    facts: tuple[Fact, ...]
    url: str | None = None
    fetched_at: datetime | None = None
    revision: int = Field(default=1, ge=1)
    changed_by: str
    changed_at: datetime = Field(default_factory=now)
    lineage: Lineage


class GuestFacts(Record):
    """What ingest found in a source. `sentences` it read; `guest` is the sheet's id."""

    show: Slug
    guest: str
    name: str
    facts: tuple[Fact, ...]
    url: str | None = None
    fetched_at: datetime | None = None
    sentences: int
    warnings: tuple[str, ...] = ()


class GuestResult(Record):
    """A sheet that was made: `found` facts are the source's, `kept` ones people's."""

    guest: str
    name: str
    key: str
    revision: int
    found: int
    kept: int
    warnings: tuple[str, ...] = ()


# ---- reading -------------------------------------------------------------------------------------------------------


def guest_id(name: str) -> str:
    """The same for every way to write one name."""
    seen = unicodedata.normalize("NFC", without_invisible(name))
    return "g" + hashlib.sha256(guest_key(seen).encode()).hexdigest()[:16]


def fact_sheet(store: Store, show: str, guest_name: str) -> GuestSheet | None:
    """What is known of a guest of a show; None where nobody made a sheet."""
    try:
        return load(store, keys.guest(show, guest_id(guest_name)), GuestSheet)
    except ArtifactMissingError:
        return None
