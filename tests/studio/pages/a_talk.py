"""Recordings that a browser can play, with transcripts, in any store: what tests of pages look at."""

from __future__ import annotations

import io
import math
import struct
import wave
from collections.abc import Sequence
from datetime import date
from typing import Any

from shared import keys
from shared.corrections import Cluster, Place, Repeats
from shared.schemas import (
    ExcludedSpan,
    HostMethod,
    Lineage,
    Recording,
    Role,
    Show,
    Speaker,
    Transcript,
    TranscriptState,
    Turn,
)
from shared.store import Store, create_manifest, point, put_blob

LINEAGE = Lineage(by="test", version="0.1.0", job="j1", actor="ann")
SAID = (
    ("S1", "Welcome to the lamplight hour, where we ask people what they have seen at night."),
    ("S2", "Thank you. I keep the lighthouse, and I have seen a good deal of the dark."),
    ("S1", "What does one see when there is nothing to see at all out there?"),
    ("S2", "One sees the rain come in from the west, and one counts the ships."),
)
TURN_S = 5.0
AUDIO_S = 30


def tone(seconds: int = AUDIO_S, rate_hz: int = 4000) -> bytes:
    """A quiet tone that every browser plays."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        samples = (int(3000 * math.sin(2 * math.pi * 220 * at / rate_hz)) for at in range(rate_hz * seconds))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return written.getvalue()


def put_lamp(store: Store) -> None:
    """The show `lamp`, empty."""
    create_manifest(store, keys.show("lamp"), Show(slug="lamp", title="The Lamplight Hour", host="Mara Quill"))


def put_recording(store: Store, name: str, sound: bytes | None = None, **facts: Any) -> Recording:
    """A recording of `lamp`; with a sound, if one is given."""
    wav = put_blob(store, sound, "audio/wav") if sound else None
    given: dict[str, Any] = {
        "id": name,
        "show": "lamp",
        "title": f"A talk called {name}",
        "guest": "Ash Lane",
        "source": f"upload:{name}.wav",
        "published_on": date(2030, 1, 2),
        "original": wav or put_blob(store, f"text of {name}".encode(), "text/plain"),
        "working": wav,
        "web": wav,
        "duration_s": float(AUDIO_S),
        "lineage": LINEAGE,
    }
    recording = Recording.model_validate({**given, **facts})
    create_manifest(store, keys.recording("lamp", name), recording)
    return recording


def put_transcript(
    store: Store,
    recording: str,
    roles: Sequence[Role] = (Role.UNKNOWN, Role.UNKNOWN),
    method: HostMethod = HostMethod.UNKNOWN,
    *,
    doubtful: int = 0,
    state: TranscriptState = TranscriptState.MACHINE,
) -> Transcript:
    """What two people said, five seconds a turn; the first `doubtful` turns need review."""
    role_of = dict(zip(("S1", "S2"), roles, strict=True))
    turns = tuple(
        Turn(
            id=f"t{place + 1}",
            speaker=label,
            role=role_of[label],
            start_s=place * TURN_S,
            end_s=(place + 1) * TURN_S,
            text=text,
            needs_review=place < doubtful,
            review_reasons=("shorter than 1 s",) if place < doubtful else (),
        )
        for place, (label, text) in enumerate(SAID)
    )
    speakers = tuple(Speaker(label=label, role=role, speech_s=2 * TURN_S) for label, role in role_of.items())
    transcript = Transcript(
        id="rev1",
        recording=recording,
        show="lamp",
        kind="machine",
        speakers=speakers,
        host_method=method,
        turns=turns,
        state=state,
        lineage=LINEAGE,
    )
    create_manifest(store, keys.transcript("lamp", recording, "rev1"), transcript)
    point(store, keys.transcript_head("lamp", recording), b"rev1")
    return transcript


def advert(start_s: float, end_s: float, **facts: Any) -> ExcludedSpan:
    given = {"start_s": start_s, "end_s": end_s, "reason": "advert", "found_by": "sponsorblock", "detail": "sponsor"}
    return ExcludedSpan.model_validate({**given, **facts})


def cluster(name: str, recordings: Sequence[str], **facts: Any) -> Cluster:
    """A repeated span, two seconds long and five into each recording."""
    places = tuple(
        Place(recording=one, transcript="rev1", first_word=0, last_word=9, start_s=5.0, end_s=7.0) for one in recordings
    )
    text = f"This part of the show is brought to you by {name}, maker of fine lamps."
    given = {
        "id": name,
        "text": text,
        "words": 14,
        "guess": "advert",
        "places": places,
        "grams": (f"{name}1", f"{name}2"),
    }
    return Cluster.model_validate({**given, **facts})


def put_repeats(store: Store, *clusters: Cluster) -> None:
    read = {place.recording: place.transcript for one in clusters for place in one.places}
    point(
        store,
        keys.repeats("lamp"),
        Repeats(show="lamp", transcripts=read, clusters=clusters).model_dump_json().encode(),
    )
