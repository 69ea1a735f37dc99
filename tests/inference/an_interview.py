"""Real talk of the show, as transcripts in a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared import keys
from shared.schemas import Blob, ExcludedSpan, HostMethod, Recording, Role, Speaker, Transcript, Turn
from shared.store import create_manifest, point
from tests.fakes import MemoryStore
from tests.inference.conftest import LINEAGE, SHOW

OPENING = "Welcome to the lamp room, where we talk until the oil is gone. Who are you?"
QUESTION = "And when the first frost came, what did you do for the hives on the roof?"
ANSWER = (
    "I wrapped them in straw and old coats, and then I sat beside them every evening until the humming told me that "
    "they were warm."
)
SPOKEN: tuple[tuple[str, str], ...] = (("host", OPENING), ("guest", ANSWER), ("host", QUESTION), ("guest", ANSWER))


def transcript_of(
    said: Sequence[tuple[str, str]], recording: str = "rec1", excluded: tuple[ExcludedSpan, ...] = (), **more: Any
) -> Transcript:
    """Turns of ten seconds each, one after the other."""
    turns = tuple(
        Turn(speaker=role, role=Role(role), start_s=10 * place, end_s=10 * place + 10, text=text)
        for place, (role, text) in enumerate(said)
    )
    facts = {"duration_s": 10.0 * len(said), "excluded_spans": excluded, **more}
    return Transcript.model_validate(
        {
            "id": "t1",
            "recording": recording,
            "show": SHOW.slug,
            "kind": "machine",
            "speakers": (Speaker(label="host", role=Role.HOST),),
            "host_method": HostMethod.SET,
            "turns": turns,
            "lineage": LINEAGE,
            **facts,
        }
    )


def add_talk(store: MemoryStore, recording: str, said: Sequence[tuple[str, str]] = SPOKEN, **more: Any) -> None:
    create_manifest(store, keys.transcript(SHOW.slug, recording, "t1"), transcript_of(said, recording, **more))
    point(store, keys.transcript_head(SHOW.slug, recording), b"t1")


def add_recording(store: MemoryStore, recording: str, excluded: tuple[ExcludedSpan, ...]) -> None:
    manifest = Recording(
        id=recording, show=SHOW.slug, title="A talk", source="upload:talk", excluded_spans=excluded, lineage=LINEAGE,
        original=Blob(key=keys.blob("0" * 64), sha256="0" * 64, bytes=1),
    )  # fmt: skip
    create_manifest(store, keys.recording(SHOW.slug, recording), manifest)


def erase(store: MemoryStore, recording: str) -> None:
    for key in [*store.list(keys.transcripts(SHOW.slug, recording)), keys.recording(SHOW.slug, recording)]:
        store.delete(key)
