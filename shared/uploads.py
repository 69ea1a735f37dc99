"""Uploads in the store: one object, or the pieces of a file that came bit by bit beside the facts about it.

The pieces are named by their offset and written once (`Store.create`), so of two senders at one offset one loses. How
far an upload has come follows from them alone: any replica can tell, also after a kill.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from shared import keys
from shared.errors import ArtifactMissingError, BadInputError
from shared.schemas import Record, now
from shared.store import Store, load

UPLOAD_KEY = re.compile(rf"{keys.UPLOADS}[A-Za-z0-9][A-Za-z0-9._-]{{0,199}}")


class Upload(Record):
    """What was announced of an upload that comes in pieces."""

    schema_version: Literal[1] = 1
    bytes: int = Field(ge=0)
    filename: str = Field(default="", max_length=300)
    metadata: str = Field(default="", description="as the sender wrote it, for HEAD")
    by: str
    created_at: datetime = Field(default_factory=now)


class Piece(NamedTuple):
    key: str
    bytes: int


def demand_key(upload_key: str) -> None:
    """raises   BadInputError for what can be no upload's key"""
    if not UPLOAD_KEY.fullmatch(upload_key):
        raise BadInputError(f"{upload_key!r} is not the key of an upload; upload the file and use its key")


def facts_of(store: Store, upload_key: str) -> Upload | None:
    """None for an upload that is one object, or that does not exist."""
    try:
        return load(store, keys.upload_facts(upload_key), Upload)
    except ArtifactMissingError:
        return None


def pieces(store: Store, upload_key: str) -> list[Piece]:
    """All that came without a gap, in order."""
    there = store.sizes(f"{upload_key}/")
    found: list[Piece] = []
    key = keys.upload_part(upload_key, 0)
    while key in there and there[key].bytes:
        found.append(Piece(key, there[key].bytes))
        key = keys.upload_part(upload_key, sum(piece.bytes for piece in found))
    return found


def arrived(store: Store, upload_key: str) -> int:
    """Bytes that came without a gap: where the sender goes on."""
    return sum(piece.bytes for piece in pieces(store, upload_key))


def upload_bytes(store: Store, upload_key: str) -> int | None:
    """Size of an upload, None if nothing is there.

    raises   BadInputError for one that is not finished
    """
    facts = facts_of(store, upload_key)
    if facts is None:
        stored = store.stat(upload_key)
        return stored.bytes if stored else None
    _demand_all(facts, arrived(store, upload_key))
    return facts.bytes


def fetch_upload(store: Store, upload_key: str, path: Path) -> None:
    """Stream an upload into a file.

    raises   ArtifactMissingError; BadInputError for one that is not finished
    """
    facts = facts_of(store, upload_key)
    if facts is None:
        return store.fetch(upload_key, path)
    found = pieces(store, upload_key)
    _demand_all(facts, sum(piece.bytes for piece in found))
    with path.open("wb") as file:
        for piece in found:
            for chunk in store.stream(piece.key):
                file.write(chunk)
    _demand_all(facts, path.stat().st_size)


def _demand_all(facts: Upload, came: int) -> None:
    if came != facts.bytes:
        raise BadInputError(
            f"the upload is not finished: {came} of {facts.bytes} bytes; send the rest, or `diary recordings add` again"
        )


def forget_upload(store: Store, upload_key: str) -> None:
    """Remove an upload, whatever its form; its facts go first, so that half of it is never taken for a beginning."""
    parts = store.list(f"{upload_key}/")
    if not parts:
        return store.delete(upload_key)
    store.delete(keys.upload_facts(upload_key))
    for key in parts:
        store.delete(key)
