"""The two stories with a scripted engine: what is stored, and that any repeat finds what is there."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path

import pytest

from services.trainer import job as story
from services.trainer.checkpoints import take_over
from services.trainer.plan import Device
from shared import keys
from shared.errors import (
    ArtifactMissingError,
    BadInputError,
    ConflictError,
    EngineFailedError,
    JobCancelledError,
    LeaseYieldedError,
    NoSpaceError,
    OutOfMemoryError,
    StoreUnavailableError,
)
from shared.jobs import Jobs
from shared.models import Base
from shared.schemas import (
    Adapter,
    Checkpoint,
    Dataset,
    DatasetRequest,
    Example,
    HostMethod,
    Job,
    RecordingEdits,
    Run,
    TrainRequest,
    Transcript,
)
from shared.settings import ServiceSettings
from shared.store import create_manifest, get_blob, load
from tests.fakes import FakeJob, InterruptedStore, MemoryStore, ScriptedTrainingEngine
from tests.kit import until
from tests.trainer.conftest import GUESTS, SHOW, add_talk, small_talk

WANTED = DatasetRequest(show="lamp", max_length=512)


def build(store: MemoryStore, job: FakeJob, engine: ScriptedTrainingEngine, **wishes) -> Dataset:
    result = story.build(WANTED.model_copy(update=wishes), job=job, store=store, engine=engine)
    return load(store, result.key, Dataset)


def examples(store: MemoryStore, dataset: Dataset, half: str) -> list[Example]:
    lines = get_blob(store, getattr(dataset, half)).decode().splitlines()
    return [Example.model_validate_json(line) for line in lines]


# ---- dataset ---------------------------------------------------------------------------------------------------------


def test_a_dataset_names_its_guests_counts_its_tokens_and_knows_its_transcripts(store, job, engine, base):
    dataset = build(store, job, engine)

    train, kept_out = examples(store, dataset, "train"), examples(store, dataset, "eval")
    assert sorted(dataset.train_guests + dataset.eval_guests) == sorted(GUESTS) and len(dataset.eval_guests) == 1
    assert {example.guest for example in kept_out} == set(dataset.eval_guests)
    assert (dataset.train_tokens, dataset.eval_tokens) == tuple(
        sum(e.tokens for e in half) for half in (train, kept_out)
    )
    assert (dataset.base_model, dataset.base_revision) == (base.name, base.revision)
    assert [source.key for source in dataset.lineage.made_from] == [
        f"shows/lamp/transcripts/rec{number}/machine-1.json" for number in (1, 2, 3, 4)
    ]


def test_building_again_gives_the_same_dataset(store, job, engine):
    first = build(store, job, engine)
    before = dict(store.objects)

    again = build(store, job, engine)

    assert again == first and store.objects == before


def test_a_correction_is_trained_on_and_gives_another_dataset(store, job, engine):
    first = build(store, job, engine)
    add_talk(store, "rec2", "Bob Birch", ["h: Corrected?", "g: Corrected."], revision="correction-1")

    second = build(store, job, engine)

    assert second.id != first.id and second.eval_guests == first.eval_guests
    texts = [m.text for half in ("train", "eval") for e in examples(store, second, half) for m in e.messages]
    assert "Corrected?" in texts


def test_added_recordings_leave_the_held_out_guest_out(store, job, engine):
    first = build(store, job, engine)

    for number in range(5, 15):
        add_talk(store, f"rec{number}", f"Guest {number}", small_talk(f"Guest {number}"))
        assert build(store, job, engine).eval_guests == first.eval_guests


def test_only_the_recordings_that_are_named_are_used(store, job, engine):
    dataset = build(store, job, engine, recordings=("rec3", "rec1"))

    assert {*dataset.train_guests, *dataset.eval_guests} == {"Ann Ash", "Cleo Cedar"}


def test_what_is_left_out_is_in_the_manifest(store, job, engine):
    add_talk(store, "rec5", "Eve", ["h: one two three"], host_method=HostMethod.UNKNOWN)

    dataset = build(store, job, engine)

    assert [(left.recording, left.words) for left in dataset.left_out] == [("rec5", 3)]


def test_recordings_with_unnamed_guests_count_as_different_guests(store, job, engine):
    add_talk(store, "rec8", None, small_talk("x"))
    add_talk(store, "rec9", None, small_talk("y"))

    dataset = build(store, job, engine, recordings=("rec8", "rec9"))

    assert (dataset.train_examples, dataset.eval_examples) == (1, 1)


def test_an_empty_show_is_refused_with_what_to_do(job, engine):
    store = MemoryStore()
    create_manifest(store, keys.show("lamp"), SHOW)

    with pytest.raises(BadInputError, match="diary transcripts make lamp"):
        build(store, job, engine)


def test_a_single_recording_is_refused(store, job, engine):
    with pytest.raises(BadInputError, match="only one recording"):
        build(store, job, engine, recordings=("rec1",))


def test_a_show_of_unknown_hosts_is_refused_with_the_reason(job, engine):
    store = MemoryStore()
    create_manifest(store, keys.show("lamp"), SHOW)
    add_talk(store, "rec1", "Ann", small_talk("Ann"), host_method=HostMethod.UNKNOWN)

    with pytest.raises(BadInputError, match="diary transcripts host"):
        build(store, job, engine)


def test_a_recording_without_transcript_is_refused_by_name(store, job, engine):
    with pytest.raises(ArtifactMissingError, match="rec77"):
        build(store, job, engine, recordings=("rec1", "rec77"))


def test_examples_longer_than_the_base_model_reads_are_refused(store, job, engine):
    with pytest.raises(BadInputError, match="2048"):
        build(store, job, engine, max_length=4096)


def test_the_report_is_in_the_manifest(store, job, engine):
    report = build(store, job, engine).report

    assert report is not None and report.enough == "no" and report.guests == 4
    assert [one.recording for one in report.recordings] == ["rec1", "rec2", "rec3", "rec4"]


def test_a_named_revision_is_taken_instead_of_the_current_one(store, job, engine):
    add_talk(store, "rec2", "Bob Birch", ["h: Corrected?", "g: Corrected."], revision="correction-1")

    dataset = build(store, job, engine, revisions={"rec2": "machine-1"})

    taken = [source.key for source in dataset.lineage.made_from if "/rec2/" in source.key]
    assert taken == ["shows/lamp/transcripts/rec2/machine-1.json"]
    with pytest.raises(ArtifactMissingError, match="machine-9"):
        build(store, job, engine, revisions={"rec2": "machine-9"})
    with pytest.raises(BadInputError, match="rec77"):
        build(store, job, engine, revisions={"rec77": "machine-1"})


def test_without_a_wish_examples_are_as_long_as_the_device_has_room_for(store, job, engine, base):
    assert build(store, job, engine, max_length=None).max_length == 512
    assert build(store, job, ScriptedTrainingEngine(base, device=GPU), max_length=None).max_length == base.context


def test_a_show_in_a_language_that_the_base_model_does_not_write_is_refused(store, job, base):
    english = base.model_copy(update={"name": "HuggingFaceTB/SmolLM2-135M-Instruct"})
    for number in (1, 2, 3, 4):
        head = load(store, keys.transcript("lamp", f"rec{number}", "machine-1"), Transcript)
        create_manifest(
            store, keys.transcript("lamp", f"rec{number}", "de"), head.model_copy(update={"language": "de"})
        )

    with pytest.raises(BadInputError, match="in de, which HuggingFaceTB/SmolLM2-135M-Instruct does not write"):
        revisions = {f"rec{number}": "de" for number in (1, 2, 3, 4)}
        build(store, job, ScriptedTrainingEngine(english), revisions=revisions)


def test_facts_that_people_set_of_a_guest_are_in_the_header(store, job, engine):
    edits = RecordingEdits(facts=("Ann counts cups at night.",), by="Ann")
    create_manifest(store, keys.edits("lamp", "rec1"), edits)

    dataset = build(store, job, engine)

    texts = [e.messages[0].text for half in ("train", "eval") for e in examples(store, dataset, half)]
    assert sum("Fact: Ann counts cups at night." in text for text in texts) == 1


# ---- adapter ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def dataset(store, job, engine) -> Dataset:
    return build(store, job, engine)


def wish(dataset: Dataset, **wishes) -> TrainRequest:
    return TrainRequest(show="lamp", dataset=dataset.id, **{"steps": 6, "checkpoint_every": 2, **wishes})


def test_an_adapter_is_a_peft_folder_with_figures_and_lineage(store, job, engine, dataset, base):
    result = story.train(wish(dataset), job=job, store=store, engine=engine)

    adapter = load(store, result.key, Adapter)
    assert adapter.name == "lamp.r1.c6" == result.adapter
    assert set(adapter.files) == {
        "adapter_model.safetensors", "adapter_config.json", "README.md", "metrics.jsonl", "loss.png",
    }  # fmt: skip
    assert (adapter.base_model, adapter.base_revision) == (base.name, base.revision)
    assert (result.eval_loss_before, result.eval_loss_after) == (3.0, 2.7)
    figures = get_blob(store, adapter.files["metrics.jsonl"]).decode().splitlines()
    assert [json.loads(line)["step"] for line in figures] == list(range(7))
    card = get_blob(store, adapter.files["README.md"]).decode()
    assert dataset.eval_guests[0] in card and base.revision in card and "generated by a machine" in card
    (source,) = adapter.lineage.made_from
    assert source.key == keys.dataset("lamp", dataset.id)
    assert source.sha256 == hashlib.sha256(store.get(source.key)).hexdigest()


def test_a_repeat_of_the_same_job_finds_its_adapter(store, job, engine, dataset):
    first = story.train(wish(dataset), job=job, store=store, engine=engine)
    before = dict(store.objects)

    assert story.train(wish(dataset), job=job, store=store, engine=engine) == first
    assert store.objects == before and engine.steps == [1, 2, 3, 4, 5, 6]


def test_each_job_has_a_run_number_of_its_own(store, job, engine, dataset, tmp_path):
    create_manifest(store, keys.run("lamp", 11), Run(number=11, job="somebody", request=wish(dataset)))

    names = [
        story.train(wish(dataset, steps=1), job=FakeJob(job.work_dir, job_id), store=store, engine=engine).adapter
        for job_id in ("a", "b", "a")
    ]

    assert names == ["lamp.r12.c1", "lamp.r13.c1", "lamp.r12.c1"]


def test_one_job_cannot_train_two_things(store, job, engine, dataset):
    story.train(wish(dataset, steps=1), job=job, store=store, engine=engine)

    with pytest.raises(ConflictError, match="another request"):
        story.train(wish(dataset, steps=2), job=job, store=store, engine=engine)


def test_a_killed_job_goes_on_from_the_newest_checkpoint_in_the_store(store, job, base, dataset, tmp_path):
    dying = ScriptedTrainingEngine(base, breaks={4: EngineFailedError("killed")})
    with pytest.raises(EngineFailedError):
        story.train(wish(dataset), job=job, store=store, engine=dying)
    (tmp_path / "elsewhere").mkdir()
    other_machine = FakeJob(tmp_path / "elsewhere", job.id)
    engine = ScriptedTrainingEngine(base)

    result = story.train(wish(dataset), job=other_machine, store=store, engine=engine)

    assert engine.steps == [5, 6]
    adapter = load(store, result.key, Adapter)
    assert get_blob(store, adapter.files["adapter_model.safetensors"]) == b"w" * 6
    assert [point.step for point in adapter.metrics] == list(range(7)) and result.eval_loss_before == 3.0
    assert result.adapter == "lamp.r1.c6"


def test_a_job_killed_between_last_checkpoint_and_manifest_trains_nothing_twice(store, job, base, dataset):
    dying = ScriptedTrainingEngine(base, breaks={6: EngineFailedError("killed")})
    with pytest.raises(EngineFailedError):
        story.train(wish(dataset), job=job, store=store, engine=dying)
    engine = ScriptedTrainingEngine(base)

    story.train(wish(dataset), job=job, store=store, engine=engine)

    assert engine.steps == []


def test_the_gpu_is_given_to_whoever_waits_and_no_step_is_lost(store, job, base, dataset):
    engine = ScriptedTrainingEngine(base, breaks={2: LeaseYieldedError("wanted"), 4: LeaseYieldedError("wanted")})

    story.train(wish(dataset), job=job, store=store, engine=engine)

    assert engine.steps == [1, 2, 3, 4, 5, 6]
    assert [plan.resume is not None for plan in engine.plans] == [False, True, True]
    assert any(stage == "waiting for the GPU" for stage, *_ in job.events)


def test_checkpoints_hold_what_is_needed_to_go_on_and_old_local_copies_go(store, job, engine, dataset):
    story.train(wish(dataset), job=job, store=store, engine=engine)

    manifests = store.list(keys.checkpoints("lamp", 1))
    assert manifests == [keys.checkpoint("lamp", 1, step) for step in (4, 6)], "the last two; the best is the last"
    last = load(store, manifests[-1], Checkpoint)
    assert set(last.files) == {"adapter_model.safetensors", "optimizer.pt"}
    assert [path.name for path in (job.work_dir / "run").iterdir()] == ["checkpoint-6"]


def test_a_checkpoint_that_the_engine_makes_while_an_older_one_is_stored_is_kept(store, job, base, dataset):
    class Ahead(ScriptedTrainingEngine):
        def _checkpoint(self, plan, step, weights):
            folder = super()._checkpoint(plan, step, weights)
            super()._checkpoint(plan, step + 2, weights + b"ww")
            return folder

    story.train(wish(dataset), job=job, store=store, engine=Ahead(base))

    assert {path.name for path in (job.work_dir / "run").iterdir()} == {"checkpoint-6", "checkpoint-8"}


def test_a_run_whose_checkpoints_have_no_room_is_refused_before_it_begins(store, job, engine, dataset, base: Base):
    shapes = {"hidden_size": 10**9, "intermediate_size": 10**9, "num_attention_heads": 8, "num_hidden_layers": 99}
    (base.folder / "config.json").write_text(json.dumps(shapes))

    with pytest.raises(NoSpaceError, match=r"checkpoints of a rank 16 adapter of tests/tiny.*TRAINER_WORK_DIR"):
        story.train(wish(dataset), job=job, store=store, engine=engine)
    assert engine.steps == []


def test_a_cancelled_job_stops_and_leaves_no_adapter(store, job, engine, dataset):
    job.cancel()

    with pytest.raises(JobCancelledError):
        story.train(wish(dataset), job=job, store=store, engine=engine)
    assert store.list(keys.adapters("lamp")) == []


def test_a_dataset_of_another_base_model_is_refused(store, job, dataset, base: Base):
    other = ScriptedTrainingEngine(base.model_copy(update={"revision": "f" * 64}))

    with pytest.raises(BadInputError, match="TRAINER_BASE_MODEL"):
        story.train(wish(dataset), job=job, store=store, engine=other)
    assert store.list(f"shows/{SHOW.slug}/runs/") == []


# ---- which checkpoint is kept, and when a run ends -------------------------------------------------------------------


def test_the_best_checkpoint_becomes_the_adapter_and_its_name_says_which(store, job, base, dataset):
    engine = ScriptedTrainingEngine(base, losses={2: 2.5, 4: 2.2, 6: 2.4})

    result = story.train(wish(dataset), job=job, store=store, engine=engine)

    adapter = load(store, result.key, Adapter)
    assert (adapter.name, adapter.step, adapter.steps) == ("lamp.r1.c4", 4, 6)
    assert (adapter.eval_loss_before, adapter.eval_loss_after) == (3.0, 2.2)
    assert get_blob(store, adapter.files["adapter_model.safetensors"]) == b"w" * 4


def test_one_that_recites_too_much_is_not_kept(store, job, base, dataset):
    engine = ScriptedTrainingEngine(base, losses={2: 2.5, 4: 2.2, 6: 2.1}, recited={4: 0.05, 6: 0.5})

    result = story.train(wish(dataset, memorisation_limit=0.1), job=job, store=store, engine=engine)

    assert (result.step, result.recited, result.warnings) == (4, 0.05, ())


def test_where_all_recite_the_adapter_says_so(store, job, base, dataset):
    engine = ScriptedTrainingEngine(base, recited={2: 0.4, 4: 0.5, 6: 0.6})

    result = story.train(wish(dataset), job=job, store=store, engine=engine)

    adapter = load(store, result.key, Adapter)
    assert result.step == 2 and "It recites: 40%" in adapter.warnings[0]
    assert adapter.warnings[0] in get_blob(store, adapter.files["README.md"]).decode()


def test_the_best_checkpoint_stays_when_older_ones_go_here_and_in_the_store(store, job, base, dataset):
    engine = ScriptedTrainingEngine(base, losses={1: 2.0, 2: 2.5, 3: 2.6, 4: 2.7, 5: 2.8})
    wanted = wish(dataset, steps=5, checkpoint_every=1, keep_last=2, patience=0)

    result = story.train(wanted, job=job, store=store, engine=engine)

    assert store.list(keys.checkpoints("lamp", 1)) == [keys.checkpoint("lamp", 1, step) for step in (1, 4, 5)]
    assert {path.name for path in (job.work_dir / "run").iterdir()} == {"checkpoint-1", "checkpoint-5"}
    assert result.adapter == "lamp.r1.c1"


def test_a_best_checkpoint_of_before_a_crash_is_kept_on_another_machine(store, job, base, dataset, tmp_path):
    losses = {1: 2.0, 2: 2.5, 3: 2.6, 4: 2.7}
    wanted = wish(dataset, steps=4, checkpoint_every=1, keep_last=1, patience=0)
    with pytest.raises(EngineFailedError):
        dying = ScriptedTrainingEngine(base, breaks={3: EngineFailedError("killed")}, losses=losses)
        story.train(wanted, job=job, store=store, engine=dying)
    (tmp_path / "elsewhere").mkdir()

    elsewhere = FakeJob(tmp_path / "elsewhere", job.id)
    result = story.train(wanted, job=elsewhere, store=store, engine=ScriptedTrainingEngine(base, losses=losses))

    adapter = load(store, result.key, Adapter)
    assert result.adapter == "lamp.r1.c1" and get_blob(store, adapter.files["adapter_model.safetensors"]) == b"w"


def test_a_run_that_gains_nothing_any_more_ends_early(store, job, base, dataset):
    engine = ScriptedTrainingEngine(base, losses={2: 2.0, 4: 2.5, 6: 2.5})
    wanted = wish(dataset, steps=20, patience=2)

    result = story.train(wanted, job=job, store=store, engine=engine)

    assert engine.steps == [1, 2, 3, 4, 5, 6] and result.adapter == "lamp.r1.c2"


# ---- memory, and a store that is away --------------------------------------------------------------------------------

GPU = Device(kind="cuda", name="NVIDIA L4", memory_gb=24.0)
FULL = "the GPU's memory is full: tried to allocate 2.00 GiB"


def test_a_run_that_runs_out_of_memory_goes_on_with_less(store, job, base, dataset):
    engine = ScriptedTrainingEngine(
        base, breaks={2: OutOfMemoryError(FULL), 4: OutOfMemoryError(FULL)}, device=GPU
    )  # fmt: skip

    result = story.train(wish(dataset), job=job, store=store, engine=engine)

    assert engine.steps == [1, 2, 3, 4, 5, 6], "no step is lost or made twice"
    assert [plan.course.quantised for plan in engine.plans] == [False, True, True]
    assert [plan.course.row_tokens < 512 for plan in engine.plans] == [False, False, True]
    adapter = load(store, result.key, Adapter)
    assert adapter.lineage.parameters["made_leaner"][0] == "the base model is held in 4 bits"
    assert adapter.lineage.parameters["quantised"] is True


def test_when_nothing_is_left_to_save_shorter_examples_are_offered(store, job, base, dataset):
    class Full(ScriptedTrainingEngine):
        def train(self, plan, job, keep):
            self.plans.append(plan)
            raise OutOfMemoryError(FULL)

    engine = Full(base, device=GPU)
    with pytest.raises(BadInputError, match=r"memory is full.*nothing is left to save.*--max-length \d+"):
        story.train(wish(dataset), job=job, store=store, engine=engine)
    assert len(engine.plans) == 3


def test_a_run_that_cannot_fit_is_refused_before_it_begins_with_what_would(store, job, base, engine, dataset):
    shapes = {"hidden_size": 8192, "intermediate_size": 28672, "num_attention_heads": 64, "num_hidden_layers": 80}
    (base.folder / "config.json").write_text(json.dumps({**shapes, "vocab_size": 1000}))
    engine = ScriptedTrainingEngine(base, device=GPU)

    with pytest.raises(BadInputError, match=r"takes about \d+ GB, and NVIDIA L4 has 24; choose a smaller base model"):
        story.train(wish(dataset), job=job, store=store, engine=engine)
    assert engine.plans == []


def test_a_store_that_is_away_for_a_while_costs_no_step(store, job, base, engine, dataset):
    away = [1]

    class Away(MemoryStore):
        def create(self, key: str, data: bytes) -> bool:
            if "/checkpoints/" in key and away[0]:
                away[0] -= 1
                raise StoreUnavailableError("the object store does not answer")
            return super().create(key, data)

    there = Away(store.objects)
    story.train(wish(dataset), job=job, store=there, engine=engine)

    assert away == [0] and engine.steps == [1, 2, 3, 4, 5, 6] and len(engine.plans) == 1
    assert any(stage == "waiting for the object store" for stage, *_ in job.events)


# ---- going on from an adapter ----------------------------------------------------------------------------------------


@pytest.fixture
def parent(store, job, engine, dataset) -> Adapter:
    return load(store, story.train(wish(dataset), job=job, store=store, engine=engine).key, Adapter)


def test_training_goes_on_from_an_adapter_on_new_recordings(store, base, engine, dataset, parent, tmp_path):
    add_talk(store, "rec5", "Eve Elm", small_talk("Eve Elm"))
    other = FakeJob(tmp_path / "other", "job-2")
    other.work_dir.mkdir()
    grown = build(store, other, engine)

    result = story.train(wish(grown, continue_from=parent.name), job=other, store=store, engine=engine)

    adapter = load(store, result.key, Adapter)
    assert (adapter.name, adapter.parent) == ("lamp.r2.c6", parent.name)
    assert [source.key for source in adapter.lineage.made_from] == [
        keys.dataset("lamp", grown.id), keys.adapter("lamp", parent.name),
    ]  # fmt: skip
    folder = engine.plans[-1].parent
    assert (folder / "adapter_model.safetensors").read_bytes() == b"w" * 6
    assert f"| goes on from | {parent.name} |" in get_blob(store, adapter.files["README.md"]).decode()


def test_an_adapter_of_another_revision_cannot_be_gone_on_from(store, job, engine, dataset, parent):
    other = parent.model_copy(update={"name": "lamp.r9.c1", "base_revision": "f" * 64})
    create_manifest(store, keys.adapter("lamp", other.name), other)

    with pytest.raises(BadInputError, match=r"lamp\.r9\.c1 was trained on .*\(ffffffffffff\).*TRAINER_BASE_MODEL"):
        story.train(wish(dataset, continue_from="lamp.r9.c1"), job=job, store=store, engine=engine)


def test_an_adapter_of_another_rank_cannot_be_gone_on_from(store, job, engine, dataset, parent):
    with pytest.raises(BadInputError, match="order it with lora_rank 16"):
        story.train(wish(dataset, continue_from=parent.name, lora_rank=8), job=job, store=store, engine=engine)


def test_nobody_is_judged_by_whom_the_adapter_has_learnt(store, job, engine, dataset, parent):
    known = dataset.model_copy(update={"id": "0" * 12, "eval_guests": dataset.train_guests[:1]})
    create_manifest(store, keys.dataset("lamp", known.id), known)

    with pytest.raises(BadInputError, match=f"has learnt from {dataset.train_guests[0]}"):
        story.train(wish(known, continue_from=parent.name), job=job, store=store, engine=engine)


def test_an_unknown_adapter_is_named(store, job, engine, dataset):
    with pytest.raises(ArtifactMissingError, match=r"lamp\.r7\.c1"):
        story.train(wish(dataset, continue_from="lamp.r7.c1"), job=job, store=store, engine=engine)


# ---- going on with a run that was stopped ----------------------------------------------------------------------------


@pytest.fixture
def stopped(store, job, base, dataset) -> int:
    """A run of `job-1`, which failed after its checkpoint of step 4 and has ended."""
    with pytest.raises(EngineFailedError):
        story.train(wish(dataset), job=job, store=store, engine=dying(base, 4))
    return 1


def dying(base: Base, step: int) -> ScriptedTrainingEngine:
    return ScriptedTrainingEngine(base, breaks={step: EngineFailedError("killed")})


def another(tmp_path: Path, job_id: str = "job-2") -> FakeJob:
    (tmp_path / job_id).mkdir(exist_ok=True)
    return FakeJob(tmp_path / job_id, job_id)


def resuming(dataset: Dataset, **wishes) -> TrainRequest:
    return TrainRequest(show="lamp", dataset=dataset.id, resume=1, **wishes)


def test_a_stopped_run_goes_on_in_another_job_with_its_number_settings_and_figures(
    store, engine, dataset, stopped, tmp_path
):
    result = story.train(resuming(dataset), job=another(tmp_path), store=store, engine=engine)

    adapter = load(store, result.key, Adapter)
    assert engine.steps == [5, 6] and adapter.name == "lamp.r1.c6"
    assert [point.step for point in adapter.metrics] == list(range(7)) and result.eval_loss_before == 3.0
    run = load(store, keys.run("lamp", 1), Run)
    assert (run.job, run.jobs_before, run.request) == ("job-2", ("job-1",), wish(dataset))
    assert store.list(keys.runs("lamp")) == [keys.run("lamp", 1)] and adapter.lineage.job == "job-2"


def test_a_resumed_run_that_is_killed_goes_on_as_any_other(store, base, dataset, stopped, tmp_path):
    two = resuming(dataset, steps=8)
    with pytest.raises(EngineFailedError):
        story.train(two, job=another(tmp_path), store=store, engine=dying(base, 6))
    engine = ScriptedTrainingEngine(base)

    result = story.train(two, job=another(tmp_path), store=store, engine=engine)
    again = story.train(two, job=another(tmp_path), store=store, engine=engine)

    assert engine.steps == [7, 8] and result.adapter == "lamp.r1.c8" and again == result
    assert load(store, keys.run("lamp", 1), Run).jobs_before == ("job-1",)


def test_a_run_may_be_resumed_more_than_once(store, base, engine, dataset, stopped, tmp_path):
    with pytest.raises(EngineFailedError):
        story.train(resuming(dataset, steps=8), job=another(tmp_path), store=store, engine=dying(base, 6))

    result = story.train(resuming(dataset), job=another(tmp_path, "job-3"), store=store, engine=engine)

    assert engine.steps == [7, 8] and result.adapter == "lamp.r1.c8"
    assert load(store, keys.run("lamp", 1), Run).jobs_before == ("job-1", "job-2")


def test_a_run_that_another_job_works_on_is_not_taken_over(store, engine, dataset, stopped, tmp_path):
    eager = another(tmp_path)
    eager.at_work = {"job-1"}

    with pytest.raises(ConflictError, match="job job-1 works on run 1 of lamp right now"):
        story.train(resuming(dataset), job=eager, store=store, engine=engine)
    assert load(store, keys.run("lamp", 1), Run).job == "job-1" and engine.steps == []


def test_of_two_jobs_that_resume_a_run_at_once_one_gets_it(store, dataset, stopped, tmp_path):
    slower, faster = another(tmp_path), another(tmp_path, "job-3")
    slower.at_work = {"job-3"}
    raced = InterruptedStore(store.objects, lambda: take_over(store, resuming(dataset), 1, faster))

    with pytest.raises(ConflictError, match="job job-3 works on run 1"):
        take_over(raced, resuming(dataset), 1, slower)
    assert load(store, keys.run("lamp", 1), Run).job == "job-3"


def test_a_job_that_has_not_noticed_its_end_stores_nothing_more_of_a_run_that_was_taken_over(
    store, job, base, dataset, tmp_path
):
    class Deaf(ScriptedTrainingEngine):
        """Goes on after its job was cancelled; meanwhile somebody resumes the run."""

        def _checkpoint(self, plan, step, weights):
            if step == 4:
                take_over(store, resuming(dataset), 1, another(tmp_path))
            return super()._checkpoint(plan, step, weights)

    with pytest.raises(ConflictError, match="run 1 of lamp is job job-2's now"):
        story.train(wish(dataset), job=job, store=store, engine=Deaf(base))
    assert store.list(keys.checkpoints("lamp", 1)) == [keys.checkpoint("lamp", 1, 2)]


def test_a_finished_run_is_not_resumed(store, job, engine, dataset, tmp_path):
    story.train(wish(dataset), job=job, store=store, engine=engine)

    with pytest.raises(ConflictError, match=r"finished; .*`continue_from` its adapter lamp\.r1\.c6"):
        story.train(resuming(dataset), job=another(tmp_path), store=store, engine=engine)


def test_a_run_with_a_parent_is_resumed_with_it(store, base, engine, dataset, parent, tmp_path):
    with pytest.raises(EngineFailedError):
        wanted = wish(dataset, continue_from=parent.name)
        story.train(wanted, job=another(tmp_path), store=store, engine=dying(base, 4))

    order = TrainRequest(show="lamp", dataset=dataset.id, resume=2)
    result = story.train(order, job=another(tmp_path, "job-3"), store=store, engine=engine)

    assert load(store, result.key, Adapter).parent == parent.name and result.adapter == "lamp.r2.c6"


def test_a_job_that_was_cancelled_is_over_for_the_one_that_resumes_its_run(store, base, dataset, tmp_path):
    """With real jobs: the first is stopped in the middle, and refuses the second as long as it runs."""
    held = threading.Event()

    class Held(ScriptedTrainingEngine):
        """Waits after the checkpoint of step 4, until it is cancelled or let go."""

        def train(self, plan, job, keep):
            def keep_and_wait(folder, step, metrics):
                keep(folder, step, metrics)
                while step == 4 and not held.is_set():
                    job.check()
                    time.sleep(0.02)

            return super().train(plan, job, keep_and_wait)

    settings = ServiceSettings(state_dir=tmp_path / "state", work_dir=tmp_path / "work", concurrency=2)
    jobs = Jobs("trainer", settings)
    jobs.handle(
        "train", TrainRequest, lambda request, job: story.train(request, job=job, store=store, engine=Held(base))
    )
    jobs.start()
    try:
        first = _ordered(jobs, wish(dataset), store)
        until(lambda: store.exists(keys.checkpoint("lamp", 1, 4)), "step 4 is stored")
        refused = _ended(jobs, _ordered(jobs, resuming(dataset), store))
        jobs.cancel(first)
        until(lambda: jobs.get(first).state.ended, "the first is stopped")
        held.set()
        done = _ended(jobs, _ordered(jobs, resuming(dataset), store))
    finally:
        jobs.stop()

    assert refused.problem and f"job {first} works on run 1" in refused.problem.detail
    assert done.result and done.result["adapter"] == "lamp.r1.c6"


def _ordered(jobs: Jobs, request: TrainRequest, store: MemoryStore) -> str:
    """As the trainer's door queues it."""
    return jobs.submit("train", story.with_settings(request, store), actor="tester", trace_id="0" * 32).id


def _ended(jobs: Jobs, job_id: str) -> Job:
    until(lambda: jobs.get(job_id).state.ended, "the job has ended")
    return jobs.get(job_id)
