"""An episode from a brief to its manifest, with a scripted engine; kills are made by raising between two turns."""

from __future__ import annotations

import itertools
import threading

import pytest

from services.inference import job as story
from shared import keys
from shared.errors import (
    ArtifactMissingError,
    BadInputError,
    EngineFailedError,
    EngineRefusedError,
    JobCancelledError,
    NotFoundError,
)
from shared.schemas import Episode, EpisodeRequest, EpisodeTurn, PlannedChapter
from shared.store import create_manifest, load
from tests.fakes import DyingStore, FakeJob, MemoryStore, MortalVllmEngine, ScriptedVllmEngine
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
    engine.script = ["la " * 20, "So.", "", *["la " * 20] * 7]

    turn = write().turns[0]

    assert (turn.text, turn.attempts) == ("So.", 10)
    assert turn.rejected[-1] == "kept the least bad of these"


def test_out_of_a_loop_the_talk_goes_on_at_the_next_beat_without_what_was_said_before(write, engine, settings):
    plan = (PlannedChapter(title="Bees", beats=("the first hive", "the winter")), PlannedChapter(title="Honey"))
    loop = "la " * 20
    engine.script = [SENTENCE.format(n, n, n) for n in range(6)] + [loop] * settings.attempts

    episode = write(BRIEF.model_copy(update={"words": 200, "plan": plan}))

    turn = episode.turns[6]
    assert (turn.attempts, turn.scene, episode.turns[5].scene) == (settings.attempts + 1, 1, 0)
    stuck, freed = (ask for _, ask in engine.asked[10:12])
    assert len(freed.prompt) < len(stuck.prompt)
    assert "Now: the winter" in engine.renderer.decode(freed.prompt)


def test_a_turn_that_is_never_usable_fails_the_job_and_nothing_is_invented(write, engine, store, job):
    engine.script = [SENTENCE.format(1, 2, 3), *[""] * 5]

    with pytest.raises(EngineFailedError, match=r"turn 1 \(guest\) failed 5 times: attempt 5: empty"):
        write()

    assert len(store.list(keys.episode_turns("lamp", keys.episode_id(job.id)))) == 1  # the turn before it


def test_of_several_candidates_one_in_the_middle_is_chosen(write, engine):
    engine.script = [[(SENTENCE.format(n, n, n), odds) for n, odds in enumerate((-0.2, -3.0, -1.1))]]

    episode = write(BRIEF.model_copy(update={"candidates": 3}))

    assert {ask.n for _, ask in engine.asked} == {3}
    assert episode.turns[0].text == SENTENCE.format(2, 2, 2)


def test_of_several_candidates_the_one_as_likely_as_real_turns_is_chosen(write, engine, store):
    add_adapter(store, "lamp.r1.c8", loss=2.9)
    engine.script = [[(SENTENCE.format(n, n, n), odds) for n, odds in enumerate((-0.2, -3.0, -1.1))]]

    assert write(BRIEF.model_copy(update={"candidates": 3})).turns[0].text == SENTENCE.format(1, 1, 1)


def test_chapters_that_are_longer_than_the_episode_are_refused(write):
    plan = (PlannedChapter(title="Bees", words=2000), PlannedChapter(title="Honey"))

    with pytest.raises(BadInputError, match="chapters have 2,000 words, and the episode is to have 120"):
        write(BRIEF.model_copy(update={"plan": plan}))


def test_a_turn_that_is_too_short_each_time_is_no_loop(write, engine, settings):
    engine.script = [SENTENCE.format(1, 1, 1), *["No."] * settings.attempts]

    turn = write().turns[1]

    assert (turn.text, turn.attempts, turn.fresh) == ("No.", settings.attempts, False)


