"""Words + spans of voices -> turns. Pure.

The diariser hears a change of voice within a fifth of a second at best, the recogniser hears sentences, and neither is
right alone. So each word has a score for each voice, from the spans and from how the short windows around it sound, and
Viterbi picks the voices with the most points, where a change costs more inside of a sentence than at its end. That
decides very short turns by what is around them: "yeah" between two sentences is easily somebody else's, a word in the
middle of one is not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from services.transcription.diarisation import Span
from services.transcription.hearing import Evidence
from shared.schemas import Word

SENTENCE_END = (".", "?", "!", "…")
CLAUSE_END = (",", ";", ":", "-", "—", "–")
BACKCHANNEL = re.compile(
    r"(yeah|yes|yep|right|sure|okay|ok|oh|wow|no|really|exactly|uh-huh|m+-?h?m+)[.?!…]", re.IGNORECASE
)

# Points per second, and what a change costs; measured on interviews, on read speech cut to pieces, and on meetings:
# twice or half of each changes next to nothing.
SPAN_POINTS, COSINE_POINTS = 8.0, 60.0
MID_SENTENCE, CLAUSE, SENTENCE = 4.0, 3.0, 1.0
PAUSE_S, SENTENCE_PAUSE, CLAUSE_PAUSE = 0.5, 0.5, 0.75  # a pause this long makes a change cheaper, by these factors
UNANSWERED = 1.0  # that who asked goes on
REACH_S = 0.5  # a word speaks for the sound next to it, up to half-way to its neighbours: times are not exact
NEAREST_POINTS = 1.0  # for a word that no span is near to


@dataclass(frozen=True)
class VoiceTurn:
    """What one voice says before another one talks. `voice` is an index into the diariser's voices."""

    voice: int
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def start_s(self) -> float:
        return self.words[0].start_s

    @property
    def end_s(self) -> float:
        return self.words[-1].end_s


def build_turns(words: Sequence[Word], spans: Sequence[Span], evidence: Evidence | None = None) -> list[VoiceTurn]:
    """Each word goes to its most plausible voice, runs of one voice become turns.

    words      in order of time
    spans      in order of time; none means that all words are of one voice
    evidence   of the same voices; None where only the spans are known
    """
    if not words:
        return []
    voices = voices_of(words, spans, evidence)
    runs = groupby(zip(words, voices, strict=True), key=lambda pair: pair[1])
    return [VoiceTurn(voice, tuple(word for word, _ in run)) for voice, run in runs]


def voices_of(words: Sequence[Word], spans: Sequence[Span], evidence: Evidence | None = None) -> list[int]:
    """The voice of each word, so that all together are most plausible."""
    if not spans:
        return [0] * len(words)
    times = _reach(words)
    if evidence is None or not evidence.centres_s:
        return _most_plausible(words, _span_points(times, spans, 1 + max(span.voice for span in spans)))
    points = _span_points(times, spans, len(evidence.cosines[0])) + _cosine_points(times, evidence)
    return _most_plausible(words, points)


def change_cost(before: Word, after: Word) -> float:
    """What it costs that somebody else goes on after `before`."""
    pause = after.start_s - before.end_s > PAUSE_S
    if before.text.endswith(SENTENCE_END):
        return SENTENCE * (SENTENCE_PAUSE if pause else 1.0)
    clause = before.text.endswith(CLAUSE_END) or BACKCHANNEL.fullmatch(after.text)
    return (CLAUSE if clause else MID_SENTENCE) * (CLAUSE_PAUSE if pause else 1.0)


def _most_plausible(words: Sequence[Word], points: np.ndarray) -> list[int]:
    """Viterbi.

    points   (W, K) of each word for each voice
    """
    came_from = np.zeros(points.shape, dtype=np.int64)
    best = points[0].copy()
    for index in range(1, len(words)):
        before, after = words[index - 1], words[index]
        stays = best - (UNANSWERED if before.text.endswith("?") else 0.0)
        leader = int(best.argmax())
        changes = best[leader] - change_cost(before, after)
        came_from[index] = np.where(stays >= changes, np.arange(len(best)), leader)
        best = points[index] + np.maximum(stays, changes)
    path = [int(best.argmax())]
    for index in range(len(words) - 1, 0, -1):
        path.append(int(came_from[index, path[-1]]))
    return path[::-1]


def _reach(words: Sequence[Word]) -> np.ndarray:
    """(W, 2) start and end of the sound that each word speaks for, in seconds."""
    starts_s = np.array([word.start_s for word in words])
    ends_s = np.array([max(word.end_s, word.start_s) for word in words])
    room_s = np.clip((starts_s[1:] - ends_s[:-1]) / 2, 0.0, REACH_S)
    return np.stack([starts_s - np.append(REACH_S, room_s), ends_s + np.append(room_s, REACH_S)], axis=1)


def _span_points(times: np.ndarray, spans: Sequence[Span], count: int) -> np.ndarray:
    """(W, K): for the seconds that a word shares with each voice's spans; a few for the nearest one otherwise."""
    edges = np.array([(span.start_s, span.end_s) for span in spans])
    voices = np.array([span.voice for span in spans])
    points = np.zeros((len(times), count))
    for voice in range(count):
        own = edges[voices == voice]
        if len(own):
            spoken_s = np.append(0.0, np.repeat(np.cumsum(own[:, 1] - own[:, 0]), 2)[:-1])
            until_s = np.interp(times, own.ravel(), spoken_s, left=0.0, right=spoken_s[-1])
            points[:, voice] = SPAN_POINTS * (until_s[:, 1] - until_s[:, 0])
    for lost in np.flatnonzero(points.sum(axis=1) == 0):
        away_s = np.maximum(edges[:, 0] - times[lost, 1], times[lost, 0] - edges[:, 1])
        points[lost, voices[away_s.argmin()]] = NEAREST_POINTS
    return points


def _cosine_points(times: np.ndarray, evidence: Evidence) -> np.ndarray:
    """(W, K): how much more each word sounds like each voice than like the others, times its seconds."""
    centres_s, cosines = np.array(evidence.centres_s), np.array(evidence.cosines)
    hop_s = float(np.median(np.diff(centres_s))) if len(centres_s) > 1 else 0.0
    summed = np.cumsum(cosines - cosines.mean(axis=1, keepdims=True), axis=0)
    summed = np.concatenate([np.zeros((1, cosines.shape[1])), summed])
    first, last = np.searchsorted(centres_s, times.T)
    return COSINE_POINTS * hop_s * (summed[last] - summed[first])
