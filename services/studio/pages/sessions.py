"""Browsers that are signed in: a cookie that stands for a token, and the word that a form of ours must bring. Pure.

The cookie holds the token's name, not its secret, and when it ends, signed with a key of this studio. It is good for as
long as the token is: one that was revoked, or given anew, has no sessions any more.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.tokens import Token, TokenBook


@dataclass(frozen=True)
class Seat:
    """Somebody who is signed in.

    csrf   what a request that changes something must bring beside the cookie (header X-CSRF-Token)
    """

    token: Token
    csrf: str


def _now() -> datetime:
    return datetime.now(UTC)


class Sessions:
    """Cookies of one studio.

    key     whoever knows it could sign in as anybody: see Settings.service_token
    lasts   how long a browser stays signed in
    """

    def __init__(self, book: TokenBook, key: bytes, lasts: timedelta, now: Callable[[], datetime] = _now) -> None:
        self._book = book
        self._key = hashlib.sha256(b"diary sessions\0" + key).digest()
        self._lasts = lasts
        self._now = now

    def open(self, secret: str) -> str:
        """A cookie for whoever knows a token's secret; NoTokenError if it is unknown."""
        token = self._book.find(f"Bearer {secret}")
        ends = int((self._now() + self._lasts).timestamp())
        facts = {"name": token.name, "of": token.sha256[:16], "ends": ends, "nonce": secrets.token_urlsafe(12)}
        body = base64.urlsafe_b64encode(json.dumps(facts).encode()).decode()
        return f"{body}.{self._sign('cookie', body)}"

    def find(self, cookie: str | None) -> Seat | None:
        """Who holds a cookie; None for one that is not ours, has ended, or whose token is gone."""
        body, _, signature = (cookie or "").partition(".")
        if not signature.isascii() or not hmac.compare_digest(signature, self._sign("cookie", body)):
            return None
        facts = json.loads(base64.urlsafe_b64decode(body))
        if facts["ends"] < self._now().timestamp():
            return None
        for token in self._book.all():
            if token.name == facts["name"] and token.sha256[:16] == facts["of"]:
                return Seat(token, self._sign("form", body))
        return None

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()
