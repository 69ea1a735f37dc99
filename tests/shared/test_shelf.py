"""Models on their way: visible, waited for by jobs, tried again after a failure, brought once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from services.transcription.settings import Settings as SpeechSettings
from services.transcription.weights import needed, open_shelf, options_of
from shared.engines import Watch
from shared.errors import BadInputError, EngineFailedError, JobCancelledError, ModelUnavailableError
from shared.hub import Hub
from shared.models import ALIGNER, WHISPER, HubModel, folder_of, name_folder
from shared.service import JobRoute, job_service
from shared.settings import HubSettings, ServiceSettings
from shared.shelf import Shelf, Want, base_want, unpacked, unpacked_elsewhere
from shared.tokens import TokenBook, new_token
from tests.fakes import FakeJob, MemoryStore
from tests.kit import until

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = HubModel("tests/large", COMMIT, size_bytes=14_500_000_000)


class ScriptedDownload:
    """Brings a model of 14.5 GB in steps that the test takes; `fails` is raised instead of the next step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done_gb = 0.0
        self.fails: Exception | None = None
        self.brought = 0

    def want(self) -> Want:
        return Want(MODEL.name, self.folder, (self.folder / "whole").exists, self._bring, model=MODEL)

    def _bring(self, job: Watch) -> None:
        self.brought += 1
        while self.done_gb < 14.5:
            job.check()
            if self.fails:
                raise self.fails
            job.progress(f"downloading {MODEL.name}", self.done_gb, 14.5, "GB")
            time.sleep(0.02)
        self.folder.mkdir()
        (self.folder / "whole").touch()


@pytest.fixture
def download(tmp_path: Path) -> ScriptedDownload:
    return ScriptedDownload(tmp_path / "model")


@pytest.fixture
def shelf(download: ScriptedDownload) -> Iterator[Shelf]:
    shelf = Shelf([download.want()])
    yield shelf
    shelf.stop()


def state_of(shelf: Shelf) -> dict:
    return shelf.states()[0].model_dump(exclude_defaults=True)


def test_a_model_is_brought_from_the_start_on_and_everybody_sees_how_far_it_is(shelf, download, caplog):
    caplog.set_level(logging.INFO)
    assert state_of(shelf)["state"] == "missing"

    shelf.start()
    until(lambda: caplog.messages[-1:] == ["model downloading 0/14.5 GB"], "the start is logged")
    download.done_gb = 4.2
    until(lambda: state_of(shelf).get("done_gb") == 4.2, "4.2 GB are here")
    downloading = state_of(shelf)
    download.done_gb = 14.5
    until(lambda: caplog.messages[-1:] == ["model ready: tests/large"], "the end is logged")

    assert state_of(shelf)["state"] == "ready"
    assert (downloading["name"], downloading["state"], downloading["total_gb"]) == (MODEL.name, "downloading", 14.5)
    messages = [record.message for record in caplog.records if record.name == "shared.shelf"]
    assert messages == [
        "model downloading: tests/large", "model downloading 0/14.5 GB", "model downloading 4.2/14.5 GB",
        "model ready: tests/large",
    ]  # fmt: skip


