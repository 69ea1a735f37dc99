"""Reading transcripts: which recordings of a show have one, and the revision that is current."""

from __future__ import annotations

from shared import keys
from shared.schemas import Transcript
from shared.store import Store, load


def transcribed(store: Store, show: str) -> list[str]:
    """Ids of the recordings that have a current transcript, in order."""
    heads = [key for key in store.list(keys.transcripts(show)) if key.endswith("/head")]
    return sorted(key.split("/")[-2] for key in heads)


def current(store: Store, show: str, recording: str) -> Transcript:
    """The revision that the head points to; ArtifactMissingError before the first one."""
    revision = store.get(keys.transcript_head(show, recording)).decode()
    return load(store, keys.transcript(show, recording, revision), Transcript)
