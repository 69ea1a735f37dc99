"""Words + spans of voices -> turns. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from services.transcription.diarisation import Span
from shared.schemas import Word

SENTENCE_END = (".", "?", "!", "…")
SNAP_WORDS, SNAP_S = 2, 1.5  # a change of voice this near to the end of a sentence belongs there


@dataclass(frozen=True)
class VoiceTurn:
    """What one voice says before another one talks. `voice` is an index into the diariser's voices."""

    voice: int
    words: tuple[Word, ...]
    margin: float

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def start_s(self) -> float:
        return self.words[0].start_s

    @property
    def end_s(self) -> float:
        return self.words[-1].end_s


def build_turns(words: Sequence[Word], spans: Sequence[Span]) -> list[VoiceTurn]:
    """Each word goes to the voice it overlaps most, changes move to sentence ends, runs of one voice become turns.

    words    in order of time
    spans    in order of time; none means that all words are of one voice
    """
    if not words:
        return []
    voices = at_sentence_ends(words, voices_of(words, spans))
    turns = []
    for voice, run in groupby(zip(words, voices, strict=True), key=lambda pair: pair[1]):
        own = tuple(word for word, _ in run)
        turns.append(VoiceTurn(voice, own, _margin(own, [span for span in spans if span.voice == voice])))
    return turns


def overlap_s(words: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Seconds that each word shares with each span.

    words    (W, 2) float64, start and end in seconds
    spans    (S, 2) float64, start and end in seconds
    returns  (W, S) float64, zero where the two do not meet
    source   the largest-overlap rule of whisperX, assign_word_speakers
    """
    latest_start = np.maximum(words[:, None, 0], spans[None, :, 0])
    earliest_end = np.minimum(words[:, None, 1], spans[None, :, 1])
    return np.clip(earliest_end - latest_start, 0.0, None)


def voices_of(words: Sequence[Word], spans: Sequence[Span]) -> list[int]:
    """The voice of each word: that of most shared seconds, else that of the nearest span."""
    if not spans:
        return [0] * len(words)
    starts = np.array([span.start_s for span in spans])
    voices = []
    for word in words:
        last = int(np.searchsorted(starts, word.end_s))
        first = max(0, int(np.searchsorted(starts, word.start_s)) - 2)
        voices.append(_voice_of(word, spans[first : max(last + 1, first + 1)]))
    return voices


def at_sentence_ends(words: Sequence[Word], voices: Sequence[int]) -> list[int]:
    """Move a change of voice to the end of a sentence that is at most two words away.

    The diariser hears a change within a fifth of a second, the recogniser hears sentences: "...here. Why | did" is
    more likely "...here. | Why did".
    """
    moved = list(voices)
    changes = [index for index in range(1, len(words)) if voices[index] != voices[index - 1]]
    for position, change in enumerate(changes):
        lowest = changes[position - 1] + 1 if position else 1
        highest = changes[position + 1] - 1 if position + 1 < len(changes) else len(words) - 1
        target = _nearest_sentence_end(words, change, lowest, highest)
        if target < change:
            moved[target:change] = [voices[change]] * (change - target)
        else:
            moved[change:target] = [voices[change - 1]] * (target - change)
    return moved


def _nearest_sentence_end(words: Sequence[Word], change: int, lowest: int, highest: int) -> int:
    """Index of the word that starts a sentence and is nearest to `change`; `change` if none is near enough."""
    offsets = sorted(range(-SNAP_WORDS, SNAP_WORDS + 1), key=abs)
    for target in (change + offset for offset in offsets):
        if not lowest <= target <= highest or not words[target - 1].text.endswith(SENTENCE_END):
            continue
        if abs(words[target].start_s - words[change].start_s) <= SNAP_S:
            return target
    return change


def _voice_of(word: Word, near: Sequence[Span]) -> int:
    times = np.array([[span.start_s, span.end_s] for span in near])
    shared = overlap_s(np.array([[word.start_s, word.end_s]]), times)[0]
    if shared.max() > 0:
        return near[int(shared.argmax())].voice
    middle_s = (word.start_s + word.end_s) / 2
    away = np.maximum(times[:, 0] - middle_s, middle_s - times[:, 1])
    return near[int(away.argmin())].voice


def _margin(words: Sequence[Word], own: Sequence[Span]) -> float:
    """Mean margin of the voice's spans under these words, by shared seconds; 0 where the voice was not heard at all."""
    if not own:
        return 1.0
    turn = np.array([[words[0].start_s, words[-1].end_s]])
    shared = overlap_s(turn, np.array([[span.start_s, span.end_s] for span in own]))[0]
    return float(shared @ np.array([span.margin for span in own]) / shared.sum()) if shared.sum() > 0 else 0.0
