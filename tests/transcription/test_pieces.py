from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from services.transcription.pieces import EDGE_S, Said, Speech

FRAME_S = 0.1


def speech(*parts: tuple[float, float], until_s: float = 120.0, sure: float = 0.9) -> Speech:
    """Somebody talks in these parts of a recording, in seconds."""
    levels = np.zeros(round(until_s / FRAME_S))
    for start_s, end_s in parts:
        levels[round(start_s / FRAME_S) : round(end_s / FRAME_S)] = sure
    return Speech(levels, FRAME_S)


def near(*pieces: tuple[float, float]) -> list[Any]:
    return [pytest.approx(piece) for piece in pieces]


def test_silence_has_no_pieces():
    assert speech().pieces(29.0) == []


def test_what_fits_into_one_piece_is_one_with_a_little_silence_around_it():
    found = speech((5.0, 10.0), (12.0, 20.0)).pieces(29.0)

    assert found == near((5.0 - EDGE_S, 20.0 + EDGE_S))


def test_no_piece_reaches_beyond_the_recording():
    assert speech((0.0, 10.0), until_s=10.0).pieces(29.0) == near((0.0, 10.0))


def test_of_two_cuts_that_need_as_many_pieces_the_longer_pause_is_taken():
    parts = [(0.0, 10.0), (10.3, 20.0), (21.0, 30.0), (30.3, 40.0)]

    found = speech(*parts, until_s=40.0).pieces(31.0)

    assert found == near((0.0, 20.0 + EDGE_S), (21.0 - EDGE_S, 40.0))


def test_where_the_pause_is_short_both_pieces_get_half_of_it():
    found = speech((0.0, 20.0), (20.1, 40.0), until_s=40.0).pieces(29.0)

    assert found == near((0.0, 20.05), (20.05, 40.0))


def test_speech_without_a_pause_is_cut_where_it_is_least_sure_and_nothing_is_lost():
    levels = np.full(900, 0.9)
    levels[430] = 0.6

    found = Speech(levels, FRAME_S).pieces(29.0)

    assert found[0][0] == 0.0
    assert found[-1][1] == pytest.approx(90.0)
    assert all(end_s - start_s <= 29.0 for start_s, end_s in found)
    assert [a[1] for a in found[:-1]] == pytest.approx([b[0] for b in found[1:]])
    assert any(end_s == pytest.approx(43.05) for _, end_s in found)


@pytest.mark.parametrize("seed", range(20))
def test_every_moment_of_speech_is_in_just_one_piece_and_none_is_too_long(seed: int):
    random = np.random.default_rng(seed)
    levels = np.repeat(random.random(400), random.integers(1, 40, 400))
    talk = Speech(levels, FRAME_S)

    pieces = talk.pieces(25.0)

    assert all(end_s - start_s <= 25.0 + 1e-9 for start_s, end_s in pieces)
    assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(pieces))
    for start_s, end_s in talk.regions:
        inside = sum(max(0.0, min(end_s, b) - max(start_s, a)) for a, b in pieces)
        assert inside == pytest.approx(end_s - start_s)


def test_a_part_is_cut_into_halves_without_reaching_out_of_it():
    talk = speech((0.0, 12.0), (13.0, 25.0), (26.0, 40.0))

    assert talk.pieces(13.0, within=(0.0, 25.1)) == near((0.0, 12.0 + EDGE_S), (13.0 - EDGE_S, 25.0 + EDGE_S))


def test_pace_counts_words_by_the_seconds_in_which_somebody_talks():
    talk = speech((0.0, 4.0), (10.0, 14.0))

    assert talk.pace(Said(0.0, 14.0, ("word",) * 16)) == pytest.approx(2.0)
    assert talk.pace(Said(0.0, 4.0, ("word",) * 4), Said(10.0, 14.0, ("word",) * 8)) == pytest.approx(1.5)


def test_words_keep_to_their_piece_and_have_its_score():
    said = Said(10.0, 12.0, ("one", "two", "three"), 0.7)

    words = said.timed([(9.8, 10.5), None, (11.5, 12.4)])

    assert [(word.text, word.start_s, word.end_s, word.score) for word in words] == [
        ("one", 10.0, 10.5, 0.7),
        ("two", 10.5, 11.5, 0.7),
        ("three", 11.5, 12.0, 0.7),
    ]
