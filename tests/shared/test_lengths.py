"""How long an episode is to be where its brief does not say."""

from __future__ import annotations

from shared.lengths import Length, target_words, words_per_minute

REAL = [Length(9_000, 60.0), Length(12_000, 75.0), Length(30_000, None)]


def test_without_words_and_minutes_it_is_as_long_as_the_shows_median_episode():
    assert target_words(None, REAL) == 12_000


def test_minutes_are_at_the_shows_own_pace():
    assert target_words(90, REAL) == round(90 * (150 + 160) / 2)


def test_the_pace_is_the_median_of_those_that_are_known():
    assert (words_per_minute(REAL), words_per_minute([])) == (155.0, 150.0)


def test_a_show_without_real_episodes_has_usual_ones():
    assert (target_words(None, []), target_words(2, []), target_words(2, REAL[2:])) == (400, 300, 300)


def test_lengths_stay_within_what_can_be_written():
    assert (target_words(0.01, []), target_words(None, [Length(90_000, 500.0)])) == (20, 50_000)
