"""The figures of a conversation, what is normal of each, and what is said of the rest."""

from __future__ import annotations

import pytest

from shared.report import Spoken, length_score, lines, measure
from shared.schemas import Likelihood, LikelyAnswer, Report
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
        assert any(fault in finding for finding in report.findings)
    assert report.verdict == (
        "not usable: host and guest do not alternate, the guest speaks first, 1 empty turn, 1 unclosed turn and 2 more"
    )


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
    assert report.verdict.startswith("not usable: repeats itself")


def test_what_is_a_little_out_of_the_ordinary_is_worth_a_look_only():
    report = measure([Spoken(turn.role, turn.text.replace("?", ".")) for turn in an_interview()])

    assert report.verdict == "worth a look: host turns that ask 0%"
    assert report.findings == ("host turns that ask: 0%, normal 25% to 100%",)


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
    report = measure(an_interview(), target_words=340, facts=["mara"])
    seen = lines(report, target_words=340)

    assert [line.label for line in seen if not line.normal] == [
        "turns",
        "ums of the host, per 100 words",
        "ums of the guest, per 100 words",
    ]
    assert len({line.label for line in seen}) == len(seen) and {line.grade for line in seen} == {"ok"}


def test_a_report_that_was_stored_before_there_were_more_figures_still_loads():
    stored = {name: value for name, value in REPORT.model_dump().items() if value not in (None, ())}

    report = Report.model_validate(stored)

    assert report.findings == () and report.eos_runs is None and lines(report)
    assert (report.quarters, report.manner, report.likelihood, report.unsourced) == ((), None, None, None)


# ---- the verdict -----------------------------------------------------------------------------------------------------


def test_the_verdict_names_the_gravest_first_and_counts_what_it_has_no_room_for():
    turns = [*an_interview(), *alternating("And you left? Yes, I left.", "so it goes on and " * 300)]

    report = measure(turns, target_words=100)

    assert report.verdict == "not usable: repeats itself throughout, 1,846 words instead of 100"
    assert "host turn with the guest's answer" not in report.verdict, "one is worth a look, and there is worse"


def test_a_report_says_the_same_after_it_was_stored():
    report = measure(an_interview(), target_words=340, likelihood=LIKELIHOOD, facts=["Lima"])

    stored = Report.model_validate_json(report.model_dump_json())

    assert stored == report and lines(stored, target_words=340) == lines(report, target_words=340)


# ---- length ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "target", "score"),
    [
        (1000, 1000, 100),
        (2500, 1000, 50),
        (4000, 1000, 0),
        (9000, 1000, 0),
        (500, 1000, 50),
        (333, 1000, 0),
        (0, 10, 0),
    ],
)
def test_length_is_scored_as_longwriter_does(words: int, target: int, score: float):
    assert length_score(words, target) == pytest.approx(score, abs=0.2)


def test_the_length_score_is_only_of_what_had_a_target_and_is_no_second_finding():
    without, short = measure(an_interview()), measure(an_interview(), target_words=680)

    assert without.length_score is None and short.length_score == 50
    assert [finding for finding in short.findings if "length" in finding or "instead" in finding] == [
        "340 words instead of 680"
    ]


# ---- what a model measures -------------------------------------------------------------------------------------------

LIKELIHOOD = Likelihood(perplexity=12.0, real_perplexity=10.0, base_perplexity=15.0, scored_words=340)


@pytest.mark.parametrize(("perplexity", "odd"), [(4.9, "predictable"), (5.1, ""), (19.9, ""), (20.1, "surprising")])
def test_wording_is_judged_by_how_surprising_real_turns_are(perplexity: float, odd: str):
    likelihood = LIKELIHOOD.model_copy(update={"perplexity": perplexity})

    report = measure(an_interview(), likelihood=likelihood)

    (line,) = (line for line in lines(report) if line.label.endswith("(perplexity)"))
    assert (line.normal, line.show, line.grade) == ("5.0 to 20.0", "10.0", "look" if odd else "ok")
    assert report.verdict.startswith(f"worth a look: wording far more {odd}" if odd else "sound")


def test_without_real_turns_perplexity_is_shown_and_not_judged():
    report = measure(an_interview(), likelihood=Likelihood(perplexity=900.0, scored_words=340))

    (line,) = (line for line in lines(report) if line.label.endswith("(perplexity)"))
    assert (line.value, line.normal, report.findings) == ("900.0", "", ())


@pytest.mark.parametrize(
    ("margins", "grade"),
    [((), "ok"), ((0.1,), "look"), ((0.9, 0.9), "look"), ((0.9, 0.9, 0.1), "look"), ((0.9, 0.8, 0.7), "bad")],
)
def test_sentences_of_the_host_that_are_the_guests_are_counted_and_the_clear_ones_spoil_it(margins, grade):
    answers = tuple(LikelyAnswer(turn=2, text=f"I left at {margin}.", margin=margin) for margin in margins)

    report = measure(an_interview(), likely_answers=answers)

    (line,) = (line for line in lines(report) if line.label == "host sentences likelier as the guest's")
    assert line.grade == grade
    assert ("“I left at 0.9.”" in line.finding) == (0.9 in margins)
    if grade == "bad":
        assert report.verdict == "not usable: 3 host sentences likelier as the guest's"


def test_nobody_looked_is_no_line():
    labels = {line.label for line in lines(measure(an_interview()))}

    assert not any("likelier" in label or "perplexity" in label for label in labels)
