"""The upload door: a file as one body, or bit by bit by the tus protocol, which goes on where a connection broke off.

source   tus resumable upload protocol 1.0.0 with creation, termination and checksum; https://tus.io
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from services.studio.doors.bodies import BodyReader
from services.studio.library import upload_id
from shared import keys
from shared.errors import BadInputError, ConflictError, DiaryError, NotAllowedError, NotFoundError
from shared.problems import problem_of
from shared.schemas import now
from shared.service import UPLOADS, actor_of, editor, problem_response, viewer
from shared.store import PART_BYTES, Store, create_manifest
from shared.telemetry import current_trace_id
from shared.tokens import Access, Token
from shared.uploads import Upload, arrived, facts_of, forget_upload, pieces

T = TypeVar("T")

AT_ONCE = 8  # whole bodies, and pieces in memory
PIECE_BYTES = PART_BYTES
MOST_PIECES = 20_000
SILENCE_S = 60.0  # a sender that says nothing for so long is gone
DRAINED_BYTES = 4 * PIECE_BYTES
LONGEST_METADATA = 4000
TUS = "1.0.0"
CHECKSUMS = ("sha256", "sha1")
OFFSET_BODY = "application/offset+octet-stream"
TOO_LARGE = "the file is larger than this server takes; raise STUDIO_MAX_UPLOAD_BYTES"
FACTS = {
    "Tus-Version": TUS,
    "Tus-Extension": "creation,termination,checksum",
    "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
}


class UploadRefusedError(DiaryError):
    """With the status that the protocol asks for."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Checksum(NamedTuple):
    """What the bytes of one request must hash to."""

    algorithm: str
    digest: bytes

    def demand(self, data: bytes) -> None:
        if not hmac.compare_digest(hashlib.new(self.algorithm, data).digest(), self.digest):
            raise UploadRefusedError(460, "the bytes came damaged: their checksum differs; send them again")


