"""Jobs: all that runs or ran, one job with its log, and the card of a job that other pages show; how services are."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from services.studio.doors.job_logs import log_of
from services.studio.doors.runs import run_of_order
from services.studio.doors.status import all_of, in_words
from services.studio.pages.frame import seated
from services.studio.pages.job_facts import asked, made_by, outcome
from services.studio.pages.login import own_place
from services.studio.pages.sessions import Seat
from services.studio.pages.studio import Studio, jobs_of
from services.studio.resuming import TRAINS
from shared.errors import BadInputError
from shared.jobs import Jobs
from shared.schemas import Job, JobState
from shared.service import EVERY_SHOW
from shared.telemetry import recent_logs
from shared.tokens import Access

PAGE = 50


def jobs_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def visible(job_id: str, seat: Seat, jobs: Jobs) -> Job:
        job = jobs.get(job_id)
        seat.token.demand(Access.VIEWER, job.show or EVERY_SHOW)
        return job

    @router.get("/jobs")
    def all_jobs(
        request: Request,
        show: str = "",
        state: str = "",
        kind: str = "",
        page: int = Query(1, ge=1, le=10_000),
        seat: Seat = Depends(seated),
    ) -> Response:
        jobs, wanted = jobs_of(request), show or seat.token.show
        seat.token.demand(Access.VIEWER, wanted)
        found = jobs.list(show=wanted, kind=kind or None, state=state_of(state), limit=PAGE + 1, skip=PAGE * (page - 1))
        chosen = {name: value for name, value in (("show", show), ("state", state), ("kind", kind)) if value}
        return studio.frame.page(
            request,
            "jobs.html",
            jobs=found[:PAGE],
            shows=[one for one in studio.library.shows() if seat.token.show in (None, one.slug)],
            kinds=jobs.kinds,
            states=list(JobState),
            chosen=chosen,
            page=page,
            here=f"/jobs?{urlencode({**chosen, 'page': page})}",
            newer=f"/jobs?{urlencode({**chosen, 'page': page - 1})}" if page > 1 else "",
            older=f"/jobs?{urlencode({**chosen, 'page': page + 1})}" if len(found) > PAGE else "",
        )

    @router.get("/jobs/{job_id}")
    def one_job(job_id: str, request: Request, seat: Seat = Depends(seated)) -> Response:
        jobs = jobs_of(request)
        job = visible(job_id, seat, jobs)
        run = run_of_order(studio.library, job.show, job.id) if job.show and job.kind in TRAINS else None
        return studio.frame.page(
            request,
            "job.html",
            job=job,
            asked=asked(jobs.request(job_id)),
            outcome=outcome(job),
            made=made_by(job, run),
        )

    @router.get("/jobs/{job_id}/log")
    def log(job_id: str, request: Request, seat: Seat = Depends(seated)) -> Response:
        """What all services have logged of it; asks them."""
        job = visible(job_id, seat, jobs_of(request))
        found = log_of(job, seat.token, recent_logs("studio"), studio.ask_logs)
        return studio.frame.page(request, "job_log.html", job=job, log=found)

    @router.get("/jobs/{job_id}/card")
    def card(job_id: str, request: Request, then: str = "", seat: Seat = Depends(seated)) -> Response:
        """The job as it is now; sends the browser on once it is done."""
        job = visible(job_id, seat, jobs_of(request))
        response = studio.frame.page(request, "job_card.html", job=job, then=then)
        if job.state is JobState.DONE and then:
            response.headers["HX-Redirect"] = quote(own_place(then), safe=":/%#?=@[]!$&'()*+,;")
        return response

    @router.get("/status")
    def status(request: Request, seat: Seat = Depends(seated)) -> Response:
        return studio.frame.page(request, "status.html")

    @router.get("/status/services")
    def services(request: Request, seat: Seat = Depends(seated)) -> Response:
        """Apart from the page: one that does not answer takes its time."""
        found = all_of(request.app.state.readiness, studio.statuses)
        return studio.frame.page(request, "status_services.html", services=found, in_words=in_words)

    return router


def state_of(name: str) -> JobState | None:
    """None for all states. raises BadInputError"""
    if not name:
        return None
    if name not in list(JobState):
        raise BadInputError(f"{name[:40]!r} is no state of a job; choose one of {', '.join(JobState)}")
    return JobState(name)
