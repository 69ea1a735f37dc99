"""A show from a tar file that `diary shows export` made: all of it, checked, or nothing that anybody can see.

Blobs are stored as they come, manifests wait in the work folder until the file has ended well; then they are written in
the order in which they were made, pointers last and the show itself at the very end. What is here already stays; what
differs from it is a conflict. Blobs of an import that broke off are collected like all that no manifest names.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from services.studio.care.archive import FIRST, Entry, Export, content, first_member, opened, read_list
from services.studio.care.holdings import folder_of, keep_absences, manifest_of, may_name_blobs, named_blobs
from services.studio.comparisons import Comparison
from shared import keys
from shared.corrections import Classification, Glossary
from shared.errors import BadInputError, ConflictError
from shared.guests import GuestSheet
from shared.renderings import EpisodeAudio, SpokenTurns
from shared.schemas import (
    Absences,
    Adapter,
    Checkpoint,
    Dataset,
    Episode,
    EpisodeTurn,
    QuestionSheet,
    Record,
    Recording,
    RecordingEdits,
    Run,
    Show,
    Tombstone,
    Transcript,
    Voiceprint,
)
from shared.space import demand_space
from shared.store import CHUNK_BYTES, Store, parse, put_blob
from shared.subscriptions import KnownItem, LastRefresh, Subscription

# In the order in which they are written: whoever reads a manifest finds what it was made from.
FOLDERS = (
    "erased", "recordings", "edits", "transcripts", "datasets", "runs", "checkpoints", "adapters", "episodes",
    "comparisons", "items", "refreshes", "sources", "voiceprints", "voiceprint.json", "classified", "glossary.json",
    "guests", "show.json",
)  # fmt: skip
STAYS_AS_HERE = ("erased", "refreshes")  # who erased it here, and when the last refresh was here: no conflict
RECORDS: dict[str, type[Record]] = {
    "show.json": Show,
    "sources": Subscription,
    "refreshes": LastRefresh,
    "items": KnownItem,
    "edits": RecordingEdits,
    "erased": Tombstone,
    "voiceprint.json": Voiceprint,
    "voiceprints": Voiceprint,
    "classified": Classification,
    "glossary.json": Glossary,
    "guests": GuestSheet,
    "recordings": Recording,
    "transcripts": Transcript,
    "datasets": Dataset,
    "runs": Run,
    "checkpoints": Checkpoint,
    "adapters": Adapter,
    "episodes": Episode,
    "comparisons": Comparison,
}


class ImportResult(Record):
    """`new` objects were written, `known` ones were here already; `left_out` are not in the file, nor here."""

    show: str
    only: str
    new: int
    known: int
    bytes: int
    left_out: int


def bring_in(stream: BinaryIO, store: Store, work: Path, setting: str, allow: Callable[[str], None]) -> ImportResult:
    """Import a show.

    stream   the tar file, read once from its beginning to its end
    work     a folder for the manifests, and for one blob at a time; `setting` is the variable that names it
    allow    called with the show's slug before anything is compared; raises if the caller may not
    raises   BadInputError for a file that is not whole, not ours, or damaged; NewerDataError; ConflictError if the show
             is here with other content; NoSpaceError
    """
    with opened(stream) as tar:
        export = read_list(first_member(tar))
        allow(export.show)
        known = compare(export, store)
        if len(known) == len(export.entries):
            return result(export, store, known)
        demand_space(work, _work_bytes(export), "the import", setting=setting)
        work.mkdir(parents=True, exist_ok=True)
        marker = keys.importing(hashlib.sha256(export.model_dump_json().encode()).hexdigest()[:32])
        store.create(marker, export.model_dump_json().encode())  # the collector spares what it names
        try:
            with tempfile.TemporaryDirectory(dir=work) as folder:
                manifests = _unpack(tar, export, store, Path(folder))
                _demand_sound(export, manifests, store)
                _demand_not_erased(export, store)  # what was erased while the file came
                _write(export, manifests, store)
        finally:
            store.delete(marker)
    return result(export, store, known)


# ---- the list of what is in it --------------------------------------------------------------------------------------


def compare(export: Export, store: Store) -> set[str]:
    """Keys of the export that are here already. raises ConflictError if what is here differs, or was erased"""
    _demand_not_erased(export, store)
    here = set()
    for entry in export.manifests:
        if store.exists(entry.key):
            if not _stays_as_here(entry.key) and hashlib.sha256(store.get(entry.key)).hexdigest() != entry.sha256:
                raise _differs(entry.key, export.show)
            here.add(entry.key)
    for entry in export.blobs:
        there = store.stat(entry.key)
        if there is not None and there.bytes == entry.bytes:
            here.add(entry.key)
    return here


def _stays_as_here(key: str) -> bool:
    """Whether what is here is no conflict: an episode may have been spoken again since."""
    return folder_of(key) in STAYS_AS_HERE or keys.is_heard(key)


def _demand_not_erased(export: Export, store: Store) -> None:
    """A recording that was erased here, or there, does not come back, or stay, by the way. raises ConflictError"""
    show, listed = export.show, {entry.key for entry in export.manifests}
    for key in sorted(listed):
        folder, name = folder_of(key), key.rsplit("/", 1)[1].removesuffix(".json")
        recording = keys.recording(show, name)
        if folder == "recordings" and not store.exists(key) and store.exists(keys.tombstone(show, name)):
            raise ConflictError(
                f"recording {name} was erased from {show} here, and the file holds it. Nothing was imported; erase it "
                f"where the file was made (`diary recordings remove {show} {name}`) and export again, or bring it back "
                "here first with `diary recordings add --again`"
            )
        if folder == "erased" and recording not in listed and store.exists(recording):
            raise ConflictError(
                f"recording {name} of {show} was erased where the file was made, and is still here. Nothing was "
                f"imported; erase it here too (`diary recordings remove {show} {name}`), then import the file again"
            )


def _differs(key: str, show: str) -> ConflictError:
    return ConflictError(
        f"the show {show!r} is here with other content: {key} differs from the one in the file. Nothing was imported; "
        "import into another stack, or keep the show that is here"
    )


def _work_bytes(export: Export) -> int:
    return sum(entry.bytes for entry in export.manifests) + max((entry.bytes for entry in export.blobs), default=0)


# ---- the file -------------------------------------------------------------------------------------------------------


def _unpack(tar: tarfile.TarFile, export: Export, store: Store, folder: Path) -> dict[str, Path]:
    """Read every member, each checked before it goes anywhere; returns the files of the manifests by key."""
    expected = {entry.key: entry for entry in export.entries}
    manifests: dict[str, Path] = {}
    for number, member in enumerate(iter(tar.next, None)):
        entry = expected.pop(member.name, None)
        if entry is None or member.size != entry.bytes:
            raise BadInputError(f"the file holds {member.name[:200]!r}, not as {FIRST} lists it; export the show again")
        path = folder / str(number)
        _copy_checked(content(tar, member), path, entry)
        if entry.key.startswith(keys.BLOBS):
            put_blob(store, path, "application/octet-stream")
            path.unlink()
        else:
            manifests[entry.key] = path
        cast(Any, tar).members.clear()  # or the list of what was read grows with the file
    if expected:
        raise BadInputError(f"the file breaks off: {len(expected)} objects that it lists are not in it; copy it again")
    return manifests


def _copy_checked(content: IO[bytes], path: Path, entry: Entry) -> None:
    found = hashlib.sha256()
    with path.open("wb") as file:
        while chunk := content.read(CHUNK_BYTES):
            found.update(chunk)
            file.write(chunk)
    if found.hexdigest() != entry.sha256:
        raise BadInputError(f"{entry.key} in the file is damaged or breaks off; copy the file again")


# ---- manifests ------------------------------------------------------------------------------------------------------


def _demand_sound(export: Export, manifests: dict[str, Path], store: Store) -> None:
    """Every manifest can be read by this version, and whatever it names is in the file, listed as left out, or here."""
    listed = {entry.key for entry in (*export.entries, *export.left_out)}
    for key, path in manifests.items():
        data = path.read_bytes()
        if key.endswith("/head"):
            _demand_revision(key, data, listed)
            continue
        if getattr(parse(data, key, _record_of(key)), "show", export.show) != export.show:
            raise BadInputError(f"{key} belongs to another show; the file was not made by `diary shows export`")
        for named in named_blobs(manifest_of(data, key)) if may_name_blobs(key) else ():
            if named.key not in listed and not store.exists(named.key):
                raise BadInputError(f"{key} names {named.key}, which the file neither holds nor lists as left out")
    for entry in export.blobs:
        if not store.exists(entry.key):
            raise ConflictError(f"{entry.key} was removed while the import ran; import the file again")


def _record_of(key: str) -> type[Record]:
    """What a manifest has to be."""
    if keys.is_heard(key):
        return EpisodeAudio if key.endswith("/audio.json") else SpokenTurns
    if key.endswith("/questions.json"):
        return QuestionSheet
    return EpisodeTurn if "/turns/" in key else RECORDS[folder_of(key)]


def _demand_revision(key: str, data: bytes, listed: set[str]) -> None:
    show, recording = key.split("/")[1], key.split("/")[3]
    if keys.transcript(show, recording, data.decode(errors="replace")) not in listed:
        raise BadInputError(f"{key} points at a transcript that is not in the file; export the show again")


def _write(export: Export, manifests: dict[str, Path], store: Store) -> None:
    """Make it visible: what things were made from before the things, pointers after what they point at."""
    missing = tuple(entry.key for entry in export.left_out if not store.exists(entry.key))
    if missing:
        keep_absences(store, Absences(show=export.show, why="left out", keys=missing))
    for key in sorted(manifests, key=_place):
        data = manifests[key].read_bytes()
        if not store.create(key, data) and not _stays_as_here(key) and store.get(key) != data:
            raise _differs(key, export.show)


def _place(key: str) -> tuple[int, int, str]:
    """Turns come before their episode, its sound after it; revisions before the head that points at one of them."""
    last = 2 if keys.is_heard(key) else int(key.endswith(("/head", "/episode.json")))
    return FOLDERS.index(folder_of(key)), last, key


def result(export: Export, store: Store, known: set[str]) -> ImportResult:
    new = [entry for entry in export.entries if entry.key not in known]
    return ImportResult(
        show=export.show,
        only=export.only,
        new=len(new),
        known=len(known),
        bytes=sum(entry.bytes for entry in new),
        left_out=sum(not store.exists(entry.key) for entry in export.left_out),
    )
