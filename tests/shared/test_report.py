"""The figures of a conversation, what is normal of each, and what is said of the rest."""

from __future__ import annotations

import pytest

from shared.report import Spoken, lines, measure
from shared.schemas import Report
from tests.studio.a_show import REPORT


def alternating(*texts: str) -> list[Spoken]:
    return [Spoken("guest" if index % 2 else "host", text) for index, text in enumerate(texts)]


def an_interview() -> list[Spoken]:
    """Ten exchanges without a fault, in ever other words."""
    return [turn for at in range(10) for turn in alternating(f"what of a{at} b{at}?", words(at * 30, 30))]


def words(first: int, count: int) -> str:
    return " ".join(f"w{number}" for number in range(first, first + count))


def test_a_sound_conversation_is_called_sound():
    report = measure(alternating("Who are you?", "A baker from the north.", "Thank you."), target_words=10)

    assert (report.words, report.turns, report.alternates, report.starts_with_host) == (10, 3, True, True)
    assert report.verdict.startswith("sound") and report.findings == ()


def test_structure_faults_are_named():
    turns = [Spoken("guest", "Hello there."), Spoken("guest", ""), Spoken("host", "And then he", closed=False)]

    report = measure(turns, target_words=100, eos_runs=7)

    assert (report.alternates, report.starts_with_host, report.empty_turns, report.unclosed) == (False, False, 1, 1)
    for fault in (
        "1 empty turn",
        "1 unclosed turn",
        "7 end marks",
        "guest speaks first",
        "do not alternate",
        "5 words instead of 100",
    ):
        assert fault in report.verdict
    assert report.verdict == "faults: " + "; ".join(report.findings)


def test_nothing_said_is_a_fault_too():
    assert "there are no turns" in measure([]).verdict


def test_one_word_replies_are_a_share_of_the_guests_turns_only():
    report = measure(alternating("Yes?", "Yes.", "Really?", "It was like that."))

    assert (report.one_word_share, report.one_word_replies) == (0.5, 1)


@pytest.mark.parametrize(("short", "found"), [(0, False), (2, False), (3, True)])
def test_a_guest_may_say_yes_now_and_then(short: int, found: bool):
    turns = [Spoken("guest", "Yes.") if turn.role == "guest" and at < 2 * short else turn
             for at, turn in enumerate(an_interview())]  # fmt: skip

    report = measure(turns)

    assert any("one-word replies" in finding for finding in report.findings) == found


def test_a_loop_at_the_end_is_found_in_all_figures_of_repetition():
    turns = [*an_interview(), *alternating("And then what?", "so it goes on and " * 300)]

    report = measure(turns)

    said = "; ".join(report.findings)
    for fault in (
        "repeats itself:",
        "goes round in circles",
        "repeats itself at the end",
        "longest repeated span",
        "grows monotonous",
    ):
        assert fault in said
    assert report.verdict.startswith("faults: ")


def test_what_is_a_little_out_of_the_ordinary_is_worth_a_look_only():
    report = measure([Spoken(turn.role, turn.text.replace("?", ".")) for turn in an_interview()])

    assert report.verdict == "worth a look: host turns that ask: 0%, normal 25% to 100%"


def test_answers_in_the_hosts_turns_and_adverts_are_findings():
    turns = an_interview()
    turns[2] = Spoken("host", "And you started a band? Yeah, I started a band.")
    turns[4] = Spoken("host", "This is brought to you by Hum. What of a2?")

    report = measure(turns)

    assert (report.answers_in_host_turns, report.advert_words) == (1, ("brought to you by",))
    assert report.findings == ("1 host turn with the guest's answer in it", "advert words: “brought to you by”")


def test_people_may_be_more_than_two_and_talk_on_and_nobody_known_as_host_is_no_fault():
    turns = [Spoken(None, words(at * 20, 20), speaker=who) for at, who in enumerate("ABBCA")]

    report = measure(turns, made_by="people")

    assert (report.speakers, report.alternates, report.findings) == (3, False, ())
    assert (report.host_share, report.answers_in_host_turns, report.host_question_share) == (None, None, None)


def test_the_talk_of_host_and_guest_is_measured():
    report = measure(an_interview())

    assert (report.host_median_words, report.guest_median_words, report.host_question_share) == (4, 30, 1.0)
    assert report.host_share == pytest.approx(4 / 34, abs=0.001)


def test_every_figure_that_is_judged_has_a_normal_range_in_words():
    report = measure(an_interview(), target_words=340)
    seen = lines(report, target_words=340)

    assert [line.label for line in seen if not line.normal] == ["turns"]
    assert len({line.label for line in seen}) == len(seen) and {line.grade for line in seen} == {"ok"}


def test_a_report_that_was_stored_before_there_were_more_figures_still_loads():
    stored = {name: value for name, value in REPORT.model_dump().items() if value not in (None, ())}

    report = Report.model_validate(stored)

    assert report.findings == () and report.eos_runs is None and lines(report)
