"""How long an episode is to be, by what the show's real episodes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from shared import transcripts
from shared.repetition import words_of
from shared.schemas import MOST_WORDS_A_MINUTE, Transcript
from shared.store import Store

USUAL_WORDS, USUAL_WORDS_PER_MINUTE = 400, 150.0  # of a show that has nothing to go by
SAMPLE = 40  # real episodes that are looked at, spread over all
FEWEST, MOST = 20, 50_000


@dataclass(frozen=True)
class Length:
    """Of a real episode; `minutes` is None where its times are not known."""

    words: int
    minutes: float | None


def target_words(minutes: float | None, real: Sequence[Length]) -> int:
    """So many minutes at the pace of the show's real episodes; without minutes their median length."""
    if minutes is None:
        words = median(length.words for length in real) if real else USUAL_WORDS
    else:
        words = minutes * words_per_minute(real)
    return round(min(max(words, FEWEST), MOST))


def words_per_minute(real: Sequence[Length]) -> float:
    """The median pace, no faster than anybody talks: times of a published transcript may be wrong."""
    paces = [length.words / length.minutes for length in real if length.minutes]
    return min(median(paces), MOST_WORDS_A_MINUTE) if paces else USUAL_WORDS_PER_MINUTE


def sample(store: Store, show: str) -> list[Transcript]:
    """Up to forty of the show's current transcripts, spread over all."""
    there = transcripts.transcribed(store, show)
    spread = [there[place * len(there) // SAMPLE] for place in range(SAMPLE)] if len(there) > SAMPLE else there
    return [transcripts.current(store, show, recording) for recording in spread]


def length_of(transcript: Transcript) -> Length:
    words = sum(len(words_of(turn.text)) for turn in transcript.turns)
    return Length(words, transcript.duration_s / 60 if transcript.duration_s else None)
