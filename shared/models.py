"""Models: which ones come from the hub at which commit, where each lies, and what makes its folder whole.

A model's folder is whole once its `revision.json` is there, which is written last and says name and revision. Nothing
is fetched here: shared/hub.py does that.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from shared.errors import BadInputError
from shared.machine import GPU_NODES
from shared.schemas import Record

HUB_PAGES = "https://huggingface.co"
TOKEN_ADVICE = (
    f"make a token at {HUB_PAGES}/settings/tokens and hand it over: `HF_TOKEN=... make env`, then "
    "`docker compose restart transcription trainer inference`; without containers set HF_TOKEN in the environment and "
    "restart"
)

REVISION = "revision.json"
CONFIG = "config.json"
PACKAGED = "base"  # folder of the small base model that the trainer unpacks
PACKAGED_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"

_SPEC = re.compile(r"^(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})$")
_UNPINNED = re.compile(r"^[\w.-]+/[\w.-]+@\S*$")

# Weights are safetensors, or CTranslate2's own format: never a pickle, which can run code when it is read. Mistral's
# second copy (consolidated.safetensors, params.json) stays away too: vLLM would prefer it.
CHAT_FILES = (
    "config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json", "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
    "chat_template.jinja",
)  # fmt: skip
WHISPER_FILES = ("config.json", "model.bin", "preprocessor_config.json", "tokenizer.json", "vocabulary.*")
ALIGNER_FILES = (
    "config.json", "model.safetensors", "preprocessor_config.json", "vocab.json", "tokenizer_config.json",
    "special_tokens_map.json",
)  # fmt: skip


COMMUNITY = "pyannote/speaker-diarization-community-1"  # pickles, behind a form: the operator brings it, we never do


@dataclass(frozen=True)
class HubModel:
    """A model of the hub at one commit.

    files        patterns of what is fetched
    size_bytes   of those files together; None: unknown until the hub is asked
    gated        the page on which its conditions are accepted, if there are any
    """

    name: str
    revision: str
    files: tuple[str, ...] = CHAT_FILES
    size_bytes: int | None = None
    licence: str = "unknown"
    gated: str | None = None
    used_by: tuple[str, ...] = ()
    purpose: str = "model"

    @property
    def label(self) -> str:
        return f"{self.name}@{self.revision[:12]}"

    @property
    def page(self) -> str:
        return f"{HUB_PAGES}/{self.name}"

    @property
    def size_gb(self) -> float | None:
        return None if self.size_bytes is None else gb(self.size_bytes)


WHISPER = HubModel(
    name="mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    revision="0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf",
    files=WHISPER_FILES,
    size_bytes=1_621_665_983,
    licence="MIT",
    used_by=("transcription",),
    purpose="speech recognition",
)
ALIGNER = HubModel(
    name="facebook/wav2vec2-base-960h",
    revision="22aad52d435eb6dbaf354bdad9b0da84ce7d6156",
    files=ALIGNER_FILES,
    size_bytes=377_611_000,  # to a kilobyte or so
    licence="Apache-2.0",
    used_by=("transcription",),
    purpose="word times (English)",
)
CHAT = HubModel(
    name="mistralai/Mistral-7B-Instruct-v0.3",
    revision="c170c708c41dac9275d15a8fff4eca08d52bab71",
    size_bytes=14_498_205_356,
    licence="Apache-2.0",
    used_by=("trainer", "inference"),
    purpose="base model",
)


def catalogue() -> tuple[HubModel, ...]:
    """What the GPU profile uses by default, in the order in which it is needed."""
    return (WHISPER, ALIGNER, CHAT)


# What models say of themselves that they write; of others nobody knows, and no language is refused.
LANGUAGES = {
    "SmolLM2": frozenset({"en"}),
    "Mistral-7B": frozenset({"en", "fr", "de", "es", "it", "pt", "nl"}),
    "Llama-3": frozenset({"en", "de", "fr", "it", "pt", "hi", "es", "th"}),
}


def languages_of(name: str) -> frozenset[str] | None:
    """ISO 639 codes of the languages that a base model writes; None: unknown."""
    return next((languages for part, languages in LANGUAGES.items() if part.lower() in name.lower()), None)


def parse_model(spec: str, files: tuple[str, ...] = CHAT_FILES) -> HubModel | None:
    """The model that `owner/name@commit` names, or the bare name of one in the catalogue; None for anything else.

    files    what is fetched of one that is not in the catalogue
    raises   BadInputError for a branch, tag or short commit: they name other weights tomorrow
    """
    for known in catalogue():
        if spec in (known.name, f"{known.name}@{known.revision}"):
            return known
    if found := _SPEC.match(spec):
        return HubModel(found["name"], found["revision"], files)
    if _UNPINNED.match(spec):
        raise BadInputError(f"{spec} names no commit; write owner/name@ and the commit's 40 hex digits")
    return None


def gb(count: float) -> float:
    return round(count / 1e9, 3)


def gpu_wanted(device: str, nodes: Sequence[Path] = GPU_NODES) -> bool:
    """Whether models for a GPU are worth fetching: a driver's device node is there, or the operator says cuda.

    Only an engine can tell whether its GPU works, and asking one takes the GPU from whoever has it. The variable
    NVIDIA_VISIBLE_DEVICES says nothing: CUDA images set it to `all` everywhere.
    """
    return device == "cuda" or (device == "auto" and any(node.exists() for node in nodes))


# ---- folders ---------------------------------------------------------------------------------------------------------


def folder_of(models_dir: Path, model: HubModel) -> Path:
    return models_dir / f"{model.name.replace('/', '--')}@{model.revision[:12]}"


def is_present(models_dir: Path, model: HubModel) -> bool:
    """Whether a hub model is here, whole."""
    return named(folder_of(models_dir, model)) == {"name": model.name, "revision": model.revision}


def named(folder: Path) -> dict[str, str] | None:
    """Name and revision that a folder says it holds; None while it is not whole."""
    try:
        found = json.loads((folder / REVISION).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    whole = isinstance(found, dict) and isinstance(found.get("name"), str) and isinstance(found.get("revision"), str)
    return found if whole else None


def name_folder(folder: Path, name: str, revision: str) -> None:
    """The last act of making a folder; all services may then read it."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o775 if path.is_dir() else 0o664)
    partial = folder / f".{REVISION}.part"
    partial.write_text(json.dumps({"name": name, "revision": revision}) + "\n", encoding="utf-8")
    partial.chmod(0o664)
    partial.replace(folder / REVISION)


