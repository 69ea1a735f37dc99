from __future__ import annotations

import pytest

from services.trainer.listening import folded, without_fillers
from shared.spoken import is_backchannel
from tests.trainer.conftest import turns


def said(*texts: str) -> list[str | None]:
    found, _ = folded(turns(*texts))
    return [turn.text if turn else None for turn in found]


@pytest.mark.parametrize("text", ["Mm-hmm.", "Yeah.", "Right, right.", "Oh, wow.", "Okay, sure, yes."])
def test_signs_of_listening_are_backchannels(text):
    assert is_backchannel(text)


@pytest.mark.parametrize("text", ["", "...", "Yeah, in March.", "Right, right, right, right.", "Why?", "Seven."])
def test_anything_that_says_something_is_none(text):
    assert not is_backchannel(text)


def test_a_backchannel_within_an_answer_is_folded_into_it():
    found, count = folded(turns("h: Who?", "g: I was a diver", "h: Mhm.", "g: and then a baker.", "h: Oh."))

    assert [turn and turn.text for turn in found] == ["Who?", "I was a diver", "and then a baker.", "Oh."]
    assert count == 1


def test_a_short_answer_to_a_question_stays():
    assert said("h: Did you?", "g: Yes.", "h: Why?") == ["Did you?", "Yes.", "Why?"]


def test_between_two_people_or_beside_a_gap_nothing_is_folded():
    assert said("h: Well.", "g: Yes.", "o: No.") == ["Well.", "Yes.", "No."]
    assert folded([*turns("h: Well."), None, *turns("g: Yes.", "h: No.")])[1] == 0


def test_fillers_go_and_sentences_stay_whole():
    assert without_fillers("Um, I think, uh, that it was, um.") == ("I think, that it was.", 3)
    assert without_fillers("He left. Uh, she stayed.") == ("He left. She stayed.", 1)
    assert without_fillers("I like it.") == ("I like it.", 0)
    assert without_fillers("Um.") == ("", 1)
