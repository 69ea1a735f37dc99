"""Durable jobs: submit, progress, cancel, resume. The only file that imports the workflow library (DBOS Transact).

A job is one DBOS workflow; its id is the caller's Idempotency-Key. Job state lives in a SQLite file (one process per
file) or in Postgres (replicas share the queue). After a crash a worker takes up its own jobs again at its next start;
workers also heartbeat in the database, and the jobs of one that is silent are re-enqueued for the others. Steps run at
least once, so every handler is safe to repeat. `APPLICATION_VERSION` is explicit: a job half done under older code
finishes under newer code; raise it only when the order of a workflow's steps changes.

Which job of a queue is next, shared/fairness.py says: its tag is the library's priority, and stays with a job that is
queued again.
"""

from __future__ import annotations

import errno
import itertools
import json
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowAttributes, SetWorkflowID
from dbos import error as dbos_error
from pydantic import BaseModel

from shared.database import database_url, engine_options
from shared.errors import (
    ConflictError,
    DiaryError,
    EngineFailedError,
    JobCancelledError,
    LeaseYieldedError,
    NoSpaceError,
    NotFoundError,
    ServiceUnavailableError,
)
from shared.fairness import NO_SHOW, SHOW, next_tag, read_line
from shared.gpu_time import Ledger, Spent, charged_to, hour_of, window_start
from shared.patience import Patience, pause
from shared.problems import problem_of, unexpected
from shared.progress import Hearing, Pace, ProgressBoard
from shared.quotas import Quotas
from shared.schemas import Job, JobState, Problem, Progress
from shared.settings import ServiceSettings
from shared.telemetry import Metrics, trace

log = logging.getLogger(__name__)

T = TypeVar("T")

APPLICATION_VERSION = "1"
WATCH_S = 0.5
LIST_PAGE = 200
LONGEST_ASKED_S = 300.0
DATABASE_TROUBLES = (sa.exc.SQLAlchemyError, dbos_error.DBOSException, ServiceUnavailableError, OSError)

_STATES = {
    "ENQUEUED": JobState.QUEUED,
    "DELAYED": JobState.QUEUED,
    "PENDING": JobState.RUNNING,
    "SUCCESS": JobState.DONE,
    "ERROR": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": JobState.FAILED,
}


