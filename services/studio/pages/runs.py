"""Training runs: all of a show, and one with its curves, its checkpoints, what they say, and what was learnt from."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio.pages.datasets import newest_orders
from services.studio.pages.frame import visitor
from services.studio.pages.job_facts import asked
from services.studio.pages.sessions import Seat
from services.studio.pages.studio import Studio, jobs_of
from services.studio.pages.trail import trail_from
from services.studio.pages.training import guests_of, pace_of, rows_of, stand_of
from services.studio.runs_door import figures_of, summaries_of
from shared.errors import NotFoundError
from shared.jobs import Jobs
from shared.schemas import Job


def runs_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    library = studio.library

    @router.get("/shows/{show}/runs")
    def runs(show: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        record, jobs = library.show(show), jobs_of(request)
        found = summaries_of(library, show)[::-1]
        running, failed = newest_orders(jobs, show, "train")
        return studio.frame.page(
            request,
            "runs.html",
            show=record,
            here="Training",
            runs=[(one, stand_of(one, known(jobs, one.job))) for one in found],
            running=running,
            failed=failed,
            datasets=library.datasets(show),
        )

    @router.get("/shows/{show}/runs/{number}")
    def run(show: str, number: int, request: Request, seat: Seat = Depends(visitor)) -> Response:
        found = figures_of(library, show, number)
        job = known(jobs_of(request), found.job)
        adapter = library.adapter(show, found.adapter) if found.adapter else None
        rows = rows_of(found, adapter.step if adapter else None)
        return studio.frame.page(
            request,
            "run.html",
            show=library.show(show),
            here="Training",
            run=found,
            job=job,
            under_way=job is not None and not job.state.ended and adapter is None,
            stand=stand_of(found, job),
            asked=asked(found.request),
            pace=pace_of(found.metrics),
            rows=rows,
            guests=guests_of(rows),
            adapter=adapter,
            trail=trail_from(library, show, found.adapter),
        )

    return router


def known(jobs: Jobs, job_id: str) -> Job | None:
    """A job that this studio may have forgotten, or that was never its own."""
    try:
        return jobs.get(job_id)
    except NotFoundError:
        return None
