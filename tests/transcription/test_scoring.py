"""The yardstick itself: a wrong one would let wrong transcripts pass."""

from __future__ import annotations

import random
import time

import jiwer
import pytest

from services.transcription.scoring import (
    aligned,
    plain_words,
    said,
    word_error_rate,
    word_role_accuracy,
    word_speaker_accuracy,
)


def test_words_are_compared_without_case_and_punctuation():
    assert plain_words("Well, I don’t KNOW...") == ["well", "i", "don't", "know"]


@pytest.mark.parametrize(("heard", "errors"), [("a b c d", 0), ("a x c d", 1), ("a c d", 1), ("a b b c d", 1), ("", 4)])
def test_swaps_gaps_and_additions_count_one_each(heard, errors):
    assert word_error_rate(plain_words("a b c d"), plain_words(heard)) == errors / 4


def test_words_are_paired_in_order_and_all_of_them():
    assert aligned(["a", "b", "c"], ["a", "x", "y", "c"]) in (
        [(0, 0), (1, 1), (None, 2), (2, 3)],
        [(0, 0), (None, 1), (1, 2), (2, 3)],
    )
    assert aligned([], ["a"]) == [(None, 0)]
    assert aligned(["a"], []) == [(0, None)]
    assert aligned([], []) == []


def test_the_word_error_rate_is_that_of_another_implementation():
    chance = random.Random(1)
    for _ in range(50):
        reference = chance.choices("abcdefg", k=chance.randint(1, 40))
        heard = chance.choices("abcdefg", k=chance.randint(1, 40))

        assert word_error_rate(reference, heard) == pytest.approx(jiwer.wer(" ".join(reference), " ".join(heard)))
        pairs = aligned(reference, heard)
        assert [a for a, _ in pairs if a is not None] == list(range(len(reference)))
        assert [b for _, b in pairs if b is not None] == list(range(len(heard)))


def test_an_hour_of_speech_is_aligned_in_seconds():
    chance = random.Random(2)
    reference = [str(chance.randint(1, 2000)) for _ in range(10_000)]
    heard = [word for word in reference if chance.random() > 0.05]
    start = time.monotonic()

    rate = word_error_rate(reference, heard)

    took_s = time.monotonic() - start
    print(f"\n10,000 by {len(heard)} words aligned in {took_s:.1f} s")
    assert rate == pytest.approx(1 - len(heard) / 10_000)
    assert took_s < 15


def test_speakers_may_have_any_names_but_must_be_told_apart():
    truth = said([("Ann", "one two"), ("Ben", "three four")])

    assert word_speaker_accuracy(truth, said([("S2", "one two"), ("S1", "three four")])) == 1.0
    assert word_speaker_accuracy(truth, said([("S1", "one two three"), ("S2", "four")])) == 0.75
    assert word_speaker_accuracy(truth, said([("S1", "one two three four")])) == 0.5


def test_words_of_a_ghost_speaker_are_wrong():
    truth = said([("Ann", "one two three four")])

    assert word_speaker_accuracy(truth, said([("S1", "one two three"), ("S2", "four")])) == 0.75


def test_twenty_speakers_are_paired_in_no_time():
    words = [f"{word}" for word in range(200)]
    truth = [(word, f"name {index % 20}") for index, word in enumerate(words)]
    heard = [(word, f"S{(index + 7) % 20}") for index, word in enumerate(words)]

    assert word_speaker_accuracy(truth, heard) == 1.0


def test_where_no_word_is_right_no_speaker_is():
    assert word_speaker_accuracy(said([("Ann", "one")]), said([("S1", "two")])) == 0.0
    assert word_role_accuracy(said([("host", "one")]), []) == 0.0


def test_swapped_roles_are_wrong_roles():
    truth = said([("host", "one two three"), ("guest", "four")])

    assert word_role_accuracy(truth, truth) == 1.0
    assert word_role_accuracy(truth, said([("guest", "one two three"), ("host", "four")])) == 0.0
    assert word_role_accuracy(truth, said([("host", "one two three four")])) == 0.75
