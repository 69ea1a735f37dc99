"""The FastAPI app that every service is: jobs API, progress as server-sent events, health, metrics, problems."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from shared import keys, preflight
from shared.errors import BadInputError, ConflictError, DiaryError, StoreUnavailableError
from shared.forgetting import Forgetting, Forgotten, carry_out
from shared.jobs import Handler, Jobs
from shared.lease import Lease
from shared.model_command import models_command
from shared.needs import Finding
from shared.problems import problem_of, unexpected
from shared.races import probe_races
from shared.schemas import Job, JobState, Problem, WritingEstimate
from shared.settings import ServiceSettings, StoreSettings
from shared.shelf import Shelf
from shared.store import S3Store, Store
from shared.telemetry import (
    Metrics,
    RecentLogs,
    current_trace_id,
    log_to_stderr,
    new_trace_id,
    recent_logs,
    trace,
    trace_id_of,
)
from shared.tokens import Access, Token, TokenBook
from shared.version import VERSION

log = logging.getLogger(__name__)

SSE_POLL_S = 0.4
STORE_RETRY_S = 2.0
STORE_CHECK_S = 15.0
_KEY = re.compile(r"^[A-Za-z0-9._:-]{8,160}$")
MAX_BODY_BYTES = 1024 * 1024
UPLOADS = "/v1/uploads"
IMPORTS = "/v1/imports"
STREAMED = (UPLOADS, IMPORTS, f"{IMPORTS}/checks")  # bodies of any size, read piece by piece
EVERY_SHOW = "every show"
CALLER = "diary.caller"  # in a request's scope: whom a door before ours has let in


@dataclass(frozen=True)
class JobRoute:
    """One thing a service makes: `POST path` with a `request` queues a job; `run(request, job=...)` does it.

    path       None: another door of the service queues it, by `queue`
    demand     raises what speaks against it now; a repeat of an order that is known is not asked again
    settle     what the request leaves open and can be settled before it is queued
    again      what is asked for when a job with that request is tried again, by the job's id
    estimate   what it comes to, for the answer
    words      what it does, in a sentence, for the API's reference
    """

    path: str | None
    kind: str
    request: type[BaseModel]
    run: Callable[..., BaseModel]
    demand: Callable[[Any], None] = lambda request: None
    access: Access = Access.EDITOR
    settle: Callable[[Any], Any] = lambda request: request
    again: Callable[[str, Any], Any] = lambda job_id, request: request
    estimate: Callable[[Any], WritingEstimate | None] = lambda request: None
    words: str = ""


class Engine(Protocol):
    """What the app needs of an engine's near side."""

    @property
    def pid(self) -> int | None: ...

    def stop(self) -> None: ...


