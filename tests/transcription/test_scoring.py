"""The yardstick itself: a wrong one would let wrong transcripts pass."""

from __future__ import annotations

import pytest

from tests.transcription.scoring import plain_words, said, word_error_rate, word_role_accuracy, word_speaker_accuracy


def test_words_are_compared_without_case_and_punctuation():
    assert plain_words("Well, I don’t KNOW...") == ["well", "i", "don't", "know"]


@pytest.mark.parametrize(("heard", "errors"), [("a b c d", 0), ("a x c d", 1), ("a c d", 1), ("a b b c d", 1), ("", 4)])
def test_swaps_gaps_and_additions_count_one_each(heard, errors):
    assert word_error_rate(plain_words("a b c d"), plain_words(heard)) == errors / 4


def test_speakers_may_have_any_names_but_must_be_told_apart():
    truth = said([("Ann", "one two"), ("Ben", "three four")])

    assert word_speaker_accuracy(truth, said([("S2", "one two"), ("S1", "three four")])) == 1.0
    assert word_speaker_accuracy(truth, said([("S1", "one two three"), ("S2", "four")])) == 0.75
    assert word_speaker_accuracy(truth, said([("S1", "one two three four")])) == 0.5


def test_swapped_roles_are_wrong_roles():
    truth = said([("host", "one two three"), ("guest", "four")])

    assert word_role_accuracy(truth, truth) == 1.0
    assert word_role_accuracy(truth, said([("guest", "one two three"), ("host", "four")])) == 0.0
    assert word_role_accuracy(truth, said([("host", "one two three four")])) == 0.75
