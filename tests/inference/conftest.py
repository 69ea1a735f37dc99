"""A show with adapters in a store, and the real near side of vLLM over a fake server."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.inference.adapters import CONFIG, WEIGHTS
from services.inference.engine import VllmEngine
from services.inference.settings import Settings
from shared import keys
from shared.lease import Lease
from shared.models import Base
from shared.render import Renderer, renderer_for
from shared.schemas import Adapter, Judged, Lineage, MetricPoint, Show
from shared.store import create_manifest, put_blob
from tests.fakes import TINY_BASE, MemoryStore
from tests.shared.test_render import base_model

SHOW = Show(slug="lamp", title="The Lamp Room", host="Mara Quill")
BASE = Base(**TINY_BASE)
LINEAGE = Lineage(by="tests", version="0", job="job-0", actor="tester")
FAKE_VLLM = f"{sys.executable} -m tests.fakes vllm --model {{model}}"


def lora_bytes(rank: int = 8, modules: Sequence[str] = ("q_proj", "v_proj"), fill: int = 0) -> bytes:
    """A safetensors file with tiny LoRA matrices."""
    shapes = {
        f"base_model.model.model.layers.0.self_attn.{module}.lora_{side}.weight": shape
        for module in modules
        for side, shape in (("A", [rank, 2]), ("B", [2, rank]))
    }
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * shape[0] * shape[1]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes([fill]) * end


def lora_config(rank: int = 8, modules: Sequence[str] = ("q_proj", "v_proj"), **more: Any) -> dict[str, Any]:
    return {"peft_type": "LORA", "r": rank, "target_modules": list(modules), "modules_to_save": None, **more}


def add_adapter(
    store: MemoryStore,
    name: str,
    *,
    loss: float = 2.0,
    base: Base = BASE,
    weights: bytes | None = None,
    config: dict[str, Any] | None = None,
    more_files: dict[str, bytes] | None = None,
    rank: int = 8,
    recited: float = 0.0,
) -> Adapter:
    contents = {
        CONFIG: json.dumps(config or lora_config()).encode(),
        WEIGHTS: lora_bytes(fill=len(name)) if weights is None else weights,
        **(more_files or {}),
    }
    adapter = Adapter(
        name=name,
        show=SHOW.slug,
        dataset="d1",
        files={file: put_blob(store, data, "application/octet-stream") for file, data in contents.items()},
        base_model=base.name,
        base_revision=base.revision,
        rank=rank,
        target_modules=("q_proj", "v_proj"),
        eval_loss_before=3.0,
        eval_loss_after=loss,
        step=1,
        metrics=(MetricPoint(step=1, tokens=1, judged=Judged(guests=(), recited=recited, longest_recited_words=0)),),
        lineage=LINEAGE.model_copy(update={"parameters": {"memorisation_limit": 0.1}}),
    )
    create_manifest(store, keys.adapter(SHOW.slug, name), adapter)
    return adapter


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    create_manifest(store, keys.show(SHOW.slug), SHOW)
    return store


@pytest.fixture
def base_folder(tmp_path: Path) -> Path:
    """A base model's folder without a model: a byte-level tokenizer, one token per character."""
    folder = base_model(tmp_path / "base", "chatml")
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": BASE.context}))
    (folder / "revision.json").write_text(BASE.model_dump_json(include={"name", "revision"}))
    return folder


@pytest.fixture
def renderer(base_folder: Path) -> Renderer:
    return renderer_for(base_folder)


@pytest.fixture
def settings(tmp_path: Path, base_folder: Path) -> Settings:
    return Settings(
        base_model=str(base_folder),
        engine_command=FAKE_VLLM,
        adapter_dir=tmp_path / "adapters",
        log_dir=tmp_path / "logs",
        max_model_len=4096,
        ready_timeout_s=20,
    )


@pytest.fixture
def vllm(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., VllmEngine]]:
    """Makes engines: the real near side, a real child process with a real lease, a fake server in it."""
    made: list[VllmEngine] = []

    def make(*, ready_timeout_s: float = 20.0, **environment: str) -> VllmEngine:
        changed = {"engine_environment": environment, "ready_timeout_s": ready_timeout_s}
        made.append(VllmEngine(settings.model_copy(update=changed), Lease(tmp_path / "lease", "inference")))
        return made[-1]

    yield make
    for engine in made:
        engine.stop()