def test_an_engine_that_tells_no_log_probabilities_costs_the_report_its_perplexities_alone(write, engine):
    def refuse(*_) -> float:
        raise EngineRefusedError("prompt_logprobs is not allowed")

    engine.expects = refuse

    report = write().report

    assert (report.likelihood, report.answers_by_likelihood) == (None, None)
    assert report.turns > 3


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
        write(BRIEF.model_copy(update={"facts": tuple(f"{n} bees " * 60 for n in range(10))}))


def test_a_long_episode_shows_the_model_its_last_turns_only(write, engine, settings):
    write(BRIEF.model_copy(update={"words": 1500}))

    assert max(len(ask.prompt) + ask.max_tokens for _, ask in engine.asked) <= settings.max_model_len
    assert len(engine.asked) > 30


def test_progress_tells_words_of_the_target_and_what_was_said(write, job):
    write()

    done = [event for event in job.events if event[0] == "writing"]
    assert done[0] == ("writing", 0, 120, "words")
    assert [event[1] for event in done] == sorted(event[1] for event in done)


# ---- kills, at any place ---------------------------------------------------------------------------------------------

LONG = BRIEF.model_copy(update={"words": 2500, "facts": ("Theo keeps bees",), "candidates": 2})


def without_lineage(episode: Episode) -> dict[str, object]:
    return episode.model_dump(exclude={"lineage"})


@pytest.fixture
def short_sighted(settings):
    """The window steps several times in an episode of 2,500 words."""
    return settings.model_copy(update={"max_model_len": 6000})


@pytest.fixture
def uninterrupted(renderer, short_sighted, tmp_path) -> Episode:
    """The long episode of job-1, as it becomes when nobody disturbs it."""
    store = MemoryStore()
    create_manifest(store, keys.show(SHOW.slug), SHOW)
    engine = ScriptedVllmEngine(renderer)
    result = story.run(LONG, job=FakeJob(tmp_path), store=store, engine=engine, settings=short_sighted)
    episode = load(store, result.key, Episode)
    assert len(episode.plan) > 1, "it is planned"
    assert len({turn.summary for turn in episode.turns}) > 3, "the window steps, and what is gone is summed up"
    assert len({turn.scene for turn in episode.turns}) > 1, "chapters begin"
    return episode


def test_killed_before_each_change_of_the_store_the_episode_becomes_the_same(
    renderer, short_sighted, tmp_path, uninterrupted
):
    store = DyingStore()
    store.objects[keys.show(SHOW.slug)] = SHOW.model_dump_json().encode()
    kills = 0
    while True:
        store.changes_left = 1
        engine = ScriptedVllmEngine(renderer)
        try:
            result = story.run(LONG, job=FakeJob(tmp_path), store=store, engine=engine, settings=short_sighted)
            break
        except KeyboardInterrupt:
            kills += 1
            assert len(engine.asked) <= 2, "no turn is written twice but the one that was not stored"

    assert without_lineage(load(store, result.key, Episode)) == without_lineage(uninterrupted)
    assert kills >= len(uninterrupted.turns) + 1


def test_killed_in_any_request_to_the_engine_the_episode_becomes_the_same(
    store, renderer, short_sighted, tmp_path, uninterrupted
):
    for lives in itertools.count():
        engine = MortalVllmEngine(renderer, requests=4 + lives % 5)  # planning alone takes three
        try:
            result = story.run(LONG, job=FakeJob(tmp_path), store=store, engine=engine, settings=short_sighted)
            break
        except KeyboardInterrupt:
            assert lives < 500

    assert without_lineage(load(store, result.key, Episode)) == without_lineage(uninterrupted)
    assert lives > 10


def test_killed_between_plan_and_commission_nothing_is_stored_and_the_plan_comes_out_alike(
    store, renderer, short_sighted, tmp_path, uninterrupted
):
    before = dict(store.objects)
    for requests in (0, 1, 2):
        with pytest.raises(KeyboardInterrupt):
            story.run(
                LONG, job=FakeJob(tmp_path), store=store, engine=MortalVllmEngine(renderer, requests=requests),
                settings=short_sighted,
            )  # fmt: skip
        assert store.objects == before

    result = story.run(
        LONG, job=FakeJob(tmp_path), store=store, engine=ScriptedVllmEngine(renderer), settings=short_sighted
    )
    assert load(store, result.key, Episode).plan == uninterrupted.plan


