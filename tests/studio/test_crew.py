"""The crew over HTTP, where pieces of work may fail one by one: what is told of each, and what a cancel does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.studio.crew import Failed, HttpCrew
from shared.errors import JobCancelledError, RemoteJobError
from shared.schemas import EpisodeRequest, EpisodeResult
from tests.fakes import FakeJob


class Inference:
    """Answers as inference does: `refused` at once, `failing` later; the rest is written.

    room   jobs that it takes at a time; each ends the second time that somebody asks for it
    """

    def __init__(self, room: int | None = None) -> None:
        self.requests: list[tuple[str, str]] = []
        self.refusals = 0
        self.most_at_once = 0
        self._room = room
        self._asked: dict[str, str] = {}
        self._looks: dict[str, int] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((request.method, request.url.path))
        if request.method == "POST":
            adapter, job_id = json.loads(request.content)["adapter"], request.headers["idempotency-key"]
            if adapter == "refused":
                return httpx.Response(422, json={"detail": "refused: too long"})
            if self._room is not None and len(self._under_way()) >= self._room and job_id not in self._asked:
                self.refusals += 1
                return httpx.Response(429, json={"detail": "lamp has all its jobs: wait until one ends"})
            self._asked[job_id] = adapter
            self.most_at_once = max(self.most_at_once, len(self._under_way()))
            return httpx.Response(202, json=self._job(job_id, "running"))
        job_id = request.url.path.rsplit("/", 1)[1]
        if request.method == "DELETE":
            return httpx.Response(200, json=self._job(job_id, "cancelled"))
        self._looks[job_id] = self._looks.get(job_id, 0) + 1
        if self._room is not None and job_id in self._under_way():
            return httpx.Response(200, json=self._job(job_id, "running"))
        if self._asked[job_id] == "failing":
            problem = {"title": "EngineFailed", "status": 502, "detail": "the engine died"}
            return httpx.Response(200, json={**self._job(job_id, "failed"), "problem": problem})
        result = {"episode": "e1", "key": "k", "words": 4, "turns": 2, "canary": None}
        return httpx.Response(200, json={**self._job(job_id, "done"), "result": result})

    def _under_way(self) -> list[str]:
        return [job_id for job_id in self._asked if self._looks.get(job_id, 0) < 2]

    def _job(self, job_id: str, state: str) -> dict[str, object]:
        at = datetime(2026, 5, 4, tzinfo=UTC).isoformat()
        facts = {"kind": "write", "service": "inference", "state": state}
        return {"id": job_id, **facts, "created_at": at, "updated_at": at}


def briefs(*adapters: str) -> list[EpisodeRequest]:
    return [EpisodeRequest(show="lamp", guest="Orla", adapter=adapter) for adapter in adapters]


def test_what_is_refused_or_fails_is_told_in_its_place_and_the_rest_is_done(tmp_path: Path):
    inference = Inference()
    crew, job = (
        HttpCrew({"inference": "http://inference"}, "t", transport=httpx.MockTransport(inference)),
        FakeJob(tmp_path),
    )
    asked = briefs("refused", "base", "failing", "best")

    told = crew.try_each(job, "write", "inference", "/v1/episodes", asked, EpisodeResult)
    again = crew.try_each(job, "write", "inference", "/v1/episodes", asked, EpisodeResult)

    done = EpisodeResult(episode="e1", key="k", words=4, turns=2, canary=None)
    assert told == [Failed("refused: too long"), done, Failed("the engine died"), done] and again == told
    posts = [place for place, (method, _) in enumerate(inference.requests) if method == "POST"]
    assert posts == [0, 1, 2, 3], "all are queued before any is awaited, and a repeat asks nobody"
    assert "DELETE" not in {method for method, _ in inference.requests}


def test_a_cancel_cancels_all_that_were_queued(tmp_path: Path):
    inference = Inference()
    crew, job = (
        HttpCrew({"inference": "http://inference"}, "t", transport=httpx.MockTransport(inference)),
        FakeJob(tmp_path),
    )
    job.cancel()

    with pytest.raises(JobCancelledError):
        crew.try_each(job, "write", "inference", "/v1/episodes", briefs("base", "refused", "best"), EpisodeResult)

    cancelled = [path for method, path in inference.requests if method == "DELETE"]
    assert cancelled == ["/v1/jobs/job-1.write.0", "/v1/jobs/job-1.write.2"]


def test_where_a_quota_allows_two_at_once_more_are_queued_as_they_end(tmp_path: Path):
    inference, job = Inference(room=2), FakeJob(tmp_path)
    crew = HttpCrew({"inference": "http://inference"}, "t", transport=httpx.MockTransport(inference))

    told = crew.try_each(
        job, "write", "inference", "/v1/episodes", briefs("base", "failing", "refused", "b", "c"), EpisodeResult
    )

    done = EpisodeResult(episode="e1", key="k", words=4, turns=2, canary=None)
    assert told == [done, Failed("the engine died"), Failed("refused: too long"), done, done]
    assert inference.refusals > 0 and inference.most_at_once == 2


class NoRoomAtFirst(Inference):
    """A show's jobs that others have ordered fill its quota, until the second time that somebody asks."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and self.refusals < 1:
            self.refusals += 1
            return httpx.Response(429, json={"detail": "lamp has all its jobs: wait until one ends"})
        return super().__call__(request)


