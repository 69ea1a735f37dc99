from __future__ import annotations

import random

import pytest

from shared.recitation import GRAM, TrainingText
from tests.trainer.test_exam import example

WORDS = [f"word{number}" for number in range(60)]
ANSWER = " ".join(WORDS)


@pytest.fixture
def learnt() -> TrainingText:
    return TrainingText([example("r1", "What is there?", "Nothing."), example("r2", "And there?", ANSWER)])


def test_a_passage_says_which_words_stand_where(learnt):
    [found] = learnt.passages(["Well,", "my", *WORDS[20:36], "and", "so", "on."])

    assert (found.first, found.last, found.words) == (2, 18, 16)
    assert (found.recording, found.transcript, found.example) == ("r2", "t", 1)
    assert found.at == len(["And", "there?"]) + 20, "counted over the turns of the example"


def test_case_and_punctuation_hide_nothing(learnt):
    assert learnt.passages([f"{word.upper()}," for word in WORDS[:GRAM]])[0].words == GRAM


def test_twelve_words_are_no_passage_and_neither_is_nothing(learnt):
    assert learnt.passages(WORDS[: GRAM - 1]) == learnt.passages([]) == learnt.passages(["new"] * 40) == []


def test_passages_of_two_recordings_are_two():
    learnt = TrainingText([example("r1", "Q?", ANSWER), example("r2", "Q?", " ".join(reversed(WORDS)))])

    found = learnt.passages([*WORDS[:20], *list(reversed(WORDS))[:15]])

    assert [(one.recording, one.words) for one in found] == [("r1", 20), ("r2", 15)]


def test_what_two_recordings_have_is_nobodys_and_twice_in_one_is_one():
    shared = TrainingText([example("r1", "Q?", ANSWER), example("r2", "Q?", ANSWER)])
    twice = TrainingText([example("r1", "Q?", ANSWER), example("r1", "Q?", ANSWER)])

    assert shared.passages(WORDS) == [] and [one.words for one in twice.passages(WORDS)] == [60]


def test_the_share_is_of_all_runs_of_thirteen_words(learnt):
    assert learnt.share([WORDS[:GRAM], ["new"] * (GRAM + 2)]) == pytest.approx(1 / 4)
    assert learnt.share([]) == 0.0


def test_an_empty_training_set_knows_nothing():
    assert TrainingText([]).passages(WORDS) == []


@pytest.mark.parametrize("seed", range(20))
def test_any_copied_span_is_found_whole_where_it_was_put(seed):
    dice = random.Random(seed)
    texts = [[f"w{dice.randrange(4000)}" for _ in range(200)] for _ in range(5)]
    learnt = TrainingText([example(f"r{number}", "Q?", " ".join(words)) for number, words in enumerate(texts)])
    source, first, length = dice.randrange(5), dice.randrange(150), dice.randrange(GRAM, 40)
    before = [f"x{dice.random()}" for _ in range(dice.randrange(30))]

    found = learnt.passages([*before, *texts[source][first : first + length], "end"])

    assert [(one.recording, one.first, one.words) for one in found] == [
        (f"r{source}", len(before), min(length, 200 - first))
    ]  # fmt: skip
