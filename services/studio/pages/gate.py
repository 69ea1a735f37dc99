"""In front of every door of studio: who a browser's cookie is, and what browsers may do with our answers.

A request that brings a cookie instead of a token is let in as that cookie's token. If it changes something, it must
bring the session's word too (X-CSRF-Token), which no page of others can read, and must not come from one of them.
"""

from __future__ import annotations

import hmac
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.studio.pages.sessions import Seat, Sessions
from shared.errors import NotAllowedError
from shared.problems import problem_of
from shared.service import CALLER, problem_response

COOKIE = "diary_session"
LOGIN = "/login"
SEAT, NONCE = "diary.seat", "diary.nonce"
SAFE = ("GET", "HEAD", "OPTIONS")
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
FILE_POLICY = (  # files that we export are pages of their own, with their style inside
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'; frame-ancestors 'none'; sandbox"
)


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        scope[NONCE] = secrets.token_urlsafe(16)
        headers = Headers(scope=scope)
        seat = None if _says_who(scope, headers) else self._sessions.find(_cookie(headers))
        if seat is not None:
            scope[SEAT], scope[CALLER] = seat, seat.token
        careful = _with_headers(scope, send)
        if scope["method"] not in SAFE and (problem := _forged(headers, seat)):
            return await problem_response(problem_of(problem, None))(scope, receive, careful)
        await self._app(scope, receive, careful)


def _says_who(scope: Scope, headers: Headers) -> bool:
    """Whether a request brings a token itself, which counts and not the cookie: with a header, or in signing in."""
    return "authorization" in headers or (scope["path"] == LOGIN and scope["method"] == "POST")


def _cookie(headers: Headers) -> str | None:
    """Ours among those of the host: other programs on other ports set theirs too, in whatever form."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE)


def _forged(headers: Headers, seat: Seat | None) -> NotAllowedError | None:
    """Why a request that changes something may be another page's doing; None where it is not."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return NotAllowedError("another site's page sent this; open studio itself and do it there")
    if seat is not None and not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), seat.csrf.encode()):
        return NotAllowedError("this page is older than your sign-in; load it again, then repeat what you did")
    return None


def _with_headers(scope: Scope, send: Send) -> Send:
    async def careful(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            is_page = not scope["path"].startswith(("/v1/", "/health/"))
            policy = PAGE_POLICY.format(nonce=scope[NONCE]) if is_page else FILE_POLICY
            headers.setdefault("Content-Security-Policy", policy)
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Referrer-Policy", "same-origin")
            headers.setdefault("X-Frame-Options", "DENY")
            headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return careful
