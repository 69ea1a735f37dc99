"""Chapters and beats from a base model that repeats itself, breaks off, or says nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from services.inference import job as story
from services.inference.planning import ATTEMPTS, BEATS, MOST_CHAPTERS, About, chapters_for, plan
from shared import keys
from shared.errors import EngineFailedError
from shared.schemas import Episode, EpisodeRequest, PlannedChapter
from shared.store import load
from tests.fakes import FakeJob, ScriptedVllmEngine
from tests.inference.conftest import SHOW

BRIEF = EpisodeRequest(show=SHOW.slug, guest="Theo Vance", about="bees on a roof", words=2000)
ABOUT = About(SHOW, BRIEF, ("Theo keeps bees",))
TITLES = ["The first hive", "A long winter"]


class ScriptedPlanner:
    """Answers from a script, then with texts that nobody had; remembers what it was asked."""

    def __init__(self, *script: str | list[str]) -> None:
        self._script = list(script)
        self.asked: list[tuple[str, int, int]] = []

    def __call__(self, instruction: str, schema: dict[str, Any], attempt: int) -> str:
        count = schema["properties"]["items"]["minItems"]
        self.asked.append((instruction, count, attempt))
        fresh = [f"something new, number {len(self.asked)} and {number}" for number in range(count)]
        answer = self._script.pop(0) if self._script else fresh
        return answer if isinstance(answer, str) else json.dumps({"items": answer})


def planned(ask: Callable[..., str], about: About = ABOUT, **more: Any) -> tuple[PlannedChapter, ...]:
    return plan(about, ask, lambda done, total: None, **more)


@pytest.mark.parametrize(("words", "chapters"), [(20, 0), (599, 0), (600, 2), (3300, 3), (50_000, MOST_CHAPTERS)])
def test_longer_episodes_have_more_chapters_and_a_short_one_needs_none(words, chapters):
    assert chapters_for(words) == chapters
    about = About(SHOW, BRIEF.model_copy(update={"words": words}), ())

    assert len(planned(ScriptedPlanner(), about)) == chapters


def test_chapters_have_the_models_titles_and_beats_of_their_own():
    ask = ScriptedPlanner(TITLES)

    chapters = planned(ask)

    assert [chapter.title for chapter in chapters] == TITLES
    beats = [beat for chapter in chapters for beat in chapter.beats]
    assert len(beats) == len(set(beats)) == 2 * BEATS


def test_what_the_model_is_asked_holds_the_brief_and_the_facts():
    ask = ScriptedPlanner()

    planned(ask, About(SHOW, BRIEF.model_copy(update={"tone": "dry"}), ("Theo keeps bees",)))

    for text in ("Mara Quill", "Theo Vance", "bees on a roof", "dry", "Theo keeps bees"):
        assert all(text in instruction for instruction, _, _ in ask.asked)


@pytest.mark.parametrize(
    "broken", ["", '{"items": ["The fir', '{"items": "The first hive"}', "[]", "null", '{"items": [1, null, ["x"]]}']
)
def test_an_answer_that_broke_off_or_is_something_else_is_asked_for_again(broken):
    ask = ScriptedPlanner(broken, broken, TITLES)

    assert [chapter.title for chapter in planned(ask)] == TITLES
    assert [attempt for _, _, attempt in ask.asked[:3]] == [0, 1, 2]


def test_what_says_the_same_in_other_letters_is_asked_for_again():
    ask = ScriptedPlanner(["The first hive", "the FIRST hive!"], ["The first hive.", "A long winter"])

    assert [chapter.title for chapter in planned(ask)] == TITLES
    assert len(ask.asked) >= 2


def test_no_beat_comes_in_two_chapters():
    beats = [f"how the hive number {number} hums" for number in range(BEATS)]
    ask = ScriptedPlanner(TITLES, beats, beats)

    first, second = planned(ask)

    assert first.beats == tuple(beats) and len(second.beats) == BEATS
    assert not set(first.beats) & set(second.beats)


def test_a_chapter_about_which_the_model_has_nothing_to_say_is_its_title_alone():
    ask = ScriptedPlanner(TITLES, *[""] * ATTEMPTS)

    first, second = planned(ask)

    assert (first.beats, len(second.beats)) == ((), BEATS)


def test_too_few_titles_are_better_than_none_and_none_names_the_way_out():
    assert len(planned(ScriptedPlanner(*[["The first hive"] * 2] * ATTEMPTS))) == 1

    with pytest.raises(EngineFailedError, match="give one of your own as `plan`"):
        planned(ScriptedPlanner(*[""] * ATTEMPTS))


def test_texts_that_are_too_long_blank_or_of_several_lines_become_valid_chapters():
    ask = ScriptedPlanner(["x" * 500, " \n ", "A long\nwinter"], [f"{n} " * 200 for n in range(BEATS)])

    first, second = planned(ask)

    assert len(first.title) <= 80 and second.title == "A long winter"
    assert all(len(beat) <= 160 and beat == beat.strip() for beat in first.beats)


def test_an_episode_that_is_made_longer_keeps_its_chapters_and_gets_new_ones_for_the_rest():
    before = (PlannedChapter(title="The first hive", beats=("an old door, and the lid",), words=900),)
    ask = ScriptedPlanner(["The first hive", "A long winter"])

    chapters = planned(ask, before=before)

    assert chapters[0] == before[0]
    assert [chapter.title for chapter in chapters].count("The first hive") == 1
    assert len(chapters) == 1 + max(1, chapters_for(2000 - 900)) and "The first hive" in ask.asked[0][0]


def test_a_plan_that_was_made_longer_many_times_stays_one_that_can_be_stored():
    before = tuple(PlannedChapter(title=f"Part {number}", words=20) for number in range(38))
    about = About(SHOW, BRIEF.model_copy(update={"words": 40_000}), ())

    chapters = planned(ScriptedPlanner(), about, before=before)

    assert EpisodeRequest.model_validate({**BRIEF.model_dump(), "plan": chapters}).plan == chapters
    full = chapters[:40]
    assert planned(ScriptedPlanner(), about, before=full) == full


# ---- in the story ----------------------------------------------------------------------------------------------------


@pytest.fixture
def engine(renderer) -> ScriptedVllmEngine:
    return ScriptedVllmEngine(renderer)


def test_a_plan_of_the_brief_is_used_as_it_is(store, engine, job, settings):
    own = (PlannedChapter(title="Honey", beats=("the taste", "the price"), words=300), PlannedChapter(title="Wax"))

    result = story.run(
        BRIEF.model_copy(update={"words": 700, "plan": own}), job=job, store=store, engine=engine, settings=settings
    )

    episode = load(store, result.key, Episode)
    assert episode.plan == episode.brief.plan == own
    assert "plan" not in {ask.kind for ask in engine.asides}
    chapters = [turn.chapter for turn in episode.turns]
    assert list(dict.fromkeys(chapters)) == ["Honey", "Wax"]
    said = sum(len(turn.text.split()) for turn in episode.turns if turn.chapter == "Honey")
    assert 250 <= said <= 400


def test_a_plan_to_be_looked_at_comes_back_with_its_brief_and_nothing_is_stored(store, engine, job, settings, tmp_path):
    before = dict(store.objects)

    looked_at = story.run(
        BRIEF.model_copy(update={"review_plan": True}), job=job, store=store, engine=engine, settings=settings
    )

    assert store.objects == before and not store.list(keys.episodes(SHOW.slug)) and engine.asked == []
    assert looked_at.brief and len(looked_at.brief.plan) == 2 and not looked_at.brief.review_plan

    changed = looked_at.brief.model_copy(update={"plan": (*looked_at.brief.plan, PlannedChapter(title="Wax"))})
    sent = EpisodeRequest.model_validate_json(changed.model_dump_json())
    result = story.run(sent, job=FakeJob(tmp_path, "job-2"), store=store, engine=engine, settings=settings)

    assert load(store, result.key, Episode).plan == changed.plan


def test_a_plan_asked_for_by_minutes_can_be_sent_again(store, engine, job, settings, tmp_path):
    order = EpisodeRequest(show=SHOW.slug, guest="Theo", minutes=6, review_plan=True)

    looked_at = story.run(order, job=job, store=store, engine=engine, settings=settings)
    assert looked_at.brief and looked_at.brief.words == 900

    sent = EpisodeRequest.model_validate_json(looked_at.brief.model_dump_json())
    result = story.run(sent, job=FakeJob(tmp_path, "job-2"), store=store, engine=engine, settings=settings)
    assert abs(result.words - 900) <= 90


def test_planning_asks_the_base_model_in_json_and_makes_way_between_chapters(store, renderer, job, settings):
    ways: list[int] = []

    class Watched(ScriptedVllmEngine):
        def make_way(self, job: Any) -> None:
            ways.append(len(self.asides))

    engine = Watched(renderer)

    story.run(BRIEF.model_copy(update={"review_plan": True}), job=job, store=store, engine=engine, settings=settings)

    assert all(ask.schema and ask.kind == "plan" and ask.n == 1 for ask in engine.asides)
    assert len(ways) == 2 and ways == sorted(ways)
    assert ("planning", 1, 2, "chapters") in job.events
