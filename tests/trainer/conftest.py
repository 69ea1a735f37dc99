"""A small show in a store, a base model's folder, and a scripted engine."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.studio.machine.local import Stack
from shared import keys
from shared.models import Base
from shared.render import Renderer, renderer_for
from shared.schemas import (
    Blob,
    HostMethod,
    Lineage,
    Recording,
    Role,
    Show,
    Speaker,
    Transcript,
    Turn,
)
from shared.store import S3Store, Store, create_manifest, point
from tests.conftest import s3_store
from tests.fakes import MemoryStore, ScriptedTrainingEngine
from tests.shared.test_render import base_model

SHOW = Show(slug="lamp", title="Lamp", host="Mara")
LINEAGE = Lineage(by="tests", version="0", job="job-0", actor="tester")
GUESTS = ("Ann Ash", "Bob Birch", "Cleo Cedar", "Dan Date")
ROLES = {"h": Role.HOST, "g": Role.GUEST, "o": Role.OTHER, "u": Role.UNKNOWN}


def turns(*said: str) -> tuple[Turn, ...]:
    """Turns from texts like `h: Hello`: h host, g guest, o other, u unknown."""
    return tuple(
        Turn(speaker=text[0], role=ROLES[text[0]], start_s=at, end_s=at + 1, text=text[3:])
        for at, text in enumerate(said)
    )


def add_talk(
    store: Store,
    recording: str,
    guest: str | None,
    said: Sequence[str],
    *,
    revision: str = "machine-1",
    host_method: HostMethod = HostMethod.VOICEPRINT,
) -> None:
    """A recording with a current transcript revision."""
    nothing = Blob(key=keys.blob("0" * 64), sha256="0" * 64, bytes=1)
    create_manifest(
        store,
        keys.recording(SHOW.slug, recording),
        Recording(
            id=recording,
            show=SHOW.slug,
            title=f"Talk {recording}",
            guest=guest,
            source="file",
            original=nothing,
            lineage=LINEAGE,
        ),
    )
    transcript = Transcript(
        id=revision,
        recording=recording,
        show=SHOW.slug,
        kind="machine",
        guest=guest,
        speakers=(Speaker(label="S1", role=Role.HOST),),
        host_method=host_method,
        turns=turns(*said),
        lineage=LINEAGE,
    )
    create_manifest(store, keys.transcript(SHOW.slug, recording, revision), transcript)
    point(store, keys.transcript_head(SHOW.slug, recording), revision.encode())


def small_talk(guest: str) -> list[str]:
    """A talk like no other: five words that every recording has in a row would be a repeated span."""
    name = guest.replace(" ", "")
    return [
        f"h: Welcome, {name}. How are you?",
        f"g: {guest} is well.",
        f"h: What do {name}s do?",
        f"g: {name}s count cups.",
        "h: Bye.",
    ]


@pytest.fixture
def store() -> MemoryStore:
    """A show with four guests, one recording each."""
    store = MemoryStore()
    create_manifest(store, keys.show(SHOW.slug), SHOW)
    for number, guest in enumerate(GUESTS, start=1):
        add_talk(store, f"rec{number}", guest, small_talk(guest))
    return store


@pytest.fixture
def base(tmp_path: Path) -> Base:
    """A base model's folder without a model: a byte-level tokenizer, one token per character."""
    folder = base_model(tmp_path / "base", "chatml")
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 2048, "num_hidden_layers": 4}))
    (folder / "revision.json").write_text(json.dumps({"name": "tests/tiny", "revision": "r" * 64}))
    return Base(folder=folder, name="tests/tiny", revision="r" * 64, context=2048)


@pytest.fixture
def renderer(base: Base) -> Renderer:
    return renderer_for(base.folder)


@pytest.fixture
def engine(base: Base) -> ScriptedTrainingEngine:
    return ScriptedTrainingEngine(base)


# ---- the same in real S3, for a trainer or a pod that is a process of its own ----------------------------------------


@pytest.fixture
def bucket() -> str:
    return f"trainer-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def there(s3: Stack, bucket: str) -> S3Store:
    """The show with two talks, in a bucket of its own."""
    store = s3_store(s3, bucket)
    store.ensure_bucket()
    create_manifest(store, keys.show(SHOW.slug), SHOW)
    for number, guest in enumerate(GUESTS[:2]):
        add_talk(store, f"rec{number}", guest, small_talk(guest))
    return store


@pytest.fixture
def s3_variables(s3: Stack, bucket: str) -> dict[str, str]:
    """How a process reaches that bucket."""
    pair = json.loads((s3.home / "secrets" / "s3.json").read_text())
    return {
        "S3_URL": s3.url("s3"),
        "S3_BUCKET": bucket,
        "S3_ACCESS_KEY": pair["access"],
        "S3_SECRET_KEY": pair["secret"],
    }
