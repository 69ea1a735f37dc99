"""Small transcripts to correct: with word times, as the machine hears them, or without, as they are published."""

from __future__ import annotations

from collections.abc import Sequence

from services.transcription.corrections import speech_s
from shared import keys
from shared.schemas import HostMethod, Role, Speaker, Transcript, Turn, Word
from shared.store import create_manifest, point
from tests.fakes import MemoryStore
from tests.transcription.conftest import lineage

WORD_S = 0.5
ROLES = {"S1": Role.HOST, "S2": Role.GUEST, "S3": Role.OTHER}

LINES = (
    ("S1", "Welcome back to the show, Lisa."),
    ("S2", "Thank you, it is good to be here."),
    ("S1", "Yeah."),
    ("S2", "So we went to the moon."),
    ("S3", "Dinner is ready."),
)


def transcript(
    lines: Sequence[tuple[str, str]] = LINES, *, timed: bool = True, doubtful: Sequence[int] = ()
) -> Transcript:
    """Half a second a word, one line after another; turns at `doubtful` places need review."""
    turns, at = [], 0
    for place, (speaker, text) in enumerate(lines):
        words = tuple(
            Word(text=word, start_s=(at + n) * WORD_S, end_s=(at + n + 1) * WORD_S, score=0.9)
            for n, word in enumerate(text.split())
        )
        at += len(words)
        turns.append(
            Turn(
                id=f"t{place + 1}",
                speaker=speaker,
                role=ROLES[speaker],
                start_s=words[0].start_s,
                end_s=words[-1].end_s,
                text=text,
                words=words if timed else (),
                needs_review=place in doubtful,
                review_reasons=("shorter than 1 s",) if place in doubtful else (),
                doubt=0.5 if place in doubtful else 0.0,
            )
        )
    labels = dict.fromkeys(speaker for speaker, _ in lines)
    names = {"S1": "Kenna Gray", "S2": "Lisa"}
    return Transcript(
        id="rev1",
        recording="rec1",
        show="demo",
        kind="machine",
        guest="Lisa",
        duration_s=at * WORD_S,
        speakers=tuple(
            Speaker(label=label, role=ROLES[label], name=names.get(label), speech_s=speech_s(turns, label))
            for label in labels
        ),
        host_method=HostMethod.GUESSED,
        turns=tuple(turns),
        lineage=lineage(),
    )


def put(store: MemoryStore, made: Transcript) -> Transcript:
    """Store a revision and make it current."""
    create_manifest(store, keys.transcript("demo", made.recording, made.id), made)
    point(store, keys.transcript_head("demo", made.recording), made.id.encode())
    return made
