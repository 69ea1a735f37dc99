"""What is known about a recording besides its sound: from yt-dlp's info, from the file's tags, from its name. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from shared.schemas import Chapter, ExcludedSpan, Record
from shared.urls import Hide

MAX_TITLE = 300
MAX_TEXT = 20_000
MAX_CHAPTERS = 1_000
KEPT_TAGS = ("title", "artist", "album", "date", "genre", "comment", "description")


Reason = Literal["trailer", "intro", "advert", "outro"]
SPONSORBLOCK: dict[str, Reason] = {  # its other categories (filler, music_offtopic, poi, chapter) are interview
    "sponsor": "advert",
    "selfpromo": "advert",
    "interaction": "advert",
    "intro": "intro",
    "preview": "trailer",
    "hook": "trailer",
    "outro": "outro",
}


class Downloaded(Record):
    """A file that came from a URL, and what the site said about it, without secrets.

    metadata        all that is worth keeping, as it is stored with the recording
    sponsor_spans   what SponsorBlock knows of it
    captions        subtitles that people made, WebVTT, and their language; None if the site has none
    warnings        what could not be had, but does not matter to the sound
    """

    original: Path
    metadata: dict[str, Any]
    yt_dlp: str
    description: str = ""
    published_on: date | None = None
    duration_s: float | None = None
    chapters: tuple[Chapter, ...] = ()
    sponsor_spans: tuple[ExcludedSpan, ...] = ()
    captions: Path | None = None
    captions_language: str = ""
    warnings: tuple[str, ...] = ()


def from_info(info: Mapping[str, Any], hide: Hide) -> dict[str, Any]:
    """The part of yt-dlp's info dictionary that is worth keeping; missing fields are left out."""
    found: dict[str, Any] = {}
    for ours, theirs in (("title", "title"), ("uploader", "uploader"), ("site", "extractor_key"), ("site_id", "id")):
        if (value := info.get(theirs)) and not (ours == "site_id" and _is_plain_file(info)):
            found[ours] = clean(hide(str(value)), MAX_TITLE)
    if description := info.get("description"):
        found["description"] = hide(str(description))[:MAX_TEXT]
    if date := re.fullmatch(r"(\d{4})(\d{2})(\d{2})", str(info.get("upload_date") or "")):
        found["published"] = "-".join(date.groups())
    if url := info.get("webpage_url"):
        found["url"] = hide(str(url))
    if chapters := info.get("chapters"):
        found["chapters"] = [_chapter(chapter) for chapter in chapters[:MAX_CHAPTERS]]
    return found


def _is_plain_file(info: Mapping[str, Any]) -> bool:
    """Whether no site stands behind it: its id is then a piece of the address, with its secrets."""
    return info.get("extractor_key") == "Generic"


def published_on(info: Mapping[str, Any]) -> date | None:
    """The day of an info dictionary, from `upload_date` (YYYYMMDD) or a timestamp in seconds."""
    try:
        if day := info.get("upload_date") or info.get("release_date"):
            return datetime.strptime(str(day), "%Y%m%d").replace(tzinfo=UTC).date()
        if stamp := info.get("timestamp") or info.get("release_timestamp"):
            return datetime.fromtimestamp(float(stamp), UTC).date()
    except (ValueError, OverflowError, OSError):
        return None
    return None


def chapters_of(info: Mapping[str, Any], hide: Hide) -> tuple[Chapter, ...]:
    """Chapters of an info dictionary in order; those without a sensible time are left out."""
    found = []
    for chapter in (info.get("chapters") or ())[:MAX_CHAPTERS]:
        start_s, end_s = chapter.get("start_time"), chapter.get("end_time")
        if isinstance(start_s, int | float) and start_s >= 0:
            title = clean(hide(str(chapter.get("title") or "")), MAX_TITLE)
            ends = float(end_s) if isinstance(end_s, int | float) and end_s > start_s else None
            found.append(Chapter(title=title, start_s=float(start_s), end_s=ends))
    return tuple(sorted(found, key=lambda chapter: chapter.start_s))


def sponsor_spans(info: Mapping[str, Any]) -> tuple[ExcludedSpan, ...]:
    """What is no interview of `sponsorblock_chapters`, as yt-dlp's SponsorBlockPP writes them."""
    found = []
    for segment in (info.get("sponsorblock_chapters") or ())[:MAX_CHAPTERS]:
        reason = SPONSORBLOCK.get(str(segment.get("category")))
        start_s, end_s = float(segment.get("start_time") or 0), float(segment.get("end_time") or 0)
        if reason and 0 <= start_s < end_s:
            detail = str(segment["category"])
            found.append(
                ExcludedSpan(start_s=start_s, end_s=end_s, reason=reason, found_by="sponsorblock", detail=detail)
            )
    return tuple(sorted(found, key=lambda span: (span.start_s, span.end_s)))


def captions_of(info: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Language and entry of the subtitles that people made, as WebVTT: in the video's language if there."""
    made = {
        language: entry
        for language, entries in (info.get("subtitles") or {}).items()
        for entry in entries or ()
        if language != "live_chat" and entry.get("ext") == "vtt" and "m3u8" not in str(entry.get("protocol") or "")
        if entry.get("url") or entry.get("data")
    }
    spoken = str(info.get("language") or "").split("-")[0].lower()
    ranked = sorted(made, key=lambda language: language.split("-")[0].lower() != spoken)
    return (ranked[0], made[ranked[0]]) if ranked else None


def from_tags(tags: Mapping[str, str], chapters: list[dict[str, object]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if kept := {name: tags[name] for name in KEPT_TAGS if tags.get(name, "").strip()}:
        found["tags"] = kept
    if chapters:
        found["chapters"] = chapters[:MAX_CHAPTERS]
    return found


def title(*candidates: str | None, filename: str | None, recording_id: str) -> str:
    """The first title that says something, else the file's name, else the recording's id."""
    stem = PurePosixPath((filename or "").replace("\\", "/")).stem
    for candidate in (*candidates, stem.replace("_", " ")):
        if cleaned := clean(candidate or "", MAX_TITLE):
            return cleaned
    return f"Recording {recording_id}"


def clean(text: str, limit: int) -> str:
    """One line without control characters."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())[:limit].strip()


def plain(markup: str) -> str:
    """The text of a piece of HTML, its paragraphs as lines."""
    text = re.sub(r"(?i)<(br|/p|/li|/div|/h[1-6])\b[^<>]*>", "\n", markup)
    text = html.unescape(re.sub(r"<[^<>]*>", "", text)).replace("\r", "")
    lines = (" ".join(re.sub(r"[\x00-\x09\x0b-\x1f\x7f]", " ", line).split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _chapter(chapter: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": clean(str(chapter.get("title") or ""), MAX_TITLE),
        "start_s": float(chapter.get("start_time") or 0.0),
        "end_s": float(chapter.get("end_time") or 0.0),
    }
