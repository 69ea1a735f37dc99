"""Shows: all of them, and one with its way from interviews to AI episodes."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio.pages.frame import seated, visitor
from services.studio.pages.sessions import Seat
from services.studio.pages.standing import next_step, stand_of, stations
from services.studio.pages.studio import Studio, jobs_of
from shared.schemas import Job, JobState

FAILED_SHOWN = 5
RUNNING_SHOWN = 6  # each card asks for itself every second


def shows_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def shows(request: Request, seat: Seat = Depends(seated)) -> Response:
        found = [show for show in studio.library.shows() if seat.token.show in (None, show.slug)]
        counts = {show.slug: studio.library.counts(show.slug) for show in found}
        return studio.frame.page(request, "shows.html", shows=found, counts=counts)

    @router.get("/shows/{show}")
    def one_show(show: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        record = studio.library.show(show)
        jobs = jobs_of(request).list(show=show, limit=50)
        running, more = going_on(jobs)
        stand = stand_of(studio.library, studio.glances.of(show), show, jobs)
        return studio.frame.page(
            request,
            "show.html",
            show=record,
            here="Overview",
            stand=stand,
            stations=stations(stand),
            step=next_step(stand),
            running=running,
            more=more,
            failed=[job for job in jobs if job.problem][:FAILED_SHOWN],
        )

    return router


def going_on(jobs: Sequence[Job]) -> tuple[list[Job], int]:
    """Jobs that are not over, those that run before those that wait; and how many more there are than are shown."""
    found = sorted((job for job in jobs if not job.state.ended), key=lambda job: job.state is JobState.QUEUED)
    return found[:RUNNING_SHOWN], len(found[RUNNING_SHOWN:])
