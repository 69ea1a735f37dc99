"""Which adapter speaks, and whether its files are what its manifest says, before an engine reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared import keys
from shared.best import best_of
from shared.errors import EngineRefusedError, NotFoundError
from shared.models import Base
from shared.schemas import Adapter
from shared.store import Store, fetch_blob, file_sha256, load

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
LORA_TENSOR = re.compile(r"\.(?P<module>[a-z0-9_]+)\.lora_(?P<side>[AB])\.weight$")
NAME = re.compile(r"^[a-z0-9][a-z0-9.-]{0,120}$")
PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


@dataclass(frozen=True)
class AdapterFiles:
    """A checked adapter in a folder that the engine can read. `digest` tells two contents of one name apart."""

    name: str
    folder: Path
    digest: str


def choose(store: Store, show: str, wanted: str, base: Base) -> Adapter | None:
    """The adapter a brief asks for; None for the base model.

    wanted   a name, `base`, or `best`: lowest held-out loss of those that fit (those that recite last), or the base
             model if the show has none
    raises   NotFoundError naming those that exist; EngineRefusedError if it was trained on another base model
    """
    if wanted == "base":
        return None
    adapters = [load(store, key, Adapter) for key in store.list(keys.adapters(show))]
    if wanted == "best":
        return _best(adapters, base)
    by_name = {adapter.name: adapter for adapter in adapters}
    if wanted not in by_name:
        known = ", ".join(sorted(by_name)) or "none yet: train one with `diary adapters train`"
        raise NotFoundError(f"show {show} has no adapter {wanted}; it has: {known}; or ask for `best` or `base`")
    _demand_base(by_name[wanted], base)
    return by_name[wanted]


def usual_logprob(store: Store, adapter: Adapter | None, show: str, base: Base) -> float | None:
    """Mean log-probability per token of held-out real turns, as the training measured it; None where nothing did.

    Of the base model, every adapter of the show that was trained on it knows.
    """
    if adapter is not None:
        return -adapter.eval_loss_after
    known = [load(store, key, Adapter) for key in store.list(keys.adapters(show))]
    return next((-one.eval_loss_before for one in reversed(known) if _is_of(one, base)), None)


def _best(adapters: Sequence[Adapter], base: Base) -> Adapter | None:
    fitting = [adapter for adapter in adapters if _is_of(adapter, base)]
    if adapters and not fitting:
        _demand_base(adapters[0], base)
    return best_of(fitting)


def _is_of(adapter: Adapter, base: Base) -> bool:
    return (adapter.base_model, adapter.base_revision) == (base.name, base.revision)


def _demand_base(adapter: Adapter, base: Base) -> None:
    if not _is_of(adapter, base):
        raise EngineRefusedError(
            f"{adapter.name} was trained on {adapter.base_model} ({adapter.base_revision[:12]}), but this service runs "
            f"{base.name} ({base.revision[:12]}); train again, name another adapter, or run the "
            "service with the adapter's base model"
        )


def fetch(store: Store, adapter: Adapter, root: Path, max_rank: int) -> AdapterFiles:
    """Bring an adapter's config and weights into `root/NAME`, each checked by its sha256, then check what they hold."""
    if not NAME.fullmatch(adapter.name):
        raise EngineRefusedError(f"{adapter.name!r} is not the name of an adapter; names look like doac.r3.c240")
    check_files(adapter)
    folder = root.resolve() / adapter.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, WEIGHTS):
        blob, path = adapter.files[name], folder / name
        if not (path.is_file() and file_sha256(path) == blob.sha256):
            fetch_blob(store, blob, path)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    check_contents(adapter, config, tensor_shapes(folder / WEIGHTS), max_rank)
    return AdapterFiles(adapter.name, folder, adapter.files[WEIGHTS].sha256)


def check_files(adapter: Adapter) -> None:
    """Weights are safetensors and nothing else: other formats can run code when they are read."""
    if missing := [name for name in (CONFIG, WEIGHTS) if name not in adapter.files]:
        raise EngineRefusedError(f"{adapter.name} has no {' and no '.join(missing)}; train it again")
    if pickled := [name for name in adapter.files if name.endswith(PICKLED)]:
        raise EngineRefusedError(f"{adapter.name} holds {', '.join(pickled)}; only safetensors weights are accepted")


def check_contents(
    adapter: Adapter, config: Mapping[str, Any], shapes: Mapping[str, Sequence[int]], max_rank: int
) -> None:
    """Config, weights and manifest must tell the same story, and one that vLLM can serve."""
    tensors = {name: LORA_TENSOR.search(name) for name in shapes}
    matrices = [(shapes[name], found) for name, found in tensors.items() if found and len(shapes[name]) == 2]
    ranks = {shape[0] if found["side"] == "A" else shape[1] for shape, found in matrices}
    trained = {found["module"] for _, found in matrices}
    modules = config.get("target_modules")
    problems = [
        (config.get("peft_type") != "LORA", f"is {config.get('peft_type')}, not LORA"),
        (bool(config.get("modules_to_save")) or len(matrices) < len(tensors), "trains more than LoRA matrices"),
        (bool(config.get("use_dora")), "uses DoRA"),
        (not trained, "has no LoRA matrices"),
        (ranks != {adapter.rank} or config.get("r") != adapter.rank, f"has ranks {sorted(ranks)}, not {adapter.rank}"),
        (
            adapter.rank > max_rank,
            f"has rank {adapter.rank}, and INFERENCE_MAX_LORA_RANK is {max_rank}: raise it (and --max-lora-rank of a "
            "vLLM fleet), or train with a lower rank",
        ),
        (
            not isinstance(modules, list) or {*modules} != {*adapter.target_modules} or not trained <= {*modules},
            f"adapts {sorted(trained)}, its manifest says {sorted(adapter.target_modules)}",
        ),
    ]
    if found_wrong := [text for wrong, text in problems if wrong]:
        raise EngineRefusedError(f"adapter {adapter.name} cannot be served: it {'; it '.join(found_wrong)}")


def tensor_shapes(path: Path) -> dict[str, list[int]]:
    """Names and shapes from the header of a safetensors file, without reading the weights.

    raises   EngineRefusedError if the file is not safetensors
    source   the format's description: 8 bytes of header length (little endian), then JSON
    """
    size, name = path.stat().st_size, f"{path.parent.name}/{path.name}"
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            raise EngineRefusedError(f"{name} is not a safetensors file; train the adapter again")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise EngineRefusedError(f"{name} has a damaged header; train the adapter again") from error
    return {tensor: about["shape"] for tensor, about in header.items() if tensor != "__metadata__"}
