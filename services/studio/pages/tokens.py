"""Tokens: who may come in and as what, giving one out, taking one back. For admins of every show."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio.doors.tokens import known_tokens
from services.studio.pages.frame import seated
from services.studio.pages.sessions import Seat
from services.studio.pages.studio import Studio
from shared.service import EVERY_SHOW
from shared.tokens import Access


def tokens_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/tokens")
    def tokens(request: Request, seat: Seat = Depends(seated)) -> Response:
        seat.token.demand(Access.ADMIN, EVERY_SHOW)
        return studio.frame.page(
            request, "tokens.html", tokens=known_tokens(studio.book), shows=studio.library.shows(), own=seat.token.name
        )

    return router
