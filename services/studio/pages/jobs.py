"""Jobs: all that runs or ran, one job with its log, and the card of a job that other pages show."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio.pages.frame import seated
from services.studio.pages.login import own_place
from services.studio.pages.sessions import Seat
from services.studio.pages.studio import Studio, jobs_of
from shared.jobs import Jobs
from shared.schemas import Job, JobState
from shared.tokens import Access


def jobs_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def visible(job_id: str, seat: Seat, jobs: Jobs) -> Job:
        job = jobs.get(job_id)
        seat.token.demand(Access.VIEWER, job.show)
        return job

    @router.get("/jobs/{job_id}/card")
    def card(job_id: str, request: Request, then: str = "", seat: Seat = Depends(seated)) -> Response:
        """The job as it is now; sends the browser on once it is done."""
        job = visible(job_id, seat, jobs_of(request))
        response = studio.frame.page(request, "job_card.html", job=job, then=then)
        if job.state is JobState.DONE and then:
            response.headers["HX-Redirect"] = own_place(then)
        return response

    return router
