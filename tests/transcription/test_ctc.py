from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from services.transcription import ctc
from services.transcription.ctc import Letters, forced_path, frames_in, frames_of, seconds, stitched, windows_of

ALPHABET = {"<pad>": 0, "|": 1, "a": 2, "b": 3, "c": 4, "'": 5}


def emissions(spelt: str) -> np.ndarray:
    """Log probabilities of a model that is quite sure of one letter in each frame; - is the blank."""
    columns = [0 if letter == "-" else ALPHABET[letter] for letter in spelt]
    sure = np.full((len(columns), len(ALPHABET)), 0.02)
    sure[np.arange(len(columns)), columns] = 0.9
    return np.log(sure / sure.sum(axis=1, keepdims=True))


def test_words_begin_and_end_with_their_letters():
    times = Letters(ALPHABET).times(emissions("--a-b-|--c--a--"), ["ab", "ca"])

    assert times == [(2, 6), (9, 13)]


def test_case_does_not_matter_and_what_the_model_lacks_fits_any_sound():
    times = Letters(ALPHABET).times(emissions("-a-|-b-c-|-a-"), ["A", "2!", "a"])

    assert times is not None
    assert times[0] == (1, 3)
    assert 4 <= times[1][0] < times[1][1] <= 10
    assert times[2][0] == 11


def test_more_letters_than_frames_cannot_be_placed():
    assert Letters(ALPHABET).times(emissions("ab"), ["abc"]) is None
    assert Letters(ALPHABET).times(emissions("ab"), []) is None


def test_what_memory_would_not_hold_is_not_placed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ctc, "MOST_CELLS", 6)

    assert Letters(ALPHABET).times(emissions("-ab"), ["ab"]) is not None
    assert Letters(ALPHABET).times(emissions("-ab-"), ["ab"]) is None


@pytest.mark.parametrize("seed", range(30))
def test_the_path_is_the_most_probable_of_all(seed: int):
    """Against trying all of them: letters begin in any ascending frames, the sound may end before the frames do."""
    random = np.random.default_rng(seed)
    frames, count = int(random.integers(3, 8)), int(random.integers(1, 4))
    letters, blank = np.log(random.random((frames, count))), np.log(random.random(frames))

    edges = forced_path(letters, np.arange(count), blank)

    def score(begins: tuple[int, ...], until: int) -> float:
        own = sum(letters[frame, place] for place, frame in enumerate(begins))
        return own + sum(blank[frame] for frame in range(until) if frame not in begins)

    best = max(
        score(begins, until) for until in range(count, frames + 1) for begins in combinations(range(until), count)
    )
    assert edges is not None
    assert score(tuple(edges[:-1]), int(edges[-1])) == pytest.approx(best)


def test_windows_are_of_one_length_and_each_wanted_frame_is_kept_once():
    samples = 100 * ctc.RATE_HZ
    pieces = [(1.0, 20.0), (20.0, 47.0), (60.0, 61.0), (98.0, 100.0)]

    windows = windows_of(pieces, samples)

    kept = [frame for window in windows for frame in range(window.first, window.last)]
    assert len({window.end - window.start for window in windows}) == 1
    assert len(kept) == len(set(kept))
    assert {frame for piece in pieces for frame in range(*frames_of(piece, frames_in(samples)))} <= set(kept)
    for window in windows:
        assert window.start <= window.first < window.last <= window.end <= frames_in(samples)
        heard = window.samples.stop - window.samples.start
        assert heard == (ctc.WINDOW_FRAMES - 1) * ctc.FRAME_SAMPLES + ctc.FIELD_SAMPLES


def test_each_piece_gets_back_its_own_frames_from_the_windows():
    samples = 100 * ctc.RATE_HZ
    pieces = [(0.0, 30.0), (30.0, 31.0), (40.0, 80.0)]
    numbered = np.arange(frames_in(samples))[:, None].astype(float)
    windows = windows_of(pieces, samples)

    found = list(stitched(pieces, ((w, numbered[w.start : w.end]) for w in windows), frames_in(samples)))

    for piece, (first, own) in zip(pieces, found, strict=True):
        wanted = frames_of(piece, frames_in(samples))
        assert first == wanted[0]
        assert own[:, 0].tolist() == list(range(*wanted))


def test_a_recording_shorter_than_a_window_is_one():
    [window] = windows_of([(0.0, 2.0)], 2 * ctc.RATE_HZ)

    assert (window.start, window.first) == (0, 0)
    assert window.samples.stop <= 2 * ctc.RATE_HZ
    assert seconds(50) == pytest.approx(1.0)