class TusRoute(APIRoute):
    """Tells the protocol's version with every answer, and reads on a little while a refused sender still sends."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handler(request)
            except DiaryError as error:
                await _drain(request)
                response = problem_response(problem_of(error, current_trace_id()))
                if error.status == 412:
                    response.headers["Tus-Version"] = TUS
            response.headers["Tus-Resumable"] = TUS
            return response

        return answer


def uploads_door(store: Store, max_bytes: int) -> APIRouter:
    router = APIRouter(prefix=UPLOADS, tags=["uploads"], route_class=TusRoute)
    limiter = anyio.CapacityLimiter(AT_ONCE)  # threads of their own: slow uploads must not hold up the rest
    sending = asyncio.Semaphore(AT_ONCE)

    async def threaded(work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=limiter)

    @router.post("", status_code=201)
    async def upload(request: Request, response: Response, token: Token = Depends(editor)) -> dict[str, str]:
        """Send a file as the request body; the reply's `upload_key` goes into `POST /v1/recordings`.

        With `Tus-Resumable: 1.0.0`, `Upload-Length` and no body, begin a resumable upload: its pieces go to the
        reply's Location.
        """
        name = upload_id(now())
        key = keys.upload(name)
        if "tus-resumable" in request.headers:
            _demand_version(request)
            facts = announced(request, max_bytes, actor_of(request, token))
            await threaded(lambda: create_manifest(store, keys.upload_facts(key), facts))
            response.headers["Location"] = f"{UPLOADS}/{name}"
        else:
            await keep_whole(request, key)
        return {"upload_key": key}

    @router.options("", status_code=204)
    @router.options("/{name}", status_code=204)
    def abilities(token: Token = Depends(viewer)) -> Response:
        """Which versions and extensions of tus are spoken here, and how large a file may be."""
        return Response(status_code=204, headers={**FACTS, "Tus-Max-Size": str(max_bytes)})

    @router.head("/{name}")
    def how_far(name: str, request: Request, token: Token = Depends(editor)) -> Response:
        """`Upload-Offset` is where to go on."""
        _demand_version(request)
        key, facts = _own(store, name, request, token)
        headers = {"Upload-Offset": str(arrived(store, key)), "Upload-Length": str(facts.bytes)}
        if facts.metadata:
            headers["Upload-Metadata"] = facts.metadata
        return Response(headers={**headers, "Cache-Control": "no-store"})

    @router.patch("/{name}", status_code=204)
    async def send(name: str, request: Request, token: Token = Depends(editor)) -> Response:
        """Bytes from `Upload-Offset` on. What came before a connection broke is kept."""
        _demand_version(request)
        if request.headers.get("content-type", "").split(";")[0].strip() != OFFSET_BODY:
            raise UploadRefusedError(415, f"send the bytes as {OFFSET_BODY}")
        offset, checksum = _number(request, "upload-offset"), _checksum(request)
        async with sending:
            key, facts = await threaded(partial(_own, store, name, request, token))
            await threaded(partial(_demand_next, store, key, offset))
            receiver = _Receiver(store, key, offset, facts.bytes, threaded)
            await (receiver.take_checked(request, checksum) if checksum else receiver.take(request))
        return Response(status_code=204, headers={"Upload-Offset": str(receiver.offset)})

    @router.delete("/{name}", status_code=204)
    def drop(name: str, request: Request, token: Token = Depends(editor)) -> Response:
        """Drop what came so far."""
        _demand_version(request)
        key, _ = _own(store, name, request, token)
        forget_upload(store, key)
        return Response(status_code=204)

    async def keep_whole(request: Request, key: str) -> None:
        body = cast(BinaryIO, BodyReader(_whole(request), max_bytes, TOO_LARGE))
        try:
            await threaded(lambda: store.put_stream(key, body, "application/octet-stream"))
        except BadInputError:
            await threaded(lambda: store.delete(key))
            raise

    return router


# ---- what a sender says --------------------------------------------------------------------------------------------


def announced(request: Request, max_bytes: int, by: str) -> Upload:
    """raises UploadRefusedError for a file that is too large, or without a length"""
    length = _number(request, "upload-length")
    if length > max_bytes:
        raise UploadRefusedError(413, TOO_LARGE)
    metadata = request.headers.get("upload-metadata", "")
    if len(metadata) > LONGEST_METADATA:
        raise UploadRefusedError(400, f"Upload-Metadata is longer than {LONGEST_METADATA} characters")
    return Upload(bytes=length, filename=_filename(metadata), metadata=metadata, by=by)


def _filename(metadata: str) -> str:
    """From `filename ZHJpdmUubXAz,filetype YXVkaW8vbXBlZw==`."""
    for entry in metadata.split(","):
        name, _, value = entry.strip().partition(" ")
        if name == "filename":
            try:
                return base64.b64decode(value, validate=True).decode()[:300]
            except (binascii.Error, UnicodeDecodeError) as error:
                raise UploadRefusedError(400, f"Upload-Metadata: filename is not base64 of UTF-8 ({error})") from error
    return ""


def _number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise UploadRefusedError(400, f"send {header.title()}, a whole number of bytes")
    return int(text)


def _checksum(request: Request) -> Checksum | None:
    """raises UploadRefusedError for another algorithm than ours"""
    text = request.headers.get("upload-checksum")
    if text is None:
        return None
    algorithm, _, digest = text.partition(" ")
    with suppress(binascii.Error):
        if algorithm in CHECKSUMS:
            return Checksum(algorithm, base64.b64decode(digest, validate=True))
    raise UploadRefusedError(400, f"Upload-Checksum must be one of {', '.join(CHECKSUMS)}, a space, and base64")


def _demand_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != TUS:
        raise UploadRefusedError(412, f"send Tus-Resumable: {TUS}; this server speaks no other version")


def _own(store: Store, name: str, request: Request, token: Token) -> tuple[str, Upload]:
    """Key and facts of an upload that this token began; raises NotFoundError, NotAllowedError"""
    key = keys.upload(name)
    facts = facts_of(store, key)
    if facts is None:
        raise NotFoundError("there is no such upload: a recording has taken it over, or it was removed; begin again")
    if token.access is not Access.ADMIN and actor_of(request, token) != facts.by:
        raise NotAllowedError("somebody else began this upload; begin one of your own")
    return key, facts


def _demand_next(store: Store, key: str, offset: int) -> None:
    found = pieces(store, key)
    if len(found) >= MOST_PIECES:
        raise UploadRefusedError(413, "this upload came in too many small pieces; begin again with larger ones")
    came = sum(piece.bytes for piece in found)
    if came != offset:
        raise ConflictError(f"{came} bytes have come, these begin at {offset}; ask with HEAD where to go on")


# ---- what a sender sends -------------------------------------------------------------------------------------------


class _Receiver:
    """Puts the bytes of one request into the store, piece by piece.

    offset   where the next piece begins
    total    what was announced of the whole file
    """

    def __init__(self, store: Store, key: str, offset: int, total: int, threaded: Any) -> None:
        self._store = store
        self._key = key
        self._total = total
        self._threaded = threaded
        self._buffer = bytearray()
        self.offset = offset

    async def take(self, request: Request) -> None:
        """Pieces as they come; what came of the last one is kept when the sender goes."""
        try:
            async for chunk in _chunks(request):
                self._add(chunk)
                while len(self._buffer) >= PIECE_BYTES:
                    await self._keep(PIECE_BYTES)
        except (ClientDisconnect, TimeoutError) as error:
            await self._keep(len(self._buffer))
            raise _broke_off(error) from error
        await self._keep(len(self._buffer))

    async def take_checked(self, request: Request, checksum: Checksum) -> None:
        """One piece, whole and right, or nothing of it."""
        try:
            async for chunk in _chunks(request):
                self._add(chunk)
                if len(self._buffer) > PIECE_BYTES:
                    raise UploadRefusedError(413, f"with a checksum, send at most {PIECE_BYTES} bytes at once")
        except (ClientDisconnect, TimeoutError) as error:
            raise _broke_off(error) from error
        await self._threaded(partial(checksum.demand, bytes(self._buffer)))
        await self._keep(len(self._buffer))

    def _add(self, chunk: bytes) -> None:
        if self.offset + len(self._buffer) + len(chunk) > self._total:
            raise UploadRefusedError(413, f"more bytes came than the {self._total} that were announced; begin again")
        self._buffer += chunk

    async def _keep(self, count: int) -> None:
        """Store the first bytes of the buffer, unless somebody else has stored some there."""
        if not count:
            return
        data = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        await self._threaded(partial(_put_piece, self._store, self._key, self.offset, data))
        self.offset += count


def _put_piece(store: Store, key: str, offset: int, data: bytes) -> None:
    if not store.create(keys.upload_part(key, offset), data):
        raise ConflictError(f"somebody else sent the bytes from {offset} on; ask with HEAD where to go on")
    if not store.exists(keys.upload_facts(key)):
        forget_upload(store, key)
        raise NotFoundError("this upload was dropped meanwhile; begin again")


def _broke_off(error: Exception) -> UploadRefusedError:
    return UploadRefusedError(408, f"the sender broke off ({type(error).__name__}); ask with HEAD where to go on")


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """raises ClientDisconnect, or TimeoutError when nothing comes for long"""
    stream = request.stream()
    while True:
        with anyio.fail_after(SILENCE_S):
            try:
                chunk = await anext(stream)
            except StopAsyncIteration:
                return
        if chunk:
            yield chunk


async def _whole(request: Request) -> AsyncIterator[bytes]:
    """All of a body. raises UploadRefusedError for a sender that goes, or falls silent"""
    try:
        async for chunk in _chunks(request):
            yield chunk
    except (ClientDisconnect, TimeoutError) as error:
        raise UploadRefusedError(408, f"the sender broke off ({type(error).__name__}); send the file again") from error


async def _drain(request: Request) -> None:
    """Read what a refused sender still sends, or it does not listen for the answer."""
    left = DRAINED_BYTES
    with suppress(ClientDisconnect, TimeoutError, RuntimeError):  # the last one: it was read to its end
        async for chunk in _chunks(request):
            left -= len(chunk)
            if left < 0:
                return
