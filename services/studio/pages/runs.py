"""Training runs: all of a show, and one with its curves, its checkpoints, what they say, and what was learnt from."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio.doors.runs import RunSummary, figures_of, summaries_of
from services.studio.pages.datasets import newest_orders
from services.studio.pages.frame import visitor
from services.studio.pages.job_facts import asked
from services.studio.pages.sessions import Seat
from services.studio.pages.studio import Studio, jobs_of
from services.studio.pages.trail import trail_from
from services.studio.pages.training import guests_of, pace_of, resumes_at, rows_of, stand_of, why_not_resumed
from services.studio.resuming import order_at_work
from shared.errors import ArtifactMissingError, NotFoundError
from shared.jobs import Jobs
from shared.schemas import Dataset, Job


def runs_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    library = studio.library

    def dataset_of(show: str, run: RunSummary) -> Dataset | None:
        try:
            return library.dataset(show, run.dataset)
        except ArtifactMissingError:
            return None

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
            runs=[(one, stand_of(one, worker_of(jobs, show, one))) for one in found],
            running=running,
            failed=failed,
            datasets=library.datasets(show),
        )

    @router.get("/shows/{show}/runs/{number}")
    def run(show: str, number: int, request: Request, seat: Seat = Depends(visitor)) -> Response:
        found = figures_of(library, show, number)
        job = worker_of(jobs_of(request), show, found)
        under_way = job is not None and not job.state.ended and found.adapter is None
        dataset = dataset_of(show, found)
        adapter = library.adapter(show, found.adapter) if found.adapter else None
        rows = rows_of(found, adapter.step if adapter else None)
        return studio.frame.page(
            request,
            "run.html",
            show=library.show(show),
            here="Training",
            run=found,
            job=job,
            under_way=under_way,
            resumes_at=resumes_at(found, dataset, under_way=under_way),
            anew=found.request.model_dump(mode="json", exclude={"resume"}),
            why_not=why_not_resumed(found, dataset),
            stand=stand_of(found, job),
            asked=asked(found.request),
            pace=pace_of(found.metrics),
            rows=rows,
            guests=guests_of(rows),
            adapter=adapter,
            trail=trail_from(library, show, found.adapter),
        )

    return router


def worker_of(jobs: Jobs, show: str, run: RunSummary) -> Job | None:
    """The order that works on a run, or waits to go on with it; else the one that did last."""
    working = order_at_work(jobs, show, run.number, run.job) if run.adapter is None else None
    return working or known(jobs, run.job)


def known(jobs: Jobs, job_id: str) -> Job | None:
    """A job that this studio may have forgotten, or that was never its own."""
    try:
        return jobs.get(job_id)
    except NotFoundError:
        return None
