"""The sources of a show: what it is fed from, kept as subscriptions; secrets lie apart and are never told."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field, SecretStr

from services.studio.library import load_each
from services.studio.pipeline import demand_show
from shared import keys
from shared.errors import ArtifactMissingError, BadInputError, NotFoundError
from shared.patterns import quick_pattern
from shared.schemas import Record
from shared.service import actor_of, editor, viewer
from shared.store import Store, create_manifest, load, point, revise
from shared.subscriptions import Filters, LastRefresh, RefreshResult, SourceSecret, Subscription
from shared.tokens import Access, Token
from shared.urls import HIDDEN, check_url, redact

ID_BYTES = 5
LONGEST_ADDRESS = 2000
Kind = Literal["auto", "feed", "site", "folder"]


class NewSource(Record):
    """A source to be added. What is left out of one that is known stays as it is.

    address   of a feed, channel, playlist or page; for a folder, its path below INGEST_FOLDER
    """

    address: str = Field(min_length=1, max_length=LONGEST_ADDRESS)
    kind: Kind = "auto"
    username: str | None = Field(default=None, min_length=1, max_length=300)
    password: SecretStr | None = Field(default=None, max_length=300)
    filters: Filters | None = None


class SourceChanges(Record):
    """Filters to be set; those that are left out stay, null takes one away."""

    filters: Filters


class KnownSource(Subscription):
    """A subscription, and how its last refresh went."""

    refreshed_at: datetime | None = None
    last_refresh: RefreshResult | None = None


def sources_door(store: Store) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/sources", tags=["sources"])

    def reader(show: str, token: Token = Depends(viewer)) -> str:
        token.demand(Access.VIEWER, show)
        demand_show(store, show)
        return show

    def writer(show: str, token: Token = Depends(editor)) -> str:
        token.demand(Access.EDITOR, show)
        demand_show(store, show)
        return show

    @router.post("", status_code=201)
    def add_one(
        source: NewSource,
        request: Request,
        response: Response,
        show: str = Depends(writer),
        token: Token = Depends(editor),
    ) -> Subscription:
        """Subscribe to a source; the same address again is the same source (200), with the filters given now."""
        subscription, new = add(store, show, source, actor_of(request, token))
        response.status_code = 201 if new else 200
        response.headers["Location"] = f"/v1/shows/{show}/sources/{subscription.id}"
        return subscription

    @router.get("")
    def list_sources(show: str = Depends(reader)) -> list[KnownSource]:
        """What the show is fed from, each with how its last refresh went."""
        return [known(store, one) for one in load_each(store, store.list(keys.sources(show)), Subscription)]

    @router.get("/{name}")
    def get_source(name: str, show: str = Depends(reader)) -> KnownSource:
        """One source, with how its last refresh went."""
        return known(store, read(store, show, name))

    @router.patch("/{name}")
    def change_source(name: str, changes: SourceChanges, show: str = Depends(writer)) -> Subscription:
        """Change its filters: the next refresh goes by them. Recordings that came stay."""
        return change_filters(store, show, name, changes.filters)

    @router.delete("/{name}", status_code=204)
    def remove_source(name: str, show: str = Depends(writer)) -> None:
        """Forget the subscription and its secrets; its recordings stay."""
        remove(store, show, name)

    return router


# ---- what happens to a subscription --------------------------------------------------------------------------------


def add(store: Store, show: str, source: NewSource, by: str) -> tuple[Subscription, bool]:
    """The subscription, and whether it is new; its secret is stored before it.

    raises   BadInputError for an address or filters that cannot work; no message holds a secret
    """
    full, shown = addresses(source)
    filters = checked(source.filters or Filters())
    subscription = Subscription(
        id=source_id(show, full, private=full != shown),
        show=show,
        kind=source.kind,
        address=shown,
        private=full != shown,
        filters=filters,
        added_by=by,
    )
    if subscription.private:
        secret = SourceSecret(address=full).model_dump_json().encode()
        point(store, keys.source_secret(show, subscription.id), secret)
    key = keys.source(show, subscription.id)
    if create_manifest(store, key, subscription):
        return subscription, True
    wanted = {"kind": source.kind} if source.kind != "auto" else {}
    changes = wanted | ({"filters": filters} if source.filters is not None else {})
    return revise(store, key, Subscription, lambda old: old.model_copy(update=changes)), False


def read(store: Store, show: str, name: str) -> Subscription:
    """raises NotFoundError"""
    try:
        return load(store, keys.source(show, name), Subscription)
    except ArtifactMissingError as error:
        raise NotFoundError(
            f"there is no source {name!r} in {show}; `diary sources list {show}` names those that exist"
        ) from error


def known(store: Store, subscription: Subscription) -> KnownSource:
    facts = subscription.model_dump()
    try:
        last = load(store, keys.refresh(subscription.show, subscription.id), LastRefresh)
    except ArtifactMissingError:
        return KnownSource(**facts)
    return KnownSource(**facts, refreshed_at=last.at, last_refresh=last.result)


def change_filters(store: Store, show: str, name: str, wanted: Filters) -> Subscription:
    """raises NotFoundError, BadInputError"""
    read(store, show, name)
    changes = {field: getattr(wanted, field) for field in wanted.model_fields_set}

    def changed(old: Subscription) -> Subscription:
        return old.model_copy(update={"filters": checked(old.filters.model_copy(update=changes))})

    return revise(store, keys.source(show, name), Subscription, changed)


def remove(store: Store, show: str, name: str) -> None:
    """The subscription goes last: a repeat after a kill finds it and goes on. raises NotFoundError"""
    read(store, show, name)
    store.delete(keys.source_secret(show, name))
    store.delete(keys.refresh(show, name))
    store.delete(keys.source(show, name))


# ---- rules ---------------------------------------------------------------------------------------------------------


def addresses(source: NewSource) -> tuple[str, str]:
    """The full address, and what people may see of it; they differ if it holds secrets. raises BadInputError"""
    address = source.address.strip()
    if source.kind == "folder":
        if source.username or source.password:
            raise BadInputError("a folder asks for no user and password")
        return checked_folder(address), checked_folder(address)
    check_url(address)
    if not address.isprintable() or " " in address:
        raise BadInputError(f"{redact(address)[:200]!r} has spaces or control characters; copy the address again")
    full = with_login(address, source.username, source.password)
    shown = _shown(full)
    if max(len(full), len(shown)) > LONGEST_ADDRESS:
        raise BadInputError(f"the address is longer than {LONGEST_ADDRESS} characters; give a shorter one")
    return full, shown


def _shown(full: str) -> str:
    """Redacted, if that hides anything; `redact` writes a harmless query its own way too."""
    shown = redact(full)
    return shown if HIDDEN in shown or urlsplit(full).fragment else full


def with_login(address: str, username: str | None, password: SecretStr | None) -> str:
    if username is None and password is None:
        return address
    parts = urlsplit(address)
    if username is None or "@" in parts.netloc:
        raise BadInputError("give user and password once: both beside the address, or both within it")
    login = ":".join(quote(text, safe="") for text in (username, password.get_secret_value() if password else ""))
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))


def checked_folder(address: str) -> str:
    """A relative path without tricks, in its shortest form; `.` is the operator's folder itself."""
    path = PurePosixPath(address)
    if path.is_absolute() or ".." in path.parts or "\\" in address or not address.isprintable():
        raise BadInputError(
            f"{address[:100]!r} is no folder below INGEST_FOLDER; give its path from there, such as lamplight/2030"
        )
    return str(path)


def checked(filters: Filters) -> Filters:
    """raises BadInputError for filters that nothing can pass"""
    if filters.title_pattern is not None:
        quick_pattern(filters.title_pattern)
    if filters.after and filters.before and filters.after > filters.before:
        raise BadInputError(f"after {filters.after} and before {filters.before} leave no day; exchange them")
    return filters


def source_id(show: str, full: str, *, private: bool) -> str:
    """The same address of a show is the same source. With secrets, a slow hash: nobody shall find them by trying."""
    if private:
        return "s" + hashlib.scrypt(full.encode(), salt=show.encode(), n=2**14, r=8, p=1, dklen=ID_BYTES).hex()
    return "s" + hashlib.sha256(f"{show}\n{full}".encode()).hexdigest()[: 2 * ID_BYTES]
