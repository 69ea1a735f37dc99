"""A small show in a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared import keys
from shared.schemas import Lineage, Recording, Show
from shared.store import create_manifest, put_blob
from tests.fakes import FakeJob, MemoryStore


def lineage() -> Lineage:
    return Lineage(by="test", version="0", job="job-0", actor="tester")


def add_recording(store: MemoryStore, audio: bytes | None = b"flac", recording_id: str = "rec1") -> Recording:
    recording = Recording(
        id=recording_id,
        show="demo",
        title="One",
        guest="Lisa",
        source="one.mp3",
        original=put_blob(store, b"mp3", "audio/mpeg"),
        working=None if audio is None else put_blob(store, audio, "audio/flac"),
        lineage=lineage(),
    )
    create_manifest(store, keys.recording("demo", recording_id), recording)
    return recording


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    create_manifest(store, keys.show("demo"), Show(slug="demo", title="Demo", host="Kenna Gray"))
    add_recording(store)
    return store


@pytest.fixture
def job(tmp_path: Path) -> FakeJob:
    return FakeJob(tmp_path)


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, dtype=np.float64)
    return vector / np.linalg.norm(vector)
