"""Comparisons over HTTP: what is queued, what is refused at once, and what is shown side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services.studio.doors.comparisons import comparisons_door
from services.studio.library import Library
from shared import keys
from tests.fakes import MemoryStore
from tests.kit import until
from tests.studio.a_door import door_of, studio_of
from tests.studio.a_show import put_show
from tests.studio.test_comparing import FIRST, SECOND, WritingCrew, put_adapter

BRIEF = {"show": "lamp", "guest": "Orla", "adapters": ["best", "base"]}


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    put_adapter(store, SECOND, eval_loss_after=1.5)
    return store


@pytest.fixture
def studio(store: MemoryStore, tmp_path: Path):
    app, token = studio_of(tmp_path, store, WritingCrew(store, fails=("base",)))
    with TestClient(app) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        until(lambda: client.get("/health/ready").status_code == 200, "studio is ready")
        yield client


def test_a_comparison_is_queued_and_its_link_leads_to_it(studio: TestClient):
    job = studio.post("/v1/comparisons", json=BRIEF).json()
    until(lambda: studio.get(job["links"]["self"]).json()["state"] == "done", "the episodes are written")

    told = studio.get(job["links"]["comparison"]).json()
    (listed,) = studio.get("/v1/shows/lamp/comparisons").json()

    written, failed = told["sides"]
    assert (written["adapter"], written["label"]) == (SECOND, f"tiny with {SECOND}")
    assert written["report"]["words"] == 4 and len(written["first_exchange"]) == 2
    assert {"label": "words", "value": "4", "normal": "", "grade": "ok", "finding": ""} in written["figures"]
    assert (failed["episode"], failed["error"], failed["report"]) == (None, "the canary of base failed", None)
    assert listed["id"] == told["comparison"]["id"] and listed["brief"]["adapters"] == ["best", "base"]


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"adapters": ["best", SECOND]}, 422, f"`best` is {SECOND}"),
        ({"adapters": ["base", "lamp.r9.c9"]}, 404, f"it has: {FIRST}, {SECOND}"),
        ({"adapters": ["base"]}, 422, "at least 2"),
        ({"show": "nowhere"}, 404, "diary shows create nowhere"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_it_is_queued(studio: TestClient, change, status: int, told: str):
    reply = studio.post("/v1/comparisons", json={**BRIEF, **change})

    assert reply.status_code == status and told in reply.json()["detail"]
    assert studio.get("/v1/jobs").json() == []


def test_stored_episodes_stand_side_by_side_without_a_job(store: MemoryStore, tmp_path: Path):
    store.objects[keys.episode("lamp", "e2")] = store.objects[keys.episode("lamp", "e1")].replace(b'"e1"', b'"e2"')
    client, people = door_of(tmp_path, store, comparisons_door(Library(store)))
    place = "/v1/shows/lamp/side-by-side"

    found = client.get(place, params={"episode": ["e1", "e2"]}, headers=people["vi"])
    single = client.get(place, params={"episode": ["e1"]}, headers=people["vi"])
    missing = client.get(place, params={"episode": ["e1", "e9"]}, headers=people["vi"])

    assert [side["episode"] for side in found.json()] == ["e1", "e2"]
    assert single.status_code == 422 and missing.status_code == 404 and "e9" in missing.json()["detail"]


def test_only_who_may_read_the_show_sees_its_comparisons(store: MemoryStore, tmp_path: Path):
    client, people = door_of(tmp_path, store, comparisons_door(Library(store)))

    for place in ("comparisons", "comparisons/c1", "side-by-side?episode=e1&episode=e1"):
        assert client.get(f"/v1/shows/lamp/{place}").status_code == 401
        assert client.get(f"/v1/shows/lamp/{place}", headers=people["one"]).status_code == 403
    unknown = client.get("/v1/shows/lamp/comparisons/c1", headers=people["vi"])
    assert unknown.status_code == 404 and "diary episodes compare" in unknown.json()["detail"]
