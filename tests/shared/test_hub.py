"""The hub's own library, in its child process, against a hub on loopback: whole, once, going on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from services.studio.machine.local import ROOT, venv_python
from shared.errors import BadInputError, EngineFailedError, ModelUnavailableError, NoSpaceError
from shared.hub import PARTIAL, Hub
from shared.models import WHISPER_FILES, HubModel, bytes_in, folder_of, is_present, named
from shared.settings import HubSettings
from tests.conftest import demand_environments
from tests.fakes import COMMIT, FakeHub, FakeJob
from tests.kit import until

pytestmark = pytest.mark.skipif(find_spec("huggingface_hub") is None, reason="no huggingface_hub in this environment")

MB = 1024 * 1024
MODEL = HubModel("tests/tiny", COMMIT)
WEIGHTS = os.urandom(MB) * 36  # the library hands on 10 MB at once
FILES = {
    "config.json": b'{"max_position_embeddings": 2048}',
    "tokenizer.json": b"{}",
    "README.md": b"# a card",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"a pickle",
    "consolidated.safetensors": b"the same weights again",
    "params.json": b"{}",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    server = FakeHub({MODEL.name: dict(FILES), "tests/pickled": {"config.json": b"{}", "pytorch_model.bin": b"p"}})
    for name, value in {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "*"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_TOKEN_PATH", raising=False)
    yield server
    server.go.set()
    server.shutdown()


OpenHub = Callable[..., Hub]


@pytest.fixture
def open_hub(tmp_path: Path) -> Iterator[OpenHub]:
    """Opens the hub as one service sees it; all share one models folder."""
    hubs: list[Hub] = []

    def make(**settings) -> Hub:
        hubs.append(Hub(tmp_path / "models", HubSettings(**settings), tmp_path / f"hub-{len(hubs)}.log"))
        return hubs[-1]

    yield make
    for hub in hubs:
        hub.process.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "models", MODEL)


def test_a_model_is_fetched_whole_and_named_last_without_pickles_or_second_copies(server, open_hub, folder, job):
    open_hub().fetch(MODEL, job)

    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "model.safetensors", "revision.json", "tokenizer.json",
    ]  # fmt: skip
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert named(folder) == {"name": MODEL.name, "revision": COMMIT}
    assert not [path for path, _, _ in server.sent if "pytorch" in path or "consolidated" in path or "params" in path]
    stage, done, total, unit = job.events[-1]
    assert (stage, unit) == ("downloading tests/tiny", "GB") and done == total == pytest.approx(0.038, abs=0.001)


def test_what_is_here_is_not_asked_for_again(server, open_hub, job):
    open_hub().fetch(MODEL, job)
    asked = len(server.sent)

    open_hub().fetch(MODEL, job)
    open_hub(offline=True).fetch(MODEL, job)

    assert len(server.sent) == asked


def test_a_killed_download_is_not_taken_for_a_model_and_goes_on_where_it_was(server, open_hub, folder, job, tmp_path):
    server.stall_after = 25 * MB
    hub = open_hub()
    partial = folder / PARTIAL / "model.safetensors"

    def kill() -> None:
        until(lambda: partial.exists() and partial.stat().st_size >= 20 * MB, "two pieces are here")
        for child in psutil.Process(hub.process.pid).children(recursive=True):
            child.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(EngineFailedError):
        hub.fetch(MODEL, job)
    killer.join()
    assert not is_present(tmp_path / "models", MODEL) and named(folder) is None
    server.go.set()
    before = len(server.sent)
    hub.fetch(MODEL, job)

    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert server.asked("GET /stored") == [None, f"bytes={20 * MB}-"]
    assert not [path for path, _, _ in server.sent[before:] if "config.json" in path], "whole files are kept"
    assert not (folder / PARTIAL).exists()


def test_two_services_that_want_one_model_fetch_it_once_and_both_see_how_far_it_is(server, open_hub, tmp_path):
    server.stall_after = 25 * MB
    jobs = [FakeJob(tmp_path, f"job-{number}") for number in range(2)]
    threads = [threading.Thread(target=open_hub().fetch, args=(MODEL, job)) for job in jobs]
    for thread in threads:
        thread.start()

    def seen(job: FakeJob) -> bool:
        return any(stage.startswith("downloading") and done >= 0.02 for stage, done, _, _ in job.events)

    until(lambda: all(map(seen, jobs)), "both show progress")
    server.go.set()
    for thread in threads:
        thread.join(30)

    assert is_present(tmp_path / "models", MODEL)
    assert len(server.asked("GET /stored")) == 1


def test_a_damaged_file_is_thrown_away_and_fetched_again(server, open_hub, folder, job):
    partial = folder / PARTIAL / "model.safetensors"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"something else" * 1000)
    hub = open_hub()

    with pytest.raises(ModelUnavailableError, match="arrived damaged"):
        hub.fetch(MODEL, job)
    assert named(folder) is None and not partial.exists()
    hub.fetch(MODEL, job)

    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


# ---- gates -----------------------------------------------------------------------------------------------------------


def test_a_gated_model_names_the_page_and_where_the_token_goes(server, open_hub, job):
    server.gated = {MODEL.name}

    with pytest.raises(BadInputError, match=r"accept them at https://\S+/tests/tiny, ") as caught:
        open_hub().fetch(MODEL, job)
    assert "`HF_TOKEN=... make env`, then `docker compose restart transcription trainer inference`" in str(caught.value)
    with pytest.raises(BadInputError, match="accept them"):
        open_hub(token="hf_of_somebody_else").fetch(MODEL, job)


def test_the_token_opens_the_gate_and_is_told_to_nobody_else(server, open_hub, job, tmp_path):
    server.gated = {MODEL.name}

    open_hub(token=server.token).fetch(MODEL, job)

    assert is_present(tmp_path / "models", MODEL)
    told = {path: token for path, _, token in server.sent}
    assert told["GET /tests/tiny/resolve/" + COMMIT + "/config.json"] == f"Bearer {server.token}"
    assert told["GET /stored/tests/tiny/model.safetensors"] is None, "another host stores it"


def test_the_token_may_lie_in_a_file(server, open_hub, job, tmp_path, monkeypatch):
    server.gated = {MODEL.name}
    (tmp_path / "hf_token").write_text(f"{server.token}\n")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "hf_token"))

    open_hub().fetch(MODEL, job)

    assert is_present(tmp_path / "models", MODEL) and HubSettings().token_at_hand


# ---- what cannot be fetched ------------------------------------------------------------------------------------------


def test_offline_names_the_command_that_brings_models(server, open_hub, job):
    with pytest.raises(BadInputError, match=r"tests/tiny@0123456789ab .*HF_HUB_OFFLINE.*`make models`"):
        open_hub(offline=True).fetch(MODEL, job)

    assert server.sent == []


def test_a_model_that_does_not_fit_is_refused_before_anything_is_fetched(server, open_hub, folder, job):
    server.sizes["model.safetensors"] = 900_000 * 10**9

    with pytest.raises(NoSpaceError, match=r"no room for tests/tiny: about 900000 GB needed, [\d.]+ GB free"):
        open_hub().fetch(MODEL, job)

    assert bytes_in(folder) == 0 and not server.asked("resolve")


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        (HubModel("tests/pickled", COMMIT), "no weights that we read"),
        (HubModel("tests/nowhere", COMMIT), "check the spelling"),
        (HubModel(MODEL.name, "f" * 40), "has no commit ffff"),
    ],
)
def test_what_the_hub_does_not_have_is_told_with_advice(server, open_hub, job, model, advice):
    with pytest.raises(BadInputError, match=advice):
        open_hub().fetch(model, job)


def test_a_hub_that_does_not_answer_is_tried_again_later(server, open_hub, job, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    with pytest.raises(ModelUnavailableError, match="does not answer") as caught:
        open_hub().fetch(MODEL, job)

    assert caught.value.retryable


def test_size_and_licence_of_any_model_are_asked_for(server, open_hub, job):
    server.gated = {MODEL.name}

    about = open_hub().about(MODEL, job)

    assert about.size_bytes == sum(len(FILES[name]) for name in ("config.json", "tokenizer.json", "model.safetensors"))
    assert (about.licence, about.gated, about.files) == ("mit", MODEL.page, MODEL.files)


# ---- `python -m services.NAME.app models` ----------------------------------------------------------------------------


def models(python: Path | str, service: str, tmp_path: Path, *arguments: str, **settings: str):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DIARY_MODELS_DIR": str(tmp_path / "models"), **settings}
    environment[f"{service.upper()}_LOG_DIR"] = str(tmp_path)
    command = [str(python), "-m", f"services.{service}.app", "models", *arguments]
    return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_the_command_lists_and_fetches_and_fails_with_the_reason(server, tmp_path):
    settings = {"INFERENCE_BASE_MODEL": f"{MODEL.name}@{COMMIT}"}
    offline = models(sys.executable, "inference", tmp_path, HF_HUB_OFFLINE="1", **settings)
    fetched = models(sys.executable, "inference", tmp_path, **settings)
    again = models(sys.executable, "inference", tmp_path, "--json", HF_HUB_OFFLINE="1", **settings)

    assert (offline.returncode, fetched.returncode, again.returncode) == (1, 0, 0), fetched.stderr
    assert "tests/tiny@0123456789ab: model, 0.0 GB, licence mit: to fetch\n" in fetched.stdout
    assert "size unknown" in offline.stdout and "error:" in offline.stderr and "`make models`" in offline.stderr
    assert "downloading tests/tiny 0.04/0.04 GB" in fetched.stderr and "1 of 1 models are here" in fetched.stdout
    assert json.loads(again.stdout)[0]["present"] is True


@pytest.mark.real
def test_the_older_library_of_the_transcription_environment_fetches_too(server, tmp_path):
    demand_environments("transcription")
    server.models["tests/whisper"] = {"config.json": b"{}", "model.bin": WEIGHTS, "vocabulary.json": b"[]"}
    server.gated = {"tests/whisper"}
    settings = {"TRANSCRIPTION_MODEL": f"tests/whisper@{COMMIT}", "TRANSCRIPTION_DEVICE": "cpu", "HF_TOKEN": ""}
    python = venv_python("transcription")

    refused = models(python, "transcription", tmp_path, **settings)
    fetched = models(python, "transcription", tmp_path, **{**settings, "HF_TOKEN": server.token})

    assert refused.returncode == 1 and "HF_TOKEN=... make env" in refused.stderr
    assert fetched.returncode == 0, fetched.stderr
    model = HubModel("tests/whisper", COMMIT, WHISPER_FILES)
    assert is_present(tmp_path / "models", model)
    assert (folder_of(tmp_path / "models", model) / "model.bin").read_bytes() == WEIGHTS
