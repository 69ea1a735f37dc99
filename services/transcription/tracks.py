"""One track per speaker: who really talks on which. Pure arrays.

Every microphone hears the other people too, more quietly (bleed). How loud a track is says nothing, since each was
recorded with a gain of its own; how it compares with another track does: the difference of two tracks' levels keeps to
two values, one while the first speaker talks and one while the second does. Half-way between them lies who talks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from services.transcription.alignment import Times

FRAME_S = 0.02
SMOOTH_FRAMES = 5  # clicks are shorter than 0.1 s, syllables are not
SILENT_DB, LOWEST_FLOOR_DB = -100.0, -80.0
TOP_PERCENTILE, FLOOR_PERCENTILE = 99.5, 2.0
LOUD_DB = 15.0  # frames this near to a track's top tell how two tracks differ
OPEN_DB, STAY_DB = 20.0, 35.0  # a track's speaker starts to talk within the first below its top, and talks on within
ABOVE_FLOOR_DB = 6.0
LEAST_RANGE_DB = 12.0  # from the floor to the top of a track on which somebody talks
APART_DB = 10.0  # tracks that differ by less than this between their speakers hold one sound
OPEN_SHARE, STAY_SHARE = 0.4, 0.25  # of the way from where only the other one talks to where only this one does
BRIDGED_S, SHORTEST_S, EDGE_S = 0.3, 0.1, 0.15
RAMP_S = 0.01


@dataclass(frozen=True)
class Talking:
    """When the own speaker of each track talks.

    spans      one list per track, in order of time, as (start, end) in seconds
    copy_of    a track that holds no more than the sound of another one -> that one
    """

    spans: tuple[tuple[Times, ...], ...]
    copy_of: dict[int, int]


def placed(samples: np.ndarray, offset_s: float, rate_hz: int) -> np.ndarray:
    """A track in the recording's time: (N,) samples after the silence of its offset."""
    return np.concatenate([np.zeros(round(offset_s * rate_hz), samples.dtype), samples])


def levels_db(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """(F,) smoothed level of each FRAME_S in dB below full scale, SILENT_DB at least."""
    size = round(FRAME_S * rate_hz)
    count = len(samples) // size
    frames = samples[: count * size].reshape(count, size)
    power = np.einsum("fs,fs->f", frames, frames) / size  # no copy of hours of samples
    smooth = np.convolve(power, np.full(SMOOTH_FRAMES, 1 / SMOOTH_FRAMES), mode="same") if count else power
    return np.maximum(10 * np.log10(smooth + 1e-12), SILENT_DB)


def who_talks(levels: Sequence[np.ndarray]) -> Talking:
    """Bleed told from speech by comparing the tracks, two at a time.

    levels   (F,) dB of each track, from `levels_db`; they may differ in length
    """
    longest = max(1, *map(len, levels))
    stacked = np.stack([np.pad(own, (0, longest - len(own)), constant_values=SILENT_DB) for own in levels])
    top = np.percentile(stacked, TOP_PERCENTILE, axis=1)[:, None]
    floor = np.maximum(np.percentile(stacked, FLOOR_PERCENTILE, axis=1)[:, None], LOWEST_FLOOR_DB)
    opens = stacked > np.maximum(top - OPEN_DB, floor + ABOVE_FLOOR_DB)
    stays = stacked > np.maximum(top - STAY_DB, floor + ABOVE_FLOOR_DB)
    opens &= top - floor > LEAST_RANGE_DB
    heard = np.maximum(stacked, top - STAY_DB)
    copy_of: dict[int, int] = {}
    for first, second in combinations(np.flatnonzero(opens.any(axis=1)).tolist(), 2):
        difference = heard[first] - heard[second]
        low, high = two_levels(difference[(heard[[first, second]] > top[[first, second]] - LOUD_DB).any(axis=0)])
        if high - low < APART_DB:
            copy, source = sorted((first, second), key=lambda track: float((top - floor)[track, 0]))
            copy_of.setdefault(copy, source)
            continue
        ahead = (difference - low) / (high - low)  # 0 where only the second talks, 1 where only the first does
        for track, share in ((first, ahead), (second, 1 - ahead)):
            opens[track] &= share > OPEN_SHARE
            stays[track] &= share > STAY_SHARE
    opens[list(copy_of)] = False
    return Talking(tuple(_spans(start, on) for start, on in zip(opens, stays, strict=True)), copy_of)


def two_levels(values: np.ndarray) -> tuple[float, float]:
    """The two values that (N,) numbers gather at (2-means, begun at the extremes); equal ones if there are none."""
    if len(values) == 0:
        return 0.0, 0.0
    low, high = float(values.min()), float(values.max())
    for _ in range(50):
        upper = values > (low + high) / 2
        if upper.all() or not upper.any():
            break
        now = float(values[~upper].mean()), float(values[upper].mean())
        if now == (low, high):
            break
        low, high = now
    return low, high


def _spans(opens: np.ndarray, stays: np.ndarray) -> tuple[Times, ...]:
    """Runs of (F,) `stays` in which it `opens` somewhere, short pauses bridged, clicks left out."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], stays | opens, [False]]).astype(np.int8)))
    spans: list[Times] = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if not opens[start:end].any():
            continue
        start_s, end_s = float(start * FRAME_S), float(end * FRAME_S)
        if spans and start_s - spans[-1][1] < BRIDGED_S:
            spans[-1] = (spans[-1][0], end_s)
        else:
            spans.append((start_s, end_s))
    return tuple((round(start_s, 2), round(end_s, 2)) for start_s, end_s in spans if end_s - start_s >= SHORTEST_S)


def gated(samples: np.ndarray, spans: Sequence[Times], rate_hz: int) -> np.ndarray:
    """(N,) samples with silence wherever the track's own speaker is silent; spans fade in and out outside of them."""
    out = np.zeros_like(samples)
    ramp = np.linspace(0.0, 1.0, round(RAMP_S * rate_hz), dtype=samples.dtype)
    for start_s, end_s in spans:
        first = max(0, round((start_s - EDGE_S) * rate_hz))
        last = min(len(samples), round((end_s + EDGE_S) * rate_hz))
        piece = samples[first:last].copy()
        if len(piece) >= 2 * len(ramp):
            piece[: len(ramp)] *= ramp
            piece[-len(ramp) :] *= ramp[::-1]
        heard = out[first:last]
        out[first:last] = np.where(np.abs(piece) > np.abs(heard), piece, heard)  # where edges of two spans meet
    return out
