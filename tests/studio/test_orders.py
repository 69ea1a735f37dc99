"""Orders for episodes at studio's door: what is told at once, and what goes on to inference."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from services.studio.orders import orders
from shared import keys
from shared.models import Base
from shared.schemas import Job
from tests.fakes import TINY_BASE, MemoryStore, ScriptedCrew
from tests.inference.conftest import add_adapter
from tests.kit import until
from tests.studio.a_door import Headers, app_of
from tests.studio.a_show import put_show

BRIEF = {"show": "lamp", "guest": "Theo Vance", "words": 900}
REVISION = {"show": "lamp", "episode": "e1", "regenerate": [0, 0]}


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    return store


@pytest.fixture
def crew() -> ScriptedCrew:
    return ScriptedCrew()


@pytest.fixture
def door(tmp_path, store, crew) -> Iterator[tuple[TestClient, dict[str, Headers]]]:
    app, secrets = app_of(tmp_path, store, [], orders(store, crew))
    with TestClient(app) as client:
        until(lambda: client.get("/health/ready").status_code == 200, "studio is ready")
        yield client, {name: {"Authorization": f"Bearer {secret}"} for name, secret in secrets.items()}


def done(client: TestClient, headers: Headers, job_id: str) -> Job:
    def job() -> Job:
        return Job.model_validate(client.get(f"/v1/jobs/{job_id}", headers=headers).json())

    until(lambda: job().state.ended, "the job ends")
    return job()


def test_the_answer_says_what_the_order_comes_to_and_who_writes(door, crew):
    client, people = door

    reply = client.post("/v1/episodes", json=BRIEF, headers=people["ed"])

    assert reply.status_code == 202
    estimate = reply.json()["estimate"]
    assert (estimate["adapter"], estimate["words"], estimate["minutes"]) == ("lamp.r1.c4", 900, 6.0)
    assert done(client, people["ed"], reply.json()["id"]).result
    [(step, [asked])] = crew.asked
    assert (step, asked.adapter, asked.words) == ("write", "lamp.r1.c4", 900)


def test_a_better_adapter_that_comes_later_does_not_take_an_order_over(door, store, crew):
    """The same order sent again under its key, as a client does whose connection broke, is the same job."""
    client, people = door
    headers = {**people["ed"], "Idempotency-Key": "order-0001"}
    first = client.post("/v1/episodes", json=BRIEF, headers=headers)
    add_adapter(store, "lamp.r2.c4", loss=0.1, base=Base(**{**TINY_BASE, "revision": "r" * 40}))

    again = client.post("/v1/episodes", json=BRIEF, headers=headers)
    other = client.post("/v1/episodes", json={**BRIEF, "words": 901}, headers=headers)
    named = client.post("/v1/episodes", json={**BRIEF, "adapter": "lamp.r2.c4"}, headers=headers)

    assert (first.status_code, again.status_code) == (202, 202) and first.json()["id"] == again.json()["id"]
    assert (other.status_code, named.status_code) == (409, 409), "that is other work"
    assert client.post("/v1/episodes", json=BRIEF, headers=people["ed"]).json()["estimate"]["adapter"] == "lamp.r2.c4"
    done(client, people["ed"], "order-0001")
    assert "lamp.r1.c4" in [request.adapter for _, requests in crew.asked for request in requests]


@pytest.mark.parametrize(
    ("path", "order", "told"),
    [
        ("/v1/episodes", {**BRIEF, "show": "nowhere"}, "nowhere"),
        ("/v1/episodes", {**BRIEF, "adapter": "lamp.r9.c9"}, "has no adapter lamp.r9.c9; it has: lamp.r1.c4; or ask"),
        ("/v1/episode-revisions", {**REVISION, "show": "nowhere"}, "nowhere"),
        ("/v1/episode-revisions", {**REVISION, "episode": "e404"}, "`diary episodes list lamp` shows those it has"),
    ],
)
def test_what_is_not_there_is_told_before_a_job_is_queued(door, path, order, told):
    client, people = door

    reply = client.post(path, json=order, headers=people["ed"])

    assert reply.status_code == 404 and told in reply.json()["detail"]
    assert client.get("/v1/jobs", headers=people["ed"]).json() == []


def test_a_show_without_adapters_says_how_to_get_one(door, store):
    client, people = door
    for key in store.list(keys.adapters("lamp")):
        store.delete(key)

    reply = client.post("/v1/episodes", json={**BRIEF, "adapter": "lamp.r1.c4"}, headers=people["ed"])
    best = client.post("/v1/episodes", json=BRIEF, headers=people["ed"])

    assert "train one with `diary adapters train`" in reply.json()["detail"]
    assert best.json()["estimate"]["adapter"] == "base"


def test_an_episode_that_is_still_being_written_cannot_be_revised_yet(door, store):
    client, people = door
    store.delete(keys.episode("lamp", "e1"))

    reply = client.post("/v1/episode-revisions", json=REVISION, headers=people["ed"])

    assert reply.status_code == 404 and "no finished episode e1" in reply.json()["detail"]


def test_a_revision_goes_to_inference_as_it_was_ordered(door, crew):
    client, people = door

    reply = client.post("/v1/episode-revisions", json=REVISION, headers=people["ed"])
    done(client, people["ed"], reply.json()["id"])

    assert reply.json()["estimate"] is None
    [(step, [asked])] = crew.asked
    assert (step, asked.episode, asked.regenerate) == ("revise", "e1", (0, 0))


@pytest.mark.parametrize("person", ["vi", "one"])
@pytest.mark.parametrize(("path", "order"), [("/v1/episodes", BRIEF), ("/v1/episode-revisions", REVISION)])
def test_only_editors_of_the_show_order(door, person, path, order):
    client, people = door

    assert client.post(path, json=order, headers=people[person]).status_code == 403


def test_a_damaged_adapter_is_told_and_nothing_is_queued(door, store):
    client, people = door
    store.objects[keys.adapter("lamp", "lamp.r3.c1")] = b"{}"

    reply = client.post("/v1/episodes", json=BRIEF, headers=people["ed"])

    assert reply.status_code == 422 and "not a valid Adapter" in reply.json()["detail"]
    assert client.get("/v1/jobs", headers=people["ed"]).json() == []
