"""How the show's real people talk, from transcripts with all that is in them."""

from __future__ import annotations

import pytest

from services.inference.talk import (
    Conversation,
    conversation,
    excerpt,
    opening,
    turn_lengths,
    with_excerpts,
    with_openings,
)
from shared.schemas import ExcludedSpan, Message
from tests.inference.an_interview import ANSWER, OPENING, QUESTION, SPOKEN, transcript_of

ADVERT = "This episode is brought to you by our sponsor, and with promo code lamp you get ten percent off. Ready?"


def span(start_s: float, end_s: float) -> ExcludedSpan:
    return ExcludedSpan(start_s=start_s, end_s=end_s, reason="trailer", found_by="person")


def talk(*said: tuple[str, str], recording: str = "rec1") -> Conversation:
    return Conversation(recording, tuple(Message.model_validate({"role": role, "text": text}) for role, text in said))


def test_what_is_excluded_and_whoever_is_neither_host_nor_guest_is_left_out():
    transcript = transcript_of(
        [("host", "A trailer."), ("other", "Cut!"), ("host", OPENING), ("co-host", "Hm."), ("guest", ANSWER)]
    )

    heard = conversation(transcript, [span(0, 10)])

    assert [(turn.role, turn.text) for turn in heard.turns] == [("host", OPENING), ("guest", ANSWER)]


def test_neighbours_of_one_role_become_one_turn_without_blanks_too_many():
    heard = conversation(
        transcript_of([("host", "One\n two."), ("host", "  "), ("other", "x"), ("host", "Three.")]), []
    )

    assert [turn.text for turn in heard.turns] == ["One two. Three."]


def test_a_turn_belongs_to_the_span_that_its_middle_is_in():
    transcript = transcript_of([("host", "First."), ("guest", "Second."), ("host", "Third.")])

    assert [turn.text for turn in conversation(transcript, [span(0, 14)]).turns] == ["Second.", "Third."]
    assert [turn.text for turn in conversation(transcript, [span(0, 15.1)]).turns] == ["Third."]


def test_an_episode_of_which_all_is_excluded_has_no_talk():
    heard = conversation(transcript_of(SPOKEN), [span(0, 1000)])

    assert heard.turns == ()
    assert (opening(heard), excerpt(heard)) == (None, None)


@pytest.mark.parametrize("first", [ADVERT, "Hello there.", "word " * 200])
def test_an_advert_a_word_of_greeting_or_a_speech_is_no_opening(first):
    assert opening(talk(("host", first), ("guest", ANSWER))) is None


def test_the_opening_is_the_hosts_although_the_guest_was_heard_first():
    assert opening(talk(("guest", "Is it on? I think that it is on by now."), ("host", OPENING))) == OPENING


def test_openings_of_the_most_usual_length_are_shown_of_three_recordings_at_most():
    lengths = {"a": 9, "b": 20, "c": 21, "d": 22, "e": 80, "f": 200}
    talks = [talk(("host", "word " * (count - 1) + "word?"), recording=name) for name, count in lengths.items()]

    assert set(with_openings(talks)) == {"b", "c", "d"}
    assert with_openings([]) == ()


def test_an_excerpt_is_an_exchange_near_the_middle_neither_long_nor_short():
    backchannel = ("guest", "Mm.")
    said = [("host", OPENING), backchannel, ("host", QUESTION), backchannel, ("host", QUESTION), ("guest", ANSWER)]

    assert excerpt(talk(*said, ("host", "So it is."), ("guest", ANSWER))) == (QUESTION, ANSWER)


@pytest.mark.parametrize(
    ("asked", "answered"), [("So it is, and so it was, all of it.", ANSWER), (ADVERT, ANSWER), (QUESTION, "Yes. No.")]
)
def test_no_question_an_advert_or_no_answer_is_no_excerpt(asked, answered):
    assert excerpt(talk(("host", asked), ("guest", answered))) is None


def test_two_recordings_far_from_each_other_show_excerpts():
    talks = [talk(("host", QUESTION), ("guest", ANSWER), recording=name) for name in "abc"]
    silent = talk(("host", "Hm."), recording="d")

    assert with_excerpts([*talks, silent]) == ("a", "c")
    assert with_excerpts([talks[1], silent]) == ("b",)
    assert with_excerpts([silent]) == ()


def test_lengths_are_of_turns_that_say_something_and_unknown_where_there_are_few():
    said = [(role, "word " * count) for count in range(4, 15) for role in ("host", "guest")]
    backchannels = [("host", "Mm."), ("guest", "Yes, yes.")] * 20

    lengths = turn_lengths([talk(*said), talk(*backchannels)])

    assert lengths.host == lengths.guest == tuple(range(4, 15))
    few = turn_lengths([talk(*said[:10])])
    assert (few.host, few.guest) == ((), ())