def test_what_was_settled_is_gone_once_the_episode_is_there(write, store, job):
    episode = write()

    assert not store.exists(keys.commission(SHOW.slug, episode.id))
    assert [key for key in store.list(keys.episodes(SHOW.slug)) if "/turns/" not in key] == [
        keys.episode(SHOW.slug, episode.id)
    ]


def test_a_worker_that_died_between_the_episode_and_the_end_leaves_a_finished_one(store, renderer, settings, tmp_path):
    dying = DyingStore(store.objects)
    key = keys.episode(SHOW.slug, keys.episode_id("job-1"))
    while not dying.exists(key):
        dying.changes_left = 1
        with pytest.raises(KeyboardInterrupt):
            story.run(BRIEF, job=FakeJob(tmp_path), store=dying, engine=ScriptedVllmEngine(renderer), settings=settings)
    again = MemoryStore(dying.objects)

    result = story.run(
        BRIEF, job=FakeJob(tmp_path), store=again, engine=ScriptedVllmEngine(renderer), settings=settings
    )

    assert (result.key, result.words) == (key, load(again, key, Episode).report.words)
    assert not again.exists(keys.commission(SHOW.slug, result.episode)), "what was settled is swept up"


def test_two_workers_on_one_episode_write_one(store, renderer, short_sighted, tmp_path, uninterrupted):
    results = []

    def work(name: str) -> None:
        work_dir = tmp_path / name
        work_dir.mkdir()
        engine = ScriptedVllmEngine(renderer)
        results.append(story.run(LONG, job=FakeJob(work_dir), store=store, engine=engine, settings=short_sighted))

    workers = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert results[0] == results[1]
    assert without_lineage(load(store, results[0].key, Episode)) == without_lineage(uninterrupted)
    assert not store.exists(keys.commission(SHOW.slug, uninterrupted.id))


# ---- seeds -----------------------------------------------------------------------------------------------------------


def test_the_same_brief_and_seed_give_the_same_turns_under_another_job_and_another_seed_gives_others(
    write, renderer, tmp_path
):
    brief = LONG.model_copy(update={"words": 700})

    one, two, other = (
        write(order, job=FakeJob(tmp_path, name), engine=ScriptedVllmEngine(renderer))
        for name, order in (("j1", brief), ("j2", brief), ("j3", brief.model_copy(update={"seed": 43})))
    )

    assert (one.turns, one.plan) == (two.turns, two.plan) and one.id != two.id
    assert not {turn.text for turn in one.turns} & {turn.text for turn in other.turns}
    assert not {chapter.title for chapter in one.plan} & {chapter.title for chapter in other.plan}


def test_without_chance_candidates_would_be_alike_so_one_is_asked_for(write, engine):
    write(BRIEF.model_copy(update={"temperature": 0, "candidates": 4}))

    assert {ask.n for _, ask in engine.asked if ask.temperature == 0} == {1}


# ---- what does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "length"),
    [
        ({}, 400),
        ({"words": 2000}, 400),
        ({"facts": tuple(f"{n} bees " * 60 for n in range(8))}, 4096),
        ({"write": "questions"}, 400),
    ],
)
def test_a_context_that_is_too_small_is_refused_before_anything_is_stored_or_asked(
    write, store, engine, settings, changes, length
):
    before = dict(store.objects)

    with pytest.raises(BadInputError, match="INFERENCE_MAX_MODEL_LEN"):
        write(BRIEF.model_copy(update=changes), settings=settings.model_copy(update={"max_model_len": length}))

    assert (engine.asked, engine.asides, store.objects) == ([], [], before)
