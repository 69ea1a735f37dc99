"""When given words are said, from what a wav2vec2 model hears in each frame (CTC forced alignment). Pure arrays.

The model hears windows of one length, so that many fit into one step of a GPU; of each counts the middle, where it
knows what comes before and after. As whisperX does, letters that the model lacks fit any sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.transcription.alignment import Times
from shared.working_copy import RATE_HZ

FRAME_SAMPLES, FIELD_SAMPLES = 320, 400  # wav2vec2 answers every 20 ms, and hears 25 ms for that
WINDOW_FRAMES, CONTEXT_FRAMES = 1500, 75  # 30 s, of which 1.5 s on either side are context
MOST_CELLS = 8_000_000_000  # a GB of memory: 55 minutes of talk in one piece
SPACE = "|"
BLANKS = ("[pad]", "<pad>")


@dataclass(frozen=True)
class Window:
    """A part of the recording, in frames of 20 ms: hear [start, end), keep [first, last)."""

    start: int
    end: int
    first: int
    last: int

    @property
    def samples(self) -> slice:
        """What the model has to hear for so many answers."""
        return slice(self.start * FRAME_SAMPLES, (self.end - 1) * FRAME_SAMPLES + FIELD_SAMPLES)


def windows_of(pieces: Sequence[Times], samples: int) -> list[Window]:
    """Windows in order of time, all equally long, whose kept parts hold the pieces and do not overlap.

    pieces    start and end in seconds, in order of time
    samples   of the recording, at 16 kHz
    """
    frames = frames_in(samples)
    size = min(WINDOW_FRAMES, frames)
    step = WINDOW_FRAMES - 2 * CONTEXT_FRAMES
    wanted = [frames_of(piece, frames) for piece in pieces]
    windows: list[Window] = []
    done = 0
    for first, last in wanted:
        place = max(first, done)
        while place < last:
            end = min(place + step, frames)
            start = min(max(place - CONTEXT_FRAMES, 0), frames - size)
            windows.append(Window(start, start + size, place, end))
            place = done = end
    return windows


def seconds(frame: int) -> float:
    return frame * FRAME_SAMPLES / RATE_HZ


def frames_in(samples: int) -> int:
    return max((samples - FIELD_SAMPLES) // FRAME_SAMPLES + 1, 1)


def frames_of(piece: Times, frames: int) -> tuple[int, int]:
    """First frame and the one after the last."""
    first = min(int(piece[0] * RATE_HZ / FRAME_SAMPLES), frames - 1)
    return first, max(min(round(piece[1] * RATE_HZ / FRAME_SAMPLES), frames), first + 1)


def stitched(
    pieces: Sequence[Times], windows: Iterable[tuple[Window, np.ndarray]], frames: int
) -> Iterator[tuple[int, np.ndarray]]:
    """For each piece the frame it begins with and its (T, V) log probabilities, as soon as all its windows were heard.

    windows   with the (window's frames, V) log probabilities of each, in order
    """
    heard = iter(windows)
    kept: list[tuple[Window, np.ndarray]] = []
    for piece in pieces:
        first, last = frames_of(piece, frames)
        kept = [(window, found) for window, found in kept if window.last > first]
        while not kept or kept[-1][0].last < last:
            window, found = next(heard)
            kept.append((window, found[window.first - window.start : window.last - window.start]))
        parts = [found[max(first - w.first, 0) : last - w.first] for w, found in kept if w.first < last]
        yield first, np.concatenate(parts)


class Letters:
    """The tokens of a model. `dictionary` maps a letter (lower case) to its column."""

    def __init__(self, dictionary: Mapping[str, int]) -> None:
        self._columns = dictionary
        self.blank = next((dictionary[blank] for blank in BLANKS if blank in dictionary), 0)

    def tokens(self, texts: Sequence[str]) -> tuple[list[int], list[int]]:
        """Columns of the words' letters with spaces between, -1 for any sound; and the word of each, -1 for spaces."""
        columns: list[int] = []
        words: list[int] = []
        for word, text in enumerate(texts):
            if word and SPACE in self._columns:
                columns.append(self._columns[SPACE])
                words.append(-1)
            for letter in text.lower():
                columns.append(self._columns.get(letter, -1))
                words.append(word)
        return columns, words

    def times(self, emissions: np.ndarray, texts: Sequence[str]) -> list[tuple[int, int]] | None:
        """First frame of each word and the one after its last.

        None if there are fewer frames than letters, or more of both than memory would hold.

        emissions   (T, V) log probabilities
        """
        columns, words = self.tokens(texts)
        if len(emissions) * len(columns) > MOST_CELLS:
            return None
        any_sound = np.delete(emissions, self.blank, axis=1).max(axis=1)
        heard = np.column_stack([emissions, any_sound])  # column -1 is the last one
        edges = forced_path(heard, np.array(columns, dtype=np.int64), emissions[:, self.blank])
        if edges is None:
            return None
        owners = np.array(words)
        places = [np.flatnonzero(owners == word) for word in range(len(texts))]
        return [(int(edges[own[0]]), int(edges[own[-1] + 1])) for own in places]


def forced_path(heard: np.ndarray, letters: np.ndarray, blank: np.ndarray) -> np.ndarray | None:
    """The most probable way through the letters, one after another. Memory is T N / 8 bytes.

    heard     (T, V) log probability of each token in each frame
    letters   (N,) the token of each letter, in order
    blank     (T,) log probability that nothing new begins
    returns   (N + 1,) the frame in which each letter begins, then the one after the last; None if T < N
    source    get_trellis and backtrack of whisperX, after torchaudio's tutorial on forced alignment
    """
    frames, count = len(heard), len(letters)
    if frames < count or count == 0:
        return None
    begun = np.zeros((frames, (count + 7) // 8), dtype=np.uint8)  # a bit for each letter: whether it begins in a frame
    level = np.full(count + 1, -np.inf)
    level[0] = 0.0
    last_levels = np.full(frames + 1, -np.inf)
    for frame in range(frames):
        stayed = level + blank[frame]
        changed = level[:-1] + heard[frame, letters]
        begun[frame] = np.packbits(changed > stayed[1:])
        level = stayed
        np.maximum(stayed[1:], changed, out=level[1:])
        last_levels[frame + 1] = level[-1]
    place = int(np.argmax(last_levels))
    edges = np.zeros(count + 1, dtype=np.int64)
    edges[count] = place
    letter = count
    while letter:
        place -= 1
        if begun[place, (letter - 1) // 8] & 128 >> (letter - 1) % 8:
            letter -= 1
            edges[letter] = place
    return edges
