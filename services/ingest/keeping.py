"""What is kept of a file, and in which order: blobs first, then transcripts, the recording's manifest last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.ingest import chapters, guests, metadata, spans
from services.ingest.audio import Converted
from services.ingest.bringing import (
    ID_DIGITS,
    BesideAudio,
    Brought,
    BroughtTrack,
    Engine,
    TrackFile,
    digest_of,
    parse_beside,
    text_of,
)
from shared import keys, published, roles
from shared.errors import ConflictError
from shared.jobs import JobContext
from shared.schemas import (
    Candidate,
    Chapter,
    ExcludedSpan,
    GuestGuess,
    IngestRequest,
    IngestResult,
    Lineage,
    MadeFrom,
    Recording,
    Show,
    Source,
    Track,
    Transcript,
)
from shared.spoken import Published
from shared.store import Store, create_manifest, file_sha256, load, made_from, put_blob
from shared.subscriptions import KnownItem
from shared.version import VERSION

FLAC, MP3, PEAKS = "audio/flac", "audio/mpeg", "application/octet-stream"


def keep(brought: Brought, show: Show, wishes: Source, job: JobContext, store: Store, engine: Engine) -> IngestResult:
    """A file becomes a recording, audio or a published transcript; the same content again is the same recording."""
    known = _known_at_its_site(brought, show, store)
    if known is not None:
        return _result(store, known, job)
    refuse_erased(brought.recording_id, show, wishes, store)
    text = text_of(brought.path)
    if text is not None:
        published.demand_real_talk(text)
        result = _keep_transcript(published.parse(text), brought, show, wishes, job, store)
    else:
        result = _keep_audio(brought, show, wishes, job, store, engine)
    _take_back_if_erased(result, show, store)
    return result


def _known_at_its_site(brought: Brought, show: Show, store: Store) -> str | None:
    """Key of the recording that this video of a site became before: the site may send other bytes of it by now."""
    marker = keys.item(show.slug, keys.item_id(brought.identity))
    if brought.metadata.get("site", "Generic") == "Generic" or not store.exists(marker):
        return None
    key = keys.recording(show.slug, load(store, marker, KnownItem).recording)
    same = key == keys.recording(show.slug, brought.recording_id)
    return key if not same and store.exists(key) else None


def refuse_erased(recording_id: str, show: Show, wishes: Source, store: Store) -> None:
    """raises ConflictError for content that somebody had erased, unless it is asked for again"""
    if not wishes.again and store.exists(keys.tombstone(show.slug, recording_id)):
        raise ConflictError(
            f"this recording ({recording_id}) was erased from {show.slug}; to bring it back all the same, add it with "
            "`diary recordings add --again`"
        )


def _take_back_if_erased(result: IngestResult, show: Show, store: Store) -> None:
    """What was erased while we worked on the same content goes again. raises ConflictError"""
    if not result.new or not store.exists(keys.tombstone(show.slug, result.recording)):
        return
    for key in store.list(keys.transcripts(show.slug, result.recording)):
        store.delete(key)
    store.delete(result.key)
    raise ConflictError(f"this recording ({result.recording}) was erased from {show.slug} while it was added")


def _write(recording: Recording, wishes: Source, store: Store) -> None:
    """The manifest; only now that all of it is here does the tombstone of one that was asked for again go."""
    if wishes.again:
        store.delete(keys.tombstone(recording.show, recording.id))
    create_manifest(store, keys.recording(recording.show, recording.id), recording)


# ---- audio -----------------------------------------------------------------------------------------------------------


def _keep_audio(
    brought: Brought, show: Show, wishes: Source, job: JobContext, store: Store, engine: Engine
) -> IngestResult:
    """Convert and check first, then store: what is refused is never put."""
    key = keys.recording(show.slug, brought.recording_id)
    if store.exists(key):
        _bring_back(load(store, key, Recording), brought, job, store, engine)
        return _result(store, key, job)
    converted = engine.convert(brought.path, job.work_dir, job)
    job.check()
    job.progress("storing")
    warnings = [*brought.warnings, *converted.metadata.get("warnings", ())]
    beside = [(_candidate(one, store), text) for one, text in parse_beside(brought.transcripts, warnings)]
    facts = _facts(brought, converted, [text for _, text in beside], show, wishes)
    recording = Recording(
        id=brought.recording_id,
        show=show.slug,
        source=brought.source,
        original=put_blob(store, brought.path, converted.media_type),
        **_renditions(converted, store),
        **facts,
        candidates=tuple(candidate for candidate, _ in beside),
        warnings=tuple(warnings),
        lineage=_lineage(job, {**brought.tools, "ffmpeg": converted.ffmpeg}),
    )
    for candidate, text in beside:
        _keep_candidate(candidate, text, recording, show, job, store)
    _write(recording, wishes, store)
    return _result(store, key, job)


def _facts(
    brought: Brought, converted: Converted, beside: Sequence[Published], show: Show, wishes: Source
) -> dict[str, Any]:
    """What is known of a recording: by whoever adds it, by its source, by the file itself."""
    known = {**converted.metadata, **brought.metadata}
    found_chapters = brought.chapters or chapters.from_file(converted.metadata.get("chapters", ()))
    title = _title(wishes, brought, known)
    guess = _guess(title, brought, beside, show)
    return {
        "title": title,
        "guest": wishes.guest or _good(guess),
        "guest_guess": guess,
        "description": brought.description,
        "published_on": brought.published_on,
        "duration_s": converted.duration_s,
        "chapters": found_chapters,
        "excluded_spans": _spans(brought, found_chapters, converted),
        "metadata": {name: value for name, value in known.items() if name not in ("chapters", "warnings")},
    }


def _renditions(converted: Converted, store: Store) -> dict[str, Any]:
    return {
        "working": put_blob(store, converted.working, FLAC),
        "web": put_blob(store, converted.web, MP3),
        "peaks": put_blob(store, converted.peaks, PEAKS),
    }


def _spans(brought: Brought, found_chapters: Sequence[Chapter], converted: Converted) -> tuple[ExcludedSpan, ...]:
    silences = [(silence.start_s, silence.end_s) for silence in converted.silences]
    return spans.excluded(found_chapters, brought.sponsor_spans, silences, converted.duration_s)


def _bring_back(recording: Recording, brought: Brought, job: JobContext, store: Store, engine: Engine) -> None:
    """Store again what a collection or a text export left away of a recording that is known."""
    if not store.exists(recording.original.key):
        put_blob(store, brought.path, recording.original.media_type)
    derived = {"working": recording.working, "web": recording.web, "peaks": recording.peaks}
    missing = {name: blob for name, blob in derived.items() if blob is not None and not store.exists(blob.key)}
    if not missing:
        return
    converted = engine.convert(brought.path, job.work_dir, job)
    for name, blob in missing.items():
        path: Path = getattr(converted, name)
        if file_sha256(path) != blob.sha256:
            raise ConflictError(
                f"the {name} copy of {recording.id} cannot be made again: this ffmpeg ({converted.ffmpeg}) makes "
                f"another one than {recording.lineage.parameters.get('tools', {}).get('ffmpeg', 'the one before')} "
                "did; import it with `diary shows import` from a whole export"
            )
        put_blob(store, path, blob.media_type)


# ---- one file per speaker --------------------------------------------------------------------------------------------


def keep_tracks(
    brought: Sequence[BroughtTrack], show: Show, request: IngestRequest, job: JobContext, store: Store, engine: Engine
) -> IngestResult:
    """One recording of several files: each speaker's own track, and all of them mixed."""
    recording_id = digest_of(brought)[:ID_DIGITS]
    refuse_erased(recording_id, show, request, store)
    key = keys.recording(show.slug, recording_id)
    if store.exists(key):
        return _result(store, key, job)
    files = [TrackFile(original=track.path, offset_s=track.asked.offset_s) for track in brought]
    mixed = engine.mix(files, job.work_dir, job)
    job.check()
    job.progress("storing")
    tracks = tuple(
        Track(
            speaker=track.asked.speaker,
            role=track.asked.role,
            offset_s=track.asked.offset_s,
            original=put_blob(store, track.path, converted.media_type),
            working=put_blob(store, converted.working, FLAC),
        )
        for track, converted in zip(brought, mixed.tracks, strict=True)
    )
    names = [track.speaker for track in tracks if track.role == "guest"]
    renditions = _renditions(mixed, store)
    recording = Recording(
        id=recording_id,
        show=show.slug,
        title=metadata.title(request.title, filename=brought[0].asked.filename, recording_id=recording_id),
        guest=request.guest or (names[0] if len(names) == 1 else None),
        source="upload:" + ", ".join(metadata.clean(track.asked.filename or "", 60) for track in brought),
        original=renditions["working"],
        **renditions,
        tracks=tracks,
        duration_s=mixed.duration_s,
        lineage=_lineage(job, {"ffmpeg": mixed.ffmpeg}),
    )
    _write(recording, request, store)
    result = _result(store, key, job)
    _take_back_if_erased(result, show, store)
    return result


