"""What new recordings would cost, by what the recordings of the same show have cost here: never by a guess. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.studio.pages import words
from shared.schemas import Job, JobState, Recording
from shared.subscriptions import Filters, RefreshResult

HEARD_BY = ("transcribe", "transcribe-missing")


@dataclass(frozen=True)
class Pace:
    """How long transcription took for some recordings, waiting for the GPU included."""

    recordings: int
    audio_s: float
    took_s: float

    @property
    def speed(self) -> float:
        """Seconds of audio in a second."""
        return self.audio_s / self.took_s


def pace_of(jobs: Iterable[Job], recordings: Sequence[Recording]) -> Pace | None:
    """The pace of the show's transcriptions so far; None where none tells.

    Jobs that went on at the same time waited for each other: their time counts once.
    """
    lengths = {one.id: one.duration_s for one in recordings if one.duration_s}
    heard: set[str] = set()
    spans: list[tuple[datetime, datetime]] = []
    for job in jobs:
        if job.kind in HEARD_BY and job.state is JobState.DONE and (known := _heard_in(job) & lengths.keys()):
            heard |= known
            spans.append((job.created_at, job.updated_at))
    took_s = covered_s(spans)
    return Pace(len(heard), sum(lengths[name] for name in heard), took_s) if took_s > 0 else None


def _heard_in(job: Job) -> set[str]:
    result = job.result or {}
    return {result["recording"]} if "recording" in result else set(result.get("recordings", ()))


def covered_s(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """Seconds in which at least one of the spans goes on."""
    total, until = 0.0, None
    for begun, ended in sorted(spans):
        since = begun if until is None else max(begun, until)
        total += max(0.0, (ended - since).total_seconds())
        until = ended if until is None else max(until, ended)
    return total


def kept_bytes_per_s(recordings: Iterable[Recording]) -> float | None:
    """Disk that a second of audio takes beside its original: the working copy, the one for browsers, the waveform."""
    known = [(one.duration_s, _copies(one)) for one in recordings if one.duration_s and one.working]
    seconds = sum(duration_s for duration_s, _ in known)
    return sum(count for _, count in known) / seconds if seconds else None


def _copies(recording: Recording) -> int:
    return sum(blob.bytes for blob in (recording.working, recording.web, recording.peaks) if blob is not None)


# ---- sentences -------------------------------------------------------------------------------------------------------


def disk_sentence(found: RefreshResult, per_s: float | None) -> str:
    """What the new items would take of the disk."""
    fetched = f"{words.size(found.bytes)} to fetch" if found.bytes else "the source does not tell the sizes"
    if per_s is None or not found.hours:
        return f"{fetched}; working copies come on top, how large shows with the first recording"
    copies = found.hours * 3600 * per_s
    if not found.bytes:
        return f"{fetched}; working copies take about {words.size(copies)} by the recordings that are here"
    return f"about {words.size(found.bytes + copies)}: {fetched}, and working copies as of the recordings that are here"


def time_sentence(found: RefreshResult, pace: Pace | None) -> str:
    """How long transcribing the new items would take."""
    if not found.hours:
        return "unknown: the source does not tell the lengths"
    if pace is None:
        return "not known yet: nothing of this show was transcribed here; after the first recording it is"
    basis = f"{words.count(pace.recordings, 'recording')} of this show took {words.span(pace.took_s)} here"
    needed = words.span(found.hours * 3600 / pace.speed)
    return f"about {needed}: {basis}, {pace.speed:.3g} times as fast as listening"


def coming_sentence(found: RefreshResult) -> str:
    hours = f", {words.span(found.hours * 3600)}" if found.hours else ", of unknown length"
    return f"{words.count(found.new, 'recording')}{hours}" if found.new else "nothing new"


def passed_over(found: RefreshResult) -> list[str]:
    """What the source has and would not come, and why."""
    told = [f"{words.count(found.known, 'is', 'are')} here already"] if found.known else []
    told += [f"{many:,} left out: {why}" for why, many in found.left_out.items()]
    return told + ([f"{words.count(found.erased, 'was', 'were')} erased and not fetched again"] if found.erased else [])


def filter_words(filters: Filters) -> str:
    """Filters as a person says them; empty for none."""
    told = {
        "title_pattern": "title matches {}",
        "after": "from {} on",
        "before": "until {}",
        "min_minutes": "at least {:g} min",
        "newest": "only the newest {}",
    }
    given = filters.model_dump(exclude_none=True)
    return ", ".join(sentence.format(given[name]) for name, sentence in told.items() if name in given)
