"""The story of a transcript: a recording is heard, and who says what becomes a revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.transcription import revisions
from services.transcription.audio_files import blob_file, working_copy, working_file
from services.transcription.hearing import Engine, TrackFile
from services.transcription.lineage import lineage_of, sources_of
from services.transcription.multitrack import track_transcript
from services.transcription.settings import Limits
from services.transcription.transcript import machine_transcript
from shared import keys, recordings
from shared.corrections import Glossary
from shared.jobs import JobContext
from shared.schemas import Lineage, Recording, Show, TranscribeRequest, Transcript, TranscriptResult, Voiceprint
from shared.store import Store, load

MEASURED = Limits()


@dataclass(frozen=True)
class Order:
    """What a recording is heard with. `parameters` are all that decides what comes out, besides audio and models."""

    language: str
    speakers: int
    hotwords: Sequence[str]
    voiceprint: Voiceprint | None
    co_hosts: Sequence[Voiceprint]

    @property
    def parameters(self) -> dict[str, Any]:
        named: dict[str, Any] = {
            "language": self.language,
            "speakers": self.speakers,
            "voiceprint": revisions.voiceprint_name(self.voiceprint),
        }
        if self.hotwords:
            named["hotwords"] = list(self.hotwords)
        if self.co_hosts:
            named["co_hosts"] = [revisions.voiceprint_name(one) for one in self.co_hosts]
        return named


def run(
    request: TranscribeRequest, *, job: JobContext, store: Store, engine: Engine, limits: Limits = MEASURED
) -> TranscriptResult:
    """Turn a recording into a transcript revision, and make it current unless people worked on the one that is.

    A repeat finds the revision by its name, and leaves alone the corrections that people made of it.
    """
    show = load(store, keys.show(request.show), Show)
    recording = recordings.read(store, show.slug, request.recording)
    working_copy(recording)
    order = order_of(request, show, store)
    models = engine.setup(job)
    if found := revisions.answer(store, show.slug, recording.id, order.parameters, models):
        return revisions.result(found)

    revision = revisions.revision_id({**heard_of(recording), **order.parameters, **models})
    key = keys.transcript(show.slug, recording.id, revision)
    if store.exists(key):
        transcript = load(store, key, Transcript)
    else:
        lineage = lineage_of(job, sources_of(store, recording), order.parameters, models)
        hear = hear_tracks if recording.tracks else hear_mix
        transcript = hear(revision, show, recording, order, lineage, job, store, engine, limits)
    if found := revisions.answer(store, show.slug, recording.id, order.parameters, models):
        return revisions.result(found)  # a person corrected it while we listened
    return revisions.offer(store, transcript)


def order_of(request: TranscribeRequest, show: Show, store: Store) -> Order:
    glossary = keys.glossary(show.slug)
    return Order(
        language=request.language or show.language,
        speakers=show.speakers if request.speakers is None else request.speakers,
        hotwords=load(store, glossary, Glossary).terms if store.exists(glossary) else (),
        voiceprint=revisions.voiceprint(store, show.slug),
        co_hosts=revisions.co_hosts(store, show.slug),
    )


def heard_of(recording: Recording) -> dict[str, Any]:
    """What is listened to, for the revision's name."""
    tracks = [(track.working.sha256, track.offset_s) for track in recording.tracks]
    named = {"audio": working_copy(recording).sha256, "recording": recording.id}
    return named | ({"tracks": tracks} if tracks else {})


def hear_mix(
    revision: str,
    show: Show,
    recording: Recording,
    order: Order,
    lineage: Lineage,
    job: JobContext,
    store: Store,
    engine: Engine,
    limits: Limits,
) -> Transcript:
    """All speakers on one track: words, then voices."""
    path = working_file(recording, job, store)
    heard = engine.transcribe(path, order.language, job, order.hotwords)
    voices = engine.diarise(path, order.speakers, job)
    job.check()
    return machine_transcript(
        revision, show, recording, heard, voices, order.voiceprint, lineage, limits, order.co_hosts
    )


def hear_tracks(
    revision: str,
    show: Show,
    recording: Recording,
    order: Order,
    lineage: Lineage,
    job: JobContext,
    store: Store,
    engine: Engine,
    limits: Limits,
) -> Transcript:
    """One track per speaker: who talks is known."""
    files = [
        TrackFile(path=str(blob_file(track.working, recording, job, store)), offset_s=track.offset_s)
        for track in recording.tracks
    ]
    heard = engine.transcribe_tracks(files, order.language, job, order.hotwords)
    job.check()
    return track_transcript(revision, show, recording, heard, lineage, limits)
