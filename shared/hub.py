"""Bring a model from the hub into its folder: pinned to a commit, checked, whole or not at all, going on after a kill.

Near side: `Hub`, for a service. Far side: `python -m shared.hub`, a child process that is handed the hub's token, which
is not handed to other children, and that alone reaches the hub: engines run offline. Files come one after the other,
each to a `.partial` folder first. (`snapshot_download` of the hub's library starts the unfinished files of a process
that was killed anew; with three files of 5 GB at once that is everything.)
"""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from shutil import rmtree
from typing import Any
from urllib.parse import urlsplit

from shared.engines import PipeEngine, Reporter, Watch, serve
from shared.errors import BadInputError, ModelUnavailableError, NoSpaceError
from shared.locks import locked
from shared.models import TOKEN_ADVICE, HubModel, bytes_in, folder_of, gb, is_present, name_folder
from shared.settings import SILENCE, HubSettings, ServiceSettings
from shared.space import demand_space
from shared.store import file_sha256

PARTIAL = ".partial"
TELL_S = 0.5
HUB_TIMEOUT_S = 30.0
IDLE_S = 5.0


# ---- near side -------------------------------------------------------------------------------------------------------


class Hub:
    """The hub as a service sees it. Holds no lease: a download needs no GPU.

    models_dir   shared by all services; two that want one model fetch it once
    """

    def __init__(self, models_dir: Path, settings: HubSettings, log_file: Path) -> None:
        self.models_dir = models_dir
        self.offline = settings.offline
        self.process = PipeEngine(
            "model download",
            [sys.executable, "-m", "shared.hub"],
            lease=None,
            log_file=log_file,
            environment={**SILENCE, **ONLINE, **_token_of(settings)},
            idle_s=IDLE_S,
        )

    def fetch(self, model: HubModel, job: Watch) -> None:
        """Have a model in its folder, whole.

        raises   BadInputError naming the fix: gated, offline, no such model; NoSpaceError; ModelUnavailableError
        """
        if is_present(self.models_dir, model):
            return
        self._demand_online(model)
        self.process.call("fetch", {"model": asdict(model), "models_dir": str(self.models_dir)}, job)

    def about(self, model: HubModel, job: Watch) -> HubModel:
        """The same model with size and licence as the hub states them."""
        self._demand_online(model)
        found = self.process.call("about", {"model": asdict(model)}, job)
        return HubModel(**{**asdict(model), "files": model.files, "used_by": model.used_by, **found})

    def _demand_online(self, model: HubModel) -> None:
        if self.offline:
            raise BadInputError(
                f"{model.label} is not in {self.models_dir}, and HF_HUB_OFFLINE forbids to fetch it: run `make models` "
                "while connected, or unset HF_HUB_OFFLINE"
            )


ONLINE = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


def _token_of(settings: HubSettings) -> dict[str, str]:
    """The token's variables, which no child inherits."""
    token = settings.token.get_secret_value().strip() if settings.token else ""
    given = {"HF_TOKEN": token, "HF_TOKEN_PATH": str(settings.token_path or "")}
    return {name: value for name, value in given.items() if value}


def open_hub(service: str, settings: ServiceSettings) -> Hub:
    """The hub with this machine's token (HF_TOKEN, or the file HF_TOKEN_PATH) and the models folder of all services."""
    return Hub(settings.models_dir, HubSettings(), settings.log_dir / f"{service}-hub.log")


# ---- far side --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RemoteFile:
    """A file of a commit. `sha256` is None for small text files, which the hub keeps in git itself."""

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Listing:
    """What a commit holds that we want, and what its owner says of it."""

    files: tuple[RemoteFile, ...]
    licence: str
    gated: bool

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


