"""The real engine in its own environment: SmolLM2 learns a few steps, is killed, goes on, and is read by plain peft."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load as load_tensors

from services.studio.machine.local import BASE_MODEL, ROOT, prepare_base_model, venv_python
from services.trainer import job as story
from services.trainer.engine import TrainingEngine
from services.trainer.plan import Device
from services.trainer.settings import Settings
from shared import keys
from shared.errors import EngineFailedError
from shared.schemas import Adapter, Dataset, DatasetRequest, MetricPoint, TrainRequest
from shared.store import create_manifest, fetch_blob, get_blob, load
from tests.conftest import demand_environments
from tests.fakes import FakeJob, HookedFakeJob, MemoryStore
from tests.trainer.conftest import SHOW, add_talk

PYTHON = venv_python("trainer")

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

TALKS = {
    "Ann Ash": (
        "What do you bake at night?",
        "Rye bread. The town wakes up to it, and I go to bed with flour in my hair.",
    ),
    "Bob Birch": (
        "Who taught you to mend clocks?",
        "My aunt did. She said that a clock which lies is worse than none.",
    ),
    "Cleo Cedar": ("Why do you count birds?", "Somebody must. In a good year there are so many that I lose my place."),
}


def talks_in_a_store() -> MemoryStore:
    store = MemoryStore()
    create_manifest(store, keys.show(SHOW.slug), SHOW)
    for number, (guest, (question, answer)) in enumerate(TALKS.items()):
        add_talk(store, f"rec{number}", guest, [f"h: {question}", f"g: {answer}", "h: Good night."])
    return store


def sudden_death(engine: TrainingEngine, at: int) -> Callable[[FakeJob, str], None]:
    """Kills the engine, without warning, in the middle of the step after `at`."""

    def at_progress(job: FakeJob, stage: str) -> None:
        if stage == "training" and job.events[-1][1] == at and engine.process.pid:
            for child in psutil.Process(engine.process.pid).children(recursive=True):
                os.kill(child.pid, signal.SIGKILL)

    return at_progress


@pytest.fixture(scope="module")
def base_model() -> Path:
    demand_environments("trainer")
    prepare_base_model()
    return BASE_MODEL


@pytest.fixture(scope="module")
def engine(base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingEngine]:
    command = f"{PYTHON} -m services.trainer.engine"
    logs = tmp_path_factory.mktemp("logs")
    settings = Settings(
        engine_command=command, base_model=str(base_model), device="cpu", cpu_last_layers=2, log_dir=logs
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        engine = TrainingEngine.from_settings(settings, lease=None)
        yield engine
        engine.stop()


@dataclass(frozen=True)
class Whole:
    """A run that nobody disturbed."""

    store: MemoryStore
    dataset: str
    adapter: Adapter
    job: FakeJob


RUN = {"steps": 5, "examples_per_step": 1, "checkpoint_every": 2, "patience": 0}


@pytest.fixture(scope="module")
def whole(engine: TrainingEngine, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    store, job = talks_in_a_store(), FakeJob(tmp_path_factory.mktemp("whole"))
    built = story.build(DatasetRequest(show="lamp", max_length=128), job=job, store=store, engine=engine)
    request = TrainRequest(show="lamp", dataset=built.dataset, **RUN)
    result = story.train(request, job=job, store=store, engine=engine)
    return Whole(store, built.dataset, load(store, result.key, Adapter), job)


def losses(points: tuple[MetricPoint, ...]) -> list[float | None]:
    return [loss for point in points for loss in (point.train_loss, point.eval_loss)]


def test_killed_at_a_random_step_and_resumed_elsewhere_the_curve_is_the_same(engine, whole, tmp_path):
    at = random.SystemRandom().randint(1, 4)
    store = talks_in_a_store()
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()
    killed = HookedFakeJob(here, at_progress=sudden_death(engine, at))
    built = story.build(DatasetRequest(show="lamp", max_length=128), job=killed, store=store, engine=engine)
    request = TrainRequest(show="lamp", dataset=built.dataset, **RUN)

    with pytest.raises(EngineFailedError):
        story.train(request, job=killed, store=store, engine=engine)
    kept = [int(key[-13:-5]) for key in store.list(keys.checkpoints("lamp", 1))]
    resumed = FakeJob(elsewhere, killed.id)
    result = story.train(request, job=resumed, store=store, engine=engine)

    adapter = load(store, result.key, Adapter)
    assert losses(adapter.metrics) == pytest.approx(losses(whole.adapter.metrics), abs=1e-4), f"killed after step {at}"
    assert [point.step for point in adapter.metrics] == [0, 1, 2, 3, 4, 5] and adapter.name == whole.adapter.name
    again = [done for stage, done, *_ in resumed.events if stage == "training"]
    assert again[0] == max(kept, default=0) + 1, "what a checkpoint held was not trained again"


def test_an_adapter_is_a_peft_folder_of_the_best_checkpoint(whole):
    store, adapter = whole.store, whole.adapter
    judged = {point.step: point.eval_loss for point in adapter.metrics if point.step and point.eval_loss is not None}

    assert set(judged) == {2, 4, 5} and adapter.eval_loss_after == min(judged.values()) == judged[adapter.step]
    assert adapter.name == f"lamp.r1.c{adapter.step}" and adapter.eval_loss_after != adapter.eval_loss_before
    weights = load_tensors(get_blob(store, adapter.files["adapter_model.safetensors"]))
    assert len(weights) == 2 * 7 * 2 and any(
        abs(tensor).max() > 0 for name, tensor in weights.items() if "lora_B" in name
    )
    config = json.loads(get_blob(store, adapter.files["adapter_config.json"]))
    assert (config["base_model_name_or_path"], config["revision"]) == (adapter.base_model, adapter.base_revision)
    assert config["modules_to_save"] is None and config["layers_to_transform"] == [28, 29]
    assert get_blob(store, adapter.files["loss.png"]).startswith(b"\x89PNG")


def test_each_checkpoint_was_asked_what_it_recites_and_what_it_would_say(whole):
    judged = [point.judged for point in whole.adapter.metrics if point.eval_loss is not None]

    assert len(judged) == 4 and all(one is not None for one in judged)
    for one in judged:
        assert [guest.guest for guest in one.guests] == load_dataset_guests(whole)
        assert 0.0 <= one.recited <= 1.0 and [sample.role for sample in one.samples] == ["guest", "host"]
        assert all(sample.text.strip() for sample in one.samples)
    assert whole.adapter.judged is not None and whole.adapter.base_judged == judged[0]


def load_dataset_guests(whole: Whole) -> list[str]:
    return list(load(whole.store, keys.dataset("lamp", whole.dataset), Dataset).eval_guests)


def test_every_step_tells_live_figures(whole):
    told = [figures for stage, figures in whole.job.figures if stage == "training"]

    assert len(told) == 5
    assert all({"loss", "held_out_loss", "tokens", "tokens_per_s", "memory_gb"} <= set(figures) for figures in told)


BY_HAND = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from services.trainer.dataset import encode
from shared.render import renderer_for
from shared.schemas import Example
base, adapter, rows, board = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
examples = [Example.model_validate_json(line) for line in open(rows)]
total = tokens = 0
for row in encode(examples, renderer_for(__import__("pathlib").Path(base)), 128, "both"):
    ids, labels = (torch.tensor([row[name]]) for name in ("input_ids", "labels"))
    with torch.no_grad():
        loss = model(input_ids=ids, labels=labels).loss.item()
    learnt = int((labels[:, 1:] != -100).sum())
    total, tokens = total + loss * learnt, tokens + learnt
events = EventAccumulator(board); events.Reload()
print(json.dumps({"loss": total / tokens, "steps": [one.step for one in events.Scalars("loss/training")]}))
"""


