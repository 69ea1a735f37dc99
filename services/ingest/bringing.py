"""Bringing a recording's file here, from an upload, an address, an item of a source, or one file per speaker."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field, ValidationError

from services.ingest import catalogue, chapters, metadata
from services.ingest.audio import Converted, Mixed, TrackFile, working_bytes
from services.ingest.catalogue import Catalogue, Item
from services.ingest.metadata import Downloaded
from shared import keys, published, uploads
from shared.errors import BadAudioError, BadInputError, ConflictError, JobCancelledError, SourceUnavailableError
from shared.jobs import JobContext
from shared.locks import locked
from shared.schemas import Chapter, ExcludedSpan, IngestRequest, Record, UploadedTrack
from shared.space import demand_space
from shared.spoken import Published
from shared.store import Store, file_sha256
from shared.urls import redact

ID_DIGITS = 16
WHOLE = "whole.json"
KEPT_S = 7 * 24 * 3600.0
OF_THE_SOURCE = (BadInputError, SourceUnavailableError)


class Engine(Protocol):
    def look(
        self, address: str, kind: str, folder: Path, job: JobContext, *, etag: str = "", modified: str = ""
    ) -> Catalogue: ...

    def download(self, url: str, folder: Path, job: JobContext) -> Downloaded: ...

    def fetch(self, url: str, folder: Path, name: str, max_bytes: int, job: JobContext) -> Path: ...

    def convert(self, original: Path, folder: Path, job: JobContext) -> Converted: ...

    def mix(self, tracks: Sequence[TrackFile], folder: Path, job: JobContext) -> Mixed: ...


class BesideAudio(Record):
    """A transcript that the source published for a recording."""

    path: Path
    media_type: str
    text: str


class Brought(Record):
    """A file in the work folder, where it came from, and what its source says of it.

    identity   of the item at its source, which is asked for it only once; empty for an upload
    """

    path: Path
    sha256: str
    source: str
    identity: str = ""
    title: str = ""
    description: str = ""
    published_on: date | None = None
    persons: tuple[str, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    sponsor_spans: tuple[ExcludedSpan, ...] = ()
    transcripts: tuple[BesideAudio, ...] = ()
    warnings: tuple[str, ...] = ()
    metadata: dict[str, Any] = Field(default={})
    tools: dict[str, str] = Field(default={})

    @property
    def recording_id(self) -> str:
        return self.sha256[:ID_DIGITS]


class BroughtTrack(Record):
    """One speaker's file of several."""

    asked: UploadedTrack
    path: Path
    sha256: str


# ---- one file --------------------------------------------------------------------------------------------------------


@contextmanager
def download_folder(downloads: Path, identity: str, job: JobContext) -> Iterator[Path]:
    """Where a download lies until its recording is stored; another job for the same item waits.

    It stays after a trouble that passes and after a kill: the next try goes on with it, within KEPT_S.
    """
    _drop_old(downloads)
    folder = downloads / keys.item_id(identity)
    with locked(folder, job.check):
        folder.mkdir(exist_ok=True)
        try:
            yield folder
        except (BadInputError, ConflictError, JobCancelledError):
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _drop_old(downloads: Path) -> None:
    for old in downloads.glob("[!.]*"):
        with suppress(FileNotFoundError):  # gone meanwhile
            if time.time() - old.stat().st_mtime > KEPT_S:
                shutil.rmtree(old, ignore_errors=True)


def bring(request: IngestRequest, folder: Path, job: JobContext, store: Store, engine: Engine) -> Brought:
    """The file that a request names: an upload out of the store, or what is behind a URL.

    folder   where a download lies
    """
    if request.url is not None:
        return _from_url(request.url, folder, job, engine)
    assert request.upload_key is not None
    job.progress("fetching the upload")
    path = _fetch_upload(request.upload_key, job.work_dir / "upload", job, store)
    filename = metadata.clean(request.filename or "", metadata.MAX_TITLE)
    return Brought(
        path=path,
        sha256=_digest(path),
        source=f"upload:{filename}",
        metadata={"filename": filename} if filename else {},
    )


def bring_item(item: Item, folder: Path, job: JobContext, engine: Engine) -> Brought:
    """The file of a source's item, with what the source says of it and what it publishes beside it.

    What is beside it (chapters, a transcript) may fail: that is a warning, the recording comes all the same.
    """
    brought = _from_url(item.url, folder, job, engine)
    if text_of(brought.path) is not None:
        raise BadAudioError("the source's file is text, not audio; tell the publisher, or leave it out by a filter")
    exact = brought.metadata.get("site") not in (None, "Generic")  # in its list a site dates by "2 months ago"
    warnings: list[str] = list(brought.warnings)
    found_chapters = _chapters(item, job, engine, warnings) or brought.chapters
    transcripts = (*brought.transcripts, *_transcripts(item, job, engine, warnings))
    return brought.model_copy(
        update={
            "title": item.title or brought.title,
            "description": item.description or brought.description,
            "published_on": (brought if exact else item).published_on or item.published_on or brought.published_on,
            "persons": item.guests,
            "chapters": found_chapters,
            "transcripts": transcripts,
            "warnings": tuple(warnings),
            "metadata": brought.metadata | ({"url": redact(item.page_url)} if item.page_url else {}),
        }
    )


def bring_file(path: Path, source: str, title: str) -> Brought:
    """A file of the operator's folder, read where it lies."""
    return Brought(path=path, sha256=_digest(path), source=source, title=title, metadata={"filename": path.name})


