"""A recording's sound and waveform over HTTP: whole or in ranges, streamed from the store, cacheable by content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from services.studio.library import Library
from shared.errors import NotFoundError
from shared.schemas import Blob, Problem, Recording, Track
from shared.service import problem_response, viewer
from shared.store import Store
from shared.telemetry import current_trace_id
from shared.tokens import Access, Token

Rendition = Literal["web", "original", "working"]

CACHED = "private, max-age=86400, immutable"  # a day: what is erased must not live on in browsers for long
CHANGING = "private, no-cache"
SUFFIXES = {
    "audio/aac": "aac",
    "audio/aiff": "aiff",
    "audio/flac": "flac",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "video/mp2t": "ts",
    "video/mp4": "mp4",
    "video/x-matroska": "mkv",
}
_AGAIN = "add its file again with `diary recordings add`"


class Span(NamedTuple):
    """Bytes from `first` up to and without `end`."""

    first: int
    end: int


def media_door(store: Store) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/recordings/{recording}", tags=["recordings"])
    library = Library(store)

    def wanted(show: str, recording: str, token: Token = Depends(viewer)) -> Recording:
        token.demand(Access.VIEWER, show)
        return library.recording(show, recording)

    @router.head("/audio", include_in_schema=False)
    @router.get("/audio")
    def audio(
        request: Request,
        rendition: Rendition = "web",
        track: int | None = Query(None, ge=1, description="only this speaker's, counted from 1; not of `web`"),
        recording: Recording = Depends(wanted),
    ) -> Response:
        """The sound, whole or the range that is asked for: `web` is 64 kbit/s MP3, `working` is 16 kHz FLAC."""
        blob = pick(recording, rendition, track)
        name = None if rendition == "web" else file_name(recording, blob, rendition, track)
        return answer(store, request, blob, gone(recording, rendition), name)

    @router.head("/peaks", include_in_schema=False)
    @router.get("/peaks")
    def peaks(request: Request, recording: Recording = Depends(wanted)) -> Response:
        """The waveform in audiowaveform's binary format (version 2, 8 bit, 20 points a second)."""
        if recording.peaks is None:
            raise NotFoundError(f"there is no waveform of {recording.id}: it came with an earlier version")
        return answer(store, request, recording.peaks, f"the waveform of {recording.id} is not stored; {_AGAIN}")

    return router


# ---- which bytes -----------------------------------------------------------------------------------------------------


def pick(recording: Recording, rendition: Rendition, track: int | None = None) -> Blob:
    """raises NotFoundError saying what the recording lacks and how it comes by it"""
    if recording.working is None:
        raise NotFoundError(f"{recording.id} came as a published transcript and has no audio; add its audio file")
    if track is not None:
        return _of_track(recording, rendition, track)
    if rendition == "web" and recording.web is None:
        raise NotFoundError(
            f"{recording.id} has no web rendition: it came with an earlier version; ask for rendition=original"
        )
    found = {"web": recording.web, "original": recording.original, "working": recording.working}[rendition]
    assert found is not None
    return found


def _of_track(recording: Recording, rendition: Rendition, number: int) -> Blob:
    tracks: tuple[Track, ...] = recording.tracks
    if number > len(tracks):
        have = f"has {len(tracks)} tracks" if tracks else "was not added as one file per speaker"
        raise NotFoundError(f"there is no track {number}: {recording.id} {have}")
    if rendition == "web":
        raise NotFoundError("tracks have no web rendition of their own; ask for rendition=original or working")
    return tracks[number - 1].original if rendition == "original" else tracks[number - 1].working


def gone(recording: Recording, rendition: Rendition) -> str:
    """What to say when the recording names audio that the store does not hold."""
    if rendition == "working":
        return f"the working copy of {recording.id} was collected or left out of an import; {_AGAIN} to make it again"
    return f"the {rendition} audio of {recording.id} is not stored, an import of text leaves it out; {_AGAIN}"


def file_name(recording: Recording, blob: Blob, rendition: Rendition, track: int | None = None) -> str:
    """A name that no system stumbles over, from the title: letters, digits and dashes."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", recording.title).strip("-")[:80].strip("-")
    parts = [words, recording.id, f"track{track}" if track else "", "working" if rendition == "working" else ""]
    return "-".join(part for part in parts if part) + "." + SUFFIXES.get(blob.media_type, "bin")


# ---- how they are sent: RFC 9110, sections 13 and 14 -----------------------------------------------------------------


def answer(
    store: Store, request: Request, blob: Blob, if_gone: str, name: str | None = None, cached: str = CACHED
) -> Response:
    """A blob as the request wants it: whole, a range, nothing new, or its head alone.

    name     it is sent as a file of this name
    cached   CHANGING where another blob may be the answer tomorrow
    """
    etag = f'"{blob.sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": cached,
        "X-Content-Type-Options": "nosniff",
    }
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    stored = store.stat(blob.key)
    if stored is None or stored.bytes != blob.bytes:
        raise NotFoundError(if_gone)
    if name is not None:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    span = _asked_span(request, etag, blob.bytes)
    if span is not None and span.first >= span.end:
        return _unsatisfiable(blob)
    first, end = span or Span(0, blob.bytes)
    if span is not None:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{blob.bytes}"
    headers["Content-Length"] = str(end - first)
    status = 206 if span is not None else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=blob.media_type)
    return StreamingResponse(_pieces(store, blob, first, end), status, headers, blob.media_type)


def _pieces(store: Store, blob: Blob, first: int, end: int) -> Iterator[bytes]:
    yield from store.stream(blob.key, first, end - first)


def _asked_span(request: Request, etag: str, size: int) -> Span | None:
    """The range to send; None for all of it, also where the client's copy is of something else."""
    if request.method != "GET" or request.headers.get("if-range", etag) != etag:
        return None
    return parse_range(request.headers.get("range"), size)


def parse_range(header: str | None, size: int) -> Span | None:
    """The one range that a header asks for, cut to what there is; empty if nothing of it is.

    returns  None for no range, several, another unit or nonsense: the whole is the answer to all of these
    """
    found = re.fullmatch(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", header or "", re.I | re.A)
    if not found or found.group(1, 2) == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return Span(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return Span(int(first), min(int(last) + 1, size) if last else size)


def _matches(header: str | None, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return etag in tags or tags == ["*"]


def _unsatisfiable(blob: Blob) -> Response:
    problem = Problem(
        title="RangeNotSatisfiable",
        status=416,
        detail=f"the audio has {blob.bytes} bytes; ask for a range within them",
        trace_id=current_trace_id(),
    )
    response = problem_response(problem)
    response.headers["Content-Range"] = f"bytes */{blob.bytes}"
    return response
