"""Signing in with a token, and out."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from services.studio.pages.frame import Frame
from services.studio.pages.gate import COOKIE, LOGIN
from services.studio.pages.sessions import Sessions
from shared.errors import NoTokenError


def login_pages(frame: Frame, sessions: Sessions, lasts_s: int) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN)
    def login(request: Request, next: str = "/") -> Response:
        return frame.page(request, "login.html", next=own_place(next), problem="")

    @router.post(LOGIN)
    async def sign_in(request: Request) -> Response:
        form = parse_qs((await request.body()).decode(errors="replace"))
        secret, wanted = (form.get(name, [""])[0].strip() for name in ("token", "next"))
        try:
            cookie = sessions.open(secret)
        except NoTokenError:
            told = "This token is not known here. Copy it again, without blanks, or ask an admin for a new one."
            return frame.page(request, "login.html", 401, next=own_place(wanted), problem=told)
        response = RedirectResponse(own_place(wanted), 303)
        is_safe = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        response.set_cookie(COOKIE, cookie, max_age=lasts_s, httponly=True, samesite="strict", secure=is_safe)
        return response

    @router.post("/logout", status_code=204)
    def sign_out() -> Response:
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    return router


def own_place(wanted: str) -> str:
    """Where to go after signing in: a path of ours, never another site's address."""
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if plain and "\\" not in wanted else "/"
