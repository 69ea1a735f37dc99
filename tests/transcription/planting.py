"""Errors as diarisers make them, planted into turns: a turn of the wrong voice, of a ghost, and one cut in two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from services.transcription.hearing import Evidence
from services.transcription.turns import VoiceTurn

KINDS = ("swap", "ghost", "split")
GHOST_NOISE, GHOST_LEAD = 0.02, 0.02  # a ghost sounds like who it is, and a bit more so where it was made from


@dataclass(frozen=True)
class Planted:
    """`wrong` are the places of turns with at least one planted word."""

    turns: list[VoiceTurn]
    evidence: Evidence
    wrong: list[int]


def plant(
    turns: Sequence[VoiceTurn], evidence: Evidence, errors: Sequence[str], random: np.random.Generator
) -> Planted:
    """Plant errors of these kinds, each into another turn; runs of one voice become one turn again, as they would."""
    voices = [turn.voice for turn in turns for _ in turn.words]
    words = [word for turn in turns for word in turn.words]
    firsts = np.cumsum([0, *(len(turn.words) for turn in turns)])
    ghost, cosines = max(voices) + 1, np.array(evidence.cosines)
    ghost_column = np.zeros(len(cosines))
    planted = np.zeros(len(words), dtype=bool)
    free = list(random.permutation([place for place, turn in enumerate(turns) if len(turn.words) >= 2]))
    for kind in errors:
        place = free.pop()
        turn, first, last = turns[place], firsts[place], firsts[place + 1]
        others = [voice for voice in set(voices) if voice not in (turn.voice, ghost)]
        first += (last - first) // 2 if kind == "split" else 0
        voice = ghost if kind == "ghost" else others[int(random.integers(len(others)))]
        voices[first:last] = [voice] * (last - first)
        planted[first:last] = True
        if kind == "ghost" and len(cosines):
            own = slice(*np.searchsorted(evidence.centres_s, (turn.start_s, turn.end_s)))
            noise = GHOST_NOISE * random.normal(size=len(cosines))
            sounds = cosines[:, turn.voice] + noise - GHOST_LEAD
            sounds[own] += 2 * GHOST_LEAD
            ghost_column = np.maximum(ghost_column, sounds)
    if "ghost" in errors:
        cosines = np.column_stack([cosines, ghost_column])
    made: list[VoiceTurn] = []
    wrong: list[int] = []
    for voice, run in groupby(range(len(words)), key=lambda index: voices[index]):
        own_words = list(run)
        if planted[own_words].any():
            wrong.append(len(made))
        made.append(VoiceTurn(voice, tuple(words[index] for index in own_words)))
    return Planted(made, evidence.model_copy(update={"cosines": tuple(map(tuple, cosines.tolist()))}), wrong)
