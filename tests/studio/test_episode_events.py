"""An episode as it grows: what is sent and when, where it goes on, how it ends; and reading it at the other end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from services.studio.comparisons import COMPARE
from services.studio.crew import remote_job_id
from services.studio.episode_events import Event, events_door, events_in, growing, stopped_event, writes
from services.studio.library import Library
from shared import keys
from shared.errors import RemoteJobError, StoreUnavailableError
from shared.schemas import EpisodeRequest, EpisodeTurn, Job, JobState, Problem
from shared.service import JobRoute
from tests.fakes import MemoryStore, ScriptedCrew
from tests.kit import until
from tests.studio.a_door import app_of, serving, studio_of
from tests.studio.a_show import put_show

PLACE = "/v1/shows/lamp/episodes/e1/events"


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    return store


def a_job(state: JobState = JobState.RUNNING, problem: str | None = None, **facts: Any) -> Job:
    at = datetime(2026, 5, 4, tzinfo=UTC)
    told = Problem(title="EngineFailed", status=502, detail=problem) if problem else None
    return Job(
        **{"id": "order-01", "kind": "write", "service": "studio", "show": "lamp", **facts},
        state=state, problem=told, created_at=at, updated_at=at,
    )  # fmt: skip


def put_turn(store: MemoryStore, index: int, text: str = "Yes.") -> None:
    role = ("host", "guest")[index % 2]
    turn = EpisodeTurn(index=index, role=role, speaker=role, text=text, tokens=2)  # type: ignore[arg-type]
    store.objects[keys.episode_turn("lamp", "e1", index)] = turn.model_dump_json().encode()


def sent(
    store: MemoryStore, find_job: Callable[[], Job | None], after: int = -1, heartbeat_s: float = 9
) -> tuple[list[Event], str]:
    """All that is sent until the stream closes, read and as it is."""

    async def collect() -> list[str]:
        stream = growing(Library(store), "lamp", "e1", after, find_job, 0.001, heartbeat_s)
        return [piece async for piece in stream]

    text = "".join(asyncio.run(collect()))
    return list(events_in([text.encode()])), text


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


# ---- what is sent ----------------------------------------------------------------------------------------------------


def test_a_finished_episode_is_told_from_its_first_turn_to_its_end(store: MemoryStore):
    events, text = sent(store, lambda: None)

    assert names(events) == ["turn", "turn", "end"]
    assert [EpisodeTurn.model_validate_json(event.data).index for event in events[:2]] == [0, 1]
    assert text.count("\nid: 0\n") == 1 and text.count("\nid: 1\n") == 1
    assert json.loads(events[-1].data) == {"episode": "e1", "words": 4, "turns": 2, "verdict": "fine"}


def test_it_goes_on_after_the_turn_that_is_known(store: MemoryStore):
    assert names(sent(store, lambda: None, after=0)[0]) == ["turn", "end"]
    assert names(sent(store, lambda: None, after=1)[0]) == ["end"]


def test_turns_come_as_they_are_stored_and_the_manifest_ends_them(store: MemoryStore):
    manifest = store.objects.pop(keys.episode("lamp", "e1"))
    looks = 0

    def running() -> Job:
        nonlocal looks
        looks += 1
        if looks == 3:
            put_turn(store, 2, "And then?")
        if looks == 5:
            store.objects[keys.episode("lamp", "e1")] = manifest
        return a_job()

    events, text = sent(store, running, heartbeat_s=0)

    assert names(events) == ["turn", "turn", "turn", "end"]
    assert text.count(": still there\n\n") >= 2, "silence is filled with comments, which are no events"


@pytest.mark.parametrize(
    ("job", "state", "error"),
    [
        (a_job(JobState.FAILED, "turn 4 failed 5 times"), "failed", "turn 4 failed 5 times"),
        (a_job(JobState.CANCELLED), "cancelled", "job order-01 was cancelled; what was written stays"),
        (a_job(JobState.DONE), "done", "has stored no such episode"),
        (None, "unknown", "write it again"),
    ],
)
def test_a_job_that_stops_ends_the_stream_with_the_reason(store: MemoryStore, job: Job | None, state: str, error: str):
    store.delete(keys.episode("lamp", "e1"))

    events, _ = sent(store, lambda: job)

    assert names(events) == ["turn", "turn", "stopped"], "what was written before is told first"
    told = json.loads(events[-1].data)
    assert told["state"] == state and error in told["error"] and told["episode"] == "e1"


def test_an_episode_that_is_stored_counts_whatever_its_job_says(store: MemoryStore):
    assert names(sent(store, lambda: a_job(JobState.FAILED, "too late"))[0])[-1] == "end"


def test_a_store_that_is_away_for_a_while_is_waited_for(store: MemoryStore):
    class Away(MemoryStore):
        left = 3

        def read(self, key: str) -> tuple[bytes, str]:
            if self.left:
                self.left -= 1
                raise StoreUnavailableError("the object store does not answer")
            return super().read(key)

    assert names(sent(Away(store.objects), lambda: a_job())[0]) == ["turn", "turn", "end"]


def test_a_text_of_several_lines_stays_one_event(store: MemoryStore):
    store.delete(keys.episode("lamp", "e1"))
    put_turn(store, 0, "One\n\nevent: end\ndata: {}\r\n two\u2028")

    events, _ = sent(store, lambda: a_job(JobState.CANCELLED))

    assert names(events) == ["turn", "turn", "stopped"]
    assert EpisodeTurn.model_validate_json(events[0].data).text == "One\n\nevent: end\ndata: {}\r\n two\u2028"


# ---- which job writes it ---------------------------------------------------------------------------------------------


def test_a_job_writes_what_its_links_say_or_what_it_compares():
    plain = a_job(links={"turns": "/v1/shows/lamp/episodes/e9/turns"})
    assert writes(plain, "lamp", "e9") and not writes(plain, "lamp", "e1") and not writes(plain, "other", "e9")
    third = keys.episode_id(remote_job_id("order-01", "write", 2))
    assert writes(a_job(kind=COMPARE), "lamp", third) and not writes(a_job(kind=COMPARE), "lamp", "e1")


# ---- the door --------------------------------------------------------------------------------------------------------


@pytest.fixture
def studio(store: MemoryStore, tmp_path: Path):
    """All of studio's doors, before a crew that writes one turn and then fails."""

    class FailingCrew(ScriptedCrew):
        def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
            turn = EpisodeTurn(index=0, role="host", speaker="Mara", text="So?", tokens=2)
            key = keys.episode_turn("lamp", keys.episode_id(remote_job_id(job.id, step)), 0)
            store.objects[key] = turn.model_dump_json().encode()
            raise RemoteJobError("the engine died five times")

    app, token = studio_of(tmp_path, store, FailingCrew())
    with TestClient(app) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        until(lambda: client.get("/health/ready").status_code == 200, "studio is ready")
        yield client


