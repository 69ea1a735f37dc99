"""The real engine in its own environment: SmolLM2 learns two steps, is killed after the first, and goes on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load as load_tensors

from services.studio.local import BASE_MODEL, ROOT, prepare_base_model, venv_python
from services.trainer import job as story
from services.trainer.engine import TrainingEngine
from services.trainer.settings import Settings
from shared import keys
from shared.errors import EngineFailedError
from shared.schemas import Adapter, Checkpoint, DatasetRequest, TrainRequest
from shared.store import create_manifest, get_blob, load
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


def sudden_death(engine: TrainingEngine, store: MemoryStore, after: str) -> Callable[[FakeJob], None]:
    """Kills the engine, without warning, at the first step after `after` has been stored."""

    def at_check(job: FakeJob) -> None:
        if store.exists(after) and engine.process.pid:
            for child in psutil.Process(engine.process.pid).children(recursive=True):
                os.kill(child.pid, signal.SIGKILL)

    return at_check


@pytest.fixture(scope="module")
def base_model() -> Path:
    demand_environments("trainer")
    prepare_base_model()
    return BASE_MODEL


@pytest.fixture
def engine(base_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingEngine]:
    monkeypatch.chdir(ROOT)
    command = f"{PYTHON} -m services.trainer.engine"
    settings = Settings(
        engine_command=command, base_model=str(base_model), device="cpu", cpu_last_layers=2, log_dir=tmp_path
    )
    engine = TrainingEngine.from_settings(settings, lease=None)
    yield engine
    engine.stop()


def test_two_steps_killed_after_the_first_checkpoint_and_resumed(engine: TrainingEngine, job: FakeJob, tmp_path: Path):
    store = talks_in_a_store()
    built = story.build(DatasetRequest(show="lamp", max_length=128), job=job, store=store, engine=engine)
    request = TrainRequest(show="lamp", dataset=built.dataset, steps=2, examples_per_step=1, checkpoint_every=1)

    killed = HookedFakeJob(job.work_dir, at_check=sudden_death(engine, store, after=keys.checkpoint("lamp", 1, 1)))
    with pytest.raises(EngineFailedError):
        story.train(request, job=killed, store=store, engine=engine)
    first = load(store, keys.checkpoint("lamp", 1, 1), Checkpoint)
    assert not store.exists(keys.checkpoint("lamp", 1, 2))
    (tmp_path / "elsewhere").mkdir()
    resumed = FakeJob(tmp_path / "elsewhere", killed.id)
    result = story.train(request, job=resumed, store=store, engine=engine)

    adapter = load(store, result.key, Adapter)
    assert adapter.name == "lamp.r1.c2" and [point.step for point in adapter.metrics] == [0, 1, 2]
    assert adapter.metrics[:2] == first.metrics, "the first step was not trained again"
    assert ("training", 1, 2, "steps") not in resumed.events
    assert result.eval_loss_after != result.eval_loss_before
    weights = load_tensors(get_blob(store, adapter.files["adapter_model.safetensors"]))
    assert len(weights) == 2 * 7 * 2 and any(
        abs(tensor).max() > 0 for name, tensor in weights.items() if "lora_B" in name
    )
    config = json.loads(get_blob(store, adapter.files["adapter_config.json"]))
    assert (config["base_model_name_or_path"], config["revision"]) == (adapter.base_model, adapter.base_revision)
    assert config["modules_to_save"] is None and config["layers_to_transform"] == [28, 29]
    assert get_blob(store, adapter.files["loss.png"]).startswith(b"\x89PNG")


def test_a_pack_teaches_what_its_examples_teach_one_by_one(engine: TrainingEngine, job: FakeJob, tmp_path: Path):
    """The loss of a step over one pack and over its examples is the same: none of them sees another."""
    store = talks_in_a_store()
    built = story.build(DatasetRequest(show="lamp", max_length=512), job=job, store=store, engine=engine)
    wanted = TrainRequest(show="lamp", dataset=built.dataset, steps=1, checkpoint_every=1)

    losses = {}
    for packing, rows in ((True, 1), (False, 2)):
        request = wanted.model_copy(update={"packing": packing, "examples_per_step": rows})
        (tmp_path / f"packing-{packing}").mkdir()
        own = FakeJob(tmp_path / f"packing-{packing}", f"job-{packing}")
        result = story.train(request, job=own, store=store, engine=engine)
        first = load(store, result.key, Adapter).metrics[1]
        losses[packing] = (first.train_loss, first.tokens, result.eval_loss_after)

    assert losses[True][0] == pytest.approx(losses[False][0], abs=1e-4)
    assert losses[True][1] == losses[False][1]
    assert losses[True][2] == pytest.approx(losses[False][2], abs=1e-4)
