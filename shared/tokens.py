"""Named bearer tokens, stored hashed: who may do what, and for which show.

The file is a JSON list of `{"name", "sha256", "role", "show"}`. Roles: viewer reads, editor also writes, admin also
deletes and acts for others (the header X-Diary-On-Behalf-Of, used by studio towards the other services).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import BadInputError, NotAllowedError, NoTokenError

Role = Literal["viewer", "editor", "admin"]


class Access(IntEnum):
    VIEWER = 1
    EDITOR = 2
    ADMIN = 3


class Token(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: str
    role: Role
    show: str | None = None

    @property
    def access(self) -> Access:
        return Access[self.role.upper()]

    def demand(self, needed: Access, show: str | None = None) -> None:
        """raises NotAllowedError, naming the role or the show that is missing."""
        if self.access < needed:
            raise NotAllowedError(
                f"token {self.name!r} has role {self.role}; this needs {needed.name.lower()}. Ask an admin for a token"
            )
        if self.show is not None and show is not None and self.show != show:
            raise NotAllowedError(f"token {self.name!r} is for the show {self.show!r} only, not {show!r}")


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def new_token(name: str, role: Role, show: str | None = None) -> tuple[str, Token]:
    """The secret (shown once) and what is stored of it."""
    secret = f"diary_{secrets.token_urlsafe(32)}"
    return secret, Token(name=name, sha256=digest(secret), role=role, show=show)


class TokenBook:
    """The tokens of the operator's file and of a file of the service's own, each read again when it changes.

    own       where `add` and `remove` write; the operator's file itself if it is not set
    changes   hold it from looking who is there until the change: two at once would undo each other's
    """

    def __init__(self, path: Path, own: Path | None = None) -> None:
        self.changes = threading.RLock()
        self._files = tuple(_TokenFile(one) for one in (path, own) if one is not None)

    def find(self, authorization: str | None) -> Token:
        """The token of an Authorization header; NoTokenError if there is none or it is unknown."""
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise NoTokenError("send `Authorization: Bearer TOKEN`; `make up` prints where the admin token lies")
        wanted = digest(secret.strip())
        for token in self.all():
            if hmac.compare_digest(token.sha256, wanted):
                return token
        raise NoTokenError("this token is not known here; check DIARY_TOKEN, or ask an admin for a new one")

    def all(self) -> tuple[Token, ...]:
        """The operator's first, in the order in which they were added."""
        return tuple(token for file in self._files for token in file.read())

    def own(self) -> tuple[Token, ...]:
        """Those that `remove` takes away."""
        return tuple(self._files[-1].read())

    def add(self, token: Token) -> None:
        """One of the same name is replaced."""
        with self.changes:
            self._files[-1].write([*(known for known in self.own() if known.name != token.name), token])

    def remove(self, name: str) -> None:
        """Whoever has it is a stranger from now on."""
        with self.changes:
            self._files[-1].write([known for known in self.own() if known.name != name])


class _TokenFile:
    """A JSON list of tokens; an absent file holds none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[tuple[int, int], list[Token]] = ((-1, -1), [])

    def write(self, tokens: Sequence[Token]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".part")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps([token.model_dump() for token in tokens], indent=1))
        partial.replace(self._path)

    def read(self) -> list[Token]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return []
        stamp = (found.st_mtime_ns, found.st_ino)  # clocks of files are coarse: each of our writes is another file
        known, tokens = self._known
        if stamp != known:
            try:
                tokens = [Token.model_validate(entry) for entry in json.loads(self._path.read_text())]
            except (json.JSONDecodeError, ValidationError) as error:
                raise BadInputError(
                    f"{self._path.name} is damaged; run `make down`, remove its folder, `make up`"
                ) from error
            self._known = (stamp, tokens)
        return tokens