# ---- transcripts that somebody published -----------------------------------------------------------------------------


def _keep_transcript(
    text: Published, brought: Brought, show: Show, wishes: Source, job: JobContext, store: Store
) -> IngestResult:
    """A recording without audio, its transcript revision and the pointer to it, each written once, in this order.

    A repeat finds what is there; a pointer that was moved on by a correction stays where it is.
    """
    job.progress("reading the transcript")
    media_type = "text/vtt" if text.times == "published" else "text/plain; charset=utf-8"
    original = put_blob(store, brought.path, media_type)
    key = keys.recording(show.slug, brought.recording_id)
    recording = Recording(
        id=brought.recording_id,
        show=show.slug,
        title=_title(wishes, brought, {"title": text.title}),
        guest=wishes.guest or text.guest or roles.sole_guest(text.speakers, show.host),
        source=brought.source,
        original=original,
        duration_s=text.duration_s,
        metadata={**brought.metadata, "times": text.times},
        lineage=_lineage(job, brought.tools),
    )
    _write(recording, wishes, store)
    recording = load(store, key, Recording)
    sources = (MadeFrom(key=original.key, sha256=original.sha256), *made_from(store, key))
    revision = f"import-{recording.id[:8]}"
    transcript = roles.build_transcript(text, recording, show, revision, _lineage(job, brought.tools, sources))
    _write_transcript(transcript, store)
    store.create(keys.transcript_head(show.slug, recording.id), transcript.id.encode())
    return _result(store, key, job)


