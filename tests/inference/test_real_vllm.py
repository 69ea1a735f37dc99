"""Real vLLM in its own environment: a base episode, an adapter that passes its canary and one that does not, a kill."""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.inference import job as story
from services.inference.adapters import fetch
from services.inference.engine import Ask, VllmEngine
from services.inference.settings import CPU_ENGINE, Settings
from services.studio.machine.local import BASE_MODEL, ROOT, prepare_base_model
from shared import keys
from shared.errors import EngineRefusedError, JobCancelledError
from shared.models import Base, read_base
from shared.schemas import Adapter, Episode, EpisodeRequest
from shared.store import create_manifest, load
from tests.conftest import demand_environments
from tests.fakes import FakeJob, HookedFakeJob, MemoryStore
from tests.inference.conftest import SHOW, add_adapter
from tests.kit import until

RANK = 8
BRIEF = EpisodeRequest(show=SHOW.slug, guest="Theo Vance", about="keeping bees on a city roof", words=70)

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def real_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    demand_environments("trainer", "engine-cpu")
    prepare_base_model()
    folder = tmp_path_factory.mktemp("vllm")
    command = CPU_ENGINE.replace(".venvs/", f"{ROOT}/.venvs/")
    return Settings(
        base_model=str(BASE_MODEL),
        engine_command=command,
        log_dir=folder,
        adapter_dir=folder / "adapters",
        max_model_len=1024,
    )


@pytest.fixture(scope="module")
def engine(real_settings: Settings) -> Iterator[VllmEngine]:
    engine = VllmEngine(real_settings, lease=None)
    yield engine
    engine.stop()


def random_lora(model: Path, strength: float) -> bytes:
    """Weights of a LoRA on q_proj and v_proj of the first two layers; of strength 0 it changes nothing."""
    config = json.loads((model / "config.json").read_text())
    hidden, head = config["hidden_size"], config["head_dim"]
    outputs = {"q_proj": config["num_attention_heads"] * head, "v_proj": config["num_key_value_heads"] * head}
    dice, header, data = random.Random(7), {}, b""
    for layer in range(2):
        for module, rows in outputs.items():
            for side, shape, scale in (("A", [RANK, hidden], 0.1), ("B", [rows, RANK], strength)):
                values = [scale * dice.gauss(0, 1) for _ in range(shape[0] * shape[1])]
                start, data = len(data), data + struct.pack(f"<{len(values)}f", *values)
                name = f"base_model.model.model.layers.{layer}.self_attn.{module}.lora_{side}.weight"
                header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, len(data)]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def store_with_lora(strength: float, base: Base) -> tuple[MemoryStore, Adapter]:
    store = MemoryStore()
    create_manifest(store, keys.show(SHOW.slug), SHOW)
    config = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": ["q_proj", "v_proj"],
        "bias": "none",
        "modules_to_save": None,
        "base_model_name_or_path": base.name,
    }
    return store, add_adapter(
        store, f"lamp.r{int(100 * strength)}.c8", weights=random_lora(BASE_MODEL, strength), config=config, base=base
    )


def test_an_episode_by_the_base_model_and_one_by_an_adapter(engine, real_settings, tmp_path):
    store, adapter = store_with_lora(0.1, engine.base(FakeJob(tmp_path)))

    def write(wanted: str) -> Episode:
        brief, job = BRIEF.model_copy(update={"adapter": wanted}), FakeJob(tmp_path, f"job-{wanted}")
        result = story.run(brief, job=job, store=store, engine=engine, settings=real_settings)
        return load(store, result.key, Episode)

    plain, tuned = write("base"), write("best")

    assert (plain.label, plain.canary) == (f"{engine.base(FakeJob(tmp_path)).name}, not fine-tuned", None)
    assert (tuned.adapter, tuned.canary, tuned.fine_tuned) == (adapter.name, True, True)
    for episode in (plain, tuned):
        assert episode.report.alternates and episode.report.starts_with_host
        assert (episode.report.empty_turns, episode.turns[-1].closing) == (0, True)
        assert 35 <= episode.report.words <= 105
        assert episode.base_revision == read_base(BASE_MODEL).revision
    assert plain.turns[0].text != tuned.turns[0].text


def test_an_adapter_that_changes_nothing_is_refused(engine, real_settings, job):
    store, adapter = store_with_lora(0.0, engine.base(job))
    files = fetch(store, adapter, real_settings.adapter_dir, real_settings.max_lora_rank)

    with pytest.raises(EngineRefusedError, match="speaks exactly like base"):
        say_two_tokens(engine, files, job)


def test_cancel_while_the_engine_starts_ends_its_group(real_settings, tmp_path):
    engine = VllmEngine(real_settings, lease=None)

    def cancel_soon(job: FakeJob) -> None:
        if engine.pid and time.monotonic() - began > 5:
            job.cancel()
            groups.append(engine.pid)

    began = time.monotonic()
    groups: list[int] = []
    with pytest.raises(JobCancelledError):
        say_two_tokens(engine, None, HookedFakeJob(tmp_path, at_check=cancel_soon))

    until(lambda: is_gone(groups[0]), "the engine and its children are gone", 30)


def is_gone(group: int) -> bool:
    """Nothing is left of a process group; the machine's first process may take its time to bury the dead."""
    try:
        os.killpg(group, signal.SIGCONT)
    except ProcessLookupError:
        return True
    return False


def say_two_tokens(engine: VllmEngine, files, job) -> None:
    engine.say(files, Ask([1, 2, 3], [2], min_tokens=1, max_tokens=2, temperature=0, top_p=1, seed=1), job)
