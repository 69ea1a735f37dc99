"""Quarters of an episode, and where in it something is."""

from __future__ import annotations

import pytest

from shared.figures import Talk
from shared.quarters import quarters_of, where
from shared.report import Spoken, measure
from shared.schemas import Quarter, RecitedSpan


def said(first: int, count: int) -> str:
    return " ".join(f"w{number}" for number in range(first, first + count))


def alternating(*lengths: int) -> list[Spoken]:
    return [Spoken("guest" if at % 2 else "host", said(at * 1000, length)) for at, length in enumerate(lengths)]


def quarters(turns: list[Spoken], recited: tuple[RecitedSpan, ...] | None = None) -> tuple[Quarter, ...]:
    return quarters_of(Talk.of(turns), recited)


def test_there_are_four_that_end_with_turns_where_one_ends_nearby():
    found = quarters(alternating(*[20, 30] * 20))

    assert [quarter.words for quarter in found] == [250] * 4
    assert [quarter.first_turn for quarter in found] == [0, 10, 20, 30]
    assert [quarter.turns for quarter in found] == [10] * 4


def test_a_turn_longer_than_a_quarter_is_cut_and_counts_in_each():
    found = quarters(alternating(10, 790))

    assert [quarter.words for quarter in found] == [200] * 4
    assert [(quarter.first_turn, quarter.turns) for quarter in found] == [(0, 2), (1, 1), (1, 1), (1, 1)]
    assert [quarter.host_share for quarter in found] == [0.05, None, None, None]


@pytest.mark.parametrize("text", ["ha-" * 1000, "да " * 1000, "İ " * 1000, "so it’s on — " * 400])
def test_a_loop_without_spaces_or_in_another_script_is_cut_too(text: str):
    found = quarters([Spoken("host", "Who?"), Spoken("guest", text)])

    assert len(found) == 4 and all(quarter.words >= 200 for quarter in found)


@pytest.mark.parametrize(("words", "count"), [(399, 0), (400, 4)])
def test_a_short_text_has_none(words: int, count: int):
    assert len(quarters(alternating(200, words - 200))) == count


def test_each_turn_is_in_one_of_them_an_empty_one_too():
    turns = alternating(*[20, 30] * 20)
    for at in (0, 10, 20, 39):
        turns[at] = Spoken(turns[at].role, "")

    found = quarters(turns)

    assert sum(quarter.turns for quarter in found) == 40
    assert sum(quarter.words for quarter in found) == sum(len(turn.text.split()) for turn in turns)


def test_each_has_its_own_figures():
    turns = alternating(*[20, 30] * 20)
    turns[11] = Spoken("guest", "Yes.")
    turns[12] = Spoken("host", "You left? Yes, I left. This is brought to you by Hum, um, as ever. " + said(0, 6))
    turns[30] = Spoken("host", said(7, 19) + " why?")
    turns[39] = Spoken("guest", "round and round it goes " * 6)

    found = quarters(turns)

    assert [quarter.one_word_replies for quarter in found] == [0, 1, 0, 0]
    assert [quarter.answers_in_host_turns for quarter in found] == [0, 1, 0, 0]
    assert [quarter.advert_words for quarter in found] == [0, 1, 0, 0]
    assert [quarter.host_question_share == 0 for quarter in found] == [True, False, True, False]
    assert [quarter.rep4 > 0 for quarter in found] == [False, False, False, True]
    assert [quarter.disfluencies > 0 for quarter in found] == [False, True, False, False]


def test_recited_words_are_in_the_quarter_that_says_them():
    turns = alternating(10, 790)
    spans = (RecitedSpan(turn=1, first_word=180, last_word=200, recording="r1"),)

    assert [quarter.recited_words for quarter in quarters(turns, spans)] == [10, 10, 0, 0]
    assert [quarter.recited_words for quarter in quarters(turns)] == [None] * 4


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ("", ""),
        ("0", "in the first quarter"),
        ("3", "in the last quarter"),
        ("01", "in the first half"),
        ("23", "in the second half"),
        ("123", "from the second quarter on"),
        ("0123", "throughout"),
        ("02", "in the first and third quarter"),
        ("013", "in the first, second and last quarter"),
    ],
)
def test_places_are_told_in_words(places: str, told: str):
    found = quarters(alternating(*[20, 30] * 20))
    marked = [quarter.model_copy(update={"advert_words": int(str(at) in places)}) for at, quarter in enumerate(found)]

    assert where(marked, lambda quarter: quarter.advert_words > 0) == told


def test_a_finding_says_where_it_is():
    turns = alternating(*[10, 100] * 10)
    turns[19] = Spoken("guest", "round and round it goes " * 25)

    report = measure(turns)

    assert any(said.startswith("goes round in circles in the last quarter: ") for said in report.findings)
    assert "repeats itself in the last quarter" in report.verdict
