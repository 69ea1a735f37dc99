"""What is normal for a show, by its own real conversations, and how far somebody is from talking like its people."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from shared.manner import FUNCTION_WORDS, distance, manner_of, tells
from shared.report import Spoken, lines, measure
from shared.schemas import Manner

HOST = {word: 1.0 + at % 5 for at, word in enumerate(FUNCTION_WORDS)}
GUEST = {word: 5.0 - at % 5 for at, word in enumerate(FUNCTION_WORDS)}
NAMES = {f"thing{number}": 1.0 for number in range(200)}


def says(weights: Mapping[str, float], words: int, chance: random.Random) -> str:
    return " ".join(chance.choices(list(weights), list(weights.values()), k=words))


def a_talk(seed: int, host_words: int = 12, guest_words: int = 50, exchanges: int = 20) -> list[Spoken]:
    """A conversation of the show; which words and in which order is chance, how often each is said is its manner."""
    chance = random.Random(seed)
    return [
        turn
        for _ in range(exchanges)
        for turn in (
            Spoken("host", says(HOST | NAMES, host_words, chance) + "?"),
            Spoken("guest", says(GUEST | NAMES, guest_words, chance)),
        )
    ]


def a_manner(conversations: int = 6, *, first: int = 0) -> Manner:
    found = manner_of(a_talk(seed) for seed in range(first, first + conversations))
    assert found is not None
    return found


def test_there_is_none_without_a_host_and_a_guest_who_say_enough():
    unknown = [Spoken(None, turn.text, speaker=turn.role or "") for turn in a_talk(1)]
    brief = a_talk(1, exchanges=2)

    assert manner_of([]) is None
    assert manner_of([unknown, brief]) is None


def test_it_counts_what_it_was_measured_on():
    found = a_manner(3)

    assert (found.conversations, found.words) == (3, 3 * 20 * 62)


def test_the_ranges_hold_what_was_measured_and_the_median_lies_between():
    found = manner_of(a_talk(seed, guest_words=40 + 2 * seed) for seed in range(9))

    assert found is not None
    turn = found.ranges["guest_median_words"]
    assert turn.low < 40 and turn.median == 48 and turn.high > 56
    assert all(spread.low <= spread.median <= spread.high for spread in found.ranges.values())


def test_the_fewer_conversations_the_wider_is_what_is_normal():
    lengths = (40, 50, 60)
    few = manner_of(a_talk(seed, guest_words=words) for seed, words in enumerate(lengths))
    many = manner_of(a_talk(seed, guest_words=words) for seed, words in enumerate(lengths * 8))

    assert few is not None and many is not None
    assert few.ranges["guest_median_words"].high > many.ranges["guest_median_words"].high
    assert few.ranges["guest_median_words"].low < many.ranges["guest_median_words"].low


def test_a_listeners_signs_and_turns_that_are_cut_in_two_are_no_manner():
    """So is real talk in training: what it would teach is what it is measured by."""
    talk = [
        piece
        for turn in a_talk(1)
        for piece in (
            [turn]
            if turn.role == "host"
            else [Spoken("guest", turn.text), Spoken("host", "Mhm, right."), Spoken("guest", "and so on")]
        )
    ]
    found = manner_of([talk, talk, talk])

    assert found is not None
    assert (found.ranges["host_median_words"].median, found.ranges["guest_median_words"].median) == (12, 53)


@pytest.mark.parametrize("exchanges", [10, 80])
def test_more_of_the_same_people_is_near_however_long_and_others_are_far(exchanges: int):
    found = a_manner()
    another = measure(a_talk(99, exchanges=exchanges), manner=found)
    swapped = [Spoken("host" if turn.role == "guest" else "guest", turn.text) for turn in a_talk(99)]
    others = measure(swapped, manner=found)

    assert another.host_distance is not None and 0.5 < another.host_distance < 1.2
    assert another.guest_distance is not None and 0.5 < another.guest_distance < 1.2
    assert others.host_distance is not None and others.host_distance > 1.5
    assert others.guest_distance is not None and others.guest_distance > 1.5


def test_the_normal_distance_is_that_of_each_real_conversation_to_the_others():
    spread = a_manner().ranges["guest_distance"]

    assert 0.5 < spread.median < 1.2 and spread.high < 2
    assert "guest_distance" not in a_manner(1).ranges


def test_few_words_and_other_languages_have_no_distance():
    rates = a_manner().guest_words

    assert set(rates) == set(FUNCTION_WORDS)
    assert distance(["the"] * 99, rates) is None
    assert distance(["der", "und", "ich"] * 100, rates) is None
    german = [Spoken(turn.role, "wir sind heute hier und reden über brot " * 5) for turn in a_talk(1)]
    found = manner_of([german])
    assert found is not None and found.host_words == {}


def test_what_is_normal_comes_from_three_real_conversations_on():
    assert [tells(a_manner(count)) for count in (1, 2, 3)] == [False, False, True]
    assert not tells(None)


def test_an_episode_is_measured_by_its_show():
    """40 words in a row are nothing for a guest, but not for those of a show that says five."""
    talk = a_talk(7)
    terse = manner_of(a_talk(seed, host_words=12, guest_words=8) for seed in range(6))

    assert measure(talk).findings == ()
    report = measure(talk, manner=terse)
    (line,) = (line for line in lines(report) if line.label == "median guest turn, words")
    assert (line.value, line.show, line.grade) == ("50", "8", "look")
    assert any(finding.startswith("median guest turn, words: 50, normal") for finding in report.findings)
    assert measure(talk, manner=a_manner()).verdict.startswith("sound")


def test_two_real_conversations_stand_beside_the_figures_and_judge_nothing():
    talk = a_talk(7)
    terse = manner_of(a_talk(seed, guest_words=8) for seed in range(2))
    report = measure(talk, manner=terse)

    assert report.findings == ()
    assert next(line.show for line in lines(report) if line.label == "median guest turn, words") == "8"


def test_a_show_of_many_short_replies_may_have_them_and_a_loop_spoils_any_show():
    short = [Spoken("guest", "Yes.") if at % 10 == 1 else turn for at, turn in enumerate(a_talk(3))]
    manner = manner_of([short] * 4)
    looped = [*a_talk(5), Spoken("host", "And?"), Spoken("guest", "so it goes on and " * 200)]

    assert any("one-word replies" in said for said in measure(short, manner=a_manner()).findings)
    assert not any("one-word replies" in said for said in measure(short, manner=manner).findings)
    assert measure(looped, manner=manner).verdict.startswith("not usable: repeats itself")
