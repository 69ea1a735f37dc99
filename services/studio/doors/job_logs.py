"""`GET /v1/jobs/{id}/logs`: what studio and the other services have logged of one job, in order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request

from services.studio.doors.status import PATIENCE_S
from services.studio.neighbours import Neighbours
from shared.client import ServiceClient
from shared.errors import DiaryError
from shared.schemas import Job, Record
from shared.service import EVERY_SHOW, viewer
from shared.telemetry import RecentLogs, recent_logs
from shared.tokens import Access, Token

FOR_ADMINS = ("exception",)  # the trace of what nobody foresaw: it may quote anything


class ServiceLines(Record):
    """What one service has logged of a trace; `away` says why it told nothing."""

    service: str
    lines: tuple[dict[str, Any], ...] = ()
    away: str = ""


class JobLog(Record):
    """Each line has `at`, `level`, `service`, `message`, and what else was logged with it.

    Services keep their last lines in memory: what was before their last start is gone.

    away   services that told nothing, and why
    """

    lines: tuple[dict[str, Any], ...]
    away: dict[str, str]


AskLogs = Callable[[str], list[ServiceLines]]
"""Trace id -> what the other services have logged of it."""


def ask_logs_of(neighbours: Neighbours, trace_id: str) -> list[ServiceLines]:
    return neighbours.ask_all(partial(_lines_of, trace_id))


def _lines_of(trace_id: str, service: str, client: ServiceClient) -> ServiceLines:
    try:
        told = client.call("GET", "/v1/logs", params={"trace_id": trace_id}, timeout=PATIENCE_S).json()
    except DiaryError as error:
        return ServiceLines(service=service, away=str(error))
    return ServiceLines(service=service, lines=tuple(told))


def job_logs_door(ask_others: AskLogs) -> APIRouter:
    router = APIRouter(tags=["jobs"])
    own = recent_logs("studio")

    @router.get("/v1/jobs/{job_id}/logs")
    def job_logs(job_id: str, request: Request, token: Token = Depends(viewer)) -> JobLog:
        """What all services have logged of a job since they started, oldest first."""
        return log_of(request.app.state.jobs.get(job_id), token, own, ask_others)

    return router


def log_of(job: Job, token: Token, own: RecentLogs, ask_others: AskLogs) -> JobLog:
    """raises   NotAllowedError for who may not see the job; one of all shows is for tokens of all shows"""
    token.demand(Access.VIEWER, job.show or EVERY_SHOW)
    studio = ServiceLines(service="studio", lines=tuple(own.of(job.trace_id)))
    return merged(job, [studio, *ask_others(job.trace_id)], with_traces=token.access >= Access.ADMIN)


def merged(job: Job, told: Sequence[ServiceLines], *, with_traces: bool) -> JobLog:
    """All lines by time. Somebody may give jobs of several shows one trace: lines of another show stay out."""
    lines = [line for one in told for line in one.lines if line.get("show") in (None, job.show)]
    hidden = () if with_traces else FOR_ADMINS
    return JobLog(
        lines=tuple(_without(line, hidden) for line in sorted(lines, key=lambda line: str(line.get("at", "")))),
        away={one.service: one.away for one in told if one.away},
    )


def _without(line: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in names}
