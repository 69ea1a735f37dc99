"""Reading recordings: what was found when one came, with what people have changed of it since."""

from __future__ import annotations

from shared import keys
from shared.errors import ArtifactMissingError
from shared.schemas import Recording, RecordingChanges, RecordingEdits
from shared.store import Store, load


def read(store: Store, show: str, recording_id: str) -> Recording:
    """The recording as people want it to be; raises ArtifactMissingError"""
    return edited(store, load(store, keys.recording(show, recording_id), Recording))


def edited(store: Store, recording: Recording) -> Recording:
    return with_edits(recording, edits_of(store, recording.show, recording.id))


def with_edits(recording: Recording, edits: RecordingEdits | None) -> Recording:
    if edits is None:
        return recording
    changed = {name: getattr(edits, name) for name in RecordingChanges.model_fields if name in Recording.model_fields}
    return recording.model_copy(update={name: value for name, value in changed.items() if value is not None})


def facts_of(store: Store, show: str, recording_id: str) -> tuple[str, ...]:
    """What a person said of the guest, a sentence each: it stands in the header of every training example."""
    edits = edits_of(store, show, recording_id)
    return (edits.facts if edits else None) or ()


def edits_of(store: Store, show: str, recording_id: str) -> RecordingEdits | None:
    try:
        return load(store, keys.edits(show, recording_id), RecordingEdits)
    except ArtifactMissingError:
        return None
