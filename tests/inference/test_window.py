from __future__ import annotations

import pytest

from services.inference.window import TURN_OVERHEAD_TOKENS, first_seen

TURN = 50 - TURN_OVERHEAD_TOKENS  # a turn that costs 50


def test_all_turns_are_seen_while_they_fit():
    assert first_seen([], 400) == 0
    assert first_seen([TURN] * 8, 400) == 0


def test_a_full_window_drops_to_half_and_then_stays_for_a_while():
    starts = [first_seen([TURN] * count, 400) for count in range(1, 20)]

    assert starts[:8] == [0] * 8
    assert starts[8:12] == [6, 6, 6, 6] or len(set(starts)) < 6
    assert len(set(starts)) <= 4  # a start that moves with every turn would defeat the prefix cache


@pytest.mark.parametrize("count", range(1, 40))
def test_the_window_starts_with_the_host_and_fits_unless_one_exchange_alone_does_not(count):
    first = first_seen([TURN] * count, 400)

    assert first % 2 == 0
    assert first < count
    assert (count - first) * 50 <= 400


def test_one_turn_that_is_too_long_is_still_seen():
    assert first_seen([1000], 400) == 0
    assert first_seen([10, 10, 1000], 400) == 2


def test_with_a_new_chapter_the_window_steps_too_if_it_is_more_than_half_full():
    assert first_seen([TURN] * 6, 400, new_chapters=[6]) > 0
    assert first_seen([TURN] * 6, 400) == 0
    assert first_seen([TURN] * 3, 400, new_chapters=[2]) == 0, "there is little to drop"


@pytest.mark.parametrize("chapters", [(), (4,), (4, 10, 16), tuple(range(2, 40, 2))])
def test_the_window_never_goes_back_and_begins_with_the_host(chapters):
    starts = [first_seen([TURN] * count, 400, [at for at in chapters if at <= count]) for count in range(40)]

    assert starts == sorted(starts)
    assert all(start % 2 == 0 for start in starts)


def test_after_an_answer_that_is_too_long_the_talk_goes_on_without_it():
    assert first_seen([10, 1000], 400) == 2
