"""The doors of guests' fact sheets: making one is a job, reading and editing are answered at once."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Depends, Request

from services.studio import guests
from services.studio.care.memories import Memories
from services.studio.crew import Crew
from services.studio.guests import MAKE, GivenFacts
from services.studio.pipeline import demand_show
from shared.guests import GuestRequest, GuestSheet
from shared.service import JobRoute, actor_of, editor, viewer
from shared.store import Store
from shared.tokens import Access, Token


def guest_sheets(store: Store, crew: Crew) -> JobRoute:
    """`POST /v1/guests`"""
    run, demand = partial(guests.run, store=store, crew=crew), partial(guests.demand, store)
    words = "Make a guest's fact sheet from a text or a page: dated sentences of the source, for people to edit."
    return JobRoute("/v1/guests", MAKE, GuestRequest, run, demand, words=words)


def guests_door(store: Store, memories: Memories) -> APIRouter:
    """A guest is asked for by the sheet's id, or by name."""
    router = APIRouter(prefix="/v1/shows/{show}/guests", tags=["guests"])

    def reader(show: str, token: Token = Depends(viewer)) -> str:
        token.demand(Access.VIEWER, show)
        demand_show(store, show)
        return show

    def writer(show: str, token: Token = Depends(editor)) -> str:
        token.demand(Access.EDITOR, show)
        demand_show(store, show)
        return show

    @router.get("")
    def list_sheets(show: str = Depends(reader)) -> list[GuestSheet]:
        """Fact sheets of the show's guests."""
        return guests.sheets(store, show)

    @router.get("/{guest}")
    def get_sheet(guest: str, show: str = Depends(reader)) -> GuestSheet:
        """One guest's facts, each with the sentence of its source."""
        return guests.read(store, show, guest)

    @router.put("/{guest}")
    def change_sheet(
        guest: str,
        given: GivenFacts,
        request: Request,
        show: str = Depends(writer),
        token: Token = Depends(editor),
    ) -> GuestSheet:
        """Set all facts. What is added or changed is yours; 409 tells who changed them since `revision`."""
        return guests.change(store, show, guest, given, actor_of(request, token))

    @router.delete("/{guest}", status_code=204)
    def remove_sheet(guest: str, show: str = Depends(writer)) -> None:
        """Remove the sheet, and what the services remember of making it. Episodes stay as they are."""
        guests.remove(store, memories, show, guest)

    return router