def test_jobs_wait_with_the_same_figures_and_one_that_is_cancelled_leaves_the_download_alone(shelf, download, tmp_path):
    jobs = [FakeJob(tmp_path, f"job-{number}") for number in range(2)]
    ended: list[str] = []

    def wait(job: FakeJob) -> None:
        try:
            shelf.demand(job)
            ended.append(f"{job.id} goes on")
        except JobCancelledError:
            ended.append(f"{job.id} cancelled")

    threads = [threading.Thread(target=wait, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    download.done_gb = 4.2
    event = (f"downloading {MODEL.name}", 4.2, 14.5, "GB")
    until(lambda: all(event in job.events for job in jobs), "both show 4.2 of 14.5 GB")
    jobs[0].cancel()
    threads[0].join(5)
    download.done_gb = 14.5
    threads[1].join(5)

    assert ended == ["job-0 cancelled", "job-1 goes on"] and download.brought == 1


def test_a_failure_ends_the_jobs_that_wait_and_the_next_one_tries_again(shelf, download, job):
    download.fails = BadInputError("accept the conditions first")
    for _ in range(2):
        with pytest.raises(BadInputError, match="accept the conditions"):
            shelf.demand(job)
    assert state_of(shelf) == {"name": MODEL.name, "state": "failed", "note": "accept the conditions first"}

    download.fails, download.done_gb = None, 14.5
    shelf.demand(job)

    assert state_of(shelf)["state"] == "ready" and download.brought == 3


def test_a_trouble_that_passes_is_shown_and_borne(shelf, download, job):
    download.fails = ModelUnavailableError("the hub does not answer")
    shelf.start()
    until(lambda: "the hub does not answer; trying again" in state_of(shelf).get("note", ""), "the trouble is shown")

    download.fails, download.done_gb = None, 14.5
    shelf.demand(job)

    assert state_of(shelf)["state"] == "ready"


def test_an_unforeseen_error_is_a_failure_too(tmp_path, job, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda trace: None)  # it would print the trace, as it should

    def stumble(job: Watch) -> None:
        raise ZeroDivisionError

    shelf = Shelf([Want("tests/odd", tmp_path / "odd", lambda: False, stumble)])

    with pytest.raises(EngineFailedError, match="could not be brought; the service's log says why"):
        shelf.demand(job)


def test_a_service_that_stops_gives_up_at_once(shelf, download):
    shelf.start()
    until(lambda: download.brought, "it began")
    began = time.monotonic()

    shelf.stop()

    assert time.monotonic() - began < 2.5 and state_of(shelf)["state"] == "failed"


# ---- in a service ----------------------------------------------------------------------------------------------------


class Wish(BaseModel):
    text: str = ""


def test_a_service_takes_work_while_a_model_is_on_its_way(shelf, download, tmp_path):
    secret, token = new_token("ed", "editor", None)
    settings = ServiceSettings(
        state_dir=tmp_path / "state", work_dir=tmp_path / "work", tokens_file=tmp_path / "tokens.json"
    )
    TokenBook(settings.tokens_file).add(token)

    def run(request: Wish, *, job) -> Wish:
        shelf.demand(job)
        return Wish(text="done")

    app = job_service("toy", settings, MemoryStore(), [JobRoute("/v1/wishes", "wish", Wish, run)], shelf=shelf)
    headers = {"Authorization": f"Bearer {secret}"}
    with TestClient(app, headers=headers) as client:
        until(lambda: client.get("/health/ready").status_code == 200, "ready")
        ordered = client.post("/v1/wishes", json={}).json()
        download.done_gb = 4.2

        def job() -> dict:
            return client.get(f"/v1/jobs/{ordered['id']}").json()

        waiting = until(lambda: (job()["progress"] or {}).get("done") == 4.2 and job()["progress"], "the job waits")
        ready = client.get("/health/ready").json()
        download.done_gb = 14.5
        until(lambda: job()["state"] == "done", "the job goes on")

        assert (ready["state"], ready["models"][0]["state"], ready["models"][0]["done_gb"]) == (
            "ready", "downloading", 4.2,
        )  # fmt: skip
        assert (waiting["stage"], waiting["total"], waiting["unit"]) == ("downloading tests/large", 14.5, "GB")
        assert client.get("/health/ready").json()["models"][0]["state"] == "ready"


# ---- who brings what -------------------------------------------------------------------------------------------------


OpenHub = Callable[..., Hub]


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "models", HubSettings(), tmp_path / "hub.log")


def test_the_trainer_unpacks_the_packaged_base_model_and_inference_waits_for_it(hub, tmp_path):
    folder = hub.models_dir / "base"
    begin = threading.Event()

    def unpack(job: Watch) -> None:
        assert begin.wait(10)
        folder.mkdir(parents=True)
        name_folder(folder, "tests/packaged", "r" * 64)

    trainer = Shelf([base_want("", hub, lambda place: unpacked(place, unpack))])
    inference = Shelf([base_want(str(folder), hub, unpacked_elsewhere)])
    for shelf in (trainer, inference):
        shelf.start()
    until(lambda: state_of(inference).get("note"), "inference waits")
    assert state_of(trainer)["state"] == "unpacking"
    assert (state_of(inference)["state"], state_of(inference)["note"]) == ("waiting", "the trainer unpacks it")
    begin.set()
    waiting = FakeJob(tmp_path)
    inference.demand(waiting)

    assert [state_of(shelf)["state"] for shelf in (trainer, inference)] == ["ready", "ready"]
    assert {stage for stage, *_ in waiting.events} <= {"waiting for the base model"}


def test_a_folder_of_the_operators_own_must_be_there(hub, tmp_path, job):
    shelf = Shelf([base_want(str(tmp_path / "mine"), hub, unpacked_elsewhere)])

    with pytest.raises(BadInputError, match=r"mine has no revision\.json"):
        shelf.demand(job)


def test_a_hub_model_is_fetched_by_whoever_needs_it_first(hub):
    wants = [base_want(f"tests/large@{COMMIT}", hub, packaged) for packaged in (unpacked_elsewhere,) * 2]

    assert [(want.folder, want.ours) for want in wants] == [(folder_of(hub.models_dir, MODEL), True)] * 2


@pytest.mark.parametrize(
    ("settings", "models"),
    [
        ({"device": "cpu"}, []),
        ({"device": "cuda"}, [WHISPER, ALIGNER]),
        ({"device": "cuda", "aligner": "pocketsphinx"}, [WHISPER]),
        ({"device": "cpu", "model": "large-v3-turbo", "aligner": "wav2vec2"}, [WHISPER, ALIGNER]),
        ({"device": "cuda", "model": "/data/whisper"}, [ALIGNER]),
    ],
)
def test_transcription_needs_what_its_settings_and_its_device_ask_for(settings, models):
    assert list(needed(SpeechSettings(**settings))) == models


def test_the_engine_is_told_folders(tmp_path):
    gpu = options_of(SpeechSettings(device="cuda", models_dir=tmp_path))
    cpu = options_of(SpeechSettings(device="cpu", models_dir=tmp_path))
    named = options_of(SpeechSettings(device="cpu", models_dir=tmp_path, model="turbo"))

    assert (gpu.model, gpu.gpu_model) == ("", str(folder_of(tmp_path, WHISPER)))
    assert gpu.english_aligner == str(folder_of(tmp_path, ALIGNER))
    assert (cpu.model, cpu.gpu_model, cpu.english_aligner) == ("", "", "")
    assert named.model == str(folder_of(tmp_path, WHISPER))


def test_a_whisper_name_that_nobody_fetches_is_refused_with_the_choices(hub, tmp_path, job):
    shelf = open_shelf(SpeechSettings(device="cpu", model="medium", models_dir=tmp_path), hub)

    with pytest.raises(BadInputError, match=r"TRANSCRIPTION_MODEL is medium.*large-v3-turbo"):
        shelf.demand(job)