def text_of(path: Path) -> str | None:
    """The file's text if that is what it holds, whatever its name says."""
    with path.open("rb") as file:
        if not published.is_text(file.read(published.SNIFF_BYTES)):
            return None
    if path.stat().st_size > published.MAX_BYTES:
        raise BadInputError(f"the text is larger than {published.MAX_BYTES // 1024**2} MiB; split it into recordings")
    return published.decode(path.read_bytes())


def parse_beside(found: Sequence[BesideAudio], warnings: list[str]) -> list[tuple[BesideAudio, Published]]:
    """What of the published transcripts can be read; of the rest `warnings` tells."""
    read = []
    for beside in found:
        try:
            published.demand_real_talk(beside.text)
            read.append((beside, published.parse_beside_audio(beside.text)))
        except BadInputError as error:
            warnings.append(f"a published transcript was left out: {error}")
    return read


def _from_url(url: str, folder: Path, job: JobContext, engine: Engine) -> Brought:
    found, sha256 = _downloaded_before(folder) or _download(url, folder, job, engine)
    beside = () if found.captions is None else (_beside(found.captions, "text/vtt"),)
    return Brought(
        path=found.original,
        sha256=sha256,
        source=redact(url),
        identity=catalogue.identity_of(found.metadata.get("site", ""), found.metadata.get("site_id", ""), url),
        title=found.metadata.get("title", ""),
        description=found.description,
        published_on=found.published_on,
        chapters=found.chapters,
        sponsor_spans=found.sponsor_spans,
        transcripts=beside,
        warnings=found.warnings,
        metadata={name: value for name, value in found.metadata.items() if name not in ("chapters", "description")},
        tools={"yt_dlp": found.yt_dlp},
    )


class _Whole(Record):
    """What came of a download, and its checksum: written beside it once all of it is there."""

    found: Downloaded
    sha256: str


def _download(url: str, folder: Path, job: JobContext, engine: Engine) -> tuple[Downloaded, str]:
    found = engine.download(url, folder, job)
    whole = _Whole(found=found, sha256=_digest(found.original))
    note = folder / "whole.json.part"
    note.write_text(whole.model_dump_json())
    note.replace(folder / WHOLE)
    return whole.found, whole.sha256


def _downloaded_before(folder: Path) -> tuple[Downloaded, str] | None:
    """What a try before this one brought whole, before it was killed: a site that puts new adverts into its files at
    each download would give us a second recording of the same item."""
    try:
        whole = _Whole.model_validate_json((folder / WHOLE).read_bytes())
        return (whole.found, whole.sha256) if file_sha256(whole.found.original) == whole.sha256 else None
    except (FileNotFoundError, ValidationError):
        return None


def _fetch_upload(upload_key: str, path: Path, job: JobContext, store: Store) -> Path:
    size = uploads.upload_bytes(store, upload_key)
    if size is not None:
        demand_space(
            job.work_dir, size + working_bytes(size), "the upload and its working copy", setting="INGEST_WORK_DIR"
        )
    uploads.fetch_upload(store, upload_key, path)
    return path


def _digest(path: Path) -> str:
    if path.stat().st_size == 0:
        raise BadAudioError("the file is empty (0 bytes); export or upload it again")
    return file_sha256(path)


# ---- what a feed publishes beside the audio --------------------------------------------------------------------------


def _chapters(item: Item, job: JobContext, engine: Engine, warnings: list[str]) -> tuple[Chapter, ...]:
    if not item.chapters_url:
        return ()
    try:
        path = engine.fetch(item.chapters_url, job.work_dir, "chapters.json", published.MAX_BYTES, job)
        return chapters.from_feed(published.decode(path.read_bytes()))
    except OF_THE_SOURCE as error:
        warnings.append(f"its chapters were left out: {error}")
        return ()


def _transcripts(item: Item, job: JobContext, engine: Engine, warnings: list[str]) -> list[BesideAudio]:
    """The best of the published transcripts that can be fetched."""
    for number, link in enumerate(sorted(item.transcripts, key=catalogue.preference)):
        try:
            path = engine.fetch(link.url, job.work_dir, f"transcript-{number}", published.MAX_BYTES, job)
            return [_beside(path, link.media_type)]
        except OF_THE_SOURCE as error:
            warnings.append(f"a published transcript was left out: {error}")
    return []


def _beside(path: Path, media_type: str) -> BesideAudio:
    known = media_type if media_type in published.MEDIA_TYPES else "text/plain"
    return BesideAudio(path=path, media_type=known, text=published.decode(path.read_bytes()))


# ---- one file per speaker --------------------------------------------------------------------------------------------


def bring_tracks(request: IngestRequest, job: JobContext, store: Store) -> tuple[BroughtTrack, ...]:
    brought = []
    for number, asked in enumerate(request.tracks):
        job.progress("fetching the tracks", number, len(request.tracks), "tracks")
        path = _fetch_upload(asked.upload_key, job.work_dir / f"track-{number}", job, store)
        brought.append(BroughtTrack(asked=asked, path=path, sha256=_digest(path)))
    return tuple(brought)


def digest_of(tracks: Sequence[BroughtTrack]) -> str:
    """One sha256 for all tracks: the same files at the same offsets are the same recording."""
    named = sorted((track.sha256, track.asked.speaker, track.asked.offset_s) for track in tracks)
    return hashlib.sha256(repr(named).encode()).hexdigest()
