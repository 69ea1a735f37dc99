"""All that the store holds of one recording: its own objects, what was made from it, who else needs the bytes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.studio.care.holdings import Holdings, Named, folder_of, read_manifest, survey
from services.studio.care.withdrawal import descendants, guests_in, job_texts, job_words, jobs_of, recording_of
from shared import keys, recordings
from shared.corrections import Repeats
from shared.errors import NotFoundError
from shared.forgetting import Forgetting
from shared.schemas import Recording, Tombstone, Transcript, Voiceprint
from shared.store import Store, load
from shared.subscriptions import KnownItem
from shared.uploads import facts_of
from shared.voiceprints import enrolments_of, without

ERASE = "erase"
MADE = (keys.datasets, keys.adapters, keys.episodes)


@dataclass(frozen=True)
class Traces:
    """What there is of a recording, by keys.

    own           blobs that its manifest names
    transcripts   its revisions and the pointer to the current one
    voiceprints   that nothing else taught; from others only what it taught is taken
    made          datasets, adapters and episodes that came from it, directly or not
    checkpoints   of runs on such datasets
    uploads       files that were uploaded with the same content, also in part, and not taken over
    imports       what imports of the show will name, or would have named before a kill: the tombstone refuses them
    blobs         that nothing needs once it is gone, by the manifest that names them
    held          blobs of it that another manifest names too -> these manifests
    needed        blobs of adapters made from it that something not made from it names too
    """

    recording: Recording
    as_edited: Recording
    own: tuple[Named, ...]
    transcripts: tuple[str, ...]
    edits: tuple[str, ...]
    voiceprints: tuple[str, ...]
    repeats: tuple[str, ...]
    made: tuple[str, ...]
    checkpoints: tuple[str, ...]
    uploads: tuple[str, ...]
    imports: tuple[str, ...]
    blobs: Mapping[str, tuple[Named, ...]]
    held: Mapping[str, tuple[str, ...]]
    needed: frozenset[str]
    objects: Mapping[str, int]

    @property
    def key(self) -> str:
        return keys.recording(self.recording.show, self.recording.id)

    @property
    def datasets(self) -> list[str]:
        return [key for key in self.made if folder_of(key) == "datasets"]

    @property
    def going(self) -> list[str]:
        """Every object that is removed, once; the recording's manifest last."""
        heard = (*self.transcripts, *self.edits, *self.voiceprints, *self.repeats)
        own = (*heard, *self.checkpoints, *self.uploads, *self.imports)
        blobs = (named.key for found in self.blobs.values() for named in found)
        return [key for key in dict.fromkeys((*own, *blobs, self.key)) if key in self.objects]

    @property
    def names_made(self) -> set[str]:
        """Names of the datasets and adapters made from it, as jobs ask for them."""
        return {key.rsplit("/", 1)[1].removesuffix(".json") for key in self.made if folder_of(key) != "episodes"}

    def forgetting(self, *, dry_run: bool, items: Collection[str] = ()) -> Forgetting:
        """What the services are asked to forget. An erasure's own job holds nothing but ids, and stays.

        items   of sources that became this recording, see `items_of`
        """
        revisions = [key.rsplit("/", 1)[1].removesuffix(".json") for key in self.transcripts if key.endswith(".json")]
        return Forgetting(
            show=self.recording.show,
            jobs=jobs_of(self.recording),
            words=(*job_words(self.recording, revisions, [blob.sha256 for blob in self.own]), *sorted(items)),
            texts=job_texts(self.recording, self.as_edited),
            spare=(ERASE,),
            dry_run=dry_run,
        )


