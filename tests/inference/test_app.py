"""The whole service in one process but for its engine's: an order over HTTP, a fake vLLM, an episode in the store."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services.inference.app import create_app, open_shelf
from services.inference.engine import VllmEngine
from services.inference.settings import Settings
from services.inference.speech_engine import VoiceEngine
from shared import keys
from shared.lease import Lease
from shared.models import folder_of, is_present, parse_model
from shared.renderings import EpisodeAudio
from shared.schemas import Episode, EpisodeTurn
from shared.store import create_manifest, load
from shared.tokens import TokenBook, new_token
from tests.fakes import COMMIT, FakeHub, MemoryStore
from tests.inference.an_episode import TEXTS, episode
from tests.kit import until

TRACE = "ab" * 16
BRIEF = {"show": "lamp", "guest": "Theo Vance", "words": 120}


def test_an_ordered_episode_is_written_under_one_trace(settings: Settings, store: MemoryStore, tmp_path: Path):
    changed = {"state_dir": tmp_path / "state", "work_dir": tmp_path / "jobs", "tokens_file": tmp_path / "tokens.json"}
    settings = settings.model_copy(update=changed)
    secret, token = new_token("ed", "editor", None)
    TokenBook(settings.tokens_file).add(token)
    headers = {"Authorization": f"Bearer {secret}", "traceparent": f"00-{TRACE}-{'1' * 16}-01"}

    with TestClient(
        create_app(store, VllmEngine(settings, lease=None), VoiceEngine.from_settings(settings), settings)
    ) as client:
        while client.get("/health/ready").status_code != 200:
            time.sleep(0.05)
        ordered = client.post("/v1/episodes", json=BRIEF, headers=headers).json()
        while (job := client.get(f"/v1/jobs/{ordered['id']}", headers=headers).json())["state"] in (
            "queued",
            "running",
        ):
            time.sleep(0.05)

    assert job["state"] == "done", job["problem"]
    episode = load(store, job["result"]["key"], Episode)
    assert job["result"]["turns"] == len(episode.turns)
    assert (episode.lineage.job, episode.lineage.actor) == (job["id"], "ed")
    turns = [key for key in store.list("shows/lamp/episodes/") if "/turns/" in key]
    assert [load(store, key, EpisodeTurn) for key in turns] == list(episode.turns)
    assert TRACE in (settings.log_dir / "inference-engine.log").read_text()


def test_an_order_waits_for_the_base_model_to_arrive_from_the_hub(
    settings: Settings, store: MemoryStore, tmp_path: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("huggingface_hub", reason="no huggingface_hub in this environment")
    files = {path.name: path.read_bytes() for path in base_folder.iterdir() if path.name != "revision.json"}
    hub = FakeHub({"tests/remote": {**files, "model.safetensors": bytes(30_000_000)}})
    hub.stall_after = 22_000_000
    for name, value in {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "*"}.items():
        monkeypatch.setenv(name, value)
    spec = f"tests/remote@{COMMIT}"
    changed = {"state_dir": tmp_path / "state", "work_dir": tmp_path / "jobs", "tokens_file": tmp_path / "tokens.json"}
    settings = settings.model_copy(update={**changed, "base_model": spec, "models_dir": tmp_path / "models"})
    secret, token = new_token("ed", "editor", None)
    TokenBook(settings.tokens_file).add(token)
    shelf = open_shelf(settings)
    app = create_app(store, VllmEngine(settings, None, shelf), VoiceEngine.from_settings(settings), settings, shelf)

    with TestClient(app, headers={"Authorization": f"Bearer {secret}"}) as client:
        until(lambda: client.get("/health/ready").status_code == 200, "ready although the model is not here")
        ordered = client.post("/v1/episodes", json=BRIEF).json()

        def job() -> dict:
            return client.get(f"/v1/jobs/{ordered['id']}").json()

        until(lambda: (job()["progress"] or {}).get("done", 0) >= 0.01, "the job shows gigabytes")
        waiting, told = job(), client.get("/health/ready").json()["models"]
        hub.go.set()
        until(lambda: job()["state"] not in ("queued", "running"), "the job ends")
        done = job()

    assert (waiting["progress"]["stage"], waiting["progress"]["unit"]) == ("downloading tests/remote", "GB")
    assert waiting["progress"]["total"] == pytest.approx(0.03, abs=0.001)
    assert (told[0]["name"], told[0]["state"]) == ("tests/remote", "downloading") and told[0]["done_gb"] >= 0.01
    assert done["state"] == "done", done["problem"]
    model = parse_model(spec)
    assert model and is_present(settings.models_dir, model)
    episode = load(store, done["result"]["key"], Episode)
    assert (episode.base_model, episode.base_revision) == ("tests/remote", COMMIT)
    assert str(folder_of(settings.models_dir, model)) in (settings.log_dir / "inference-engine.log").read_text()


def test_an_episode_is_spoken_while_the_other_engine_holds_the_gpu(
    settings: Settings, store: MemoryStore, tmp_path: Path
):
    folders = {"state_dir": tmp_path / "state", "work_dir": tmp_path / "jobs", "tokens_file": tmp_path / "tokens.json"}
    voices = {"speech_command": f"{sys.executable} -m tests.fakes voices"}
    settings = settings.model_copy(update=folders | voices)
    secret, token = new_token("ed", "editor", None)
    TokenBook(settings.tokens_file).add(token)
    made, lease = episode(), Lease(tmp_path / "lease", "inference")
    create_manifest(store, keys.episode("lamp", made.id), made)
    app = create_app(store, VllmEngine(settings, lease), VoiceEngine.from_settings(settings), settings)

    lease.acquire(lambda note: None)
    with TestClient(app, headers={"Authorization": f"Bearer {secret}"}) as client:
        until(lambda: client.get("/health/ready").status_code == 200, "ready")
        ordered = client.post("/v1/renderings", json={"show": "lamp", "episode": "e1"}).json()
        place = f"/v1/jobs/{ordered['id']}"
        until(lambda: client.get(place).json()["state"] not in ("queued", "running"), "spoken", 60)
        job = client.get(place).json()
        assert lease.held

    assert job["state"] == "done", job["problem"]
    audio = load(store, job["result"]["key"], EpisodeAudio)
    assert (job["result"]["spoken"], audio.lineage.job, audio.lineage.actor) == (6, job["id"], "ed")
    assert store.get(audio.mp3.key).decode().splitlines()[2] == f"heart-low: {TEXTS[1]}"
