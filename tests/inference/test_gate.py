from __future__ import annotations

import pytest

from services.inference.gate import CIRCLE_WEIGHT, LOOP_WEIGHT, Said, before_loop, draft, faults, has_markers, loops
from shared.repetition import words_of
from shared.report import Spoken

NAMES = ("Mara Quill", "Theo Vance")
HISTORY = [
    Spoken("host", "What did you learn from the bees on your roof in the first long winter?"),
    Spoken("guest", "I learnt that a hive hums lower when the cold comes, and that patience is a craft of its own."),
    Spoken("host", "And your neighbours, what did they say?"),
]


def reasons(text: str, role: str = "guest", **more) -> list[str]:
    return [fault.reason for fault in faults(draft(text, ended=True), role, Said(HISTORY), NAMES, **more)]


def test_a_plain_answer_passes():
    assert reasons("They laughed at first, and then they came for honey.") == []


@pytest.mark.parametrize("text", ["", "  \n", "...", "-- !"])
def test_an_empty_turn_is_grave(text):
    [fault] = faults(draft(text, ended=True), "guest", Said(HISTORY))

    assert (fault.reason, fault.grave) == ("empty", True)


@pytest.mark.parametrize(
    "text",
    [
        "They laughed. [/INST] And then they came for honey.",
        "They laughed. [ /INST] And then they came.",
        "They laughed.</s> And then they came for honey.",
        "They laughed a lot.<|im_start|>user And then?",
        "They laughed at first. Mara: And then?",
        "Theo Vance: They laughed at first.",
        "Host: And then? They laughed at first.",
    ],
)
def test_a_role_that_bleeds_is_grave(text):
    assert any(fault.grave for fault in faults(draft(text, ended=True), "guest", Said(HISTORY), NAMES))


def test_a_name_that_is_only_spoken_of_is_no_role():
    assert reasons("Mara, my host was kind: she let me talk about honey.") == []


def test_the_host_needs_four_words_and_a_guest_may_be_short_once_in_ten():
    history = [Spoken("guest", "A whole sentence, as it should be.")] * 9

    assert faults(draft("Oh, why?", ended=True), "host", Said(history))
    assert not faults(draft("Yes.", ended=True), "guest", Said(history))
    assert faults(draft("Yes.", ended=True), "guest", Said([*history[1:], Spoken("guest", "No.")]))


def test_a_loop_within_the_turn_is_rejected():
    [reason] = reasons("It was good and it was good and it was good and it was good.")

    assert reason.startswith("repeats itself")


def test_what_was_said_before_is_rejected():
    [reason] = reasons("I learnt that a hive hums lower when the cold comes, so there.")

    assert reason.startswith("repeats earlier turns")


def test_a_long_copy_inside_a_long_new_turn_is_rejected():
    new = " ".join(f"word{n}" for n in range(60))

    [reason] = reasons(f"{new} a hive hums lower when the cold comes, and that patience is a craft")

    assert reason.startswith("copies 12 words")


def test_a_closing_fits_the_length_and_says_goodbye():
    assert reasons("Thank you, Theo, and goodbye to all who listened.", "host", fit_words=(5, 12)) == []
    assert reasons("Thank you, Theo.", "host", fit_words=(5, 12)) != []
    assert reasons("And how did you build your first hive?", "host", fit_words=(5, 12)) == ["is no goodbye"]


def test_an_unfinished_sentence_is_cut_off():
    cut = draft("They laughed at first. And then they came, one by", ended=False)

    assert (cut.text, cut.closed) == ("They laughed at first.", True)
    assert draft("They laughed at first and then they", ended=False).closed is False
    assert draft('He said "stop." And', ended=False).text == 'He said "stop."'


@pytest.mark.parametrize(
    "text",
    [
        "Mara Quill, the host, asks; Theo Vance, the guest, answers.",
        "Well. This is the middle of the episode, is it not?",
        "Fact: Theo keeps bees on a roof.",
        "I do. Chapters: Bees; Honey; Neighbours.",
        "Now: the first hive and the winter after it.",
        "So far: we talked about the roof.",
    ],
)
def test_reading_out_the_instructions_is_grave(text):
    found = [fault for fault in faults(draft(text, ended=True), "guest", Said(), NAMES) if fault.grave]

    assert "reads out its instructions" in [fault.reason for fault in found]


@pytest.mark.parametrize(
    "text",
    [
        "The fact is that I was afraid of them, and so far nobody knew.",
        "What it is about I never asked, and now I am the host of bees myself.",
        "It was the end of the episode for me, so to say; they flew away.",
    ],
)
def test_words_of_the_header_in_a_sentence_are_no_instructions(text):
    assert reasons(text) == []


def test_names_that_look_like_patterns_are_taken_by_the_letter():
    names = ("Mara (.*) Quill", "Theo [/INST] Vance+")

    assert has_markers("Vance+: They laughed.", names) and has_markers("(.*): They laughed.", names) is False
    assert not has_markers("They laughed at first.", names)


def test_the_talk_going_round_in_circles_is_rejected_although_no_turn_repeats_another():
    said = Said([Spoken("guest", " ".join(f"w{n} w{n + 1} w{n + 2} then" for n in range(0, 40)))])
    rounds = " ".join(f"w{n} w{n + 1} w{n + 2} then" for n in range(0, 12))

    assert [fault.weight for fault in loops(words_of(rounds), said)] == [LOOP_WEIGHT]


def test_a_turn_is_cut_before_the_sentence_with_which_it_begins_to_loop():
    good = "They laughed at first. Then they came for honey."
    text = f"{good} They laughed at first and then they laughed at first and then they laughed at first."

    cut = before_loop(draft(text, ended=True), Said())

    assert (cut.text, cut.closed) == (good, True)
    assert before_loop(draft(good, ended=True), Said()).text == good
    assert not [fault for fault in faults(cut, "guest", Said()) if fault.loops], "enough is left of it"
    whole = "la la la la la la la la la la la."
    assert before_loop(draft(whole, ended=True), Said()).text == whole, "nothing sound is left: the gate says so"


def test_a_stump_before_a_loop_is_no_turn():
    loop = "They laughed at first and then they laughed at first and then they laughed at first."
    stump = before_loop(draft(f"You smile at them. {loop}", ended=True), Said())
    asked = before_loop(draft(f"Did they laugh at you? {loop}", ended=True), Said())

    assert [fault.reason for fault in faults(stump, "guest", Said())] == ["begins to loop after 4 words"]
    assert all(fault.loops for fault in faults(stump, "guest", Said()))
    assert faults(asked, "host", Said()) == [], "a question is whole, however short"


def test_a_turn_whose_words_go_round_with_those_before_it_is_a_loop_although_none_is_copied():
    """Five words in a row, one of them new each time: no turn repeats another, and all of them say the same."""
    said = Said()
    for number in range(12):
        said.add(Spoken("guest", f"You see the tall tree by house {number}, and I like it so much there."))

    found = loops(words_of("You see the tall tree by house thirteen, and I like it so much there."), said)

    assert any(fault.reason.startswith("goes round in circles") and fault.weight == CIRCLE_WEIGHT for fault in found)


def test_what_was_said_long_ago_may_be_said_again_but_not_copied():
    old = "The bees came home in the evening. They were loud that day. Nobody had seen it before."
    said = Said([Spoken("guest", old)])
    assert said.share(words_of(old)) == 1
    for number in range(200):
        said.add(Spoken("guest", " ".join(f"w{number}x{place}" for place in range(11))))

    assert said.share(words_of(old)) == 0
    assert said.has_copied(words_of(old))
