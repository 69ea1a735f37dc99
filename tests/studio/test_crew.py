"""The crew over HTTP, where pieces of work may fail one by one: what is told of each, and what a cancel does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from services.studio.crew import Failed, HttpCrew
from shared.errors import JobCancelledError
from shared.schemas import EpisodeRequest, EpisodeResult
from tests.fakes import FakeJob


class Inference:
    """Answers as inference does: `refused` at once, `failing` later; the rest is written."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self._asked: dict[str, str] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((request.method, request.url.path))
        if request.method == "POST":
            adapter, job_id = json.loads(request.content)["adapter"], request.headers["idempotency-key"]
            if adapter == "refused":
                return httpx.Response(422, json={"detail": "refused: too long"})
            self._asked[job_id] = adapter
            return httpx.Response(202, json=self._job(job_id, "running"))
        job_id = request.url.path.rsplit("/", 1)[1]
        if request.method == "DELETE":
            return httpx.Response(200, json=self._job(job_id, "cancelled"))
        if self._asked[job_id] == "failing":
            problem = {"title": "EngineFailed", "status": 502, "detail": "the engine died"}
            return httpx.Response(200, json={**self._job(job_id, "failed"), "problem": problem})
        result = {"episode": "e1", "key": "k", "words": 4, "turns": 2, "canary": None}
        return httpx.Response(200, json={**self._job(job_id, "done"), "result": result})

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
