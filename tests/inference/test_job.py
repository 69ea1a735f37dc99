"""An episode from a brief to its manifest, with a scripted engine; kills are made by raising between two turns."""

from __future__ import annotations

import pytest

from services.inference import job as story
from shared import keys
from shared.errors import (
    ArtifactMissingError,
    BadInputError,
    EngineFailedError,
    JobCancelledError,
    NotFoundError,
)
from shared.schemas import Episode, EpisodeRequest, EpisodeTurn
from shared.store import load
from tests.fakes import FakeJob, ScriptedVllmEngine
from tests.inference.conftest import SHOW, add_adapter

BRIEF = EpisodeRequest(show=SHOW.slug, guest="Theo Vance", about="bees on a roof", words=120)
SENTENCE = "The {} bees come home over the {} roofs when the {} bells begin."


@pytest.fixture
def engine(renderer) -> ScriptedVllmEngine:
    return ScriptedVllmEngine(renderer)


@pytest.fixture
def write(job, store, engine, settings):
    def run(brief=BRIEF, *, job=job, engine=engine, settings=settings) -> Episode:
        result = story.run(brief, job=job, store=store, engine=engine, settings=settings)
        return load(store, result.key, Episode)

    return run


def test_host_and_guest_alternate_until_the_hosts_goodbye(write):
    episode = write()

    assert [turn.role for turn in episode.turns] == ["host", "guest"] * (len(episode.turns) // 2) + ["host"]
    assert [turn.speaker for turn in episode.turns[:2]] == ["Mara Quill", "Theo Vance"]
    assert [turn.closing for turn in episode.turns] == [False] * (len(episode.turns) - 1) + [True]
    assert 108 <= episode.report.words <= 132
    assert episode.report.verdict.startswith("sound")


def test_without_an_adapter_the_episode_is_labelled_not_fine_tuned(write):
    episode = write()

    assert (episode.adapter, episode.fine_tuned, episode.canary) == (None, False, None)
    assert episode.label == "tests/tiny, not fine-tuned"
    assert episode.ai_generated


def test_the_best_adapter_writes_and_is_in_the_lineage(write, store, engine):
    add_adapter(store, "lamp.r1.c8", loss=2.0)
    add_adapter(store, "lamp.r1.c16", loss=1.5)

    episode = write()

    assert (episode.adapter, episode.fine_tuned, episode.canary) == ("lamp.r1.c16", True, True)
    assert {name for name, _ in engine.asked} == {"lamp.r1.c16"}
    assert [made.key for made in episode.lineage.made_from] == [keys.show("lamp"), keys.adapter("lamp", "lamp.r1.c16")]


def test_every_turn_is_stored_before_the_next_is_asked_for(write, store, engine, job):
    stored: list[int] = []
    prefix = keys.episode_turns("lamp", keys.episode_id(job.id))
    engine.before = lambda request: stored.append(len(store.list(prefix)))

    episode = write()

    assert stored == list(range(len(episode.turns)))


@pytest.mark.parametrize("dies_at", range(4))
def test_a_killed_job_goes_on_at_the_next_turn_and_writes_the_same_episode(write, renderer, dies_at, store, tmp_path):
    job = FakeJob(tmp_path, "job-x")
    uninterrupted = write(job=job, engine=ScriptedVllmEngine(renderer))
    store.delete(keys.episode("lamp", uninterrupted.id))
    for turn in uninterrupted.turns[dies_at:]:
        store.delete(keys.episode_turn("lamp", uninterrupted.id, turn.index))
    again = ScriptedVllmEngine(renderer)

    episode = write(job=job, engine=again)

    assert (episode.id, episode.turns) == (uninterrupted.id, uninterrupted.turns)
    assert len(again.asked) == len(episode.turns) - dies_at
    assert len(store.list(keys.episode_turns("lamp", episode.id))) == len(episode.turns)


def test_a_finished_job_that_is_repeated_asks_for_nothing(write, renderer):
    first = write()
    again = ScriptedVllmEngine(renderer)

    assert write(engine=again) == first
    assert again.asked == []


def test_a_repeat_keeps_the_adapter_of_the_first_turn_although_a_better_one_came(write, store, engine):
    add_adapter(store, "lamp.r1.c8", loss=2.0)
    engine.script = [SENTENCE.format(1, 2, 3), EngineFailedError("killed")]
    with pytest.raises(EngineFailedError):
        write()
    add_adapter(store, "lamp.r2.c8", loss=1.0)

    episode = write()

    assert episode.adapter == "lamp.r1.c8"
    assert {turn.adapter for turn in episode.turns} == {"lamp.r1.c8"}


def test_a_turn_that_another_worker_stored_first_counts(write, store, engine, job):
    other = EpisodeTurn(index=0, role="host", speaker="Mara Quill", text=SENTENCE.format(7, 8, 9), tokens=12)
    key = keys.episode_turn("lamp", keys.episode_id(job.id), 0)
    engine.before = lambda request: None if store.exists(key) else store.create(key, other.model_dump_json().encode())

    assert write().turns[0] == other


def test_a_bad_turn_is_said_again_with_another_seed_and_the_reasons_are_kept(write, engine):
    engine.script = ["", "Theo: no, [INST] you", "la la la la la la la la la", SENTENCE.format(1, 2, 3)]

    turn = write().turns[0]

    assert turn.text == SENTENCE.format(1, 2, 3)
    assert turn.attempts == 4
    assert [reason.split(" (")[0] for reason in turn.rejected] == [
        "attempt 1: empty",
        "attempt 2: role marker",
        "attempt 3: repeats itself",
    ]
    asked = [ask for _, ask in engine.asked[:4]]
    assert len({ask.seed for ask in asked}) == 4
    assert [round(ask.temperature - BRIEF.temperature, 1) for ask in asked] == [0.0, 0.1, 0.2, 0.3]


def test_the_least_bad_turn_is_kept_when_none_is_good(write, engine, settings):
    engine.script = ["la " * 20, "So.", "", "la " * 20, "la " * 20]

    turn = write().turns[0]

    assert turn.text == "So."
    assert turn.rejected[-1] == "kept the least bad of these"


def test_a_turn_that_is_never_usable_fails_the_job_and_nothing_is_invented(write, engine, store):
    engine.script = [SENTENCE.format(1, 2, 3), *[""] * 5]

    with pytest.raises(EngineFailedError, match=r"turn 1 \(guest\) failed 5 times: attempt 5: empty"):
        write()

    assert len(store.list(keys.episodes("lamp"))) == 1  # the turn before it


def test_of_several_candidates_one_in_the_middle_is_chosen(write, engine):
    asked_for = write(BRIEF.model_copy(update={"candidates": 3}))

    assert {ask.n for _, ask in engine.asked} == {3}
    assert asked_for.report.empty_turns == 0


def test_when_the_device_is_wanted_the_engine_stops_and_the_episode_goes_on(write, engine):
    engine.wanted_once = True

    episode = write()

    assert engine.stops == 1
    assert len(engine.asked) == len(episode.turns)


def test_cancel_ends_the_job_and_leaves_no_episode(write, engine, job, store):
    engine.after = lambda request: job.cancel()

    with pytest.raises(JobCancelledError):
        write()

    assert not store.exists(keys.episode("lamp", keys.episode_id(job.id)))


def test_bad_briefs_name_the_fix(write, store):
    with pytest.raises(ArtifactMissingError, match="diary shows create"):
        write(BRIEF.model_copy(update={"show": "nowhere"}))
    with pytest.raises(NotFoundError, match="none yet: train one"):
        write(BRIEF.model_copy(update={"adapter": "lamp.r1.c8"}))
    with pytest.raises(BadInputError, match="shorten `about` and `facts`"):
        write(BRIEF.model_copy(update={"facts": ("bees " * 900,)}))


def test_a_long_episode_shows_the_model_its_last_turns_only(write, engine, settings):
    write(BRIEF.model_copy(update={"words": 1500}))

    assert max(len(ask.prompt) + ask.max_tokens for _, ask in engine.asked) <= settings.max_model_len
    assert len(engine.asked) > 30


def test_progress_tells_words_of_the_target_and_what_was_said(write, job):
    write()

    done = [event for event in job.events if event[0] == "writing"]
    assert done[0] == ("writing", 0, 120, "words")
    assert [event[1] for event in done] == sorted(event[1] for event in done)
