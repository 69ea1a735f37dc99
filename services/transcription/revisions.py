"""Transcript revisions in the store: the current one, what it came from, and making another one current."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared import keys
from shared.corrections import RevisionSummary
from shared.errors import ArtifactMissingError, BadInputError, ConflictError
from shared.schemas import HostMethod, Transcript, TranscriptResult, TranscriptState, Voiceprint
from shared.store import Store, create_manifest, load
from shared.transcripts import current

GUESSES = (HostMethod.GUESSED, HostMethod.UNKNOWN)
BY_ITSELF = ("aligned", "recognised")  # revisions that change nothing a person said
OWN_WORDS = {"machine": "transcribed", "import": "imported", "aligned": "words timed", "recognised": "host recognised"}

Revise = Callable[[Transcript], Transcript | None]


def revision_id(parts: Mapping[str, Any]) -> str:
    """Short name of a revision, from all that decides what is in it: the same work has the same name."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def read(store: Store, show: str, recording: str, revision: str) -> Transcript:
    return load(store, keys.transcript(show, recording, revision), Transcript)


def chain(store: Store, transcript: Transcript) -> Iterator[Transcript]:
    """A revision, its parent, and so on back to what was heard or imported."""
    yield transcript
    while transcript.parent is not None:
        transcript = read(store, transcript.show, transcript.recording, transcript.parent)
        yield transcript


def answer(
    store: Store, show: str, recording: str, parameters: Mapping[str, Any], models: Mapping[str, str]
) -> Transcript | None:
    """The current revision, if it is what these parameters and models give, or a person's correction of that.

    One whose host was only guessed is no answer once a voiceprint is there that it did not hear.
    """
    try:
        found = current(store, show, recording)
    except ArtifactMissingError:
        return None
    *_, heard = chain(store, found)
    made = heard.lineage
    if found.host_method not in GUESSES or found.kind == "recognised":
        parameters = {**parameters, "voiceprint": made.parameters.get("voiceprint")}
    return found if (made.parameters, made.models) == (dict(parameters), dict(models)) else None


# ---- making one current ----------------------------------------------------------------------------------------------


def move_head(store: Store, show: str, recording: str, revise: Revise) -> Transcript:
    """Make a revision of the current one current, by compare-and-swap, over and over until nobody was faster.

    revise   from the current revision to the new one, not stored yet; None to leave it as it is
    raises   ArtifactMissingError before the first revision; ConflictError while the recording is erased; and whatever
             `revise` raises
    """
    head_key = keys.transcript_head(show, recording)
    while True:
        name, tag = store.read(head_key)
        head = read(store, show, recording, name.decode())
        if store.exists(keys.tombstone(show, recording)):
            raise ConflictError(f"recording {recording} is being erased; there is nothing to correct any more")
        revised = revise(head)
        if revised is None or revised.id == head.id:
            return head
        key = keys.transcript(show, recording, revised.id)
        if not create_manifest(store, key, revised):
            revised = read(store, show, recording, revised.id)  # made before, by a try that was killed
        try:
            store.replace(head_key, revised.id.encode(), tag)
        except ConflictError:
            continue
        return revised


def offer(store: Store, transcript: Transcript) -> TranscriptResult:
    """Store what was heard or imported, and make it current unless people worked on what is: then they choose."""
    show, recording = transcript.show, transcript.recording
    create_manifest(store, keys.transcript(show, recording, transcript.id), transcript)
    if store.create(keys.transcript_head(show, recording), transcript.id.encode()):
        return result(transcript)

    def replaced(head: Transcript) -> Transcript | None:
        return None if has_human_work(store, head) else transcript

    return result(transcript, current=move_head(store, show, recording, replaced).id == transcript.id)


def has_human_work(store: Store, transcript: Transcript) -> bool:
    """Whether people checked, corrected or brought it; who the host is does not count: voices tell that of the next
    one too."""
    if transcript.state is not TranscriptState.MACHINE:
        return True
    return any(revision.change is not None for revision in chain(store, transcript))


def result(transcript: Transcript, *, current: bool = True) -> TranscriptResult:
    return TranscriptResult(
        transcript=transcript.id,
        recording=transcript.recording,
        key=keys.transcript(transcript.show, transcript.recording, transcript.id),
        speakers=len(transcript.speakers),
        host_method=transcript.host_method,
        turns=len(transcript.turns),
        current=current,
    )


# ---- history ---------------------------------------------------------------------------------------------------------


def history(store: Store, show: str, recording: str) -> list[RevisionSummary]:
    """Newest first: the current revision and what it came from, then what was heard or imported and is not in use."""
    head = current(store, show, recording)
    line = list(chain(store, head))
    known = {revision.id for revision in line}
    names = [key.rsplit("/", 1)[1].removesuffix(".json") for key in store.list(keys.transcripts(show, recording))]
    others = [read(store, show, recording, name) for name in names if name not in known and name != "head"]
    offered = [revision for revision in others if revision.kind in ("machine", "import")]
    offered.sort(key=lambda revision: revision.lineage.made_at, reverse=True)
    return [summary(revision, current=revision is head) for revision in (*line, *offered)]


def summary(revision: Transcript, *, current: bool = False) -> RevisionSummary:
    change, made = revision.change, revision.lineage
    said = change.summary if change else OWN_WORDS.get(revision.kind, "who the host is")
    return RevisionSummary(
        id=revision.id,
        parent=revision.parent,
        kind=revision.kind,
        summary=said,
        reason=change.reason if change else "",
        by=change.by if change else made.actor,
        at=change.at if change else made.made_at,
        state=revision.state,
        restores=revision.restores,
        batch=change.batch if change else None,
        current=current,
    )


def before_last_change(store: Store, head: Transcript) -> Transcript:
    """The revision whose content an undo brings back: that before the last change nobody took back yet.

    raises   BadInputError if people changed nothing, or all of it was taken back
    """
    revision = head
    while revision.kind in BY_ITSELF or (revision.restores and is_undo(revision)):
        name = revision.restores if revision.restores and revision.kind == "correction" else revision.parent
        if name is None:
            break
        revision = read(store, head.show, head.recording, name)
    if revision.kind != "correction" or revision.parent is None:
        raise BadInputError("nothing to undo: nobody has changed this transcript, or all changes are taken back")
    return read(store, head.show, head.recording, revision.parent)


def is_undo(revision: Transcript) -> bool:
    return revision.change is not None and [edit.get("kind") for edit in revision.change.edits] == ["undo"]


# ---- voiceprints -----------------------------------------------------------------------------------------------------


def voiceprint(store: Store, show: str) -> Voiceprint | None:
    """The host's."""
    key = keys.voiceprint(show)
    return load(store, key, Voiceprint) if store.exists(key) else None


def co_hosts(store: Store, show: str) -> list[Voiceprint]:
    return [load(store, key, Voiceprint) for key in store.list(keys.voiceprints(show))]


def voiceprint_name(found: Voiceprint | None) -> str | None:
    """Says which voiceprint was listened for, without saying anything about the voice's owner but its hash."""
    return None if found is None else revision_id({"model": found.model, "vector": found.vector})
