"""The four services as studio sees them: ask one for something, wait for it, pass its progress on."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from shared.client import ServiceClient
from shared.errors import DiaryError, JobCancelledError, NotFoundError, RemoteJobError, ServiceUnavailableError
from shared.jobs import JobContext
from shared.schemas import Job

log = logging.getLogger(__name__)

R = TypeVar("R", bound=BaseModel)

CANCEL_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Failed:
    """A piece of work that a service refused, or could not finish, and why."""

    problem: str


class Crew(Protocol):
    """Has services do pieces of work, each a durable step of a job."""

    def ask(self, job: JobContext, step: str, service: str, path: str, request: BaseModel, result_type: type[R]) -> R:
        """Have a service do one piece of work. A repeat finds the same remote job by its key."""
        ...

    def ask_each(
        self, job: JobContext, step: str, service: str, path: str, requests: Sequence[BaseModel], result_type: type[R]
    ) -> list[R]:
        """The same for many pieces at once: all are queued, then awaited in order."""
        ...

    def try_each(
        self, job: JobContext, step: str, service: str, path: str, requests: Sequence[BaseModel], result_type: type[R]
    ) -> list[R | Failed]:
        """The same for pieces that may fail one by one: the others go on. Cancelled as a whole."""
        ...

    def client(self, service: str, actor: str) -> ServiceClient:
        """Asks a service at once, for the person whose wish it is."""
        ...


class HttpCrew:
    """The crew over HTTP. Opens clients towards the services, acting for the person whose order it is.

    urls    service name -> base URL
    token   an admin token of theirs
    """

    def __init__(self, urls: Mapping[str, str], token: str, *, transport: Any = None) -> None:
        self._urls = dict(urls)
        self._token = token
        self._transport = transport

    def client(self, service: str, actor: str) -> ServiceClient:
        return ServiceClient(service, self._urls[service], self._token, actor=actor, transport=self._transport)

    def ask(self, job: JobContext, step: str, service: str, path: str, request: BaseModel, result_type: type[R]) -> R:
        return self.ask_each(job, step, service, path, [request], result_type)[0]

    def ask_each(
        self, job: JobContext, step: str, service: str, path: str, requests: Sequence[BaseModel], result_type: type[R]
    ) -> list[R]:
        def work() -> list[dict[str, Any]]:
            with closing(self.client(service, job.actor)) as client:
                return _follow(job, step, client, path, requests)

        return [result_type.model_validate(result) for result in job.step(step, work)]

    def try_each(
        self, job: JobContext, step: str, service: str, path: str, requests: Sequence[BaseModel], result_type: type[R]
    ) -> list[R | Failed]:
        def work() -> list[dict[str, Any]]:
            with closing(self.client(service, job.actor)) as client:
                return _follow_whatever_fails(job, step, client, path, requests)

        return [outcome_of(told, result_type) for told in job.step(step, work)]


def outcome_of(told: dict[str, Any], result_type: type[R]) -> R | Failed:
    """What a step that may fail piece by piece has kept of one: {"result": ...} or {"problem": ...}."""
    return result_type.model_validate(told["result"]) if "result" in told else Failed(told["problem"])


def remote_job_id(job_id: str, step: str, number: int = 0) -> str:
    """Id of the job in another service that a step of ours asks for; the same at every repeat."""
    return f"{job_id}.{step.replace(' ', '-')}.{number}"


def _follow(
    job: JobContext, step: str, client: ServiceClient, path: str, requests: Sequence[BaseModel]
) -> list[dict[str, Any]]:
    queued: list[Job] = []
    try:
        for number, request in enumerate(requests):
            queued.append(client.submit(path, request, idempotency_key=remote_job_id(job.id, step, number)))
        return [
            client.result(client.wait(remote, partial(_relay, job, step, number, len(queued))))
            for number, remote in enumerate(queued)
        ]
    except (JobCancelledError, RemoteJobError):
        _cancel_all(client, queued)
        raise


def _follow_whatever_fails(
    job: JobContext, step: str, client: ServiceClient, path: str, requests: Sequence[BaseModel]
) -> list[dict[str, Any]]:
    """All are queued, then awaited in order; what is refused or fails is told in its place."""
    queued: dict[int, Job] = {}
    told: dict[int, dict[str, Any]] = {}
    try:
        for number, request in enumerate(requests):
            try:
                queued[number] = client.submit(path, request, idempotency_key=remote_job_id(job.id, step, number))
            except (RemoteJobError, NotFoundError) as error:
                told[number] = {"problem": str(error)}
        for number, remote in queued.items():
            ended = client.wait(remote, partial(_relay, job, step, number, len(requests)))
            try:
                told[number] = {"result": client.result(ended)}
            except RemoteJobError as error:
                told[number] = {"problem": str(error)}
    except JobCancelledError:
        _cancel_all(client, list(queued.values()))
        raise
    return [told[number] for number in range(len(requests))]


def _relay(job: JobContext, step: str, number: int, count: int, remote: Job) -> None:
    """Tell our caller how far the remote job is; notice that ours was cancelled."""
    job.check()
    progress = remote.progress
    place = f" {number + 1}/{count}" if count > 1 else ""
    if progress is None:
        job.progress(f"{step}{place}", note=str(remote.state))
    else:
        stage = f"{step}{place}: {progress.stage}"
        job.progress(stage, progress.done, progress.total, progress.unit, progress.note, progress.figures)


def _cancel_all(client: ServiceClient, queued: Sequence[Job]) -> None:
    """Cancel remote jobs that nobody waits for any more; a service that is away is asked again for a while."""
    for remote in queued:
        until = time.monotonic() + CANCEL_PATIENCE_S
        while True:
            try:
                client.cancel(remote.id)
                break
            except ServiceUnavailableError as error:
                if time.monotonic() > until:
                    log.warning("%s was not cancelled: %s", remote.id, error)
                    break
                time.sleep(1.0)
            except DiaryError as error:
                log.warning("%s was not cancelled: %s", remote.id, error)
                break
