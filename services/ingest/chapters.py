"""Chapters as sites, feeds and files write them -> ours. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from services.ingest.metadata import MAX_CHAPTERS, MAX_TITLE, clean
from shared.errors import BadInputError
from shared.schemas import Chapter


def from_feed(text: str) -> tuple[Chapter, ...]:
    """The JSON that a feed's podcast:chapters leads to (Podcasting 2.0, version 1.2). raises BadInputError"""
    try:
        found = json.loads(text)["chapters"]
        return _in_order(
            (chapter.get("title"), chapter["startTime"], chapter.get("endTime"))
            for chapter in found[:MAX_CHAPTERS]
            if chapter.get("toc") is not False
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise BadInputError(f"the feed's chapters are no JSON chapters ({type(error).__name__})") from error


def from_file(chapters: Iterable[Mapping[str, Any]]) -> tuple[Chapter, ...]:
    """Those inside an audio file, as `audio.parse_tags` tells them; an encoder's delay may begin before zero."""
    return _in_order(
        (chapter.get("title"), max(0.0, chapter["start_s"]), max(0.0, chapter.get("end_s") or 0.0))
        for chapter in chapters
    )


def _in_order(found: Iterable[tuple[Any, Any, Any]]) -> tuple[Chapter, ...]:
    """Sorted; one without an end ends where the next one starts."""
    rough = sorted(
        (_seconds(start), _seconds(end) if end else -1.0, clean(str(title or ""), MAX_TITLE))
        for title, start, end in found
    )
    chapters = []
    for number, (start_s, end_s, title) in enumerate(rough):
        following = rough[number + 1][0] if number + 1 < len(rough) else None
        ends = end_s if end_s > start_s else following
        chapters.append(Chapter(title=title, start_s=start_s, end_s=ends))
    return tuple(chapters)


def _seconds(value: Any) -> float:
    found = float(value)
    if not math.isfinite(found) or found < 0:
        raise ValueError(f"{value!r} is no time")
    return round(found, 3)