class Readiness:
    """Whether the store was found safe, and answers; asked again and again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.problem: DiaryError | None = StoreUnavailableError("the object store was not checked yet; wait a moment")

    def check(self) -> None:
        try:
            if isinstance(self._store, S3Store):
                self._store.ensure_bucket()
            probe_races(self._store)
            self.problem = None
        except DiaryError as error:
            if str(error) != str(self.problem):
                log.warning("not ready: %s", error)
            self.problem = error

    def check_again(self) -> None:
        """After the probe has passed: whether the store still answers."""
        try:
            self._store.exists(keys.probe("alive"))
            self.problem = None
        except DiaryError as error:
            log.warning("not ready: %s", error)
            self.problem = error

    def demand(self) -> None:
        if self.problem is not None:
            raise self.problem


def job_service(
    name: str,
    settings: ServiceSettings,
    store: Store,
    routes: Sequence[JobRoute],
    *,
    engines: Mapping[str, Engine] | None = None,
    shelf: Shelf | None = None,
    routers: Sequence[APIRouter] = (),
    links: Callable[[Job], dict[str, str]] = lambda job: {},
    checks: preflight.Checks = list,
    before_stop: Callable[[threading.Event], None] = lambda hurry: None,
    after_cancel: Callable[[Job], None] = lambda job: None,
    without_token: Collection[str] = (),
) -> FastAPI:
    """Build a service around its job handlers.

    routes    what it makes; each becomes `POST /v1/<nouns>` answering 202 with the job and its links
    engines   by name, to be stopped with the service and shown by its health
    shelf     models to bring from the start on, shown by its readiness
    routers   further doors (studio's reading API)
    links     further links of a job
    checks    what is looked at before any work: logged at the start, and told at /health/preflight
    before_stop   saves what a stop would lose; bounds itself, and gives up when its event is set by a second SIGTERM
    after_cancel   ends what works for a cancelled job outside of this service, whether or not a worker has the job
    without_token   paths to which anybody may send a small body: they ask for the token themselves
    """
    metrics = Metrics(name)
    jobs = Jobs(name, settings, metrics, links)
    engines = dict(engines or {})
    shelf = Shelf(()) if shelf is None else shelf
    for route in routes:
        jobs.handle(route.kind, route.request, _handler(route))
    readiness = Readiness(store)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(preflight.begin, name, checks)
        await asyncio.to_thread(jobs.start)
        checking = asyncio.create_task(_keep_checking(readiness))
        await asyncio.to_thread(shelf.start)
        log.info("service is up", extra={"version": VERSION})
        yield
        checking.cancel()
        with _second_signal() as hurry:
            await asyncio.to_thread(before_stop, hurry)
        await asyncio.to_thread(jobs.take_no_more)
        for engine in engines.values():
            await asyncio.to_thread(engine.stop)
        await asyncio.to_thread(shelf.stop)
        await asyncio.to_thread(jobs.stop)

    app = FastAPI(title=f"diary-of-AI-ceo: {name}", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.jobs, app.state.store, app.state.tokens = jobs, store, TokenBook(settings.tokens_file)
    app.state.readiness = readiness
    _add_problems(app)
    app.middleware("http")(_guard(frozenset(without_token)))
    app.middleware("http")(_trace_and_count(metrics))
    for route in routes:
        if route.path is not None:
            app.include_router(_making(route, route.path))
    app.include_router(_jobs_door(jobs, {route.kind: route for route in routes}, after_cancel))
    app.include_router(_forgettings_door(jobs))
    app.include_router(_logs_door(recent_logs(name)))
    app.include_router(_health_door(name, readiness, metrics, engines, checks, shelf))
    for router in routers:
        app.include_router(router)
    return app


def _handler(route: JobRoute) -> Handler:
    return lambda request, context: route.run(request, job=context)


@contextmanager
def _second_signal() -> Iterator[threading.Event]:
    """Set by a SIGTERM or SIGINT that comes while we stop, which uvicorn would only note."""
    hurry = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
        yield hurry
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: hurry.set()) for number in numbers}
    try:
        yield hurry
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve(
    service: str, make_app: Callable[[], FastAPI], port: int, open_shelf: Callable[[], Shelf] = lambda: Shelf(())
) -> None:
    """Run a service on loopback until SIGTERM. Leaves after `before_stop`: running jobs stay pending and are resumed.

    `python -m services.NAME.app models` lists and brings the models of `open_shelf` instead.
    """
    if sys.argv[1:2] == ["models"]:
        sys.exit(models_command(open_shelf(), sys.argv[2:]))
    log_to_stderr(service)
    host = os.environ.get("DIARY_BIND", "127.0.0.1")
    uvicorn.run(make_app(), host=host, port=port, log_config=None, timeout_graceful_shutdown=2)
    logging.shutdown()
    os._exit(0)


def open_store() -> S3Store:
    """The store that the environment names (S3_URL, S3_BUCKET, S3_ACCESS_KEY, S3_SECRET_KEY)."""
    settings = StoreSettings()
    return S3Store(settings.url, settings.access_key, settings.secret_key.get_secret_value(), settings.bucket)


def open_lease(service: str, settings: ServiceSettings) -> Lease | None:
    """The lease of this machine's device; None where every service has one of its own."""
    if settings.lease_dir is None:
        return None
    return Lease(settings.lease_dir, service, min_hold_s=settings.lease_min_hold_s)


# ---- who is asking -------------------------------------------------------------------------------------------------


def caller(request: Request) -> Token:
    """The token of this request: its own, or the one of the session that a door before ours has found."""
    known: Token | None = request.scope.get(CALLER)
    return known or request.app.state.tokens.find(request.headers.get("authorization"))


def viewer(token: Token = Depends(caller)) -> Token:
    token.demand(Access.VIEWER)
    return token


def editor(token: Token = Depends(caller)) -> Token:
    token.demand(Access.EDITOR)
    return token


def actor_of(request: Request, token: Token) -> str:
    """Whose name goes on the work: the token's, or the one an admin token acts for."""
    behalf = request.headers.get("x-diary-on-behalf-of")
    return behalf if behalf and token.access is Access.ADMIN else token.name


# ---- doors ---------------------------------------------------------------------------------------------------------


def _making(route: JobRoute, path: str) -> APIRouter:
    router = APIRouter()

    def make(
        body: BaseModel,
        request: Request,
        response: Response,
        token: Token = Depends(viewer),
        idempotency_key: str | None = Header(default=None),
    ) -> Job:
        return queue(route, body, request, response, token, idempotency_key)

    make.__annotations__["body"] = route.request
    make.__doc__ = f"{route.words} Answers with the job `{route.kind}`: follow it at its links.".strip()
    router.add_api_route(
        path, make, methods=["POST"], status_code=202, response_model=Job, name=route.kind, tags=["orders"]
    )
    return router


def queue(
    route: JobRoute,
    body: BaseModel,
    request: Request,
    response: Response,
    token: Token,
    idempotency_key: str | None = None,
) -> Job:
    """Queue the job that a request asks for; its place goes into the answer's Location."""
    token.demand(route.access, getattr(body, "show", None) or EVERY_SHOW)
    request.app.state.readiness.demand()
    key, jobs = checked_key(idempotency_key), request.app.state.jobs
    if key is None or not jobs.knows(key):
        route.demand(body)
    settled = route.settle(body)
    estimate = route.estimate(settled)
    job = jobs.submit(
        route.kind,
        settled,
        actor=actor_of(request, token),
        trace_id=current_trace_id() or new_trace_id(),
        idempotency_key=key,
        left_open={name for name, value in body if getattr(settled, name) != value},
        within_quota=route.path is not None,  # what another door queues follows from what that has done already
    )
    response.headers["Location"] = job.links["self"]
    return job.model_copy(update={"estimate": estimate})


def checked_key(key: str | None) -> str | None:
    if key is not None and not _KEY.match(key):
        raise BadInputError("Idempotency-Key must be 8-160 letters, digits or . _ : -")
    return key


def _jobs_door(jobs: Jobs, routes: Mapping[str, JobRoute], after_cancel: Callable[[Job], None]) -> APIRouter:
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    def visible(job_id: str, token: Token, needed: Access) -> Job:
        job = jobs.get(job_id)
        token.demand(needed, job.show or EVERY_SHOW)
        return job

    @router.get("")
    def list_jobs(
        show: str | None = None,
        kind: str | None = None,
        state: JobState | None = None,
        limit: int = Query(100, ge=1, le=1000),
        skip: int = Query(0, ge=0, le=100_000),
        token: Token = Depends(viewer),
    ) -> list[Job]:
        """Newest first; of one show, for a token that is for one show."""
        token.demand(Access.VIEWER, show)
        return jobs.list(show=show or token.show, kind=kind, state=state, limit=limit, skip=skip)

    @router.get("/{job_id}")
    def get_job(job_id: str, token: Token = Depends(viewer)) -> Job:
        """State, progress with the time left, and in the end its result or its problem."""
        return visible(job_id, token, Access.VIEWER)

    @router.get("/{job_id}/events")
    async def job_events(job_id: str, token: Token = Depends(viewer)) -> StreamingResponse:
        """Server-sent events: `progress` whenever the job moves, `end` with the job once it has ended."""
        await asyncio.to_thread(visible, job_id, token, Access.VIEWER)
        return StreamingResponse(_events(jobs, job_id), media_type="text/event-stream")

    @router.delete("/{job_id}")
    def cancel_job(job_id: str, token: Token = Depends(editor)) -> Job:
        """Stop it, also in the services that work for it. What it has stored stays."""
        visible(job_id, token, Access.EDITOR)
        job = jobs.cancel(job_id)
        if job.state is JobState.CANCELLED:
            after_cancel(job)
        return job

    @router.post("/{job_id}/retry", status_code=202)
    def retry_job(
        job_id: str,
        request: Request,
        response: Response,
        token: Token = Depends(editor),
        idempotency_key: str | None = Header(default=None),
    ) -> Job:
        """Ask for the same again, as a new job; what the old one has stored is found, and not made twice."""
        job = visible(job_id, token, Access.EDITOR)
        if job.state not in (JobState.FAILED, JobState.CANCELLED):
            raise ConflictError(f"job {job_id} is {job.state}; only a job that failed or was cancelled is tried again")
        route = routes[job.kind]
        return queue(route, route.again(job_id, jobs.request(job_id)), request, response, token, idempotency_key)

    return router


def _forgettings_door(jobs: Jobs) -> APIRouter:
    router = APIRouter(tags=["jobs"])

    @router.post("/v1/forgettings")
    def forget(forgetting: Forgetting, token: Token = Depends(viewer)) -> Forgotten:
        """Forget the ended jobs that mention something erased, or only say which these are; for admins."""
        token.demand(Access.ADMIN, EVERY_SHOW)
        return carry_out(forgetting, jobs)

    return router


def _logs_door(recent: RecentLogs) -> APIRouter:
    router = APIRouter(tags=["logs"])

    @router.get("/v1/logs")
    def logs(trace_id: str = Query(pattern="^[0-9a-f]{32}$"), token: Token = Depends(viewer)) -> list[dict[str, Any]]:
        """What this service has logged of one trace since it started, of its last 5,000 lines; for admins."""
        token.demand(Access.ADMIN, EVERY_SHOW)
        return recent.of(trace_id)

    return router


async def _events(jobs: Jobs, job_id: str) -> AsyncIterator[str]:
    last = ""
    while True:
        job = await asyncio.to_thread(jobs.get, job_id)
        text = job.model_dump_json(include={"id", "state", "progress"})
        if text != last:
            yield f"event: progress\ndata: {text}\n\n"
            last = text
        if job.state.ended:
            yield f"event: end\ndata: {job.model_dump_json()}\n\n"
            return
        await asyncio.sleep(SSE_POLL_S)


def _health_door(
    name: str,
    readiness: Readiness,
    metrics: Metrics,
    engines: Mapping[str, Engine],
    checks: preflight.Checks,
    shelf: Shelf,
) -> APIRouter:
    router = APIRouter(tags=["status"])

    @router.get("/health/live")
    def live() -> dict[str, Any]:
        """That the process answers, its version, and which engines run."""
        running = {name: engine.pid for name, engine in engines.items() if engine.pid is not None}
        return {"service": name, "version": VERSION, "engines": running}

    @router.get("/health/ready")
    def ready() -> dict[str, Any]:
        """Whether it takes work; jobs that need a model which is still on its way wait for it."""
        readiness.demand()
        models = [state.model_dump(exclude_defaults=True) for state in shelf.states()]
        return {"service": name, "state": "ready", "models": models}

    @router.get("/health/preflight")
    def findings(token: Token = Depends(viewer)) -> list[Finding]:
        """What this service's machine has and lacks now; each finding says what to do."""
        return preflight.of(name, checks)

    @router.get("/metrics")
    def metrics_text(token: Token = Depends(viewer)) -> Response:
        """For Prometheus."""
        return Response(metrics.render(), media_type="text/plain; version=0.0.4")

    return router


async def _keep_checking(readiness: Readiness) -> None:
    while readiness.problem is not None:
        await asyncio.to_thread(readiness.check)
        if readiness.problem is not None:
            await asyncio.sleep(STORE_RETRY_S)
    while True:
        await asyncio.sleep(STORE_RETRY_S if readiness.problem else STORE_CHECK_S)
        await asyncio.to_thread(readiness.check_again)


# ---- problems and traces -------------------------------------------------------------------------------------------


def _add_problems(app: FastAPI) -> None:
    """RFC 9457 for every error; what we did not foresee is logged with its trace and stays opaque outside."""

    @app.exception_handler(DiaryError)
    async def ours(request: Request, error: DiaryError) -> JSONResponse:
        return problem_response(problem_of(error, current_trace_id()))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        detail = f"{where or 'body'}: {first['msg']}"
        return problem_response(Problem(title="BadInput", status=422, detail=detail, trace_id=current_trace_id()))

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        detail = f"{error.detail}: {request.method} {request.url.path}; see /openapi.json"
        return problem_response(
            Problem(title="Http", status=error.status_code, detail=detail, trace_id=current_trace_id())
        )


def problem_response(problem: Problem) -> JSONResponse:
    headers = {"Retry-After": "5"} if problem.retryable else {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        json.loads(problem.model_dump_json()), problem.status, headers, media_type="application/problem+json"
    )


async def _answered(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """The app's answer; what nobody foresaw is logged with its trace and stays opaque outside."""
    try:
        return await call_next(request)
    except Exception as error:  # the door is the runner of requests
        log.exception("%s %s failed unexpectedly", request.method, request.url.path)
        return problem_response(unexpected(error, current_trace_id()))


def _guard(
    without_token: Collection[str],
) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    """Refuse a request without a known token, or with too large a body, before its body is read."""

    async def middleware(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.method in ("POST", "PUT", "PATCH"):
            try:
                if request.url.path not in without_token:
                    caller(request)
                if not _is_streamed(request.url.path):
                    _demand_small_body(request)
            except DiaryError as error:
                return problem_response(problem_of(error, current_trace_id()))
        return await call_next(request)

    return middleware


def _is_streamed(path: str) -> bool:
    return path in STREAMED or path.startswith(f"{UPLOADS}/")


def _demand_small_body(request: Request) -> None:
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        raise BadInputError(f"send a Content-Length of at most {MAX_BODY_BYTES} bytes; files go to {UPLOADS}")


def _trace_and_count(
    metrics: Metrics,
) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    async def middleware(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        trace_id = trace_id_of(request.headers.get("traceparent"))
        began = time.monotonic()
        with trace(trace_id):
            response = await _answered(request, call_next)
            metrics.request(request.method, response.status_code)
            if request.method != "GET" or response.status_code >= 400:  # reading is polling: too much to log
                log.info(
                    "%s %s %d",
                    request.method,
                    request.url.path,
                    response.status_code,
                    extra={"ms": round(1000 * (time.monotonic() - began))},
                )
        response.headers["X-Trace-Id"] = trace_id
        return response

    return middleware
