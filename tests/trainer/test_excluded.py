"""Adverts and trailers stay out of training, to the word where words have times."""

from __future__ import annotations

from collections import Counter

import pytest

from services.trainer.excluded import Repeated, without_spans
from shared.classifications import UNCLASSIFIED
from shared.schemas import ExcludedSpan, Role, Turn, Word

ADVERT = ExcludedSpan(start_s=10, end_s=20, reason="advert", found_by="chapters", detail="Sponsor")


def turn(start_s: float, text: str, *, words: bool) -> Turn:
    """One word a second."""
    said = text.split()
    timed = tuple(Word(text=word, start_s=start_s + at, end_s=start_s + at + 1) for at, word in enumerate(said))
    return Turn(
        speaker="S1",
        role=Role.HOST,
        start_s=start_s,
        end_s=start_s + len(said),
        text=text,
        words=timed if words else (),
    )


def cut(turns: list[Turn], spans=(ADVERT,), repeated=()) -> tuple[list[Turn | None], Counter[str]]:
    left: Counter[str] = Counter()
    return list(without_spans(turns, spans, repeated, left)), left


def texts(kept: list[Turn | None]) -> list[str | None]:
    return [one.text if one else None for one in kept]


@pytest.mark.parametrize("words", [True, False])
def test_an_advert_in_the_middle_of_a_turn_goes_and_what_surrounds_it_stays(words: bool):
    kept, left = cut([turn(8, "back soon " + "socks " * 10 + "so Ben", words=words)])

    assert texts(kept) == ["back soon so Ben"]
    assert kept[0] and (kept[0].start_s, kept[0].end_s) == (8, 22)
    assert left == {"advert, found by chapters": 10}


def test_a_turn_that_is_all_advert_goes():
    kept, left = cut([turn(4, "a b c", words=False), turn(12, "buy socks", words=False)])

    assert texts(kept) == ["a b c"]
    assert left == {"advert, found by chapters": 2}


@pytest.mark.parametrize("words", [True, False])
def test_a_turn_that_lies_outside_is_the_same_turn(words: bool):
    outside = turn(30, "tell me more", words=words)

    assert cut([outside])[0] == [outside]


def test_repeated_words_go_one_by_one_counted_over_all_turns():
    turns = [turn(30, "hello there", words=False), turn(40, "so buy socks now Ben", words=True)]

    kept, left = cut(turns, repeated=[Repeated(3, 6, "advert, classified by a person", "c1")])

    assert texts(kept) == ["hello there", "so Ben"]
    assert left == {"advert, classified by a person": 3}


def test_after_an_unclassified_span_that_ends_a_turn_nothing_answers_what_was_before():
    turns = [turn(30, "I see what is it", words=False), turn(40, "a lamp", words=True)]

    kept, left = cut(turns, repeated=[Repeated(2, 5, UNCLASSIFIED, "c1")])

    assert texts(kept) == ["I see", None, "a lamp"]
    assert left == {UNCLASSIFIED: 3}
