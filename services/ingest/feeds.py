"""RSS and Atom feeds, with the Podcasting 2.0 elements: bytes in, a catalogue out. Nothing is fetched here."""

from __future__ import annotations

import codecs
import html
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from xml.parsers import expat

import feedparser

from services.ingest import metadata
from services.ingest.catalogue import MAX_DESCRIPTION, Catalogue, Item, TranscriptLink, cut, newest_first
from shared.errors import BadInputError
from shared.urls import join, lend_credentials, path_of, redact, redact_text

FIRST_YEAR = 1990  # what a feed dates before is a date that it could not write
SHORT_GUID = 16  # shorter ones are no more than a number in many feeds
MAX_GUESTS = 20
MAX_TRANSCRIPTS = 20
LONGEST_S = 7 * 86_400
_ROOTS = ("rss", "feed", "rdf")
_PAGE_ROOTS = ("html", "head", "body", "script", "meta", "title")
_SOUND = {".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".wav", ".flac", ".m4b"}
_FILM = {".mp4", ".m4v", ".mov", ".webm", ".mkv"}
_PODCASTING = (
    "https://podcastindex.org/namespace/1.0",
    "https://github.com/podcastindex-org/podcast-namespace/blob/main/docs/1.0.md",
)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_ENCODINGS = re.compile(r"(iso[-_]?8859[-_]?\d+|windows[-_]?125\d|koi8[-_][ru]|utf[-_]?16([-_]?[lb]e)?|shift[-_]jis|"
                        r"euc[-_](jp|kr)|gb2312|gbk|gb18030|big5|us-ascii|latin[-_]?1)", re.I)  # fmt: skip
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_NAME = re.compile(r"<(?:[A-Za-z][\w.-]{0,50}:)?([A-Za-z][\w.-]{0,50})")
_FEED_LINK = re.compile(r"<link\b[^<>]{0,1000}application/(?:rss|atom)\+xml[^<>]{0,1000}>", re.I)
_HREF = re.compile(r"href\s*=\s*[\"']?([^\"'\s>]+)", re.I)

_COPY_AGAIN = "copy the feed's address again (it usually ends in .xml or /rss), or ask whoever runs it"


def is_feed(data: bytes) -> bool:
    """Whether a document, or its beginning, says that it is RSS or Atom; whatever type the server gives it."""
    root, _ = _beginning(_text(data[:200_000]))
    return root in _ROOTS


def is_page(data: bytes) -> bool:
    """Whether a document begins like a web page."""
    text = _text(data[:20_000])
    return _beginning(text)[0] in _PAGE_ROOTS or text.lstrip()[:14].lower() == "<!doctype html"


def feed_of_page(data: bytes, url: str) -> str:
    """The feed that a web page names, without secrets; empty if it names none."""
    link = _FEED_LINK.search(_text(data[:500_000]))
    href = _HREF.search(link.group()) if link else None
    return redact(join(url, html.unescape(href.group(1)))) if href else ""


def parse(data: bytes, url: str, address: str, most: int) -> Catalogue:
    """Read a feed; entries without a sound or film are left out with a warning.

    data      the document
    url       where it was found, after redirects: relative addresses start from there
    address   as the source was given; its user and password go along to addresses of the same origin
    raises    BadInputError for what is no feed, has no episode, or declares entities
    """
    if not data.strip():
        raise BadInputError(f"the feed at {redact(url)} is empty (0 bytes); {_COPY_AGAIN}")
    if not is_feed(data):
        raise no_feed(data, url)
    text = _text(data)
    _refuse_entities(text)
    text = _DECLARATION.sub("", text)
    extras = _read_extras(text)
    found = feedparser.parse(
        io.BytesIO(text.encode("utf-8")),
        response_headers={"content-type": "application/xml; charset=utf-8"},
        sanitize_html=False,
        resolve_relative_uris=False,
    )
    items = _items(found.entries, extras, url, address)
    if not items:
        raise _no_episode(found.entries, extras, url)
    listed, warnings = cut(newest_first(items), most)
    if extras.problem:
        warnings.append(f"the feed is not well-formed XML ({extras.problem}): episodes may be missing")
    if silent := len(found.entries) - len(items):
        warnings.append(f"left out {silent} entries without audio or video, or listed twice")
    title = metadata.clean(str(found.feed.get("title") or ""), metadata.MAX_TITLE)
    return Catalogue(kind="feed", title=redact_text(title), items=listed, warnings=tuple(warnings))


def no_feed(data: bytes, url: str) -> BadInputError:
    if not is_page(data):
        return BadInputError(f"{redact(url)} answers with something that is neither RSS nor Atom; {_COPY_AGAIN}")
    named = feed_of_page(data, url)
    advice = f"it names the feed {named}: add that" if named else _COPY_AGAIN
    return BadInputError(f"{redact(url)} is a web page (HTML), not a feed; {advice}")


def _no_episode(entries: Sequence[Any], extras: _Extras, url: str) -> BadInputError:
    if extras.problem:
        return BadInputError(
            f"the feed at {redact(url)} is broken XML ({extras.problem}) and no episode of it can be read; ask whoever "
            "runs it to repair it"
        )
    if entries:
        return BadInputError(
            f"none of the {len(entries)} entries of the feed at {redact(url)} has audio or video; give the podcast's "
            "feed, not the one of its news"
        )
    return BadInputError(f"the feed at {redact(url)} has no entries; {_COPY_AGAIN}")


# ---- text and XML, carefully -----------------------------------------------------------------------------------------


def _text(data: bytes) -> str:
    """The document's text: by its byte order mark, else by its XML declaration, else UTF-8."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, errors="replace")
    for start, name in ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be")):
        if data.startswith(start):
            return data.decode(name, errors="replace")
    declared = re.search(rb"<\?xml[^>]*encoding\s*=\s*[\"']([A-Za-z0-9._-]+)", data[:500])
    name = declared.group(1).decode() if declared else ""
    plain = _ENCODINGS.fullmatch(name) and not name.lower().startswith("utf")
    return data.decode(name if plain else "utf-8", errors="replace")


def _beginning(text: str) -> tuple[str, bool]:
    """The name of the first element, in lower case; and whether a document type before it has an inner part."""
    at, inner = text.find("<"), False
    while at >= 0 and text[at + 1 : at + 2] in ("!", "?"):
        if text.startswith("<!--", at):
            end = text.find("-->", at)
        elif text.startswith("<?", at):
            end = text.find("?>", at)
        else:
            end = text.find(">", at)
            inner = inner or "[" in text[at : None if end < 0 else end]
        at = text.find("<", end) if end > 0 else -1
    name = _NAME.match(text, at) if at >= 0 else None
    return (name.group(1).lower() if name else ""), inner


def _refuse_entities(text: str) -> None:
    """A document type with an inner part can make a small feed huge (entities in entities); no podcast needs one."""
    if _beginning(text)[1]:
        raise BadInputError(
            "the feed declares entities of its own (<!ENTITY>), which can make a small file fill the memory, and is "
            "not read; ask whoever runs it for a plain feed"
        )


@dataclass
class _Extra:
    """What the Podcasting 2.0 elements say of one entry, of which feedparser keeps the last one only."""

    key: str = ""
    guests: list[str] = field(default_factory=list)
    chapters_url: str = ""
    transcripts: list[dict[str, str]] = field(default_factory=list)


class _Extras:
    """A second reading, for the elements that may come several times."""

    def __init__(self) -> None:
        self.by_key: dict[str, _Extra] = {}
        self.problem = ""
        self._entry: _Extra | None = None
        self._text: list[str] | None = None
        self._guest = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, element = name.rpartition(" ")
        if element in ("item", "entry"):
            self._entry = _Extra()
        elif self._entry is None:
            return
        elif space.lower() in _PODCASTING:
            self._start_podcasting(element, attributes, self._entry)
        elif element in ("guid", "id"):
            self._text = []
        elif element == "enclosure" and not self._entry.key:
            self._entry.key = attributes.get("url", "").strip()

    def _start_podcasting(self, element: str, attributes: dict[str, str], entry: _Extra) -> None:
        if element == "person":
            self._guest = attributes.get("role", "").strip().lower() == "guest"
            self._text = []
        elif element == "chapters":
            entry.chapters_url = entry.chapters_url or attributes.get("url", "").strip()
        elif element == "transcript" and len(entry.transcripts) < MAX_TRANSCRIPTS:
            entry.transcripts.append(attributes)

    def end(self, name: str) -> None:
        element = name.rpartition(" ")[2]
        text = "".join(self._text or ()).strip()
        if self._entry is None:
            return
        if element in ("guid", "id") and self._text is not None:
            self._entry.key = text or self._entry.key
        elif element == "person" and self._guest and text and len(self._entry.guests) < MAX_GUESTS:
            self._entry.guests.append(metadata.clean(text, metadata.MAX_TITLE))
        elif element in ("item", "entry"):
            self.by_key.setdefault(self._entry.key, self._entry)
            self._entry = None
        if element in ("guid", "id", "person"):
            self._text, self._guest = None, False

    def characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)


def _read_extras(text: str) -> _Extras:
    """Read with expat: no document type gets this far, and no other document is opened."""
    extras = _Extras()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = extras.start
    parser.EndElementHandler = extras.end
    parser.CharacterDataHandler = extras.characters
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        extras.problem = str(error)
    return extras


# ---- entries ---------------------------------------------------------------------------------------------------------


def _items(entries: Sequence[Any], extras: _Extras, url: str, address: str) -> list[Item]:
    guids = Counter(_guid(entry) for entry in entries)
    sounds = [(entry, sound) for entry in entries if (sound := _enclosure(entry, url)) is not None]
    known = [_identity(_guid(entry) if guids[_guid(entry)] == 1 else "", href, address) for entry, (href, _) in sounds]
    alike = Counter(known)
    items: dict[str, Item] = {}
    for (entry, (href, size)), short in zip(sounds, known, strict=True):
        identity = short if alike[short] == 1 else href  # they differ in what looked like a secret, if at all
        guid = _guid(entry)
        extra = extras.by_key.get(guid) or extras.by_key.get(href) or _Extra()
        items.setdefault(identity, _item(entry, identity, href, size, extra, url, address))
    return list(items.values())


def _item(entry: Any, identity: str, href: str, size: int | None, extra: _Extra, url: str, address: str) -> Item:
    def full(link: str) -> str:
        return lend_credentials(address, join(url, link))

    links = [
        TranscriptLink(
            url=full(link["url"].strip()), media_type=link.get("type", ""), language=link.get("language", "")
        )
        for link in extra.transcripts
        if link.get("url", "").strip()
    ]
    title = metadata.clean(metadata.plain(str(entry.get("title") or "")), metadata.MAX_TITLE)
    return Item(
        identity=identity,
        url=lend_credentials(address, href),
        title=redact_text(title) or metadata.clean(PurePosixPath(path_of(href)).stem, metadata.MAX_TITLE),
        description=redact_text(metadata.plain(_description(entry)))[:MAX_DESCRIPTION],
        published_on=_day(entry),
        duration_s=duration_s(str(entry.get("itunes_duration") or "")),
        bytes=size,
        guests=tuple(dict.fromkeys(extra.guests)),
        chapters_url=full(extra.chapters_url) if extra.chapters_url else "",
        transcripts=tuple(links),
        page_url=redact(join(url, str(entry.get("link") or ""))) if entry.get("link") else "",
    )


def _guid(entry: Any) -> str:
    return str(entry.get("id") or "").strip()


def _identity(guid: str, href: str, address: str) -> str:
    """The guid; one that is short says little outside its feed; without any, the address without its secrets."""
    if not guid:
        return redact(href, path=False)
    if len(guid) >= SHORT_GUID:
        return redact(guid, path=False) if guid.startswith(("http://", "https://")) else guid
    parts = urlsplit(address)
    return f"{parts.hostname}{parts.path} {guid}"


def _enclosure(entry: Any, url: str) -> tuple[str, int | None] | None:
    """Address and size in bytes of the entry's first sound, else of its first film."""
    offered = [*entry.get("enclosures", ()), *entry.get("media_content", ())]
    for kind, suffixes in (("audio/", _SOUND), ("video/", _FILM)):
        for link in offered:
            href = str(link.get("href") or link.get("url") or "").strip()
            declared = str(link.get("type") or "").lower()
            if href and (declared.startswith(kind) or PurePosixPath(path_of(href)).suffix.lower() in suffixes):
                return join(url, href), _size(link)
    if entry.get("yt_videoid") and entry.get("link"):
        return str(entry["link"]), None
    return None


def _size(link: Mapping[str, Any]) -> int | None:
    length = str(link.get("length") or link.get("filesize") or "").strip()
    return int(length) if re.fullmatch(r"[1-9]\d{3,14}", length) else None  # many feeds say 0 or 1


def _description(entry: Any) -> str:
    said = (str(part.get("value") or "") for part in entry.get("content", ()))
    return max(chain(said, (str(entry.get("summary") or ""),)), key=len)


def _day(entry: Any) -> date | None:
    for name in ("published_parsed", "updated_parsed"):
        if moment := entry.get(name):
            with suppress(ValueError):
                day = date(*moment[:3])
                if day.year >= FIRST_YEAR:
                    return day
    return None


def duration_s(text: str) -> float | None:
    """`itunes:duration`: seconds, MM:SS or HH:MM:SS."""
    parts = text.strip().split(":")
    if not 1 <= len(parts) <= 3 or not all(re.fullmatch(r"\d{1,7}(\.\d+)?", part) for part in parts):
        return None
    seconds = 0.0
    for part in parts:
        seconds = seconds * 60 + float(part)
    return seconds if 0 < seconds <= LONGEST_S else None
