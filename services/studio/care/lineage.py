"""The walk from an artifact back to what it was made from, down to the audio: is all of it there, and unchanged?"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.studio.care.holdings import absent_on_purpose, manifest_of, named_blobs
from services.studio.care.withdrawal import recording_of
from shared import keys
from shared.store import Store

IS_THERE = ("here", "changed")


@dataclass(frozen=True)
class Link:
    """Something that `needed_by` names.

    state   `here`; `left out` of the export or `collected`, gone on purpose; `withdrawn`, gone with a recording that
            was erased, or changed to say so, or a guest's facts that people removed; `missing`, which is damage; or
            `changed`: a pointer moved on since (a show's title, a voiceprint, a guest's facts), anything else that
            changed is damaged
    """

    key: str
    needed_by: str
    state: str


def walk(store: Store, key: str) -> list[Link]:
    """Every link from a manifest of a show back to its sources, breadth first. Every object is hashed."""
    absent = absent_on_purpose(store, key.split("/")[1])
    links: list[Link] = []
    seen, waiting = {key}, deque([key])
    while waiting:
        manifest = manifest_of(store.get(waiting[0]), waiting[0])
        for source, sha256 in sources(manifest):
            state = _state(store, source, sha256, absent, manifest)
            links.append(Link(source, waiting[0], state))
            if source not in seen and source.endswith(".json") and (state in IS_THERE or store.exists(source)):
                waiting.append(source)
            seen.add(source)
        waiting.popleft()
    return links


def damage(links: list[Link]) -> list[Link]:
    """The links that nobody meant to break."""
    pointers = ("/show.json", "/voiceprint.json")
    return [
        link
        for link in links
        if link.state == "missing"
        or (link.state == "changed" and not link.key.endswith(pointers) and not is_fact_sheet(link.key))
    ]


def is_fact_sheet(key: str) -> bool:
    """Whether a key is that of a guest's facts: people change and remove them, what was written from them stays."""
    return key.startswith("shows/") and key.split("/")[2] == "guests"


def sources(manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and sha256 of what a manifest was made from, and of the blobs that it names."""
    for source in manifest.get("lineage", {}).get("made_from", ()):
        yield source["key"], source["sha256"]
    for blob in named_blobs(manifest):
        yield blob.key, blob.sha256


def _state(store: Store, key: str, sha256: str, absent: dict[str, str], needed_by: dict[str, Any]) -> str:
    if not store.exists(key):
        if is_fact_sheet(key):
            return "withdrawn"
        return "withdrawn" if went_with_its_recording(store, key, needed_by) else absent.get(key, "missing")
    found = hashlib.sha256()
    for chunk in store.stream(key):
        found.update(chunk)
    if found.hexdigest() == sha256:
        return "here"
    return "withdrawn" if _says_so(store, key) else "changed"


def went_with_its_recording(store: Store, key: str, needed_by: dict[str, Any]) -> bool:
    """Whether a key is gone because the recording that it belonged to was erased, as its tombstone says."""
    recording = recording_of(key)
    if recording is None:
        return False
    return recording in needed_by.get("source_withdrawn", ()) or store.exists(
        keys.tombstone(key.split("/")[1], recording)
    )


def _says_so(store: Store, key: str) -> bool:
    """Whether what is at a key was rewritten since a recording behind it was erased."""
    return bool(key.endswith(".json") and manifest_of(store.get(key), key).get("source_withdrawn"))


def recordings_behind(links: list[Link]) -> list[str]:
    """Keys of the recordings that a walk came to."""
    return sorted({link.key for link in links if link.key.split("/")[2:3] == ["recordings"]})
