"""An interview to be held: what the host asks at each beat, when, and that nothing of half a sheet is stored."""

from __future__ import annotations

import pytest

from services.inference import job as story
from shared import keys
from shared.errors import EngineFailedError
from shared.schemas import EpisodeRequest, PlannedChapter, QuestionSheet
from shared.store import load
from tests.fakes import FakeJob, MortalVllmEngine, ScriptedVllmEngine
from tests.inference.an_interview import SPOKEN, add_talk
from tests.inference.conftest import SHOW, add_adapter

PLAN = (
    PlannedChapter(title="Bees", beats=("the first hive", "the winter")),
    PlannedChapter(title="Honey", beats=("the taste",)),
    PlannedChapter(title="Neighbours"),
)
BRIEF = EpisodeRequest(
    show=SHOW.slug, guest="Theo Vance", about="bees on a roof", words=900, plan=PLAN, write="questions"
)


def question(number: int) -> str:
    """Of words that no other has."""
    return " ".join(f"q{number}w{word}" for word in range(8)) + "?"


class AskingVllmEngine(ScriptedVllmEngine):
    """Says another question each time; candidates differ, as those of a real model do."""

    said = 0

    def say(self, adapter, ask, job):
        candidates = super().say(adapter, ask, job)
        if ask.kind == "turn":
            candidates = [self._other(candidate) for candidate in candidates]
        return candidates

    def _other(self, candidate):
        self.said += 1
        return type(candidate)(question(self.said), 8, True, -1.0)


@pytest.fixture
def engine(renderer) -> AskingVllmEngine:
    return AskingVllmEngine(renderer)


@pytest.fixture
def ask(job, store, engine, settings):
    def run(brief=BRIEF, *, job=job, engine=engine) -> QuestionSheet:
        result = story.run(brief, job=job, store=store, engine=engine, settings=settings)
        assert result.key == keys.questions(SHOW.slug, result.episode)
        return load(store, result.key, QuestionSheet)

    return run


def test_each_beat_has_a_question_and_follow_ups_and_none_is_asked_twice(ask):
    sheet = ask()

    asked = [question for chapter in sheet.chapters for question in chapter.questions]
    assert [chapter.title for chapter in sheet.chapters] == ["Bees", "Honey", "Neighbours"]
    assert [one.about for one in asked] == ["the first hive", "the winter", "the taste", "Neighbours"]
    texts = [text for one in asked for text in (one.question, *one.follow_ups)]
    assert all(text.endswith("?") for text in texts)
    assert len(texts) == len(set(texts)) == 3 * len(asked)


def test_the_times_add_up_to_the_length_at_the_shows_own_pace(ask, store):
    add_talk(store, "rec1", SPOKEN, duration_s=60.0)
    pace = sum(len(text.split()) for _, text in SPOKEN)

    chapters = ask().chapters

    assert chapters[0].start_min == 0
    assert [chapter.start_min for chapter in chapters[1:]] == [chapter.end_min for chapter in chapters[:-1]]
    assert chapters[-1].end_min == pytest.approx(900 / pace, abs=0.1)
    assert [round(chapter.end_min - chapter.start_min) for chapter in chapters] == [round(300 / pace)] * 3


def test_a_brief_without_a_plan_is_one_chapter_when_short_and_planned_when_long(ask, tmp_path):
    short = ask(BRIEF.model_copy(update={"words": 100, "plan": ()}))
    long = ask(BRIEF.model_copy(update={"words": 1500, "plan": ()}), job=FakeJob(tmp_path, "job-2"))

    assert [chapter.title for chapter in short.chapters] == ["bees on a roof"]
    assert len(long.chapters) == 2 and long.brief.plan


def test_what_is_no_question_is_asked_for_again(ask, engine, settings):
    answers = ["I built it myself, of an old door.", "Thank you, and goodbye.", "How? [INST] Then it was mine.", "Why?"]
    lines = iter([text for text in answers for _ in range(4)])
    engine._other = lambda candidate: type(candidate)(
        next(lines, None) or question(engine.said + len(engine.asked)), 8, True, -1.0
    )

    first = ask().chapters[0].questions[0]

    assert first.question.startswith("q") and len(engine.asked) > 4
    assert not {first.question, *first.follow_ups} & set(answers)


def test_a_beat_that_nobody_can_ask_about_fails_with_its_name_and_leaves_no_sheet(ask, engine, store, job):
    engine._other = lambda candidate: type(candidate)("I do not know.", 4, True, -1.0)

    with pytest.raises(EngineFailedError, match=r"no question about “the first hive”.*change the plan"):
        ask()

    assert not store.exists(keys.questions(SHOW.slug, keys.episode_id(job.id)))


@pytest.mark.parametrize("requests", range(4))
def test_killed_in_the_middle_nothing_of_half_a_sheet_is_stored_and_a_repeat_asks_the_same(
    ask, renderer, store, job, tmp_path, requests
):
    class Mortal(AskingVllmEngine, MortalVllmEngine):
        pass

    with pytest.raises(KeyboardInterrupt):
        ask(engine=Mortal(renderer, requests=requests))
    there = [key.rsplit("/", 1)[1] for key in store.list(keys.episodes(SHOW.slug))]
    again, whole = ask(), ask(job=FakeJob(tmp_path, "job-9"), engine=AskingVllmEngine(renderer))

    assert there == ["commission.json"]
    assert again.chapters == whole.chapters
    assert not store.exists(keys.commission(SHOW.slug, again.id)), "what was settled is swept up"


def test_a_finished_sheet_is_not_written_again(ask, renderer):
    sheet = ask()
    again = AskingVllmEngine(renderer)

    assert ask(engine=again) == sheet
    assert (again.asked, again.asides) == ([], [])


def test_the_sheet_says_who_wrote_it_and_from_what(ask, store):
    add_adapter(store, "lamp.r1.c8")

    sheet = ask()

    assert (sheet.adapter, sheet.ai_generated, sheet.host, sheet.guest) == (
        "lamp.r1.c8", True, "Mara Quill", "Theo Vance",
    )  # fmt: skip
    assert keys.adapter(SHOW.slug, "lamp.r1.c8") in [made.key for made in sheet.lineage.made_from]


def test_the_prompt_says_which_beat_and_where_in_the_interview(ask, engine, renderer):
    ask()

    first, last = (renderer.decode(engine.asked[at][1].prompt) for at in (0, -1))
    assert "Now: the first hive" in first and "beginning of the episode" in first
    assert "Now: Neighbours" in last and "beginning" not in last


def test_without_chance_one_candidate_at_a_time_is_asked_for(ask, engine):
    ask(BRIEF.model_copy(update={"temperature": 0}))

    assert all(ask.n == 1 for _, ask in engine.asked if ask.temperature == 0)


def test_between_two_beats_the_engine_makes_way(ask, engine):
    engine.wanted_once = True

    ask()

    assert engine.stops == 1