def test_the_link_of_a_writing_job_leads_to_its_turns_and_to_why_it_stopped(studio: TestClient):
    job = studio.post("/v1/episodes", json={"show": "lamp", "guest": "Orla"}).json()

    told = studio.get(job["links"]["stream"])
    found = studio.get(job["links"]["stream"].partition("?")[0], headers={"Last-Event-ID": "0"})

    assert told.headers["content-type"].startswith("text/event-stream") and told.headers["cache-control"] == "no-cache"
    events = list(events_in([told.content]))
    assert names(events) == ["turn", "stopped"]
    assert json.loads(events[-1].data)["error"] == "the engine died five times"
    again = list(events_in([found.content]))
    assert names(again) == ["stopped"], "the job is found by the episode, and the header says which turn is known"
    assert json.loads(again[0].data)["job"] == job["id"]


def test_a_finished_episode_can_be_read_from_any_turn_on(studio: TestClient):
    assert names(list(events_in([studio.get(PLACE).content]))) == ["turn", "turn", "end"]
    assert names(list(events_in([studio.get(PLACE, params={"after": 0}).content]))) == ["turn", "end"]


def test_what_is_not_there_is_said_before_anything_is_streamed(studio: TestClient):
    missing = studio.get(PLACE.replace("e1", "e9"))
    job = studio.post("/v1/episodes", json={"show": "lamp", "guest": "Orla"}).json()
    other = studio.get(PLACE, params={"job": job["id"]})

    assert missing.status_code == 404 and "diary episodes list lamp" in missing.json()["detail"]
    assert other.status_code == 422 and "does not write episode e1" in other.json()["detail"]
    assert studio.get(PLACE, params={"job": "no-such-job"}).status_code == 404
    assert studio.get(PLACE, headers={"Last-Event-ID": "x"}).status_code == 422
    assert studio.get(PLACE, headers={"Authorization": ""}).status_code == 401


def test_only_who_may_read_the_show_reads_along(store: MemoryStore, tmp_path: Path):
    app, secrets = app_of(tmp_path, store, [events_door(Library(store))])

    reply = TestClient(app).get(PLACE, headers={"Authorization": f"Bearer {secrets['one']}"})

    assert reply.status_code == 403


class WatchedStore(MemoryStore):
    """Counts how often anything is looked for."""

    looks = 0

    def read(self, key: str) -> tuple[bytes, str]:
        self.looks += 1
        return super().read(key)


def test_who_hangs_up_is_looked_for_no_more(tmp_path: Path):
    store = WatchedStore()
    put_show(store)
    app, secrets = app_of(tmp_path, store, [events_door(Library(store), poll_s=0.02)], [waiting_job()])
    with serving(app) as url, httpx.Client(headers={"Authorization": f"Bearer {secrets['ed']}"}) as client:
        job = client.post(f"{url}/v1/waits", json={"show": "lamp", "guest": "Orla"}, timeout=30).json()
        place = f"{url}/v1/shows/lamp/episodes/{keys.episode_id(remote_job_id(job['id'], 'write', 0))}/events"
        with client.stream("GET", place) as reply:
            pieces = reply.iter_text()
            assert reply.status_code == 200 and next(pieces).startswith(":")
            before = store.looks
            until(lambda: store.looks > before + 2, "the stream looks for turns")

        def nobody_looks() -> bool:
            before = store.looks
            time.sleep(0.3)
            return store.looks == before

        until(nobody_looks, "nobody looks any more")
        client.delete(f"{url}/v1/jobs/{job['id']}")


def waiting_job() -> JobRoute:
    """A job of the kind that compares, which does nothing until it is cancelled."""

    def wait(request: EpisodeRequest, *, job: Any) -> EpisodeRequest:
        while True:
            job.check()
            time.sleep(0.05)

    return JobRoute("/v1/waits", COMPARE, EpisodeRequest, wait)


# ---- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_read_wherever_the_stream_was_cut(size: int):
    first = ': hello\n\nevent: turn\nid: 0\ndata: {"a": "é"}\n\n'
    text = f"{first}data: one\ndata: two\n\n: still there\n\nevent: end\ndata: {{"
    data = text.encode()

    found = list(events_in(data[at : at + size] for at in range(0, len(data), size)))

    assert found == [Event("turn", '{"a": "é"}'), Event("message", "one\ntwo")]


def test_why_nothing_more_comes_is_one_event():
    assert stopped_event("e1", a_job(JobState.FAILED, "two\nlines")).count("\n") == 3
