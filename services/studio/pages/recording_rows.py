"""A show's recordings as rows of a list: what a person sees of each without opening it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from services.studio.glances import Glance, Seen
from services.studio.pages import words
from shared.schemas import ExcludedSpan, Recording, TranscriptState


@dataclass(frozen=True)
class Standing:
    """How far the transcript of a recording is. `mark` is ok, look or empty."""

    told: str
    mark: str


@dataclass(frozen=True)
class Row:
    """`find` is what the filter box looks in, in small letters."""

    recording: Recording
    guessed: bool
    standing: Standing
    left_out: str
    warnings: tuple[str, ...]

    @property
    def find(self) -> str:
        one = self.recording
        told = (one.title, one.guest or "", str(one.published_on or ""), self.standing.told, self.left_out, one.id)
        return " ".join((*told, "warning" if self.warnings else "")).lower()


def rows_of(recordings: Iterable[Recording], seen: Seen) -> list[Row]:
    """The newest first; those without a date come last, by title."""
    glances = {one.recording: one for one in seen.glances}
    rows = [
        Row(
            recording=one,
            guessed=is_guess(one),
            standing=standing_of(one, glances.get(one.id), seen.unread),
            left_out=left_out_words(one.excluded_spans),
            warnings=(*one.warnings, *(glances[one.id].warnings if one.id in glances else ())),
        )
        for one in recordings
    ]
    rows.sort(key=lambda row: row.recording.title.lower())
    return sorted(rows, key=lambda row: row.recording.published_on or date.min, reverse=True)


def is_guess(recording: Recording) -> bool:
    """Whether the guest's name is what was guessed, and nobody's word."""
    guess = recording.guest_guess
    return guess is not None and guess.name == recording.guest and guess.confidence < 1


def standing_of(recording: Recording, glance: Glance | None, unread: int = 0) -> Standing:
    """
    unread   transcripts that are being read right now: this one's may be among them
    """
    if glance is None:
        if unread:
            return Standing("being read", "empty")
        return Standing("not transcribed" if recording.working else "no transcript and no audio", "look")
    if not glance.host_known:
        return Standing("host unknown", "look")
    if glance.state is TranscriptState.APPROVED:
        return Standing("approved", "ok")
    if glance.doubtful:
        return Standing(words.count(len(glance.doubtful), "doubtful turn"), "look")
    return Standing("reviewed" if glance.state is TranscriptState.REVIEWED else "heard, nothing doubtful", "ok")


def left_out_words(spans: Sequence[ExcludedSpan]) -> str:
    """How much is left out, and why: `2 min: advert, intro`; empty for nothing."""
    if not spans:
        return ""
    reasons = ", ".join(dict.fromkeys(span.reason for span in sorted(spans, key=lambda one: one.start_s)))
    return f"{words.span(sum(span.end_s - span.start_s for span in spans))}: {reasons}"
