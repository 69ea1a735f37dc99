"""Bearer tokens of people and programs: who has one, giving one out, taking it back. For admins of every show."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import StringConstraints

from services.studio.pipeline import demand_show
from shared.errors import ConflictError, NotFoundError
from shared.schemas import Record, Slug
from shared.service import EVERY_SHOW, viewer
from shared.store import Store
from shared.tokens import Access, Role, Token, TokenBook, new_token

TokenName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")]


class NewToken(Record):
    """Who is to have it, for which show, and what they may do: viewer reads, editor also writes, admin also deletes."""

    name: TokenName
    role: Role = "viewer"
    show: Slug | None = None


class KnownToken(Record):
    """`removable` is false for those of the operator's file."""

    name: str
    role: Role
    show: str | None
    removable: bool


class GivenToken(KnownToken):
    """`secret` is shown this once: only its hash is kept."""

    secret: str


def tokens_door(store: Store, book: TokenBook) -> APIRouter:
    router = APIRouter(prefix="/v1/tokens", tags=["tokens"])

    def admin(token: Token = Depends(viewer)) -> Token:
        token.demand(Access.ADMIN, EVERY_SHOW)
        return token

    @router.get("")
    def list_tokens(token: Token = Depends(admin)) -> list[KnownToken]:
        """Who may come in, without the secrets: nobody knows these any more."""
        return known_tokens(book)

    @router.post("", status_code=201)
    def give_token(wanted: NewToken, token: Token = Depends(admin)) -> GivenToken:
        """Make a token. Its secret is in this answer and nowhere else."""
        return give(store, book, wanted)

    @router.delete("/{name}", status_code=204)
    def revoke_token(name: str, token: Token = Depends(admin)) -> None:
        """Whoever holds it is refused from now on, also where a browser is signed in with it."""
        revoke(book, name, by=token)

    return router


def known_tokens(book: TokenBook) -> list[KnownToken]:
    own = {token.name for token in book.own()}
    return [
        KnownToken(name=token.name, role=token.role, show=token.show, removable=token.name in own)
        for token in book.all()
    ]


def give(store: Store, book: TokenBook, wanted: NewToken) -> GivenToken:
    """raises   ConflictError for a name that is taken; NotFoundError for a show that is not there"""
    if wanted.show is not None:
        demand_show(store, wanted.show)
    secret, token = new_token(wanted.name, wanted.role, wanted.show)
    with book.changes:
        if wanted.name in {known.name for known in book.all()}:
            raise ConflictError(f"there is a token {wanted.name!r}; choose another name, or revoke it first")
        book.add(token)
    return GivenToken(**wanted.model_dump(), removable=True, secret=secret)


def revoke(book: TokenBook, name: str, *, by: Token) -> None:
    """raises   NotFoundError; ConflictError for one of the operator's file, and for the one that asks"""
    if name not in {token.name for token in book.all()}:
        raise NotFoundError(f"there is no token {name[:60]!r}; `GET /v1/tokens` lists those there are")
    if name == by.name:
        raise ConflictError(f"{name!r} is the token you use now; sign in with another admin's and revoke it there")
    if name not in {token.name for token in book.own()}:
        raise ConflictError(f"{name!r} stands in the operator's tokens file; take it out there")
    book.remove(name)