class FakeJobWithNotes(FakeJob):
    """A job that remembers the notes it was given."""

    def __init__(self, work_dir: Path) -> None:
        super().__init__(work_dir)
        self.notes: list[str] = []

    def progress(self, stage: str, *amount: Any, **more: Any) -> None:
        super().progress(stage, *amount, **more)
        self.notes.append(more.get("note", ""))


def test_an_order_waits_for_room_with_a_note_and_does_not_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.studio.crew.ROOM_S", 0.5)
    job = FakeJobWithNotes(tmp_path)
    crew = HttpCrew({"inference": "http://inference"}, "t", transport=httpx.MockTransport(NoRoomAtFirst()))

    told = crew.ask(job, "write", "inference", "/v1/episodes", briefs("base")[0], EpisodeResult)

    assert told.episode == "e1"
    assert "lamp has all its jobs: wait until one ends" in job.notes


class NoRoomThenAway(NoRoomAtFirst):
    """It is full, then it starts anew for as long as two questions."""

    away = 2

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.refusals and self.away:
            self.away -= 1
            raise httpx.ConnectError("nobody there", request=request)
        return super().__call__(request)


def test_a_service_that_is_away_meanwhile_ends_no_order_that_waits_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("services.studio.crew.ROOM_S", 0.1)
    service = NoRoomThenAway()
    crew = HttpCrew({"inference": "http://inference"}, "t", transport=httpx.MockTransport(service))

    told = crew.ask(FakeJob(tmp_path), "write", "inference", "/v1/episodes", briefs("base")[0], EpisodeResult)

    assert (told.episode, service.away) == ("e1", 0)


def test_an_order_that_waits_for_room_can_be_cancelled(tmp_path: Path):
    job = FakeJob(tmp_path)
    job.cancel()
    crew = HttpCrew({"inference": "http://inference"}, "t", transport=httpx.MockTransport(Inference(room=0)))

    with pytest.raises(JobCancelledError):
        crew.ask(job, "write", "inference", "/v1/episodes", briefs("base")[0], EpisodeResult)


def test_a_refusal_ends_an_order_for_all_at_once_and_cancels_the_others(tmp_path: Path):
    inference, job = Inference(), FakeJob(tmp_path)
    crew = HttpCrew({"inference": "http://inference"}, "t", transport=httpx.MockTransport(inference))

    with pytest.raises(RemoteJobError, match="too long"):
        crew.ask_each(job, "write", "inference", "/v1/episodes", briefs("base", "refused", "best"), EpisodeResult)

    assert inference.requests == [("POST", "/v1/episodes")] * 2 + [("DELETE", "/v1/jobs/job-1.write.0")]
