"""A source of a show as a subscription: what it is asked, what it answers, and what is remembered of that."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from shared.schemas import Record, Slug, now


class Filters(Record):
    """Which items of a source are wanted; all that are set must hold."""

    title_pattern: str | None = Field(
        default=None, max_length=300, description="regular expression that a title must contain, case ignored"
    )
    after: date | None = Field(default=None, description="published on this day or later")
    before: date | None = Field(default=None, description="published on this day or earlier")
    min_minutes: float | None = Field(default=None, ge=0, description="leaves out what is known to be shorter")
    newest: int | None = Field(default=None, ge=1, description="only so many of the newest")


class Subscription(Record):
    """A source of a show that is asked again: what it has grown by since the last time becomes recordings.

    kind      `feed`: an RSS or Atom feed; `site`: a channel, playlist or page that yt-dlp reads; `folder`: below
              INGEST_FOLDER; `auto`: a feed if the address answers with one, else a site
    address   as people may see it: without secrets. With `private` the full one lies apart, see keys.source_secret
    """

    schema_version: Literal[1] = 1
    id: str
    show: Slug
    kind: Literal["auto", "feed", "site", "folder"] = "auto"
    address: str = Field(max_length=2000)
    private: bool = False
    filters: Filters = Filters()
    added_at: datetime = Field(default_factory=now)
    added_by: str = ""


class SourceSecret(Record):
    """The full address of a private source, with user and password if it asks for them. Never exported or shown."""

    address: str


class FoundItem(Record):
    """One entry of a source, as people may see it.

    state      `new`: would come; `known`: is a recording already; `erased`: was, and was withdrawn; `left out`: by the
               filters or limits, `why` says which
    bytes, duration_s   as the source tells them, or estimated from each other; None where neither is told
    """

    id: str
    title: str
    published_on: date | None = None
    duration_s: float | None = None
    bytes: int | None = None
    state: Literal["new", "known", "erased", "left out"] = "new"
    why: str = ""
    recording: str | None = None


class FailedItem(Record):
    """An item that did not become a recording, and what to do.

    again   the next refresh tries it once more; without it only one with `retry` does
    """

    id: str
    title: str
    problem: str
    again: bool


class RefreshRequest(Record):
    """Ask a source what is new; `dry_run` only lists it, `retry` tries again what was no use the last time."""

    show: Slug
    source: str
    dry_run: bool = False
    retry: bool = False


class RefreshResult(Record):
    """What a source has. Sums are of the new items; `first` lists some of all items, the new ones before the others."""

    source: str
    title: str
    dry_run: bool
    found: int
    new: int
    known: int
    erased: int
    left_out: dict[str, int]
    hours: float
    bytes: int
    recordings: tuple[str, ...] = Field(default=(), description="that this refresh made, or found by their content")
    failed: tuple[FailedItem, ...] = ()
    first: tuple[FoundItem, ...] = ()
    warnings: tuple[str, ...] = ()


class LastRefresh(Record):
    """How the last refresh of a source went. `etag` and `modified` spare an unchanged feed its transfer."""

    schema_version: Literal[1] = 1
    result: RefreshResult
    filters: Filters = Filters()
    limits: str = Field(default="", description="of the operator, as they were")
    etag: str = ""
    modified: str = ""
    at: datetime = Field(default_factory=now)


class KnownItem(Record):
    """That an item of a source became a recording; named by a hash of the item's identity, and says nothing else."""

    schema_version: Literal[1] = 1
    recording: str
    job: str
