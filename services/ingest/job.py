"""The story of ingest: bring a file here, see what it is, refuse it or keep it, once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

from services.ingest import metadata, published, roles
from services.ingest.audio import Converted, working_bytes
from services.ingest.metadata import Downloaded
from services.ingest.published import Published
from shared import keys
from shared.errors import (
    ArtifactMissingError,
    BadAudioError,
    BadInputError,
    ConflictError,
    JobCancelledError,
    NotFoundError,
)
from shared.jobs import JobContext
from shared.schemas import IngestRequest, IngestResult, Lineage, MadeFrom, Record, Recording, Show
from shared.space import demand_space
from shared.store import Store, create_manifest, file_sha256, load, made_from, put_blob
from shared.urls import redact
from shared.version import VERSION

ID_DIGITS = 16
_UPLOAD_KEY = re.compile(r"uploads/[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class Engine(Protocol):
    def download(self, url: str, folder: Path, job: JobContext) -> Downloaded: ...

    def convert(self, original: Path, folder: Path, job: JobContext) -> Converted: ...


class Brought(Record):
    """A file in the work folder, and where it came from."""

    path: Path
    sha256: str
    source: str
    metadata: dict[str, Any]
    tools: dict[str, str]

    @property
    def recording_id(self) -> str:
        return self.sha256[:ID_DIGITS]


def run(request: IngestRequest, *, job: JobContext, store: Store, engine: Engine) -> IngestResult:
    """A file or a URL becomes a recording; the same content twice is the same recording.

    The id comes from the content, manifests are written once, the upload goes last: safe to repeat at any point.
    raises   BadInputError and BadAudioError for what cannot be a recording; nothing of it stays in the store
    """
    _check(request)
    try:
        found = job.step("import", lambda: _import(request, job, store, engine).model_dump(mode="json"))
    except (BadInputError, ConflictError, NotFoundError, JobCancelledError):
        _forget_upload(request, store)
        raise
    job.step("forget the upload", lambda: _forget_upload(request, store))
    return IngestResult.model_validate(found)


def _import(request: IngestRequest, job: JobContext, store: Store, engine: Engine) -> IngestResult:
    show = _show(store, request.show)
    brought = _bring(request, job, store, engine)
    job.check()
    text = _text_of(brought.path)
    if text is not None:
        return _keep_transcript(published.parse(text), brought, show, request, job, store)
    return _keep_audio(brought, show, request, job, store, engine)


# ---- bringing the file here ------------------------------------------------------------------------------------------


def _check(request: IngestRequest) -> None:
    if (request.upload_key is None) == (request.url is None):
        raise BadInputError("give exactly one of upload_key and url: a file that was uploaded, or an address")
    if request.upload_key is not None and not _UPLOAD_KEY.fullmatch(request.upload_key):
        raise BadInputError(f"{request.upload_key!r} is not the key of an upload; upload the file and use its key")


def _show(store: Store, slug: str) -> Show:
    try:
        return load(store, keys.show(slug), Show)
    except ArtifactMissingError as error:
        raise NotFoundError(f"there is no show {slug!r}; {keys.advice(keys.show(slug))}") from error


def _bring(request: IngestRequest, job: JobContext, store: Store, engine: Engine) -> Brought:
    if request.url is not None:
        found = engine.download(request.url, job.work_dir, job)
        path, source, known, tools = found.original, redact(request.url), found.metadata, {"yt_dlp": found.yt_dlp}
    else:
        assert request.upload_key is not None
        job.progress("fetching the upload")
        path, tools = job.work_dir / "upload", {}
        _demand_space(request.upload_key, job, store)
        store.fetch(request.upload_key, path)
        filename = metadata.clean(request.filename or "", metadata.MAX_TITLE)
        source, known = f"upload:{filename}", {"filename": filename} if filename else {}
    if path.stat().st_size == 0:
        raise BadAudioError("the file is empty (0 bytes); export or upload it again")
    return Brought(path=path, sha256=file_sha256(path), source=source, metadata=known, tools=tools)


def _demand_space(upload_key: str, job: JobContext, store: Store) -> None:
    if stored := store.stat(upload_key):
        needed = stored.bytes + working_bytes(stored.bytes)
        demand_space(job.work_dir, needed, "the upload and its working copy", setting="INGEST_WORK_DIR")


def _text_of(path: Path) -> str | None:
    """The file's text if that is what it holds, whatever its name says."""
    with path.open("rb") as file:
        if not published.is_text(file.read(published.SNIFF_BYTES)):
            return None
    if path.stat().st_size > published.MAX_BYTES:
        raise BadInputError(f"the text is larger than {published.MAX_BYTES // 1024**2} MiB; split it into recordings")
    return published.decode(path.read_bytes())


