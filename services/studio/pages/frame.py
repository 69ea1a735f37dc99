"""What all pages share: templates with everything escaped, who is signed in, errors as pages, files of our own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from services.studio.pages import words
from services.studio.pages.gate import NONCE, SEAT
from services.studio.pages.sessions import Seat
from shared.errors import DiaryError, NoTokenError
from shared.problems import problem_of
from shared.schemas import Problem
from shared.telemetry import current_trace_id
from shared.tokens import Access
from shared.version import VERSION

HERE = Path(__file__).parent
STATIC = HERE / "static"
FOR_PROGRAMS = ("/v1/", "/health/", "/metrics", "/openapi.json")


class Frame:
    """Renders templates of this folder. Everything that is put into one is escaped; an unknown name is an error."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(words.FILTERS, segment=segment)
        self._templates.globals.update(static=static_url, version=VERSION)

    def page(self, request: Request, template: str, status: int = 200, **facts: Any) -> HTMLResponse:
        """A page, or a part of one.

        facts   what the template is filled with, beside `seat` (None: nobody is signed in), `may_edit`, `may_admin`,
                `nonce` and `path`
        """
        seat: Seat | None = request.scope.get(SEAT)
        access = seat.token.access if seat else 0
        known = {
            "seat": seat,
            "may_edit": access >= Access.EDITOR,
            "may_admin": access >= Access.ADMIN,
            "nonce": request.scope.get(NONCE, ""),
            "path": request.url.path,
        }
        html = self._templates.get_template(template).render(known | facts)
        return HTMLResponse(html, status)


def segment(name: str) -> str:
    """A name of others as one part of a path. `urlencode` leaves slashes: `../` in a name would lead elsewhere."""
    return quote(name, safe="")


def seated(request: Request) -> Seat:
    """Who is signed in. raises NoTokenError, which leads a browser to the sign-in page"""
    seat: Seat | None = request.scope.get(SEAT)
    if seat is None:
        raise NoTokenError("sign in to see this page")
    return seat


def visitor(show: str, seat: Seat = Depends(seated)) -> Seat:
    """Who is signed in and may see the show that the path names. raises NotAllowedError"""
    seat.token.demand(Access.VIEWER, show)
    return seat


@cache
def static_url(name: str) -> str:
    """Address of a file of ours that changes with its content. FileNotFoundError for one that is not there."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{quote(name)}?v={digest}"


class Statics(StaticFiles):
    """Files of ours. Whoever names their content (`?v=`) may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        named = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if named else "no-cache"
        return response


def show_errors_as_pages(app: FastAPI, frame: Frame) -> None:
    """What goes wrong on a page is told on a page; what goes wrong at the API stays a problem in JSON."""
    json_of: dict[Any, Callable[..., Any]] = {
        kind: app.exception_handlers[kind] for kind in (DiaryError, HTTPException, RequestValidationError)
    }

    @app.exception_handler(DiaryError)
    async def ours(request: Request, error: DiaryError) -> Response:
        if not is_page(request):
            answered: Response = await json_of[DiaryError](request, error)
            return answered
        if isinstance(error, NoTokenError) and SEAT not in request.scope:  # or a service does not know studio's token
            return to_sign_in(request)
        return problem_page(frame, request, problem_of(error, current_trace_id()))

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        if not is_page(request):
            answered: Response = await json_of[HTTPException](request, error)
            return answered
        problem = Problem(
            title=str(error.detail),
            status=error.status_code,
            detail="There is no such page.",
            trace_id=current_trace_id(),
        )
        return problem_page(frame, request, problem)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        answered: Response = await json_of[RequestValidationError](request, error)
        if not is_page(request):
            return answered
        return problem_page(frame, request, Problem.model_validate_json(bytes(answered.body)))


def is_page(request: Request) -> bool:
    return not request.url.path.startswith(FOR_PROGRAMS)


def to_sign_in(request: Request) -> Response:
    """To the sign-in page and back. A part of a page that asks anew has the whole page go there."""
    is_part = "hx-request" in request.headers
    page = urlsplit(request.headers.get("hx-current-url", "/") if is_part else str(request.url))
    address = f"/login?next={quote(page.path + (f'?{page.query}' if page.query else ''), safe='')}"
    return Response(status_code=401, headers={"HX-Redirect": address}) if is_part else RedirectResponse(address, 303)


def problem_page(frame: Frame, request: Request, problem: Problem) -> Response:
    """A part of a page gets what goes in its place."""
    is_part = "hx-request" in request.headers
    return frame.page(request, "problem_part.html" if is_part else "problem.html", problem.status, problem=problem)
