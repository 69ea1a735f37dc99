"""The figures of a conversation; the prototype's transcripts are the known bad ones."""

from __future__ import annotations

import pytest

from services.inference.report import Spoken, longest_repeat, measure, repetition, worst_window
from tests.conftest import SHARED
from tests.inference import prototype

# Guest by guest: words, turns, unclosed, one-word share, rep-4, longest repeat, worst window. From its README.
TABLE = {
    "base": [
        (1606, 8, 0, 0.00, 0.71, 1071, 0.02),
        (1491, 9, 0, 0, 0.73, 1002, 0.57),
        (2040, 3, 0, 0, 0.79, 1611, 0.92),
    ],
    "checkpoint-240": [
        (3265, 32, 2, 0.20, 0.44, 143, 0.81),
        (3084, 44, 0, 0.09, 0.32, 109, 0.72),
        (3114, 6, 0, 0.00, 0.62, 1257, 0.96),
    ],
}


def alternating(*texts: str) -> list[Spoken]:
    return [Spoken("guest" if index % 2 else "host", text) for index, text in enumerate(texts)]


@pytest.mark.parametrize("file", TABLE)
def test_the_prototypes_figures_are_found_again(file):
    path = SHARED / "prototype" / f"{file}.txt"
    if not path.is_file():
        pytest.skip("../shared/prototype is not on this machine")

    reports = [measure(prototype.parse(text)) for text in prototype.guests(path.read_text())]

    for report, (words, turns, unclosed, one_word, rep4, longest, window) in zip(reports, TABLE[file], strict=True):
        assert (report.words, report.turns, report.unclosed) == (words, turns, unclosed)
        assert report.one_word_share == pytest.approx(one_word, abs=0.006)
        assert report.rep4 == pytest.approx(rep4, abs=0.006)
        assert report.longest_repeat_words == longest
        assert report.worst_window_rep4 == pytest.approx(window, abs=0.006)
        assert report.verdict.startswith("faults:")


def test_a_sound_conversation_is_called_sound():
    report = measure(alternating("Who are you?", "A baker from the north.", "Thank you."), target_words=10)

    assert (report.words, report.turns, report.alternates, report.starts_with_host) == (10, 3, True, True)
    assert report.verdict.startswith("sound")


def test_structure_faults_are_named():
    turns = [Spoken("guest", "Hello there."), Spoken("guest", ""), Spoken("host", "And then he", closed=False)]

    report = measure(turns, target_words=100)

    assert (report.alternates, report.starts_with_host, report.empty_turns, report.unclosed) == (False, False, 1, 1)
    for fault in (
        "1 empty turns",
        "1 turns break off",
        "guest speaks first",
        "do not alternate",
        "5 words instead of 100",
    ):
        assert fault in report.verdict


def test_one_word_replies_are_a_share_of_the_guests_turns_only():
    assert measure(alternating("Yes?", "Yes.", "Really?", "It was like that.")).one_word_share == 0.5


def test_a_loop_at_the_end_of_a_long_text_shows_in_the_worst_window():
    words = [f"w{n}" for n in range(2000)] + ["so", "it", "goes", "on"] * 50

    assert repetition(words, 4) < 0.1
    assert worst_window(words) > 0.9


@pytest.mark.parametrize(
    ("text", "longest"), [("", 0), ("a", 0), ("a b c", 0), ("a b a b", 2), ("a a a a", 3), ("x a b c y a b c z", 3)]
)
def test_longest_repeat(text, longest):
    assert longest_repeat(text.split()) == longest