# ---- keeping it ------------------------------------------------------------------------------------------------------


def _keep_audio(
    brought: Brought, show: Show, request: IngestRequest, job: JobContext, store: Store, engine: Engine
) -> IngestResult:
    """Convert and check first, then store: what is refused is never put."""
    key = keys.recording(show.slug, brought.recording_id)
    if not store.exists(key):
        converted = engine.convert(brought.path, job.work_dir, job)
        job.check()
        job.progress("storing")
        known = {**converted.metadata, **brought.metadata}
        recording = Recording(
            id=brought.recording_id,
            show=show.slug,
            title=_title(request, known.get("title"), known.get("tags", {}).get("title"), brought=brought),
            guest=request.guest,
            source=brought.source,
            original=put_blob(store, brought.path, converted.media_type),
            working=put_blob(store, converted.working, "audio/flac"),
            duration_s=converted.duration_s,
            metadata=known,
            lineage=_lineage(job, {**brought.tools, "ffmpeg": converted.ffmpeg}),
        )
        create_manifest(store, key, recording)
    else:
        _bring_back(load(store, key, Recording), brought, job, store, engine)
    return _result(store, key, job)


def _bring_back(recording: Recording, brought: Brought, job: JobContext, store: Store, engine: Engine) -> None:
    """Store again what a collection or a text export left away of a recording that is known."""
    if not store.exists(recording.original.key):
        put_blob(store, brought.path, recording.original.media_type)
    if recording.working is None or store.exists(recording.working.key):
        return
    converted = engine.convert(brought.path, job.work_dir, job)
    if file_sha256(converted.working) != recording.working.sha256:
        raise ConflictError(
            f"the working copy of {recording.id} cannot be made again: this ffmpeg ({converted.ffmpeg}) makes another "
            f"one than {recording.lineage.parameters.get('tools', {}).get('ffmpeg', 'the one before')} did; import it "
            "with `diary shows import` from a whole export"
        )
    put_blob(store, converted.working, recording.working.media_type)


def _keep_transcript(
    text: Published, brought: Brought, show: Show, request: IngestRequest, job: JobContext, store: Store
) -> IngestResult:
    """A recording without audio, its transcript revision and the pointer to it, each written once, in this order.

    A repeat finds what is there; a pointer that was moved on by a correction stays where it is.
    """
    job.progress("reading the transcript")
    guest = request.guest or text.guest or roles.sole_guest(text.speakers, show.host)
    media_type = "text/vtt" if text.times == "published" else "text/plain; charset=utf-8"
    original = put_blob(store, brought.path, media_type)
    key = keys.recording(show.slug, brought.recording_id)
    recording = Recording(
        id=brought.recording_id,
        show=show.slug,
        title=_title(request, text.title, brought.metadata.get("title"), brought=brought),
        guest=guest,
        source=brought.source,
        original=original,
        duration_s=text.duration_s,
        metadata={**brought.metadata, "times": text.times},
        lineage=_lineage(job, brought.tools),
    )
    create_manifest(store, key, recording)
    recording = load(store, key, Recording)
    sources = (MadeFrom(key=original.key, sha256=original.sha256), *made_from(store, key))
    transcript = roles.build_transcript(text, recording, show, _lineage(job, brought.tools, sources))
    create_manifest(store, keys.transcript(show.slug, recording.id, transcript.id), transcript)
    store.create(keys.transcript_head(show.slug, recording.id), transcript.id.encode())
    return _result(store, key, job)


def _result(store: Store, key: str, job: JobContext) -> IngestResult:
    """From what is stored: new is what this very job wrote, also when it was killed and repeated."""
    recording = load(store, key, Recording)
    return IngestResult(
        recording=recording.id, key=key, new=recording.lineage.job == job.id, has_audio=recording.working is not None
    )


def _title(request: IngestRequest, *found: str | None, brought: Brought) -> str:
    filename = brought.metadata.get("filename")
    return metadata.title(request.title, *found, filename=filename, recording_id=brought.recording_id)


def _lineage(job: JobContext, tools: dict[str, str], sources: tuple[MadeFrom, ...] = ()) -> Lineage:
    return Lineage(
        made_from=sources, by="ingest", version=VERSION, job=job.id, actor=job.actor, parameters={"tools": tools}
    )


def _forget_upload(request: IngestRequest, store: Store) -> None:
    if request.upload_key is not None:
        store.delete(request.upload_key)
