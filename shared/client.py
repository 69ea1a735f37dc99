"""The other end of a service: submit a job and wait for it over HTTP, with timeouts and retries in one place."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from pydantic import BaseModel

from shared.errors import (
    ConflictError,
    DiaryError,
    NotFoundError,
    NoTokenError,
    QuotaError,
    RemoteJobError,
    ServiceUnavailableError,
)
from shared.schemas import Job, JobState, Progress
from shared.telemetry import current_trace_id, new_trace_id, traceparent

POLL_S = 0.4
TIMEOUT = httpx.Timeout(30.0, connect=3.0)

OnProgress = Callable[[Job], None]


class ServiceClient:
    """Calls one service.

    url      where it answers; several, separated by spaces, for replicas: the next is asked when one is away
    raises   ServiceUnavailableError while it does not answer; RemoteJobError with the service's own advice when it
             refuses; NotFoundError and NoTokenError for 404 and 401; ConflictError where others' changes are told;
             QuotaError for 429: a show has all that it may have there now
    """

    def __init__(self, name: str, url: str, token: str, *, actor: str | None = None, transport: Any = None) -> None:
        self.name = name
        self._urls = [one.rstrip("/") for one in url.split()]
        headers = {"Authorization": f"Bearer {token}"}
        if actor:
            headers["X-Diary-On-Behalf-Of"] = actor
        self._http = httpx.Client(headers=headers, timeout=TIMEOUT, transport=transport)

    @property
    def url(self) -> str:
        """The replica that is asked first."""
        return self._urls[0]

    def close(self) -> None:
        self._http.close()

    def submit(self, path: str, request: BaseModel | dict[str, Any], *, idempotency_key: str | None = None) -> Job:
        body = request.model_dump(mode="json") if isinstance(request, BaseModel) else request
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return Job.model_validate(self.call("POST", path, json=body, headers=headers).json())

    def job(self, job_id: str) -> Job:
        return Job.model_validate(self.call("GET", f"/v1/jobs/{job_id}").json())

    def cancel(self, job_id: str) -> Job:
        return Job.model_validate(self.call("DELETE", f"/v1/jobs/{job_id}").json())

    def wait(self, job: Job, on_progress: OnProgress = lambda job: None, *, patience_s: float = 600.0) -> Job:
        """Poll until the job has ended; a service that is away for less than `patience_s` is waited for."""
        away_since: float | None = None
        while not job.state.ended:
            on_progress(job)
            time.sleep(POLL_S)
            try:
                job = self.job(job.id)
                away_since = None
            except ServiceUnavailableError:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > patience_s:
                    raise
                on_progress(_away(job, self.name))
        return job

    def result(self, job: Job) -> dict[str, Any]:
        """The result of an ended job; RemoteJobError if it failed or was cancelled."""
        if job.state is JobState.DONE and job.result is not None:
            return job.result
        if job.problem:
            raise RemoteJobError(job.problem.detail, job.problem.status)
        raise RemoteJobError(f"the {self.name} job {job.id} was {job.state}", 409)

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """One request; errors become ours, with the service's own explanation."""
        headers = {**self._trace(), **kwargs.pop("headers", {})}
        response = self._first_answer(method, path, headers, kwargs)
        if response.is_error:
            raise _refusal(self.name, response)
        return response

    def stream(self, method: str, path: str, on_size: Callable[[int], None] = lambda size: None) -> Iterator[bytes]:
        """A long answer piece by piece; `on_size` is told its length in bytes, if the service knows it.

        raises   ServiceUnavailableError when it breaks off: what came is not whole
        """
        patient = httpx.Timeout(None, connect=TIMEOUT.connect)
        try:
            with self._http.stream(method, self.url + path, headers=self._trace(), timeout=patient) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(self.name, response)
                if "content-length" in response.headers:
                    on_size(int(response.headers["content-length"]))
                yield from response.iter_raw()
        except httpx.HTTPError as error:
            raise ServiceUnavailableError(
                f"{self.name} does not answer, or broke off ({type(error).__name__}); its log says why, then try again"
            ) from error

    def _first_answer(self, method: str, path: str, headers: dict[str, str], options: dict[str, Any]) -> httpx.Response:
        """Ask the replicas in turn, and from now on first the one that answered."""
        trouble = ""
        for _ in self._urls:
            try:
                return self._http.request(method, self.url + path, headers=headers, **options)
            except httpx.HTTPError as error:
                trouble = f"{self.url} ({type(error).__name__})"
                self._urls.append(self._urls.pop(0))
        raise ServiceUnavailableError(f"{self.name} does not answer at {trouble}; start it with `make up`")

    def _trace(self) -> dict[str, str]:
        return {"traceparent": traceparent(current_trace_id() or new_trace_id())}


def _away(job: Job, service: str) -> Job:
    return job.model_copy(update={"progress": Progress(stage="waiting", note=f"{service} does not answer")})


def _refusal(service: str, response: httpx.Response) -> DiaryError:
    try:
        problem = response.json()
        detail, changes = problem["detail"], problem.get("changes") or ()
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        detail, changes = f"{service} answered {response.status_code}", ()
    if response.status_code == 409 and changes:
        return ConflictError(detail, changes)
    if response.status_code in (502, 503, 504):
        return ServiceUnavailableError(detail)
    if response.status_code == 404:
        return NotFoundError(detail)
    if response.status_code == 429:
        return QuotaError(detail)
    if response.status_code == 401:
        return NoTokenError(detail)
    return RemoteJobError(detail, response.status_code)
