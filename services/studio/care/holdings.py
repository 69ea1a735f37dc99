"""What the store holds, and which manifest names which blob: what storage, collections and exports stand on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.studio.comparisons import Comparison
from shared import keys
from shared.corrections import Classification, Glossary, Repeats
from shared.errors import BadInputError, NewerDataError
from shared.guests import GuestSheet
from shared.renderings import EpisodeAudio, SpokenTurns
from shared.schemas import (
    Absences,
    Adapter,
    Checkpoint,
    Dataset,
    Episode,
    EpisodeTurn,
    Record,
    Recording,
    RecordingEdits,
    Run,
    Sha256,
    Show,
    Tombstone,
    Transcript,
    Voiceprint,
    newest_schema,
)
from shared.store import Store, Stored, create_manifest, load
from shared.subscriptions import KnownItem, LastRefresh, Subscription

STORED: tuple[type[Record], ...] = (
    Show,
    Subscription,
    LastRefresh,
    KnownItem,
    Recording,
    RecordingEdits,
    Tombstone,
    Transcript,
    Voiceprint,
    Glossary,
    GuestSheet,
    Repeats,
    Classification,
    Dataset,
    Run,
    Checkpoint,
    Adapter,
    EpisodeTurn,
    Episode,
    SpokenTurns,
    EpisodeAudio,
    Comparison,
    Absences,
)
KNOWN_SCHEMA = max(newest_schema(record) for record in STORED)

# The parts of a show by the folder of their manifests, and whether these name blobs as theirs. Lineage may name blobs
# too (the audio that a transcript was heard from); that holds nothing.
KINDS = {
    "show.json": "show",
    "voiceprint.json": "show",
    "voiceprints": "show",
    "glossary.json": "show",
    "guests": "show",
    "repeats.json": "show",
    "classified": "show",
    "absences": "show",
    "sources": "show",
    "refreshes": "show",
    "items": "show",
    "edits": "show",
    "erased": "show",
    "recordings": "original audio",
    "transcripts": "transcripts",
    "datasets": "datasets",
    "runs": "show",
    "checkpoints": "checkpoints",
    "adapters": "adapters",
    "episodes": "episodes",
    "comparisons": "episodes",
}
WITHOUT_BLOBS = {"transcripts", "comparisons", *(folder for folder, kind in KINDS.items() if kind == "show")}
WORKING = "working copies"
UPLOADS, PROBES, UNREFERENCED, SECRETS = "uploads", "probes", "unreferenced blobs", "addresses of private sources"

OnRead = Callable[[int, int], None]


@dataclass(frozen=True)
class Named:
    """A blob as a manifest names it; `field` is the manifest's field that does."""

    key: str
    sha256: Sha256
    bytes: int
    field: str


@dataclass(frozen=True)
class Holdings:
    """All objects, and the blobs that each manifest names."""

    objects: Mapping[str, Stored]
    named: Mapping[str, tuple[Named, ...]]


def survey(store: Store, on_read: OnRead = lambda done, total: None) -> Holdings:
    """List the store and read each manifest that may name blobs.

    A store lists `blobs/` before `shows/`: what comes meanwhile is named by a manifest that we read, or is new.
    raises   NewerDataError for a manifest of a newer version, BadInputError for a damaged one: nobody may judge what
             nobody needs without reading all
    """
    objects = store.sizes("")
    holders = [key for key in objects if may_name_blobs(key)]
    named: dict[str, tuple[Named, ...]] = {}
    for done, key in enumerate(holders):
        on_read(done, len(holders))
        named[key] = tuple(named_blobs(read_manifest(store, key)))
    return Holdings(objects, named)


def may_name_blobs(key: str) -> bool:
    if key.startswith(keys.IMPORTS):
        return True
    return key.startswith("shows/") and folder_of(key) not in WITHOUT_BLOBS and "/turns/" not in key


def read_manifest(store: Store, key: str) -> dict[str, Any]:
    return manifest_of(store.get(key), key)


def manifest_of(data: bytes, key: str) -> dict[str, Any]:
    """A manifest of any kind; raises NewerDataError or BadInputError."""
    try:
        manifest = json.loads(data)
    except ValueError as error:
        raise BadInputError(f"{key} is damaged: {error}; restore it from a backup (`diary shows import`)") from error
    if not isinstance(manifest, dict):
        raise BadInputError(f"{key} is damaged: it is no manifest; restore it from a backup (`diary shows import`)")
    if manifest.get("schema_version", 0) > KNOWN_SCHEMA:
        raise NewerDataError(f"{key} was made by a newer version of the product; upgrade this one first")
    return manifest


def named_blobs(manifest: dict[str, Any]) -> Iterator[Named]:
    """Every record in a manifest that has key, sha256 and bytes; one of key and sha256 alone is lineage."""
    for field, value in manifest.items():
        for blob in _blobs_in(value):
            yield Named(blob["key"], blob["sha256"], blob["bytes"], field)


def _blobs_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if {"key", "sha256", "bytes"} <= value.keys() and str(value["key"]).startswith(keys.BLOBS):
            yield value
        else:
            for inner in value.values():
                yield from _blobs_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _blobs_in(inner)


def folder_of(key: str) -> str:
    """`recordings` of `shows/lamp/recordings/r1.json`."""
    return key.split("/")[2]


def show_of(key: str) -> str | None:
    return key.split("/")[1] if key.startswith("shows/") else None


def kind_of(key: str) -> str:
    """What a manifest, pointer or other object that is no blob counts as."""
    if key.startswith("shows/"):
        return KINDS.get(folder_of(key), "other")
    if key.startswith(keys.SECRETS):
        return SECRETS
    return PROBES if key.startswith(keys.PROBES) else UPLOADS


def kind_of_blob(holder: str, named: Named) -> str:
    """What a blob counts as for one of the manifests that name it."""
    return WORKING if named.field == "working" and folder_of(holder) == "recordings" else kind_of(holder)


def absent_on_purpose(store: Store, show: str) -> dict[str, str]:
    """Keys of a show that are known to be missing, and why."""
    found: dict[str, str] = {}
    for key in store.list(keys.absences(show)):
        absences = load(store, key, Absences)
        found.update(dict.fromkeys(absences.keys, absences.why))
    return found


def keep_absences(store: Store, absences: Absences) -> bool:
    """True if this was not known before."""
    name = hashlib.sha256(absences.model_dump_json().encode()).hexdigest()[:16]
    return create_manifest(store, keys.absence(absences.show, name), absences)
