"""Where an episode is in its plan, by the words that were said."""

from __future__ import annotations

import pytest

from services.inference.scenes import beginnings, chapter_ends, last_number, next_number, number_at, scene
from shared.schemas import EpisodeTurn, PlannedChapter

PLAN = (
    PlannedChapter(title="Bees", beats=("the first hive", "the winter")),
    PlannedChapter(title="Honey"),
    PlannedChapter(title="Neighbours", beats=("the baker", "the mayor", "the thief")),
)


def said(*scenes: int) -> list[EpisodeTurn]:
    """Turns of one word each, of these scenes."""
    return [
        EpisodeTurn(index=index, role=("host", "guest")[index % 2], speaker="-", text="word", tokens=1, scene=number)
        for index, number in enumerate(scenes)
    ]


def test_scenes_are_the_beats_of_all_chapters_and_a_chapter_without_beats_is_one():
    shown = [scene(PLAN, number) for number in range(last_number(PLAN) + 1)]

    assert [(one.title, one.beats[0]) for one in shown if one] == [
        ("Bees", "the first hive"),
        ("Bees", "the winter"),
        ("Honey", "Honey"),
        ("Neighbours", "the baker"),
        ("Neighbours", "the mayor"),
        ("Neighbours", "the thief"),
    ]


def test_a_scene_holds_what_is_left_of_its_chapter_and_nothing_of_the_next():
    first, after_all = scene(PLAN, 0), scene(PLAN, 99)

    assert first and first.beats == ("the first hive", "the winter")
    assert after_all and (after_all.title, after_all.beats) == ("Neighbours", ("the thief",))


def test_without_a_plan_there_is_no_scene():
    assert scene((), 0) is None
    assert (number_at((), 500, 1000), next_number((), said(0, 0), 500, 1000)) == (0, 0)
    assert chapter_ends((), 1000) == []


def test_chapters_without_a_length_share_what_the_others_leave():
    plan = (PLAN[0].model_copy(update={"words": 400}), *PLAN[1:])

    assert chapter_ends(plan, 1000) == [400, 700, 1000]
    assert chapter_ends(PLAN, 1000) == [333, 667, 1000]


def test_lengths_that_fill_more_than_the_episode_leave_nothing_to_share_and_never_go_back():
    plan = (PLAN[0].model_copy(update={"words": 900}), PLAN[1], PLAN[2].model_copy(update={"words": 600}))

    ends = chapter_ends(plan, 1000)

    assert ends == sorted(ends) == [900, 900, 1500]


@pytest.mark.parametrize(("words", "title"), [(0, "Bees"), (332, "Bees"), (333, "Honey"), (667, "Neighbours")])
def test_a_chapter_begins_where_the_words_of_those_before_it_end(words, title):
    found = scene(PLAN, number_at(PLAN, words, 1000))

    assert found and found.title == title


def test_past_its_length_an_episode_stays_in_its_last_chapter():
    assert number_at(PLAN, 5_000, 1000) == 3


def test_an_answer_belongs_to_the_scene_of_its_question():
    assert next_number(PLAN, said(0), 900, 1000) == 0
    assert next_number(PLAN, said(0, 0), 900, 1000) == 3


def test_a_talk_that_was_moved_on_out_of_a_loop_never_goes_back():
    assert next_number(PLAN, said(0, 0, 1, 1), 10, 1000) == 1


def test_a_scene_begins_at_the_first_turn_that_has_it_the_next_turn_included():
    assert beginnings(said(0, 0, 1, 1), next_scene=3) == {2, 4}
    assert beginnings(said(0, 0, 1, 1), next_scene=1) == {2}
    assert beginnings([], next_scene=0) == frozenset()
