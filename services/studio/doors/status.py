"""`GET /v1/status`: which services are there, what they take, and which models are still on their way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request

from shared.client import ServiceClient
from shared.errors import DiaryError
from shared.schemas import Record
from shared.service import Readiness, viewer
from shared.tokens import Token
from shared.version import VERSION

PATIENCE_S = 5.0


class ServiceStatus(Record):
    """One service. `models` is what its /health/ready says of each; `note` why it is not ready."""

    service: str
    state: Literal["ready", "not ready", "away"]
    version: str = ""
    models: tuple[dict[str, Any], ...] = ()
    engines: tuple[str, ...] = ()
    note: str = ""


Statuses = Callable[[], list[ServiceStatus]]


def status_of(service: str, client: ServiceClient) -> ServiceStatus:
    """How a service is: away, not ready, or ready with its models."""
    try:
        live = client.call("GET", "/health/live", timeout=PATIENCE_S).json()
    except DiaryError as error:
        return ServiceStatus(service=service, state="away", note=str(error))
    here = {"service": service, "version": live["version"], "engines": tuple(live["engines"])}
    try:
        ready = client.call("GET", "/health/ready", timeout=PATIENCE_S).json()
    except DiaryError as error:
        return ServiceStatus(**here, state="not ready", note=str(error))
    return ServiceStatus(**here, state="ready", models=tuple(ready.get("models", ())))


def in_words(model: Mapping[str, Any]) -> str:
    """A ModelState as a phrase: owner/name downloading 4.2/14.5 GB, 12 min left"""
    amount = f" {model['done_gb']:.1f}/{model['total_gb']:.1f} GB" if model.get("done_gb") is not None else ""
    left = f", {model['eta_s'] / 60:.0f} min left" if model.get("eta_s") else ""
    note = f" ({model['note']})" if model.get("note") else ""
    return f"{model['name']} {model['state']}{amount}{left}{note}"


def all_of(readiness: Readiness, others: Statuses) -> list[ServiceStatus]:
    """Studio first, then the services that it asks."""
    problem = readiness.problem
    state: Literal["ready", "not ready"] = "not ready" if problem else "ready"
    return [ServiceStatus(service="studio", version=VERSION, state=state, note=str(problem or "")), *others()]


def status_door(others: Statuses) -> APIRouter:
    router = APIRouter(prefix="/v1/status", tags=["status"])

    @router.get("")
    def status(request: Request, token: Token = Depends(viewer)) -> list[ServiceStatus]:
        """Every service with its state, its version and its models: downloading, waiting, ready or failed."""
        return all_of(request.app.state.readiness, others)

    return router