def bytes_in(folder: Path) -> int:
    """What lies in a folder now, unfinished files included; files may come and go meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - called twice a second
            except FileNotFoundError:
                continue
    return total


# ---- the base model --------------------------------------------------------------------------------------------------

HOW = (
    "set TRAINER_BASE_MODEL and INFERENCE_BASE_MODEL to owner/name@commit, or to a folder made by "
    "`python -m services.trainer.engine prepare --out DIR`"
)


class Base(Record):
    """The model that all adapters here are trained on and served with.

    revision   a hub commit, or the sha256 of model.safetensors
    context    the longest input in tokens
    """

    folder: Path
    name: str
    revision: str
    context: int

    @property
    def label(self) -> str:
        return f"{self.name}@{self.revision}"


def base_folder(setting: str, models_dir: Path) -> Path:
    """Where the base model of a BASE_MODEL setting lies: a hub model, a folder, or, if empty, the packaged model."""
    if model := parse_model(setting):
        return folder_of(models_dir, model)
    return Path(setting) if setting else models_dir / PACKAGED


def read_base(folder: Path) -> Base:
    """The base model in a folder. raises BadInputError if there is none, saying how to get one"""
    try:
        names = json.loads((folder / REVISION).read_text(encoding="utf-8"))
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return Base(folder=folder.resolve(), context=config["max_position_embeddings"], **names)
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise BadInputError(f"the base model's folder {folder.name} has no {missing}; {HOW}") from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise BadInputError(f"the base model's folder {folder.name} is damaged ({error}); {HOW}") from error