def test_plain_peft_and_tensorboard_read_what_was_made(engine, whole, base_model, tmp_path):
    for name, blob in whole.adapter.files.items():
        fetch_blob(whole.store, blob, tmp_path / name)
    held_out = load(whole.store, keys.dataset("lamp", whole.dataset), Dataset).eval
    rows = fetch_blob(whole.store, held_out, tmp_path / "eval.jsonl")
    asked = [str(PYTHON), "-c", BY_HAND, str(base_model), str(tmp_path), str(rows), str(engine.tensorboard / "lamp.r1")]

    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["loss"] == pytest.approx(whole.adapter.eval_loss_after, abs=1e-3)
    assert set(found["steps"]) == {1, 2, 3, 4, 5}


def test_an_adapter_learns_on_from_where_it_was(engine, whole, tmp_path):
    job = FakeJob(tmp_path, "job-2")
    request = TrainRequest(
        show="lamp", dataset=whole.dataset, steps=1, examples_per_step=1, continue_from=whole.adapter.name
    )

    result = story.train(request, job=job, store=whole.store, engine=engine)

    base, parent, first = load(whole.store, result.key, Adapter).metrics
    assert base.eval_loss == pytest.approx(whole.adapter.eval_loss_before, abs=1e-4), "the base model is asked too"
    assert parent.eval_loss == pytest.approx(whole.adapter.eval_loss_after, abs=1e-4)
    assert first.step == 1 and first.eval_loss != parent.eval_loss
    assert result.eval_loss_before == base.eval_loss


