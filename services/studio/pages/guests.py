"""Guests' fact sheets: those there are, making one from a text or a page, and putting its facts right."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio import guests
from services.studio.pages.frame import visitor
from services.studio.pages.sessions import Seat
from services.studio.pages.studio import Studio, jobs_of
from shared.guests import FACT_CHARACTERS, MOST_CHARACTERS, MOST_IN_SHEET, GuestRequest, guest_id
from shared.jobs import Jobs
from shared.schemas import Job, JobState

HERE = "AI episodes"
LOOKED_AT = 20


def guests_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def page(request: Request, template: str, show: str, **facts: Any) -> Response:
        return studio.frame.page(request, template, show=studio.library.show(show), here=HERE, **facts)

    @router.get("/shows/{show}/guests")
    def all_of_them(show: str, request: Request, guest: str = "", seat: Seat = Depends(visitor)) -> Response:
        """`guest` fills the name in."""
        return page(
            request,
            "guests.html",
            show,
            sheets=guests.sheets(studio.store, show),
            making=being_made(jobs_of(request), show),
            most=MOST_CHARACTERS,
            guest=guest,
        )

    @router.get("/shows/{show}/guests/{guest}")
    def one(show: str, guest: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        sheet = guests.read(studio.store, show, guest)
        facts = [fact.model_dump(mode="json") for fact in sheet.facts]
        return page(request, "guest.html", show, sheet=sheet, facts=facts, longest=FACT_CHARACTERS, most=MOST_IN_SHEET)

    return router


def being_made(jobs: Jobs, show: str) -> list[tuple[Job, str]]:
    """Jobs that make a sheet or have failed to, each with where the sheet will be; of one guest the newest alone."""
    newest: dict[str, Job] = {}
    for job in jobs.list(show=show, kind=guests.MAKE, limit=LOOKED_AT):
        asked = jobs.request(job.id)
        if isinstance(asked, GuestRequest):
            newest.setdefault(guest_id(asked.name), job)
    return [(job, f"/shows/{show}/guests/{guest}") for guest, job in newest.items() if job.state is not JobState.DONE]
