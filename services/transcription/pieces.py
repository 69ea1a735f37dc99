"""Where a recording is cut for the recogniser, which hears at most 30 s at once, and what was understood. Pure.

The fewer pieces the faster, but a cut within a sentence costs words on both sides of it: cuts are where nobody talks
for as long as possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from services.transcription.alignment import Times, timed_words
from services.transcription.diarisation import ONSET, speech_regions
from shared.schemas import Word

EDGE_S = 0.05  # of silence around a piece; measured: with more or none, Whisper skips and adds more words
PAUSE_S = 1.0  # a longer one is no better place for a cut; a cut without any costs as much as one more piece


@dataclass(frozen=True)
class Said:
    """The words of a piece of speech. `score` is how sure the recogniser is of them, 0 to 1; None if it did not say."""

    start_s: float
    end_s: float
    texts: tuple[str, ...]
    score: float | None = None

    @property
    def times(self) -> Times:
        return self.start_s, self.end_s

    def timed(self, times: Sequence[Times | None]) -> list[Word]:
        """The words with their times (one each, None where unknown), none of which is outside of the piece."""
        inside = [
            time and (min(max(time[0], self.start_s), self.end_s), min(max(time[1], self.start_s), self.end_s))
            for time in times
        ]
        words = timed_words(self.texts, inside, self.start_s, self.end_s)
        return [word.model_copy(update={"score": self.score}) for word in words]


@dataclass(frozen=True)
class Speech:
    """(F,) how sure it is that somebody talks in each frame of frame_s seconds, 0 to 1."""

    levels: np.ndarray
    frame_s: float

    @cached_property
    def regions(self) -> np.ndarray:
        return speech_regions(self.levels, self.frame_s)

    def pieces(self, longest_s: float, within: Times = (0.0, np.inf)) -> list[Times]:
        """Start and end in seconds of pieces that together hold all the speech, in order. longest_s > 2 EDGE_S"""
        room_s = longest_s - 2 * EDGE_S
        regions = np.clip(self.regions, *within)
        parts = [part for start_s, end_s in regions if end_s > start_s for part in self._cut(start_s, end_s, room_s)]
        if not parts:
            return []
        firsts = _firsts(parts, room_s)
        whole = [(parts[a][0], parts[b - 1][1]) for a, b in zip(firsts, [*firsts[1:], len(parts)], strict=True)]
        return _widened(whole, max(0.0, within[0]), min(len(self.levels) * self.frame_s, within[1]))

    def pace(self, *said: Said) -> float:
        """Words per second of speech."""
        frames = [self.levels[int(part.start_s / self.frame_s) : int(part.end_s / self.frame_s)] for part in said]
        seconds = sum(int((own > ONSET).sum()) for own in frames) * self.frame_s
        return sum(len(part.texts) for part in said) / max(seconds, 0.1)

    def _cut(self, start_s: float, end_s: float, room_s: float) -> list[Times]:
        """Speech without a pause, cut where it is least sure in its middle half, until everything fits."""
        if end_s - start_s <= room_s:
            return [(float(start_s), float(end_s))]
        quarter_s = (end_s - start_s) / 4
        first, last = int((start_s + quarter_s) / self.frame_s), int((end_s - quarter_s) / self.frame_s)
        middle_s = (first + int(np.argmin(self.levels[first:last])) + 0.5) * self.frame_s
        return [*self._cut(start_s, middle_s, room_s), *self._cut(middle_s, end_s, room_s)]


def _firsts(parts: Sequence[Times], room_s: float) -> list[int]:
    """The first part of each piece: as few pieces and as long pauses between them as possible (dynamic programming)."""
    costs, before = [0.0], [0]  # of the parts up to here, and where their last piece begins
    for end in range(1, len(parts) + 1):
        options = []
        for start in range(end - 1, -1, -1):
            if parts[end - 1][1] - parts[start][0] > room_s:
                break
            pause_s = parts[start][0] - parts[start - 1][1] if start else PAUSE_S
            options.append((costs[start] + 2 * PAUSE_S - min(pause_s, PAUSE_S), start))
        cost, start = min(options)
        costs.append(cost)
        before.append(start)
    firsts: list[int] = []
    end = len(parts)
    while end:
        end = before[end]
        firsts.append(end)
    return firsts[::-1]


def _widened(pieces: Sequence[Times], first_s: float, last_s: float) -> list[Times]:
    """With EDGE_S around each, or half of the pause where that is shorter."""
    middles = [(a[1] + b[0]) / 2 for a, b in pairwise(pieces)]
    return [
        (max(start_s - EDGE_S, low_s), min(end_s + EDGE_S, high_s))
        for (start_s, end_s), low_s, high_s in zip(pieces, [first_s, *middles], [*middles, last_s], strict=True)
    ]
