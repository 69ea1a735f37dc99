"""What a source has: a feed's episodes, a channel's videos. Pure; feeds are read by feeds.py, sites by yt-dlp."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Literal

from pydantic import Field

from services.ingest import metadata
from shared.schemas import Record
from shared.urls import Hide, redact

MAX_DESCRIPTION = 4_000  # of each of thousands of items; the whole text comes with a site's recording itself
_LISTS = ("playlist", "multi_video")
_NOT_YET = ("is_live", "is_upcoming")
_CLOSED = ("private", "premium_only", "subscriber_only", "needs_auth")
_GONE_TITLES = ("[Private video]", "[Deleted video]")


class TranscriptLink(Record):
    """A transcript that a feed offers for an episode."""

    url: str = Field(repr=False)
    media_type: str = ""
    language: str = ""


class Item(Record):
    """One entry of a source.

    identity   what stays the same of it: a feed's guid, a site's name and id, else its address; only its hash is stored
    url        with its secrets: given to the engine, never stored, logged or shown; like those beside it
    bytes, duration_s   as the source says, None where it does not
    page_url   for people, without secrets
    """

    identity: str = Field(repr=False)
    url: str = Field(repr=False)
    title: str
    description: str = ""
    published_on: date | None = None
    duration_s: float | None = None
    bytes: int | None = None
    guests: tuple[str, ...] = ()
    chapters_url: str = Field(default="", repr=False)
    transcripts: tuple[TranscriptLink, ...] = ()
    page_url: str = ""


class Catalogue(Record):
    """All items of a source, newest first. `unchanged`: the feed is as it was (HTTP 304), and `items` is empty."""

    kind: Literal["feed", "site", "folder"]
    title: str = ""
    items: tuple[Item, ...] = ()
    etag: str = ""
    modified: str = ""
    unchanged: bool = False
    warnings: tuple[str, ...] = ()


def identity_of(site: str, video_id: str, url: str) -> str:
    """What stays the same of a recording at a site: its id there, or its address where the site has none."""
    return f"{site.lower()} {video_id}" if video_id and site not in ("", "Generic") else url


def preference(link: TranscriptLink) -> int:
    """Which of several transcripts to read: with times and speakers rather than without."""
    order = ("text/vtt", "application/json", "application/x-subrip", "application/srt", "text/srt", "text/plain")
    return order.index(link.media_type) if link.media_type in order else len(order)


def newest_first(items: Iterable[Item]) -> list[Item]:
    """By date; one whose date cannot be read stays beside the one that the source lists before it."""
    items = list(items)
    day = next((item.published_on for item in items if item.published_on), date.min)
    days = [day := item.published_on or day for item in items]
    order = sorted(range(len(items)), key=days.__getitem__, reverse=True)
    return [items[at] for at in order]


def cut(items: list[Item], most: int) -> tuple[tuple[Item, ...], list[str]]:
    """The newest of them, and a warning if that is not all."""
    if len(items) <= most:
        return tuple(items), []
    return tuple(items[:most]), [f"more than {most} items: the newest {most} are listed (INGEST_MAX_ITEMS)"]


# ---- sites -----------------------------------------------------------------------------------------------------------


def of_site(info: Mapping[str, Any], most: int, hide: Hide, *, signed_in: bool = False) -> Catalogue:
    """What yt-dlp lists at an address (`extract_flat="in_playlist"`); a single video is a catalogue of one.

    signed_in   with cookies, what is for members may be fetched, and is listed too
    """
    entries, warnings = _videos(info)
    left_out: Counter[str] = Counter()
    pages = Counter(str(entry.get("webpage_url")) for entry in entries)
    items: dict[str, Item] = {}
    for entry in entries:
        why = _not_wanted(entry, signed_in)
        url = _address(entry, pages)
        if why or not url:
            left_out[why or "without an address"] += 1
        else:
            item = _site_item(entry, url, hide)
            items.setdefault(item.identity, item)
    warnings += [f"left out {number} that {'is' if number == 1 else 'are'} {why}" for why, number in left_out.items()]
    listed, too_many = cut(newest_first(items.values()), most)
    title = metadata.clean(hide(str(info.get("title") or "")), metadata.MAX_TITLE)
    return Catalogue(kind="site", title=title, items=listed, warnings=(*warnings, *too_many))


def _videos(info: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The videos of a list, those of its tabs too: Videos, then Live; Shorts only where there is nothing else."""
    if info.get("_type") not in _LISTS:
        return [info], []
    videos: list[Mapping[str, Any]] = []
    shorts: list[Mapping[str, Any]] = []
    for entry in info.get("entries") or ():
        if entry:
            into = shorts if str(entry.get("webpage_url") or "").rstrip("/").endswith("/shorts") else videos
            into += list(_leaves(entry))
    if not videos or not shorts:
        return videos or shorts, []
    return videos, [f"left out {len(shorts)} shorts; add the address of the channel's Shorts tab to have them"]


def _leaves(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    waiting = [entry]
    while waiting:
        found = waiting.pop(0)
        if found.get("_type") in _LISTS:
            waiting = [inner for inner in found.get("entries") or () if inner] + waiting
        else:
            yield found


def _not_wanted(entry: Mapping[str, Any], signed_in: bool) -> str:
    if entry.get("live_status") in _NOT_YET:
        return "live or not published yet; a later refresh brings what is then there"
    if entry.get("title") in _GONE_TITLES or entry.get("availability") == "private":
        return "private or deleted"
    if entry.get("availability") in _CLOSED and not signed_in:
        return "for members only; INGEST_COOKIES_FILE of a member's browser lets them in"
    return ""


def _address(entry: Mapping[str, Any], pages: Counter[str]) -> str:
    """A page with several sounds gives each by its file's own address."""
    page, file = str(entry.get("webpage_url") or ""), str(entry.get("url") or "")
    first, second = (
        (file, page) if entry.get("_type") in ("url", "url_transparent") or pages[page] > 1 else (page, file)
    )
    for url in (first, second):
        if url.startswith(("http://", "https://")):
            return url
    is_youtube = (entry.get("ie_key") or entry.get("extractor_key")) == "Youtube" and entry.get("id")
    return f"https://www.youtube.com/watch?v={entry['id']}" if is_youtube else ""


def _site_item(entry: Mapping[str, Any], url: str, hide: Hide) -> Item:
    site, video_id = entry.get("ie_key") or entry.get("extractor_key") or "Generic", entry.get("id")
    size = entry.get("filesize") or entry.get("filesize_approx")
    title = metadata.clean(hide(str(entry.get("title") or video_id or "")), metadata.MAX_TITLE)
    return Item(
        identity=identity_of(str(site), str(video_id or ""), url),
        url=url,
        title=title or "Untitled",
        description=hide(str(entry.get("description") or ""))[:MAX_DESCRIPTION],
        published_on=metadata.published_on(entry),
        duration_s=float(entry["duration"]) if entry.get("duration") else None,
        bytes=int(size) if size else None,
        page_url=redact(str(entry.get("webpage_url") or url)),
    )
