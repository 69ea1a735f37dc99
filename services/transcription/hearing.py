"""What the engine tells the job, and what the job asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from services.transcription.alignment import Times
from services.transcription.diarisation import Span
from shared.engines import Watch
from shared.schemas import Record, Word


class Heard(Record):
    """Recognised words in order of time. `engines` names what was used (asr, aligner); `warnings` are for people."""

    words: tuple[Word, ...]
    duration_s: float
    engines: dict[str, str]
    warnings: tuple[str, ...] = ()


class Voices(Record):
    """Who talks when. `centroids` are (K, D), unit length; they live as long as the job, never in an artifact."""

    spans: tuple[Span, ...]
    centroids: tuple[tuple[float, ...], ...]
    model: str


class Voice(Record):
    """One voice: unit vector, and the seconds of speech it was made from."""

    vector: tuple[float, ...]
    speech_s: float
    model: str


class Engine(Protocol):
    def setup(self, job: Watch) -> dict[str, str]:
        """Names of what will be used: asr, aligner, diariser."""
        ...

    def transcribe(self, path: Path, language: str, job: Watch) -> Heard:
        """raises BadAudioError if nothing is said, BadInputError if the model does not know the language"""
        ...

    def diarise(self, path: Path, speakers: int, job: Watch) -> Voices: ...

    def embed(self, path: Path, spans: Sequence[Times], job: Watch) -> Voice:
        """The voice that talks in `spans` (start and end in seconds); BadAudioError if all are too short."""
        ...