class JobContext(Protocol):
    """What a handler knows of its job, and tells about it."""

    @property
    def id(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def actor(self) -> str: ...

    @property
    def trace_id(self) -> str: ...

    @property
    def work_dir(self) -> Path:
        """A scratch folder of this job, removed when it ends."""
        ...

    def check(self) -> None:
        """Raise JobCancelledError if somebody cancelled the job."""
        ...

    def is_over(self, job_id: str) -> bool:
        """Whether another job of the same service has ended, or is known no more."""
        ...

    def progress(
        self,
        stage: str,
        done: float = 0,
        total: float | None = None,
        unit: str = "",
        note: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> None: ...

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Do a piece of work once, however often the job is restarted; its result must be JSON."""
        ...


Handler = Callable[[Any, JobContext], BaseModel]


class WorkerStopping(BaseException):
    """Raised inside a job when its worker shuts down, or was silent for so long that another took the job."""


@dataclass
class Ticket:
    """What travels through the workflow library: JSON, readable by older and newer code."""

    kind: str
    request: dict[str, Any]
    actor: str
    trace_id: str
    show: str | None = None

    def dumps(self) -> str:
        return json.dumps(self.__dict__, sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> Ticket:
        known = json.loads(text)
        return cls(**{name: known.get(name) for name in cls.__dataclass_fields__})


@dataclass
class _Kind:
    request_type: type[BaseModel]
    run: Handler
    workflow: Callable[[str], str]


@dataclass(frozen=True)
class Memory:
    """A job, what was asked, and what its steps gave."""

    job: Job
    request: dict[str, Any]
    outcomes: list[Any]


@dataclass
class RunningJob:
    """The JobContext of a job that runs in this worker."""

    id: str
    kind: str
    actor: str
    trace_id: str
    work_dir: Path
    jobs: Jobs
    cancelled: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)
    stepped: bool = False
    pace: Pace = field(default_factory=Pace)
    furthest: dict[str, float] = field(default_factory=dict)
    new_ground: bool = False

    def check(self) -> None:
        if self.jobs.stopping.is_set() or self.lost.is_set():
            raise WorkerStopping
        if self.cancelled.is_set():
            raise JobCancelledError(f"job {self.id} was cancelled")

    def is_over(self, job_id: str) -> bool:
        return self.jobs.is_over(job_id)

    def progress(
        self,
        stage: str,
        done: float = 0,
        total: float | None = None,
        unit: str = "",
        note: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> None:
        if done > self.furthest.get(stage, 0.0):
            self.furthest[stage], self.new_ground = done, True
        eta_s = self.pace.eta_s(stage, done, total, time.monotonic())
        try:
            live = dict(figures or {})
            now = Progress(stage=stage, done=done, total=total, unit=unit, eta_s=eta_s, note=note, figures=live)
            self.jobs.board.post(self.id, now)
        except sa.exc.SQLAlchemyError as error:  # telling is a courtesy: the work goes on without it
            log.warning("progress could not be stored: %s", type(error).__name__)

    def step(self, name: str, work: Callable[[], T]) -> T:
        self.stepped = True

        def once() -> T:
            try:
                return self.jobs.attempts(self, work, in_step=True)
            except JobCancelledError as error:
                raise dbos_error.DBOSWorkflowCancelledError(str(error)) from error

        self.check()
        try:
            return DBOS.run_step({"name": name}, once)
        except dbos_error.DBOSWorkflowCancelledError as error:
            raise JobCancelledError(str(error)) from error


class Jobs:
    """The jobs of one service in this process.

    settings   where state lives, how many jobs at once, when a silent worker loses its jobs
    links      further links of a job, e.g. to what it makes
    """

    def __init__(
        self,
        service: str,
        settings: ServiceSettings,
        metrics: Metrics | None = None,
        links: Callable[[Job], dict[str, str]] = lambda job: {},
    ) -> None:
        self.service = service
        self._links = links
        self.stopping = threading.Event()
        self.settings = settings
        self.metrics = metrics or Metrics(service)
        self._kinds: dict[str, _Kind] = {}
        self._running: dict[str, RunningJob] = {}
        self._slots = threading.BoundedSemaphore(settings.concurrency)
        self._executor = f"{service}-{settings.worker}"
        self._quotas = Quotas(service, settings.show_jobs, settings.show_gpu_hours)
        self._gpu_ledger = Ledger()
        self._url = database_url(service, settings)
        self.board = ProgressBoard(self._url)
        self._dbos: DBOS | None = None
        self._strays: dict[str, float] = {}

    # ---- life ----------------------------------------------------------------------------------------------------

    def handle(self, kind: str, request_type: type[BaseModel], run: Handler) -> None:
        """Say what does a kind of job; before `start`."""

        def job_workflow(ticket: str) -> str:
            return self._work(ticket)

        self._kinds[kind] = _Kind(request_type, run, job_workflow)

    def start(self) -> None:
        """Open the database, take up this worker's unfinished jobs, watch for cancels and for silent workers."""
        self.stopping.clear()
        shutil.rmtree(self._own_work_dir, ignore_errors=True)  # left by a kill; what is needed again is in the store
        config: DBOSConfig = {
            "name": f"diary-{self.service}",
            "system_database_url": self._url,
            "db_engine_kwargs": engine_options(self._url),
            "executor_id": self._executor,
            "application_version": f"{self.service}-{APPLICATION_VERSION}",  # one database may serve all services
            "log_level": "WARNING",
            "enable_otlp": False,
            "notification_listener_polling_interval_sec": 0.2,
        }
        self._dbos = DBOS(config=config)
        for name, kind in self._kinds.items():
            kind.workflow = cast(Any, DBOS.workflow(name=f"{self.service}.{name}")(kind.workflow))
        self.board.open()
        self.board.heartbeat(self._executor, time.time())
        DBOS.launch()
        DBOS.register_queue(self._queue, worker_concurrency=self.settings.concurrency, polling_interval_sec=0.2)
        threading.Thread(target=self._watch_forever, name="jobs-watch", daemon=True).start()
        threading.Thread(target=self._heartbeat_forever, name="jobs-heartbeat", daemon=True).start()

    def take_no_more(self) -> None:
        """Begin to stop: claim no further jobs of the queue, which other workers would have to wait for."""
        self.stopping.set()
        if self._dbos is not None:
            for told in cast(Any, self._dbos).background_thread_stop_events:
                told.set()

    def stop(self) -> None:
        """Leave running jobs as they are, for other workers or the next start; engines are stopped by the service."""
        self.take_no_more()
        deadline = time.monotonic() + 3.0
        while self._running and time.monotonic() < deadline:
            time.sleep(0.05)
        if self._dbos is not None:
            DBOS.destroy(destroy_registry=True)
            self._dbos = None
            self._write_gpu_seconds()
            self._take_leave()
        self.board.close()

    def _take_leave(self) -> None:
        """Say that we are gone: whoever hears it takes our jobs at once."""
        try:
            self.board.heartbeat(self._executor, 0.0)
        except DATABASE_TROUBLES as error:
            log.warning("the job database does not answer; our jobs wait until our silence is noticed: %s", error)

    # ---- what callers do -------------------------------------------------------------------------------------------

    def submit(
        self,
        kind: str,
        request: BaseModel,
        *,
        actor: str,
        trace_id: str,
        idempotency_key: str | None = None,
        left_open: Collection[str] = (),
        within_quota: bool = True,
    ) -> Job:
        """Queue a job; the same key gives the same job.

        left_open      fields that were settled for whoever asked: they may have been settled otherwise the first time
        within_quota   False for what follows from work that is already done: no quota of its show may stop it
        raises         ConflictError if the key was used for other work; QuotaError if the job is new and its show has
                       all that it may have
        """
        job_id = idempotency_key or uuid.uuid4().hex
        body = request.model_dump(mode="json")
        ticket = Ticket(kind, body, actor, trace_id, show=body.get("show"))
        known = self._status(job_id) or self._enqueued(job_id, ticket, within_quota=within_quota)
        if known is None:
            raise EngineFailedError(f"job {job_id} could not be queued; submit it again")
        if not self._same_work(_ticket_of(known), ticket, left_open):
            raise ConflictError(f"Idempotency-Key {job_id} was used for another request; choose a new one")
        return self._as_job(known)

    def _enqueued(self, job_id: str, ticket: Ticket, *, within_quota: bool) -> Any | None:
        """Queue a new job where its show's turn is; one at a time, so that each sees those before it."""
        show = ticket.show or NO_SHOW
        with self.board.one_at_a_time(self._queue) as connection:
            if (known := self._status(job_id)) is not None:
                return known
            line = read_line(connection, self._queue, show)
            if within_quota and show != NO_SHOW:
                self._quotas.demand_room(show, line.own_unfinished, partial(self._gpu_spent, show), time.time())
            options = SetEnqueueOptions(priority=next_tag(line))
            with SetWorkflowID(job_id), options, SetWorkflowAttributes({SHOW: show}):
                DBOS.enqueue_workflow(self._queue, self._kinds[ticket.kind].workflow, ticket.dumps())
            return self._status(job_id)

    def get(self, job_id: str) -> Job:
        known = self._status(job_id)
        if known is None:
            raise _no_job(job_id, self.service)
        return self._as_job(known)

    def knows(self, job_id: str) -> bool:
        return self._status(job_id) is not None

    def is_over(self, job_id: str) -> bool:
        """Whether a job has ended, or is known no more."""
        known = self._status(job_id)
        return known is None or self._as_job(known).state.ended

    def request(self, job_id: str) -> BaseModel:
        """What a job was asked for, as a request. raises NotFoundError"""
        known = self._status(job_id)
        if known is None:
            raise _no_job(job_id, self.service)
        ticket = _ticket_of(known)
        return self._kinds[ticket.kind].request_type.model_validate(ticket.request)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What this service does, in the order in which it was said."""
        return tuple(self._kinds)

    def list(
        self,
        *,
        show: str | None = None,
        kind: str | None = None,
        state: JobState | None = None,
        limit: int = 100,
        skip: int = 0,
    ) -> list[Job]:
        """Newest first, without the first `skip`; of one show, of one kind, in one state, where they are named."""
        names = [f"{self.service}.{known}" for known in self._kinds if kind in (None, known)]
        if not names:
            return []
        self.board.ping()
        jobs: list[Job] = []
        for offset in itertools.count(step=LIST_PAGE):
            page = DBOS.list_workflows(name=names, sort_desc=True, limit=LIST_PAGE, offset=offset)
            found = [self._as_job(status) for status in page if show in (None, _ticket_of(status).show)]
            jobs += [job for job in found if state in (None, job.state)]
            if len(jobs) >= skip + limit or len(page) < LIST_PAGE:
                return jobs[skip : skip + limit]
        raise AssertionError("pages do not end")

    def cancel(self, job_id: str) -> Job:
        if not self.get(job_id).state.ended:
            DBOS.cancel_workflow(job_id)
            if running := self._running.get(job_id):
                running.cancelled.set()
        return self.get(job_id)

    # ---- forgetting jobs -------------------------------------------------------------------------------------------

    def memories(self) -> Iterator[Memory]:
        """Every job of this service, newest first, with all that the database holds of it.

        Their ids are listed first: whoever deletes jobs meanwhile makes us miss none of the others.
        """
        for job_id in self._all_ids():
            if (status := self._status(job_id)) is not None:
                steps = DBOS.list_workflow_steps(job_id)
                outcomes = [part for step in steps for part in (step["output"], str(step["error"] or ""))]
                yield Memory(self._as_job(status), _ticket_of(status).request, outcomes)

    def _all_ids(self) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for offset in itertools.count(step=LIST_PAGE // 2):  # pages overlap, should some go while we list
            page = DBOS.list_workflows(sort_desc=True, limit=LIST_PAGE, offset=offset, load_input=False)
            found |= dict.fromkeys(one.workflow_id for one in page if one.name.startswith(f"{self.service}."))
            if len(page) < LIST_PAGE:
                return tuple(found)
        raise AssertionError("pages do not end")

    def forget(self, job_ids: Sequence[str]) -> None:
        """Delete ended jobs, and whatever the database's file still holds of deleted ones; safe to repeat."""
        for at in range(0, len(job_ids), LIST_PAGE):
            DBOS.delete_workflows(list(job_ids[at : at + LIST_PAGE]))
        self.board.forget(job_ids)
        self.board.compact()

    # ---- running one job -------------------------------------------------------------------------------------------

    def _work(self, ticket_text: str) -> str:
        """The workflow: run the handler, give back its result or its problem as JSON."""
        ticket = Ticket.loads(ticket_text)
        job_id = cast(str, DBOS.workflow_id)
        work_dir = self._own_work_dir / job_id
        job = RunningJob(job_id, ticket.kind, ticket.actor, ticket.trace_id, work_dir, self)
        with (
            trace(ticket.trace_id, job=job_id, show=ticket.show),
            self._account(ticket.show or NO_SHOW),
            self._slot(job),
            self.metrics.job(ticket.kind),
        ):
            return self._outcome(job, ticket)

    @contextmanager
    def _account(self, show: str) -> Iterator[None]:
        """What engines work in this thread is the show's; written down every few seconds, and when the job ends."""
        try:
            with charged_to(partial(self._spent_gpu, show)):
                yield
        finally:
            self._write_gpu_seconds()

    def _spent_gpu(self, show: str, seconds: float) -> None:
        self.metrics.gpu(show, seconds)
        self._gpu_ledger.add(show, seconds)

    def _write_gpu_seconds(self) -> None:
        hour = hour_of(time.time())
        for show, seconds in self._gpu_ledger.take().items():
            try:
                self.board.add_gpu_seconds(self.service, show, hour, seconds)
            except sa.exc.SQLAlchemyError as error:
                self._gpu_ledger.add(show, seconds)
                log.warning("GPU seconds are written down later: %s", type(error).__name__)

    def _gpu_spent(self, show: str) -> Sequence[Spent]:
        return self.board.gpu_seconds(self.service, show, window_start(time.time()))

    @contextmanager
    def _slot(self, job: RunningJob) -> Iterator[None]:
        if (before := self._running.get(job.id)) is not None:
            before.lost.set()  # taken from us while the database was out of reach, and come back
        self._running[job.id] = job
        try:
            with self._slots:
                job.work_dir.mkdir(parents=True, exist_ok=True)
                yield
        finally:
            if self._running.get(job.id) is job:
                del self._running[job.id]
                if not self.stopping.is_set():
                    shutil.rmtree(job.work_dir, ignore_errors=True)

    def _outcome(self, job: RunningJob, ticket: Ticket) -> str:
        try:
            return self._handled(job, ticket)
        except JobCancelledError as error:
            log.info("job cancelled", extra={"kind": ticket.kind})
            raise dbos_error.DBOSWorkflowCancelledError(str(error)) from error

    def _handled(self, job: RunningJob, ticket: Ticket) -> str:
        kind = self._kinds[ticket.kind]
        try:
            request = kind.request_type.model_validate(ticket.request)
            log.info("job started", extra={"kind": ticket.kind})
            result = self.attempts(job, lambda: kind.run(request, job))
            log.info("job done", extra={"kind": ticket.kind})
            return json.dumps({"result": result.model_dump(mode="json")})
        except JobCancelledError:
            raise
        except DiaryError as error:
            job.check()
            log.warning("job failed: %s", error, extra={"kind": ticket.kind})
            return json.dumps({"problem": problem_of(error, ticket.trace_id).model_dump(mode="json")})
        except Exception as error:
            job.check()
            log.exception("job failed unexpectedly", extra={"kind": ticket.kind})
            return json.dumps({"problem": unexpected(error, ticket.trace_id).model_dump(mode="json")})

    def attempts(self, job: RunningJob, work: Callable[[], T], *, in_step: bool = False) -> T:
        """Repeat work that failed for a reason that passes: an engine that died, a store or service that is away.

        A handler with steps is not repeated as a whole: its steps are, each on its own.
        """
        patience = Patience()
        while True:
            try:
                return work()
            except LeaseYieldedError as error:
                log.info("gave the GPU to another service: %s", error)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise NoSpaceError("the work folder's disk is full; free space and submit the job again") from error
                raise
            except DiaryError as error:
                job.check()  # an engine that was stopped under us, with the worker or by a cancel, is no failure
                if job.new_ground:  # a long job may meet many passing troubles, each further on
                    patience, job.new_ground = Patience(), False
                if not patience.bears(error) or (job.stepped and not in_step):
                    raise
                log.warning("trying again (%d): %s", patience.tries, error)
                asked_s = getattr(error, "retry_after_s", None) or 0.0  # what a site asks to wait
                pause_s = max(patience.pause_s, min(asked_s, LONGEST_ASKED_S))
                job.progress("waiting", note=f"{error}; trying again ({patience.tries})")
                pause(pause_s, job.check)

    @property
    def _own_work_dir(self) -> Path:
        """No other worker writes here, not even the one that takes a job of ours over."""
        return self.settings.work_dir / self._executor

    # ---- watching ------------------------------------------------------------------------------------------------

    def _watch_forever(self) -> None:
        """Notice cancels, also those that another replica was asked for, and jobs that were given to another worker."""
        while not self.stopping.wait(WATCH_S):
            mine = list(self._running)
            if not mine:
                continue
            try:
                self.board.ping()
                known = DBOS.list_workflows(workflow_ids=mine, load_input=False, load_output=False)
            except DATABASE_TROUBLES as error:
                log.warning("the job database does not answer: %s", error)
                continue
            for status in known:
                if job := self._running.get(status.workflow_id):
                    if status.status == "CANCELLED":
                        job.cancelled.set()
                    elif status.executor_id not in (None, self._executor):
                        job.lost.set()

    def _heartbeat_forever(self) -> None:
        silent_after_s = self.settings.silent_after_s
        hearing = Hearing(silent_after_s, time.monotonic())
        while not self.stopping.wait(silent_after_s / 6):
            try:
                self.board.heartbeat(self._executor, time.time())
                hearing.beat(time.monotonic())
                self._write_gpu_seconds()
                if hearing.suffices(time.monotonic()):
                    self._take_over(time.time() - silent_after_s)
                    self._take_up_strays(time.monotonic() - silent_after_s)
            except DATABASE_TROUBLES as error:
                hearing.interrupted(time.monotonic())
                log.warning("the job database does not answer: %s", error)

    def _take_over(self, since: float) -> None:
        """Re-enqueue the jobs of workers that are silent; safe for any number of sweepers at once.

        A worker is forgotten only when nothing of it is left, whatever version of ours started it.
        """
        for worker in self.board.silent_workers(self.service, since):
            log.warning("worker %s is silent; its jobs go to the others", worker)
            DBOS._recover_pending_workflows([worker])
            if not DBOS.list_workflows(executor_id=worker, status="PENDING", limit=1, load_input=False):
                self.board.forget_worker(worker, since)

    def _take_up_strays(self, since: float) -> None:
        """Re-enqueue what is ours by the database and long not run by us: the answer to our claim was lost."""
        library = cast(Any, self._dbos)
        ours = DBOS.list_workflows(executor_id=self._executor, status="PENDING", load_input=False, load_output=False)
        strays = {one.workflow_id for one in ours} - set(library._active_workflows_set.activeList())
        self._strays = {job_id: self._strays.get(job_id, time.monotonic()) for job_id in strays}
        for job_id, seen_at in self._strays.items():
            if seen_at < since:
                log.warning("job %s was claimed and never begun; it is queued again", job_id)
                library._sys_db.reenqueue_for_recovery(job_id, [self._executor], self._queue)

    # ---- reading -------------------------------------------------------------------------------------------------

    @property
    def _queue(self) -> str:
        return f"{self.service}-jobs"

    def _same_work(self, one: Ticket, other: Ticket, left_open: Collection[str]) -> bool:
        """Compared as requests: a field that newer code added, left at its default, makes no difference."""
        if one.kind != other.kind:
            return False
        request = self._kinds[one.kind].request_type
        first, second = (request.model_validate(ticket.request).model_dump() for ticket in (one, other))
        return all(first[name] == second[name] for name in first if name not in left_open)

    def _status(self, job_id: str) -> Any | None:
        """raises   ServiceUnavailableError at once where the library would wait for a database that is away"""
        self.board.ping()
        found = DBOS.list_workflows(workflow_ids=[job_id])
        return found[0] if found else None

    def _as_job(self, status: Any) -> Job:
        ticket = _ticket_of(status)
        outcome = json.loads(status.output) if isinstance(status.output, str) else {}
        problem = outcome.get("problem")
        state = JobState.FAILED if problem else _STATES[status.status]
        if state is JobState.FAILED and problem is None:
            problem = unexpected(status.error or RuntimeError(status.status), ticket.trace_id).model_dump()
        job = Job(
            id=status.workflow_id,
            kind=ticket.kind,
            service=self.service,
            state=state,
            show=ticket.show,
            actor=ticket.actor,
            trace_id=ticket.trace_id,
            progress=self.board.read(status.workflow_id),
            result=outcome.get("result"),
            problem=Problem.model_validate(problem) if problem else None,
            created_at=_time(status.created_at),
            updated_at=_time(status.updated_at),
        )
        place = f"/v1/jobs/{job.id}"
        return job.model_copy(update={"links": {"self": place, "events": f"{place}/events", **self._links(job)}})


def _ticket_of(status: Any) -> Ticket:
    return Ticket.loads(status.input["args"][0])


def _no_job(job_id: str, service: str) -> NotFoundError:
    return NotFoundError(f"no job {job_id[:160]} in {service}; `diary jobs list` shows those that exist")


def _time(epoch_ms: int | None) -> datetime:
    return datetime.fromtimestamp((epoch_ms or 0) / 1000, UTC)
