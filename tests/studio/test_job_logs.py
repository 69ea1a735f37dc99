"""A job's log over all services: by time, of its show alone, and who told nothing."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from services.studio.doors.job_logs import ServiceLines, ask_logs_of, job_logs_door, merged
from services.studio.neighbours import Neighbours
from shared.schemas import Job, JobState
from shared.service import JobRoute
from tests.fakes import MemoryStore
from tests.kit import until
from tests.studio.a_door import app_of

TRACE = "ab" * 16


def line(at: str, message: str, **more: str) -> dict[str, str]:
    return {"at": f"2026-01-01T10:00:{at}Z", "level": "info", "service": "x", "message": message, **more}


def job(show: str | None = "lamp") -> Job:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    return Job(
        id="j1", kind="train", service="studio", state=JobState.DONE, show=show, trace_id=TRACE, created_at=when,
        updated_at=when,
    )  # fmt: skip


def test_lines_of_all_services_are_in_order_of_time():
    told = [
        ServiceLines(service="studio", lines=(line("01.000", "asked"), line("09.000", "done"))),
        ServiceLines(service="trainer", lines=(line("02.000", "trained"),)),
    ]

    assert [one["message"] for one in merged(job(), told, with_traces=False).lines] == ["asked", "trained", "done"]


def test_lines_of_another_show_stay_out_although_they_have_the_same_trace():
    told = [ServiceLines(service="studio", lines=(line("01", "ours", show="lamp"), line("02", "theirs", show="x")))]

    assert [one["message"] for one in merged(job(), told, with_traces=True).lines] == ["ours"]


def test_the_trace_of_an_unforeseen_error_is_for_admins():
    told = [ServiceLines(service="studio", lines=(line("01", "failed", exception="Traceback: secret"),))]

    assert "exception" not in merged(job(), told, with_traces=False).lines[0]
    assert merged(job(), told, with_traces=True).lines[0]["exception"] == "Traceback: secret"


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.host == "ingest":
        raise httpx.ConnectError("refused")
    assert request.url.path == "/v1/logs" and request.headers["authorization"] == "Bearer diary_secret"
    return httpx.Response(200, json=[line("02", f"of {request.url.params['trace_id']}")])


def test_neighbours_are_asked_for_one_trace_and_who_is_away_is_told():
    urls = {name: f"http://{name}" for name in ("ingest", "trainer")}
    away, told = ask_logs_of(Neighbours(urls, "diary_secret", transport=httpx.MockTransport(answer)), TRACE)

    assert (away.service, away.lines) == ("ingest", ()) and "does not answer" in away.away
    assert told.lines[0]["message"] == f"of {TRACE}"
    assert merged(job(), [away, told], with_traces=False).away == {"ingest": away.away}


class Order(BaseModel):
    show: str | None = None


class Done(BaseModel):
    pass


def test_a_job_tells_its_log_to_who_may_see_its_show(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)

    def work(order: Order, *, job) -> Done:
        logging.getLogger("tests.work").info("half way")
        return Done()

    neighbours = Neighbours({"trainer": "http://trainer"}, "diary_secret", transport=httpx.MockTransport(answer))
    routes = [JobRoute("/v1/orders", "order", Order, work)]
    app, secrets = app_of(tmp_path, MemoryStore(), [job_logs_door(partial(ask_logs_of, neighbours))], routes)
    people = {name: {"Authorization": f"Bearer {secret}"} for name, secret in secrets.items()}
    with TestClient(app) as client:
        until(lambda: client.get("/health/ready").status_code == 200, "the app is ready")
        made = client.post("/v1/orders", json={"show": "lamp"}, headers=people["ed"]).json()
        every = client.post("/v1/orders", json={}, headers=people["ed"]).json()
        until(lambda: {one["state"] for one in client.get("/v1/jobs", headers=people["vi"]).json()} == {"done"}, "done")
        found = client.get(f"/v1/jobs/{made['id']}/logs", headers=people["vi"])
        messages = [one["message"] for one in found.json()["lines"]]

        assert found.json()["away"] == {}
        assert {"job started", "half way", "job done", f"of {made['trace_id']}"} <= set(messages)
        assert client.get(f"/v1/jobs/{made['id']}/logs", headers=people["one"]).status_code == 403
        assert client.get(f"/v1/jobs/{every['id']}/logs", headers=people["one"]).status_code == 403
        assert client.get(f"/v1/jobs/{every['id']}/logs", headers=people["vi"]).status_code == 200
        assert client.get("/v1/jobs/none-such/logs", headers=people["vi"]).status_code == 404
        assert client.get(f"/v1/jobs/{made['id']}/logs").status_code == 401
