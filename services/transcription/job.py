"""The stories of this service: a recording becomes a transcript; a person says who the host is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.transcription import revisions
from services.transcription.hearing import Engine, Voice
from services.transcription.settings import Limits
from services.transcription.transcript import machine_transcript, speaker_meant, with_host
from shared import keys
from shared.errors import BadAudioError, BadInputError, NotFoundError
from shared.jobs import JobContext
from shared.schemas import (
    Blob,
    HostMethod,
    Lineage,
    MadeFrom,
    Recording,
    Role,
    SetHostRequest,
    Show,
    TranscribeRequest,
    Transcript,
    TranscriptResult,
    Voiceprint,
)
from shared.space import demand_space
from shared.store import Store, create_manifest, fetch_blob, load, made_from, point
from shared.version import VERSION

MEASURED = Limits()
DIFFERENT_VOICE_COSINE = 0.8


def run(
    request: TranscribeRequest, *, job: JobContext, store: Store, engine: Engine, limits: Limits = MEASURED
) -> TranscriptResult:
    """Turn a recording into a transcript revision and make it the current one.

    A repeat finds the revision by its name, and leaves alone the corrections that people made of it.
    """
    show = load(store, keys.show(request.show), Show)
    recording = load(store, keys.recording(show.slug, request.recording), Recording)
    working = _working_copy(recording)
    voiceprint = revisions.voiceprint(store, show.slug)
    language, speakers = request.language or show.language, request.speakers or show.speakers
    parameters = {"language": language, "speakers": speakers, "voiceprint": revisions.voiceprint_name(voiceprint)}
    models = engine.setup(job)
    if found := revisions.answer(store, show.slug, recording.id, parameters, models):
        return revisions.result(found)

    revision = revisions.revision_id({"audio": working.sha256, "recording": recording.id, **parameters, **models})
    key = keys.transcript(show.slug, recording.id, revision)
    if not store.exists(key):
        path = _fetch(recording, working, job, store)
        heard = engine.transcribe(path, language, job)
        voices = engine.diarise(path, speakers, job)
        job.check()
        lineage = _lineage(job, _sources(store, recording), parameters, models)
        transcript = machine_transcript(revision, show, recording, heard, voices, voiceprint, lineage, limits)
        create_manifest(store, key, transcript)
    if found := revisions.answer(store, show.slug, recording.id, parameters, models):
        return revisions.result(found)  # a person corrected it while we listened
    return revisions.make_current(store, load(store, key, Transcript))


def set_host(
    request: SetHostRequest, *, job: JobContext, store: Store, engine: Engine, limits: Limits = MEASURED
) -> TranscriptResult:
    """Take a person's word for who the host is: learn the voice, and give everybody the role that follows.

    The other recordings of the show find their host by this voice from now on. A repeat changes nothing.
    """
    show = load(store, keys.show(request.show), Show)
    recording = load(store, keys.recording(show.slug, request.recording), Recording)
    transcript = revisions.current(store, show.slug, recording.id)
    label = speaker_meant(transcript, request)
    settled = transcript.host_method is HostMethod.SET and _host(transcript) == label
    if settled and (recording.working is None or store.exists(keys.voiceprint(show.slug))):
        return revisions.result(transcript)

    warnings = _enrol(show, recording, transcript, label, job, store, engine, limits)
    if settled:
        return revisions.result(transcript)
    job.check()
    revision = revisions.revision_id({"parent": transcript.id, "host": label})
    parent = made_from(store, keys.transcript(show.slug, recording.id, transcript.id))
    lineage = _lineage(job, parent, {"host": label}, {})
    corrected = with_host(transcript, label, revision, show, recording, warnings, lineage)
    create_manifest(store, keys.transcript(show.slug, recording.id, revision), corrected)
    return revisions.make_current(store, corrected)


def _enrol(
    show: Show,
    recording: Recording,
    transcript: Transcript,
    label: str,
    job: JobContext,
    store: Store,
    engine: Engine,
    limits: Limits,
) -> list[str]:
    """Store the voice of a speaker as the host's, and return what a person should know about it."""
    if recording.working is None:
        return ["the host's voice was not learnt: this recording has no audio"]
    path = _fetch(recording, recording.working, job, store)
    spans = [(turn.start_s, turn.end_s) for turn in transcript.turns if turn.speaker == label]
    try:
        voice = engine.embed(path, spans, job)
    except BadAudioError as error:
        return [f"the host's voice was not learnt: {error}"]
    if voice.speech_s < limits.enrol_s:
        return [f"the host's voice was not learnt: {voice.speech_s:.0f} s of speech, {limits.enrol_s:.0f} s are needed"]
    warnings = _changes(revisions.voiceprint(store, show.slug), voice)
    voiceprint = Voiceprint(
        show=show.slug,
        model=voice.model,
        vector=voice.vector,
        speech_s=voice.speech_s,
        lineage=_lineage(job, _sources(store, recording), {"speaker": label}, {"voice": voice.model}),
    )
    point(store, keys.voiceprint(show.slug), voiceprint.model_dump_json().encode())
    return warnings


def _changes(old: Voiceprint | None, new: Voice) -> list[str]:
    if old is None or old.model != new.model:
        return []
    cosine = sum(a * b for a, b in zip(old.vector, new.vector, strict=True))
    if cosine >= DIFFERENT_VOICE_COSINE:
        return []
    return [f"this voice is unlike the host's earlier voiceprint ({cosine:.2f}), which it replaced"]


def _working_copy(recording: Recording) -> Blob:
    if recording.working is None:
        raise BadInputError(
            f"{recording.id} has no audio: it came as a published transcript, which is its transcript already"
        )
    return recording.working


def _fetch(recording: Recording, working: Blob, job: JobContext, store: Store) -> Path:
    """The working copy as a file. raises NotFoundError, saying how to make it again, if it is not stored any more"""
    demand_space(job.work_dir, working.bytes, "the working copy", setting="TRANSCRIPTION_WORK_DIR")
    if not store.exists(working.key):
        raise NotFoundError(
            f"the working copy of {recording.id} is not stored any more (a collection removed it, or the show came "
            f"from a text export); add the same audio again with `diary recordings add {recording.show} FILE`"
        )
    return fetch_blob(store, working, job.work_dir / "working.flac")


def _host(transcript: Transcript) -> str | None:
    return next((speaker.label for speaker in transcript.speakers if speaker.role is Role.HOST), None)


def _sources(store: Store, recording: Recording) -> tuple[MadeFrom, ...]:
    audio = MadeFrom(key=recording.working.key, sha256=recording.working.sha256) if recording.working else None
    manifest = made_from(store, keys.recording(recording.show, recording.id))
    return (*manifest, audio) if audio else manifest


def _lineage(
    job: JobContext, sources: tuple[MadeFrom, ...], parameters: dict[str, Any], models: dict[str, str]
) -> Lineage:
    return Lineage(
        made_from=sources,
        by="transcription",
        version=VERSION,
        job=job.id,
        actor=job.actor,
        parameters=parameters,
        models=models,
    )
