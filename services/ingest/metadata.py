"""What is known about a recording besides its sound: from yt-dlp's info, from the file's tags, from its name. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from shared.schemas import Record
from shared.urls import Hide

MAX_TITLE = 300
MAX_TEXT = 20_000
MAX_CHAPTERS = 1_000
KEPT_TAGS = ("title", "artist", "album", "date", "genre", "comment", "description")


class Downloaded(Record):
    """A file that came from a URL; `metadata` is what the site said about it, without secrets."""

    original: Path
    metadata: dict[str, Any]
    yt_dlp: str


def from_info(info: Mapping[str, Any], hide: Hide) -> dict[str, Any]:
    """The part of yt-dlp's info dictionary that is worth keeping; missing fields are left out."""
    found: dict[str, Any] = {}
    for ours, theirs in (("title", "title"), ("uploader", "uploader"), ("site", "extractor_key"), ("site_id", "id")):
        if value := info.get(theirs):
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


def _chapter(chapter: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": clean(str(chapter.get("title") or ""), MAX_TITLE),
        "start_s": float(chapter.get("start_time") or 0.0),
        "end_s": float(chapter.get("end_time") or 0.0),
    }
