"""A show as one tar file: `export.json`, then every object under its own key, in order.

The same show gives the same bytes: nothing in the file tells when, where or by whom it was made. An export of kind
`text` has neither audio nor checkpoints. What its manifests name and the file does not hold is listed, so that whoever
imports it can tell left out from lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

from services.studio.care.archive import FIRST, TAR_END, Entry, Export, Only, header, padding
from services.studio.care.holdings import (
    Named,
    absent_on_purpose,
    folder_of,
    manifest_of,
    may_name_blobs,
    named_blobs,
)
from services.studio.care.lineage import is_fact_sheet, went_with_its_recording
from shared import keys
from shared.errors import ArtifactMissingError, BadInputError, NotFoundError
from shared.store import Store
from shared.version import VERSION

CHANGING = ("sources", "refreshes", "edits", "erased", "voiceprints", "classified", "guests")


@dataclass
class Stock:
    """An export about to be sent. Pointers may change meanwhile: they go as they were when we looked."""

    export: Export
    pointers: dict[str, bytes] = field(default_factory=dict)


def take_stock(store: Store, show: str, only: Only) -> Stock:
    """Read every manifest of a show, follow what they name, and find out what can go into the file.

    raises   NotFoundError for an unknown show; ArtifactMissingError if something is missing that nobody left out
    """
    if not store.exists(keys.show(show)):
        raise NotFoundError(f"there is no show {show!r}; `diary shows list` names those that exist")
    pointers = {key: store.get(key) for key in _pointers(store, show)}  # before what they point at: that is there then
    taken = {key: _entry(key, data) for key, data in pointers.items() if not keys.is_heard(key)}
    blobs: dict[str, tuple[Named, bool]] = {}
    waiting = [key for key in store.list(f"shows/{show}/") if _goes(key, show, only, pointers)]
    while waiting:
        key = waiting.pop()
        if key in taken:
            continue
        data = pointers[key] if key in pointers else store.get(key)
        manifest = manifest_of(data, key)
        taken[key] = _entry(key, data)
        waiting += [source for source in _sources(manifest, show) if not _is_withdrawn(store, source, manifest)]
        for named in named_blobs(manifest) if may_name_blobs(key) else ():
            wanted = only == "all" or not _is_audio(key, manifest)
            blobs[named.key] = (named, wanted or blobs.get(named.key, (named, False))[1])
    absent = absent_on_purpose(store, show)
    left_out: dict[str, Entry] = {}
    for named, wanted in blobs.values():
        there = wanted and _is_there(store, named, absent)
        (taken if there else left_out)[named.key] = Entry(key=named.key, bytes=named.bytes, sha256=named.sha256)
    return Stock(
        Export(made_by=VERSION, show=show, only=only, entries=_in_order(taken), left_out=_in_order(left_out)), pointers
    )


def _pointers(store: Store, show: str) -> list[str]:
    heads = [key for key in store.list(keys.transcripts(show)) if key.endswith("/head")]
    changing = [key for folder in CHANGING for key in store.list(f"shows/{show}/{folder}/")]
    heard = [key for key in store.list(keys.episodes(show)) if keys.is_heard(key)]
    single = (keys.show(show), keys.voiceprint(show), keys.glossary(show))
    return [key for key in (*single, *heads, *changing, *heard) if store.exists(key)]


def _goes(key: str, show: str, only: Only, pointers: Container[str]) -> bool:
    """Not a pointer to an episode's sound that came after we looked at pointers."""
    late = keys.is_heard(key) and key not in pointers
    return keys.is_content_of(key, show) and not late and (only == "all" or folder_of(key) != "checkpoints")


def _entry(key: str, data: bytes) -> Entry:
    return Entry(key=key, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _sources(manifest: dict[str, Any], show: str) -> list[str]:
    """Manifests of the show that this one was made from; one that came after we listed is found here."""
    made_from = [source["key"] for source in manifest.get("lineage", {}).get("made_from", ())]
    return [key for key in made_from if key.startswith(f"shows/{show}/")]


def _is_withdrawn(store: Store, source: str, manifest: dict[str, Any]) -> bool:
    """Whether something was made from what is gone with its recording, or from facts that people removed."""
    return not store.exists(source) and (is_fact_sheet(source) or went_with_its_recording(store, source, manifest))


def _is_audio(key: str, manifest: dict[str, Any]) -> bool:
    """A recording's file is audio unless the recording came as a published transcript; an episode's sound is."""
    return keys.is_heard(key) or (folder_of(key) == "recordings" and manifest.get("working") is not None)


def _is_there(store: Store, named: Named, absent: dict[str, str]) -> bool:
    there = store.stat(named.key)
    if there is None and named.key not in absent:
        raise ArtifactMissingError(named.key, keys.advice(named.key))
    if there is not None and there.bytes != named.bytes:
        raise BadInputError(f"{named.key} is damaged in the store: {there.bytes} bytes of {named.bytes}; restore it")
    return there is not None


def _in_order(entries: dict[str, Entry]) -> tuple[Entry, ...]:
    return tuple(entries[key] for key in sorted(entries))


# ---- the file -------------------------------------------------------------------------------------------------------


def tar_bytes(store: Store, stock: Stock) -> Iterator[bytes]:
    """The file piece by piece; never more than a piece is in memory.

    raises   BadInputError in the middle if an object does not hold what its manifest says: the file then breaks off
    """
    first = stock.export.model_dump_json().encode()
    yield header(FIRST, len(first))
    yield from _padded(iter((first,)), len(first))
    for entry in stock.export.entries:
        yield header(entry.key, entry.bytes)
        data = stock.pointers.get(entry.key)
        chunks = iter((data,)) if data is not None else store.stream(entry.key)
        yield from _padded(_checked(chunks, entry), entry.bytes)
    yield TAR_END


def _padded(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    yield from chunks
    yield bytes(padding(size))


def _checked(chunks: Iterator[bytes], entry: Entry) -> Iterator[bytes]:
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
        yield chunk
    if found.hexdigest() != entry.sha256:
        raise BadInputError(f"{entry.key} is damaged in the store, or changed while it was exported; export again")
