"""What a brief leaves open: how long the episode is to be, by what the show's real episodes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from shared import transcripts
from shared.repetition import words_of
from shared.schemas import EpisodeRequest, EpisodeTurn, Transcript
from shared.store import Store

USUAL_WORDS, USUAL_WORDS_PER_MINUTE = 400, 150.0  # of a show that has nothing to go by
SAMPLE = 40  # real episodes that are looked at, spread over all
FEWEST, MOST = 20, 50_000


@dataclass(frozen=True)
class Length:
    """Of a real episode; `minutes` is None where its times are not known."""

    words: int
    minutes: float | None


def settled(request: EpisodeRequest, turns: Sequence[EpisodeTurn], store: Store) -> EpisodeRequest:
    """The brief with its length in words; of an episode that is begun, the length it was begun with."""
    begun = turns[0].target_words if turns else None
    words = begun or request.words or target_words(request.minutes, real_lengths(store, request.show))
    return request.model_copy(update={"words": words})


def target_words(minutes: float | None, real: Sequence[Length]) -> int:
    """So many minutes at the pace of the show's real episodes; without minutes their median length."""
    if minutes is None:
        words = median(length.words for length in real) if real else USUAL_WORDS
    else:
        paces = [length.words / length.minutes for length in real if length.minutes]
        words = minutes * (median(paces) if paces else USUAL_WORDS_PER_MINUTE)
    return round(min(max(words, FEWEST), MOST))


def real_lengths(store: Store, show: str) -> list[Length]:
    """Of up to forty of the show's transcripts, spread over all."""
    there = transcripts.transcribed(store, show)
    spread = [there[place * len(there) // SAMPLE] for place in range(SAMPLE)] if len(there) > SAMPLE else there
    return [_length(transcripts.current(store, show, recording)) for recording in spread]


def _length(transcript: Transcript) -> Length:
    words = sum(len(words_of(turn.text)) for turn in transcript.turns)
    return Length(words, transcript.duration_s / 60 if transcript.duration_s else None)