def _candidate(beside: BesideAudio, store: Store) -> Candidate:
    original = put_blob(store, beside.path, beside.media_type)
    return Candidate(revision=f"published-{original.sha256[:8]}", original=original)


def _keep_candidate(
    candidate: Candidate, text: Published, recording: Recording, show: Show, job: JobContext, store: Store
) -> None:
    """A revision that no pointer names: people may compare with it, or take it."""
    sources = (MadeFrom(key=candidate.original.key, sha256=candidate.original.sha256),)
    lineage = _lineage(job, {}, sources)
    _write_transcript(roles.build_transcript(text, recording, show, candidate.revision, lineage), store)


def _write_transcript(transcript: Transcript, store: Store) -> None:
    create_manifest(store, keys.transcript(transcript.show, transcript.recording, transcript.id), transcript)


# ---- what all have in common -----------------------------------------------------------------------------------------


def _title(wishes: Source, brought: Brought, known: dict[str, Any]) -> str:
    tags = known.get("tags", {})
    candidates = (wishes.title, brought.title, known.get("title"), tags.get("title"))
    return metadata.title(*candidates, filename=brought.metadata.get("filename"), recording_id=brought.recording_id)


def _guess(title: str, brought: Brought, beside: Sequence[Published], show: Show) -> GuestGuess | None:
    names = beside[0].speakers if beside else ()
    return guests.guess(title, brought.description, brought.persons, host=show.host, show_title=show.title, names=names)


def _good(guess: GuestGuess | None) -> str | None:
    return guess.name if guess is not None and guess.confidence >= guests.GOOD_ENOUGH else None


def _result(store: Store, key: str, job: JobContext) -> IngestResult:
    """From what is stored: new is what this very job wrote, also when it was killed and repeated."""
    recording = load(store, key, Recording)
    return IngestResult(
        recording=recording.id, key=key, new=recording.lineage.job == job.id, has_audio=recording.working is not None
    )


def _lineage(job: JobContext, tools: dict[str, str], sources: tuple[MadeFrom, ...] = ()) -> Lineage:
    return Lineage(
        made_from=sources, by="ingest", version=VERSION, job=job.id, actor=job.actor, parameters={"tools": tools}
    )
