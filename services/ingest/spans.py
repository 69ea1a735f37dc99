"""Which parts of a recording are no interview: trailer, intro, adverts. Pure.

The source's own word comes first (chapters, SponsorBlock). Only where it says nothing of a beginning, a long silence
near the start is taken for the end of a trailer: the rule that the prototype's author applied by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from shared.schemas import Chapter, ExcludedSpan

Reason = Literal["trailer", "intro", "advert", "outro", "other"]

GAP_S = 3.0
"""Shortest silence that may end a trailer."""
GAP_EARLIEST_S, GAP_LATEST_S, GAP_LATEST_SHARE = 15.0, 300.0, 0.15
CLEARLY_LONGER = 1.5

_ADVERT = (
    r"^\W*(ads?|adverts?|advertisements?|ad[- ]?breaks?|sponsors?|commercials?( breaks?)?|promos?)\W*($|[:|–—-])"
    r"|\b(sponsored by|brought to you by|(our|today['’]s) sponsors?|sponsor(ed)? (read|message|segment|spot|break))\b"
)
_TRAILER = r"^\W*(trailer|teaser|preview|coming up|cold open|sneak peek|highlights|best bits)\b"
_INTRO = r"^\W*(the )?(intro|opening( credits| titles)?|theme( music| tune)?|intro music)\W*$"
_OUTRO = r"^\W*(the )?(outro|(end|closing) credits|credits|outro music|end ?cards?)\W*$"
_REASONS: tuple[tuple[Reason, str], ...] = (
    ("advert", _ADVERT),
    ("trailer", _TRAILER),
    ("intro", _INTRO),
    ("outro", _OUTRO),
)


def excluded(
    chapters: Sequence[Chapter],
    sponsor_spans: Sequence[ExcludedSpan],
    silences: Iterable[tuple[float, float]],
    duration_s: float,
) -> tuple[ExcludedSpan, ...]:
    """All parts that are no interview, in order of time; none reaches beyond the recording.

    silences   start and end in seconds
    """
    found = [*from_chapters(chapters, duration_s), *sponsor_spans]
    if not any(span.reason in ("trailer", "intro") for span in found) and not chapters:
        found += from_gap(silences, duration_s)
    inside = [span.model_copy(update={"end_s": min(span.end_s, duration_s)}) for span in found]
    return _without_repeats([span for span in inside if span.end_s > span.start_s])


def from_chapters(chapters: Sequence[Chapter], duration_s: float) -> list[ExcludedSpan]:
    return [
        ExcludedSpan(
            start_s=chapter.start_s,
            end_s=max(chapter.start_s, chapter.end_s if chapter.end_s is not None else duration_s),
            reason=reason,
            found_by="chapters",
            detail=chapter.title,
        )
        for chapter in chapters
        if (reason := reason_of(chapter.title)) is not None
    ]


def reason_of(title: str) -> Reason | None:
    """What a chapter's title says that it is, if it is no interview: a talk about adverts is one."""
    return next((reason for reason, pattern in _REASONS if re.search(pattern, title, re.I)), None)


def from_gap(silences: Iterable[tuple[float, float]], duration_s: float) -> list[ExcludedSpan]:
    """Everything before one long silence near the start, if it is clearly longer than any other there."""
    latest_s = min(GAP_LATEST_S, GAP_LATEST_SHARE * duration_s)
    early = [(end - start, end) for start, end in silences if start <= latest_s and end - start >= GAP_S / 2]
    if not early:
        return []
    longest, *others = sorted(early, reverse=True)
    length_s, end_s = longest
    distinct = not others or length_s >= CLEARLY_LONGER * others[0][0]
    if length_s < GAP_S or not distinct or end_s - length_s < GAP_EARLIEST_S:
        return []
    detail = f"{length_s:.1f} s of silence follow"
    return [ExcludedSpan(start_s=0.0, end_s=round(end_s, 3), reason="trailer", found_by="gap", detail=detail)]


def _without_repeats(spans: Iterable[ExcludedSpan]) -> tuple[ExcludedSpan, ...]:
    """What lies inside another span of the same reason says nothing new."""
    kept: list[ExcludedSpan] = []
    for span in sorted(spans, key=lambda span: (span.start_s, -span.end_s)):
        if not any(other.reason == span.reason and other.end_s >= span.end_s for other in kept):
            kept.append(span)
    return tuple(kept)