def about(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """size_bytes, licence and gated of a HubModel."""
    model = _model_of(arguments["model"])
    reporter.progress(f"asking for {model.name}")
    listing = _ask(model)
    return {
        "size_bytes": listing.bytes,
        "licence": listing.licence,
        "gated": (model.gated or model.page) if listing.gated else None,
    }


def fetch(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Fill a model's folder; the name comes last. Whoever finds it being filled waits and shows the same progress."""
    model, models_dir = _model_of(arguments["model"]), Path(arguments["models_dir"])
    folder = folder_of(models_dir, model)
    listing = _ask(model)

    def tell(note: str = "") -> None:
        here = min(bytes_in(folder), listing.bytes)
        reporter.progress(f"downloading {model.name}", gb(here), gb(listing.bytes), "GB", note)

    with locked(folder, lambda: tell("another service fetches it")):
        if not is_present(models_dir, model):
            folder.mkdir(parents=True, exist_ok=True)
            demand_space(folder, listing.bytes - bytes_in(folder), model.name, setting="DIARY_MODELS_DIR")
            with _explained(model), _telling(tell):
                for file in sorted(listing.files, key=lambda file: file.size):
                    _download(model, file, folder)
            rmtree(folder / PARTIAL, ignore_errors=True)
            name_folder(folder, model.name, model.revision)
    tell()
    return {"folder": str(folder)}


def _model_of(fields: dict[str, Any]) -> HubModel:
    return HubModel(**{**fields, "files": tuple(fields["files"]), "used_by": tuple(fields["used_by"])})


def _ask(model: HubModel) -> Listing:
    """What the hub has at the model's commit. raises BadInputError if it has no weights that are safe to read"""
    from huggingface_hub import HfApi

    with _explained(model):
        info = HfApi().model_info(model.name, revision=model.revision, files_metadata=True, timeout=HUB_TIMEOUT_S)
    files = tuple(
        RemoteFile(found.rfilename, found.size or 0, found.lfs.sha256 if found.lfs else None)
        for found in info.siblings or ()
        if any(fnmatchcase(found.rfilename, pattern) for pattern in model.files) and "/" not in found.rfilename
    )
    if not any(file.name.endswith((".safetensors", "model.bin")) for file in files):
        wanted = ", ".join(model.files)
        raise BadInputError(f"{model.label} has no weights that we read ({wanted}); choose a model with safetensors")
    licence = str(info.card_data.license) if info.card_data and info.card_data.license else model.licence
    return Listing(files, licence, bool(info.gated))


def _download(model: HubModel, file: RemoteFile, folder: Path) -> None:
    """One file, gone on with where an earlier attempt ended, in its place only once it is what the hub says it is."""
    from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    target, partial = folder / file.name, folder / PARTIAL / file.name
    if target.is_file() and target.stat().st_size == file.size:
        return
    partial.parent.mkdir(exist_ok=True)
    if partial.exists() and (file.sha256 is None or partial.stat().st_size > file.size):
        partial.unlink()
    url = hf_hub_url(model.name, file.name, revision=model.revision)
    location = get_hf_file_metadata(url, token=get_token(), timeout=HUB_TIMEOUT_S).location
    headers = build_hf_headers(token=get_token(), headers={"Accept-Encoding": "identity"})
    if urlsplit(location).netloc != urlsplit(url).netloc:
        headers.pop("authorization", None)  # whoever stores the files for the hub is not told our token
    with partial.open("ab") as stream:
        http_get(location, stream, resume_size=stream.tell(), headers=headers, expected_size=file.size)
    if file.sha256 and file_sha256(partial) != file.sha256:
        partial.unlink()
        raise ModelUnavailableError(f"{file.name} of {model.label} arrived damaged; it is fetched again")
    partial.replace(target)


@contextmanager
def _telling(tell: Callable[[], None]) -> Iterator[None]:
    """Say how far we are, again and again, while somebody else's code downloads."""
    over = threading.Event()

    def again() -> None:
        while not over.wait(TELL_S):
            tell()

    tell()
    thread = threading.Thread(target=again, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
DISK_TROUBLES = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)


@contextmanager
def _explained(model: HubModel) -> Iterator[None]:
    """Errors of the hub's library as ours, with what to do."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except GatedRepoError as error:
        raise BadInputError(_closed(model)) from error
    except RevisionNotFoundError as error:
        raise BadInputError(f"{model.name} has no commit {model.revision}; see {model.page}/commits/main") from error
    except RepositoryNotFoundError as error:
        raise BadInputError(
            f"the hub knows no model {model.name}, or hides it: check the spelling; for a private one {TOKEN_ADVICE}"
        ) from error
    except HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            raise BadInputError(_closed(model)) from error
        raise ModelUnavailableError(f"the hub answers {error.response.status_code} for {model.name}") from error
    except (HTTPError, OSError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in DISK_FULL:
            raise NoSpaceError("the models folder's disk is full; free space, or move DIARY_MODELS_DIR") from error
        if number in DISK_TROUBLES:
            raise
        raise ModelUnavailableError(
            f"{model.name} cannot be fetched: the hub does not answer ({type(error).__name__})"
        ) from error


def _closed(model: HubModel) -> str:
    return (
        f"the owner of {model.name} lets in only those who accepted the conditions: accept them at "
        f"{model.gated or model.page}, then {TOKEN_ADVICE}"
    )


if __name__ == "__main__":
    serve({"about": about, "fetch": fetch})
