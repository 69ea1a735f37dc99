"""The four services as studio sees them: ask one for something, wait for it, pass its progress on."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from shared.client import ServiceClient
from shared.errors import (
    DiaryError,
    JobCancelledError,
    NotFoundError,
    QuotaError,
    RemoteJobError,
    ServiceUnavailableError,
)
from shared.jobs import JobContext
from shared.schemas import Job

log = logging.getLogger(__name__)

R = TypeVar("R", bound=BaseModel)

CANCEL_PATIENCE_S = 60.0
ROOM_S = 5.0  # between two tries to queue more where a quota is used up
ROOM_POLL_S = 0.2


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
        """The same for many pieces at once: all are queued, as far as a quota allows, then awaited in order."""
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
    batch = _Batch(job, step, client, path, requests)
    try:
        return [client.result(batch.ended(number)) for number in range(len(requests))]
    except (JobCancelledError, RemoteJobError, NotFoundError):
        _cancel_all(client, list(batch.queued.values()))
        raise


def _follow_whatever_fails(
    job: JobContext, step: str, client: ServiceClient, path: str, requests: Sequence[BaseModel]
) -> list[dict[str, Any]]:
    """What is refused or fails is told in its place."""
    batch = _Batch(job, step, client, path, requests, one_by_one=True)
    told: list[dict[str, Any]] = []
    try:
        for number in range(len(requests)):
            try:
                told.append({"result": client.result(batch.ended(number))})
            except (RemoteJobError, NotFoundError) as error:
                told.append({"problem": str(error)})
    except JobCancelledError:
        _cancel_all(client, list(batch.queued.values()))
        raise
    return told


@dataclass
class _Batch:
    """The pieces of a step in a service: all are queued, then awaited in order.

    Where a quota allows only so many of a show at once, more are queued as others end, be they ours or not.

    one_by_one   a piece that is refused is told when its turn comes; else it is raised at once
    """

    job: JobContext
    step: str
    client: ServiceClient
    path: str
    requests: Sequence[BaseModel]
    one_by_one: bool = False
    queued: dict[int, Job] = field(default_factory=dict)
    refused: dict[int, DiaryError] = field(default_factory=dict)
    full: QuotaError | None = None
    asked_at: float = 0.0

    def ended(self, number: int) -> Job:
        """Wait for the end of a piece.

        raises   RemoteJobError or NotFoundError if the service has refused it; JobCancelledError
        """
        self._queue_more()
        while number not in self.queued and number not in self.refused:
            self._wait_for_room()
        if number in self.refused:
            raise self.refused[number]
        self.queued[number] = self.client.wait(self.queued[number], partial(self._follow, number))
        return self.queued[number]

    def _queue_more(self) -> None:
        """Queue what is not queued yet, up to the first piece for which there is no room."""
        self.asked_at = time.monotonic()
        for number in range(len(self.queued) + len(self.refused), len(self.requests)):
            key = remote_job_id(self.job.id, self.step, number)
            try:
                self.queued[number] = self.client.submit(self.path, self.requests[number], idempotency_key=key)
            except QuotaError as error:
                self.full = error
                return
            except (RemoteJobError, NotFoundError) as error:
                if not self.one_by_one:
                    raise
                self.refused[number] = error
        self.full = None

    def _wait_for_room(self) -> None:
        """None of ours is under way, so the show's jobs there are others'."""
        self.job.check()
        self.job.progress("waiting", note=str(self.full))
        time.sleep(ROOM_POLL_S)
        self._try_again()

    def _follow(self, number: int, remote: Job) -> None:
        _relay(self.job, self.step, number, len(self.requests), remote)
        self._try_again()

    def _try_again(self) -> None:
        """Where there was no room, ask again now and then. A service that is away is asked the next time."""
        if self.full is not None and time.monotonic() - self.asked_at >= ROOM_S:
            with suppress(ServiceUnavailableError):
                self._queue_more()


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
