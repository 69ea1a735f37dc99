"""What the pages of the review show: the queue of recordings, and a transcript packed for the editor. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.studio.glances import Glance
from services.studio.review import review_s
from shared.corrections import left_out_of
from shared.schemas import ExcludedSpan, Recording, Transcript, TranscriptState, Turn
from shared.spoken import words_of

PER_SECOND = 100  # times are sent as whole hundredths: half the bytes, and finer than anybody hears


# ---- the queue -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """A recording with doubtful turns.

    worst   its most doubtful turn
    """

    recording: str
    title: str
    guest: str | None
    state: str
    doubtful: int
    worst_doubt: float
    worst: str
    reasons: tuple[str, ...]
    review_s: float
    host_known: bool


@dataclass(frozen=True)
class Looked:
    """A recording that nothing is doubtful in."""

    recording: str
    title: str
    state: str
    turns: int
    host_known: bool


@dataclass(frozen=True)
class Queue:
    """What there is to review, and what was.

    ready   nothing is doubtful any more, and nobody has approved it yet
    """

    waiting: tuple[Waiting, ...]
    ready: tuple[Looked, ...]
    approved: tuple[Looked, ...]

    @property
    def doubtful(self) -> int:
        return sum(one.doubtful for one in self.waiting)

    @property
    def review_s(self) -> float:
        return sum(one.review_s for one in self.waiting)


def queue_of(glances: Iterable[Glance], recordings: Mapping[str, Recording]) -> Queue:
    """The recordings of a show by how much they need somebody: those with the most doubt first."""
    there = [glance for glance in glances if glance.recording in recordings]
    waiting = [glance for glance in there if glance.doubtful]
    waiting.sort(key=lambda one: (-sum(item.doubt for item in one.doubtful), one.recording))
    looked = [_looked(glance, recordings[glance.recording]) for glance in there if not glance.doubtful]
    return Queue(
        waiting=tuple(_waiting(glance, recordings[glance.recording]) for glance in waiting),
        ready=tuple(one for one in looked if one.state != TranscriptState.APPROVED),
        approved=tuple(one for one in looked if one.state == TranscriptState.APPROVED),
    )


def _waiting(glance: Glance, recording: Recording) -> Waiting:
    worst = max(glance.doubtful, key=lambda item: item.doubt)
    return Waiting(
        recording=glance.recording,
        title=recording.title,
        guest=recording.guest,
        state=glance.state.value,
        doubtful=len(glance.doubtful),
        worst_doubt=worst.doubt,
        worst=worst.text,
        reasons=worst.reasons,
        review_s=review_s(glance.doubtful),
        host_known=glance.host_known,
    )


def _looked(glance: Glance, recording: Recording) -> Looked:
    return Looked(
        recording=glance.recording,
        title=recording.title,
        state=glance.state.value,
        turns=glance.turns,
        host_known=glance.host_known,
    )


# ---- the editor ------------------------------------------------------------------------------------------------------


def packed(transcript: Transcript, recording: Recording, since: Transcript | None = None) -> dict[str, Any]:
    """A revision for the editor; of its turns only those that are not as they were in `since`.

    returns   order: names of all turns as they follow each other; turns: see `_packed_turn`; left_out: spans, of which
              people's own of this transcript can be taken back here
    """
    known = {turn.id: turn for turn in since.turns} if since else {}
    return {
        "revision": transcript.id,
        "since": since.id if since else None,
        "state": transcript.state.value,
        "judged_by": transcript.judged_by,
        "duration_s": _end_s(transcript, recording),
        "speakers": [
            speaker.model_dump(mode="json", include={"label", "role", "name", "speech_s"})
            for speaker in transcript.speakers
        ],
        "left_out": [_packed_span(span, transcript) for span in left_out_of(transcript, recording.excluded_spans)],
        "order": [turn.id for turn in transcript.turns],
        "turns": [_packed_turn(turn) for turn in transcript.turns if known.get(turn.id) != turn],
    }


def _end_s(transcript: Transcript, recording: Recording) -> float:
    return recording.duration_s or transcript.duration_s or max((turn.end_s for turn in transcript.turns), default=0.0)


def _packed_span(span: ExcludedSpan, transcript: Transcript) -> dict[str, Any]:
    own = span in transcript.excluded_spans
    return {"start_s": span.start_s, "end_s": span.end_s, "reason": span.reason, "own": own}


def _packed_turn(turn: Turn) -> dict[str, Any]:
    """A turn, with words as edits count them; `times` are start and end of each word in hundredths of a second."""
    words = words_of(turn)
    return {
        "id": turn.id,
        "speaker": turn.speaker,
        "start_s": turn.start_s,
        "end_s": turn.end_s,
        "words": [word.text for word in words],
        "times": _hundredths((word.start_s, word.end_s) for word in words),
        "doubt": turn.doubt if turn.needs_review else None,
        "reasons": turn.review_reasons if turn.needs_review else (),
        "settled_by": turn.settled_by,
    }


def _hundredths(spans: Iterable[Sequence[float]]) -> list[int]:
    return [round(PER_SECOND * time_s) for span in spans for time_s in span]