def read(store: Store, show: str, recording_id: str) -> Traces:
    """Look for a recording everywhere; raises NotFoundError for an unknown one, and for one that was erased."""
    key = keys.recording(show, recording_id)
    if not store.exists(key):
        raise _not_here(store, show, recording_id)
    holdings = survey(store)
    recording = load(store, key, Recording)
    manifests = {name: read_manifest(store, name) for prefix in MADE for name in _manifests(store, prefix(show))}
    made = descendants(recording_id, manifests)
    checkpoints = checkpoints_of(store, show, [manifests[name]["id"] for name in made if folder_of(name) == "datasets"])
    imports = imports_of(store, holdings, key)
    leaving = {key, *checkpoints, *(name for name in made if folder_of(name) == "datasets")}
    emptied = {name for name, manifest in manifests.items() if folder_of(name) == "datasets" and is_withdrawn(manifest)}
    blobs, held = free_blobs(holdings, leaving, emptied | {*imports})
    edits = keys.edits(show, recording_id)
    return Traces(
        recording=recording,
        as_edited=recordings.edited(store, recording),
        own=holdings.named.get(key, ()),
        transcripts=tuple(store.list(keys.transcripts(show, recording_id))),
        edits=(edits,) if store.exists(edits) else (),
        voiceprints=tuple(key for key, left in taught(store, show, recording_id).items() if left is None),
        repeats=repeats_with(store, show, recording_id),
        made=tuple(made),
        checkpoints=tuple(checkpoints),
        uploads=tuple(uploads_like(store, holdings, holdings.named.get(key, ()))),
        imports=tuple(imports),
        blobs=blobs,
        held=held,
        needed=needed_elsewhere(holdings, [key for key in made if folder_of(key) == "adapters"], {*made, *imports}),
        objects={name: stored.bytes for name, stored in holdings.objects.items()},
    )


def _not_here(store: Store, show: str, recording_id: str) -> NotFoundError:
    key = keys.tombstone(show, recording_id)
    if not store.exists(key):
        return NotFoundError(f"{show} has no recording {recording_id}; `diary recordings list {show}` names its own")
    at = load(store, key, Tombstone).at
    return NotFoundError(f"recording {recording_id} of {show} was erased on {at:%Y-%m-%d}; nothing of it is left here")


def _manifests(store: Store, prefix: str) -> list[str]:
    """But an episode's turns and sound, which have no mark of their own: theirs is the episode's."""
    found = [key for key in store.list(prefix) if key.endswith(".json") and "/turns/" not in key]
    return [key for key in found if not keys.is_heard(key)]


def is_withdrawn(manifest: Mapping[str, Any]) -> bool:
    """Whether a recording behind it was erased."""
    return bool(manifest.get("source_withdrawn"))


def taught(store: Store, show: str, recording_id: str) -> dict[str, Voiceprint | None]:
    """Voiceprints that a recording taught, by key: what is left of each without it, None if nothing is."""
    found = [key for key in (keys.voiceprint(show), *store.list(keys.voiceprints(show))) if store.exists(key)]
    known = {key: load(store, key, Voiceprint) for key in found}
    return {
        key: without(voiceprint, recording_id)
        for key, voiceprint in known.items()
        if recording_id in {one.recording for one in enrolments_of(voiceprint)}
    }


def repeats_with(store: Store, show: str, recording_id: str) -> tuple[str, ...]:
    """The list of repeated spans, if the recording is in it: the next search makes it anew."""
    key = keys.repeats(show)
    return (key,) if store.exists(key) and recording_id in load(store, key, Repeats).transcripts else ()


def checkpoints_of(store: Store, show: str, datasets: Collection[str]) -> list[str]:
    if not datasets:
        return []
    found = store.list(f"shows/{show}/checkpoints/")
    return [key for key in found if read_manifest(store, key).get("dataset") in datasets]


def items_of(store: Store, show: str, recording_id: str) -> set[str]:
    """Ids of the sources' items that became a recording: a preview tells the title that an item has there."""
    markers = store.list(keys.items(show))
    found = [key for key in markers if load(store, key, KnownItem).recording == recording_id]
    return {key.rsplit("/", 1)[1].removesuffix(".json") for key in found}


