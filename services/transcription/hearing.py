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
    """Recognised words in order of time. `engines` names what was used (asr, aligner); `warnings` are for people.

    language     what it was heard as
    confidence   of the language, where the model can tell languages apart and listened for them
    """

    words: tuple[Word, ...]
    duration_s: float
    engines: dict[str, str]
    warnings: tuple[str, ...] = ()
    language: str = "en"
    confidence: float | None = None


class TrackHeard(Record):
    """What one track's own speaker says, bleed from the others removed; times are the recording's.

    talk   start and end of each stretch in which this speaker talks, in order
    """

    words: tuple[Word, ...]
    speech_s: float
    talk: tuple[Times, ...] = ()


class TracksHeard(Record):
    """A multitrack recording: one entry per track, in their order; the speaker is the track."""

    tracks: tuple[TrackHeard, ...]
    duration_s: float
    engines: dict[str, str]
    warnings: tuple[str, ...] = ()
    language: str = "en"
    confidence: float | None = None


class TrackFile(Record):
    """A track's 16 kHz mono FLAC, and where it starts in the recording."""

    path: str
    offset_s: float = 0.0


class Evidence(Record):
    """How much each short window of speech sounds like each voice: what doubts are judged from. W windows, K voices.

    centres_s   (W,) ascending
    cosines     (W, K) to the voices' centroids
    overlap     (W,) how sure it is that a second person talks too, 0 to 1
    """

    centres_s: tuple[float, ...] = ()
    cosines: tuple[tuple[float, ...], ...] = ()
    overlap: tuple[float, ...] = ()


class Voices(Record):
    """Who talks when. `centroids` are (K, D), unit length; they live as long as the job, never in an artifact.

    model      the voice encoder of centroids and evidence
    diariser   what told the voices apart
    """

    spans: tuple[Span, ...]
    centroids: tuple[tuple[float, ...], ...]
    model: str
    diariser: str = ""
    evidence: Evidence = Evidence()
    warnings: tuple[str, ...] = ()


class Voice(Record):
    """One voice: unit vector, and the seconds of speech it was made from."""

    vector: tuple[float, ...]
    speech_s: float
    model: str


class Piece(Record):
    """Text that is said between two times."""

    start_s: float
    end_s: float
    text: str


class Aligned(Record):
    """The words of each piece, in order, every one of them, with times inside of the piece."""

    pieces: tuple[tuple[Word, ...], ...]
    aligner: str
    warnings: tuple[str, ...] = ()


class Engine(Protocol):
    def setup(self, job: Watch) -> dict[str, str]:
        """Names of what will be used: asr, aligner, diariser."""
        ...

    def transcribe(self, path: Path, language: str, job: Watch, hotwords: Sequence[str] = ()) -> Heard:
        """language   ISO code, or auto
        raises   BadAudioError if nothing is said, BadInputError if the model does not know the language"""
        ...

    def transcribe_tracks(
        self, tracks: Sequence[TrackFile], language: str, job: Watch, hotwords: Sequence[str] = ()
    ) -> TracksHeard:
        """The same for one file per speaker."""
        ...

    def diarise(self, path: Path, speakers: int, job: Watch) -> Voices:
        """speakers   0: find out how many there are"""
        ...

    def embed(self, path: Path, spans: Sequence[Times], job: Watch) -> Voice:
        """The voice that talks in `spans` (start and end in seconds); BadAudioError if all are too short."""
        ...

    def align(self, path: Path, pieces: Sequence[Piece], language: str, job: Watch) -> Aligned:
        """Times of given words."""
        ...
