"""Adverts and trailers stay out of training, to the word where words have times."""

from __future__ import annotations

from collections import Counter

from services.trainer.excluded import without_spans
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


def test_an_advert_in_the_middle_of_a_turn_goes_and_what_surrounds_it_stays():
    left: Counter[str] = Counter()

    (kept,) = without_spans([turn(8, "back soon " + "socks " * 10 + "so Ben", words=True)], [ADVERT], left)

    assert (kept.text, kept.start_s, kept.end_s) == ("back soon so Ben", 8, 22)
    assert left == {"advert, found by chapters": 10}


def test_a_turn_without_word_times_goes_by_its_middle():
    left: Counter[str] = Counter()

    kept = without_spans([turn(4, "a b c", words=False), turn(12, "buy socks", words=False)], [ADVERT], left)

    assert [one.text for one in kept] == ["a b c"]
    assert left == {"advert, found by chapters": 2}


def test_a_turn_that_lies_outside_is_the_same_turn():
    outside = turn(30, "tell me more", words=True)

    assert without_spans([outside], [ADVERT], Counter()) == [outside]
