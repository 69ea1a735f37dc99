"""The whole service in one process but for its engine's: an order over HTTP, a fake vLLM, an episode in the store."""

from __future__ import annotations

import time
from pathlib import Path

from fastapi.testclient import TestClient

from services.inference.app import create_app
from services.inference.engine import VllmEngine
from services.inference.settings import Settings
from shared.schemas import Episode, EpisodeTurn
from shared.store import load
from shared.tokens import TokenBook, new_token
from tests.fakes import MemoryStore

TRACE = "ab" * 16
BRIEF = {"show": "lamp", "guest": "Theo Vance", "words": 120}


def test_an_ordered_episode_is_written_under_one_trace(settings: Settings, store: MemoryStore, tmp_path: Path):
    changed = {"state_dir": tmp_path / "state", "work_dir": tmp_path / "jobs", "tokens_file": tmp_path / "tokens.json"}
    settings = settings.model_copy(update=changed)
    secret, token = new_token("ed", "editor", None)
    TokenBook(settings.tokens_file).add(token)
    headers = {"Authorization": f"Bearer {secret}", "traceparent": f"00-{TRACE}-{'1' * 16}-01"}

    with TestClient(create_app(store, VllmEngine(settings, lease=None), settings)) as client:
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
