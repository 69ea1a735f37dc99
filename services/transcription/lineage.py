"""Where what this service writes says it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared import keys
from shared.jobs import JobContext
from shared.schemas import Lineage, MadeFrom, Recording
from shared.store import Store, made_from
from shared.version import VERSION


def sources_of(store: Store, recording: Recording) -> tuple[MadeFrom, ...]:
    """A recording's manifest and its audio: the mix, and the tracks if it has any."""
    manifest = made_from(store, keys.recording(recording.show, recording.id))
    audio = [recording.working, *(track.working for track in recording.tracks)]
    return (*manifest, *(MadeFrom(key=blob.key, sha256=blob.sha256) for blob in audio if blob is not None))


def lineage_of(
    job: JobContext, sources: tuple[MadeFrom, ...], parameters: Mapping[str, Any], models: Mapping[str, str]
) -> Lineage:
    return Lineage(
        made_from=sources,
        by="transcription",
        version=VERSION,
        job=job.id,
        actor=job.actor,
        parameters=dict(parameters),
        models=dict(models),
    )
