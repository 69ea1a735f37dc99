"""Transcript revisions in the store: the current one, what it came from, and making another one current."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from shared import keys
from shared.errors import ArtifactMissingError
from shared.schemas import HostMethod, Transcript, TranscriptResult, Voiceprint
from shared.store import Store, load, point

GUESSES = (HostMethod.GUESSED, HostMethod.UNKNOWN)


def revision_id(parts: Mapping[str, Any]) -> str:
    """Short name of a revision, from all that decides what is in it: the same work has the same name."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def current(store: Store, show: str, recording: str) -> Transcript:
    """The revision that the head points to; ArtifactMissingError before the first one."""
    revision = store.get(keys.transcript_head(show, recording)).decode()
    return load(store, keys.transcript(show, recording, revision), Transcript)


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
    made = _machine_revision(store, found).lineage
    if found.host_method not in GUESSES:
        parameters = {**parameters, "voiceprint": made.parameters.get("voiceprint")}
    return found if (made.parameters, made.models) == (dict(parameters), dict(models)) else None


def make_current(store: Store, transcript: Transcript) -> TranscriptResult:
    point(store, keys.transcript_head(transcript.show, transcript.recording), transcript.id.encode())
    return result(transcript)


def result(transcript: Transcript) -> TranscriptResult:
    return TranscriptResult(
        transcript=transcript.id,
        recording=transcript.recording,
        key=keys.transcript(transcript.show, transcript.recording, transcript.id),
        speakers=len(transcript.speakers),
        host_method=transcript.host_method,
        turns=len(transcript.turns),
    )


def voiceprint(store: Store, show: str) -> Voiceprint | None:
    key = keys.voiceprint(show)
    return load(store, key, Voiceprint) if store.exists(key) else None


def voiceprint_name(found: Voiceprint | None) -> str | None:
    """Says which voiceprint was listened for, without saying anything about the voice's owner but its hash."""
    return None if found is None else revision_id({"model": found.model, "vector": found.vector})


def _machine_revision(store: Store, transcript: Transcript) -> Transcript:
    """What a chain of corrections started from."""
    while transcript.parent is not None:
        transcript = load(store, keys.transcript(transcript.show, transcript.recording, transcript.parent), Transcript)
    return transcript