def imports_of(store: Store, holdings: Holdings, recording: str) -> list[str]:
    """Marks of imports whose file holds a recording: running ones, and what a kill has left of one."""
    found = [key for key in holdings.named if key.startswith(keys.IMPORTS)]
    return [key for key in found if recording in {one["key"] for one in read_manifest(store, key).get("entries", ())}]


def free_blobs(
    holdings: Holdings, leaving: Collection[str], emptied: Collection[str]
) -> tuple[dict[str, tuple[Named, ...]], dict[str, tuple[str, ...]]]:
    """Blobs that only manifests in `leaving` name, by manifest; and those that others name too, with these.

    emptied   what names blobs in vain: datasets without examples, imports that will be refused
    """
    holders: dict[str, set[str]] = defaultdict(set)
    for holder, named in holdings.named.items():
        for blob in named:
            if holder not in leaving and holder not in emptied:
                holders[blob.key].add(holder)
    free = {
        holder: tuple(blob for blob in holdings.named.get(holder, ()) if not holders[blob.key])
        for holder in sorted(leaving)
    }
    wanted = {blob.key for holder in leaving for blob in holdings.named.get(holder, ())}
    return free, {key: tuple(sorted(holders[key])) for key in sorted(wanted) if holders[key]}


def needed_elsewhere(holdings: Holdings, adapters: Iterable[str], made: Collection[str]) -> frozenset[str]:
    """Blobs of adapters that a manifest names which is not in `made`."""
    elsewhere = {blob.key for holder, named in holdings.named.items() if holder not in made for blob in named}
    return frozenset(blob.key for key in adapters for blob in holdings.named.get(key, ()) if blob.key in elsewhere)


def uploads_like(store: Store, holdings: Holdings, blobs: Iterable[Named]) -> list[str]:
    """Uploads with the content of one of the blobs: what was sent, and failed or was sent again."""
    wanted = {(blob.bytes, blob.sha256) for blob in blobs}
    sizes = {size for size, _ in wanted}
    pieces: dict[str, list[str]] = defaultdict(list)
    for key in holdings.objects:
        if key.startswith(keys.UPLOADS):
            pieces[key.split("/")[1]].append(key)
    found: list[str] = []
    for name, upload in pieces.items():
        parts = [key for key in sorted(upload) if not key.endswith("/upload.json")]
        size = sum(holdings.objects[key].bytes for key in parts)
        whole = size in sizes and (size, _sha256(_chunks(store, parts))) in wanted
        if whole or _is_beginning(store, holdings, keys.upload(name), parts, size, blobs):
            found += upload
    return found


def _is_beginning(
    store: Store, holdings: Holdings, upload: str, parts: Sequence[str], size: int, blobs: Iterable[Named]
) -> bool:
    """Whether an upload that is not finished is the beginning of one of the blobs."""
    facts = facts_of(store, upload)
    alike = [blob for blob in blobs if facts and facts.bytes == blob.bytes > size and blob.key in holdings.objects]
    if not alike or not size:
        return False
    came = _sha256(_chunks(store, parts))
    return any(_sha256(store.stream(blob.key, 0, size)) == came for blob in alike)


def _chunks(store: Store, parts: Iterable[str]) -> Iterator[bytes]:
    for key in parts:
        yield from store.stream(key)


def _sha256(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def guests_of_others(store: Store, show: str, dataset: dict[str, Any], recording_id: str) -> set[str]:
    """Names of the guests of a dataset's recordings that are still here, but for one recording."""
    names: set[str] = set()
    for source in dataset.get("lineage", {}).get("made_from", ()):
        other = recording_of(source["key"])
        if other in (None, recording_id) or not store.exists(source["key"]):
            continue
        key = keys.recording(show, other or "")
        if store.exists(key):
            found, transcript = load(store, key, Recording), load(store, source["key"], Transcript)
            names |= guests_in(found, [transcript]) | guests_in(recordings.edited(store, found), [])
    return names
