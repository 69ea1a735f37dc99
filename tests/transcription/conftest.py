"""A small show in a store, and a speech engine that says what the test wants to be heard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from services.transcription.diarisation import Span
from services.transcription.hearing import Heard, Voice, Voices
from shared import keys
from shared.engines import Watch
from shared.schemas import Lineage, Recording, Show, Word
from shared.store import create_manifest, put_blob
from tests.fakes import FakeJob, MemoryStore

HOST_VECTOR = (1.0, 0.0, 0.0)
GUEST_VECTOR = (0.6, 0.8, 0.0)
LINES = (
    (0, "Welcome to the show, my guest is Lisa. How are you?"),
    (1, "Thank you for having me. I am well."),
    (0, "What do you do all day?"),
    (1, "I count the cups in the cupboard, and then I count them again."),
)


def spoken(lines: Sequence[tuple[int, str]], word_s: float = 0.5) -> tuple[tuple[Word, ...], tuple[Span, ...]]:
    """Words of `word_s` seconds each and the spans of their voices, one line after another."""
    words: list[Word] = []
    spans: list[Span] = []
    for voice, text in lines:
        start_s = len(words) * word_s
        for place, word in enumerate(text.split()):
            words.append(Word(text=word, start_s=start_s + place * word_s, end_s=start_s + (place + 1) * word_s))
        spans.append(Span(start_s, words[-1].end_s, voice, 0.2))
    return tuple(words), tuple(spans)


class ScriptedSpeechEngine:
    """An Engine that hears LINES, spoken by the voices given."""

    def __init__(self, lines: Sequence[tuple[int, str]] = LINES, *, model: str = "voices 1") -> None:
        self.words, self.spans = spoken(lines)
        self.centroids = (HOST_VECTOR, GUEST_VECTOR)
        self.voice = Voice(vector=HOST_VECTOR, speech_s=20.0, model=model)
        self.model = model
        self.models = {"asr": "scripted", "aligner": "scripted", "diariser": model}
        self.calls: list[str] = []

    def setup(self, job: Watch) -> dict[str, str]:
        return self.models

    def transcribe(self, path: Path, language: str, job: Watch) -> Heard:
        self.calls.append("transcribe")
        assert path.read_bytes() == b"flac"
        engines = {"asr": "scripted", "aligner": "scripted"}
        return Heard(words=self.words, duration_s=self.words[-1].end_s, engines=engines)

    def diarise(self, path: Path, speakers: int, job: Watch) -> Voices:
        self.calls.append("diarise")
        return Voices(spans=self.spans, centroids=self.centroids, model=self.model)

    def embed(self, path: Path, spans: Sequence[tuple[float, float]], job: Watch) -> Voice:
        self.calls.append("embed")
        return self.voice


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