def test_a_base_model_in_four_bits_learns_too(engine, whole, tmp_path):
    request = TrainRequest(show="lamp", dataset=whole.dataset, steps=1, examples_per_step=1, quantisation="nf4")

    result = story.train(request, job=FakeJob(tmp_path, "job-4"), store=whole.store, engine=engine)

    adapter = load(whole.store, result.key, Adapter)
    assert adapter.lineage.parameters["quantised"] is True
    assert 0 < abs(adapter.eval_loss_before - whole.adapter.eval_loss_before) < 0.5, "nearly the same model"
    assert adapter.eval_loss_after != adapter.eval_loss_before


class Pair:
    """A machine that says it has two devices, so that two processes share each step: on CPU cores, for want of GPUs."""

    def __init__(self, engine: TrainingEngine) -> None:
        self._engine = engine
        self.tensorboard = engine.tensorboard

    def device(self) -> Device:
        return self._engine.device().model_copy(update={"count": 2})

    def __getattr__(self, name: str):
        return getattr(self._engine, name)


def test_two_processes_learn_what_one_does(engine, whole, tmp_path):
    """A step over two examples, one in each process, and both in one."""
    wanted = {"steps": 2, "examples_per_step": 2, "checkpoint_every": 2, "packing": False}
    curves = []
    for number, machine in enumerate((engine, Pair(engine))):
        (tmp_path / str(number)).mkdir()
        job = FakeJob(tmp_path / str(number), f"job-of-{number + 1}")
        request = TrainRequest(show="lamp", dataset=whole.dataset, **wanted)
        adapter = load(whole.store, story.train(request, job=job, store=whole.store, engine=machine).key, Adapter)
        assert adapter.lineage.parameters["processes"] == number + 1
        curves.append(losses(adapter.metrics))

    assert curves[1] == pytest.approx(curves[0], abs=1e-4)


def test_a_pack_teaches_what_its_examples_teach_one_by_one(engine: TrainingEngine, job: FakeJob, tmp_path: Path):
    """The loss of a step over one pack and over its examples is the same: none of them sees another."""
    store = talks_in_a_store()
    built = story.build(DatasetRequest(show="lamp", max_length=512), job=job, store=store, engine=engine)
    wanted = TrainRequest(show="lamp", dataset=built.dataset, steps=1, checkpoint_every=1)

    found = {}
    for packing, rows in ((True, 1), (False, 2)):
        request = wanted.model_copy(update={"packing": packing, "examples_per_step": rows})
        (tmp_path / f"packing-{packing}").mkdir()
        own = FakeJob(tmp_path / f"packing-{packing}", f"job-{packing}")
        result = story.train(request, job=own, store=store, engine=engine)
        first = load(store, result.key, Adapter).metrics[1]
        found[packing] = (first.train_loss, first.tokens, result.eval_loss_after)

    assert found[True][0] == pytest.approx(found[False][0], abs=1e-4)
    assert found[True][1] == found[False][1]
    assert found[True][2] == pytest.approx(found[False][2], abs=1e-4)
