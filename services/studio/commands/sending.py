"""Sending files to studio: a small one as one body, a large one piece by piece, going on where a try broke off.

How far an upload has come, the server knows; here is only noted where it lies, so that the same file given again after
a kill goes on. A note is named by the studio and the file's path, size and time: a file that was changed starts anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from shared.client import ServiceClient
from shared.errors import BadInputError, DiaryError, NotFoundError, RemoteJobError, ServiceUnavailableError
from shared.patience import Patience

SMALL_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 8 * 1024 * 1024  # what a broken connection costs at most
CHUNK_BYTES = 256 * 1024  # how finely the bar moves
NOTES_KEPT_S = 14 * 24 * 3600.0
ASK_AGAIN = (408, 409, 460)  # broke off, somebody else sent, damaged on the way: HEAD tells where to go on
PATIENT = httpx.Timeout(120.0, connect=5.0)
TUS = {"Tus-Resumable": "1.0.0"}

Tell = Callable[[int], None]
"""Is told how many bytes of the file have come so far."""


@dataclass(frozen=True)
class Sent:
    """A file that studio has; `note` is dropped once a job has taken it over."""

    upload_key: str
    note: Path | None = None

    def taken(self) -> None:
        if self.note:
            self.note.unlink(missing_ok=True)


class Sender:
    """Sends files to one studio.

    notes    folder of the notes
    pause    waits some seconds
    """

    def __init__(self, client: ServiceClient, notes: Path, pause: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._notes = notes
        self._pause = pause

    def send(self, path: Path, tell: Tell = lambda count: None) -> Sent:
        """raises BadInputError for a file that changes meanwhile, ServiceUnavailableError when patience ends"""
        if path.stat().st_size <= SMALL_BYTES:
            return Sent(self._send_whole(path))
        note = self._note(path)
        with path.open("rb") as file:
            place = _read(note) or self._begin(path, note)
            try:
                self._send_rest(place, file, path, tell)
            except NotFoundError:  # a job has taken it over, or it was too old
                place = self._begin(path, note)
                self._send_rest(place, file, path, tell)
        return Sent(place.removeprefix("/v1/"), note)

    def _send_whole(self, path: Path) -> str:
        return self._client.call("POST", "/v1/uploads", content=path.read_bytes(), timeout=PATIENT).json()["upload_key"]

    def _begin(self, path: Path, note: Path) -> str:
        name = base64.b64encode(path.name.encode(errors="replace")).decode()
        headers = {**TUS, "Upload-Length": str(path.stat().st_size), "Upload-Metadata": f"filename {name}"}
        place = self._client.call("POST", "/v1/uploads", headers=headers).headers["Location"]
        note.parent.mkdir(parents=True, exist_ok=True)
        _drop_old(note.parent)
        partial = note.with_suffix(".part")
        partial.write_text(json.dumps({"location": place}))
        partial.replace(note)
        return place

    def _send_rest(self, place: str, file: BinaryIO, path: Path, tell: Tell) -> None:
        """All that the server does not have yet; troubles that pass are borne, with longer and longer pauses."""
        began = path.stat()
        patience, offset = Patience(), None
        while offset is None or offset < began.st_size:
            try:
                if offset is None:
                    offset = self._offset(place)
                    tell(offset)
                file.seek(offset)
                piece = file.read(PIECE_BYTES)
                if _changed(path, began.st_size, began.st_mtime_ns) or (not piece and offset < began.st_size):
                    raise BadInputError(f"{path.name} was changed while it was sent; give it again when it is finished")
                offset = self._send_piece(place, offset, piece, tell) if piece else offset
                patience = Patience()
            except (ServiceUnavailableError, RemoteJobError) as error:
                offset = None
                if not _passes(error) or not patience.bears(ServiceUnavailableError(str(error))):
                    raise _with_advice(error, path) from error
                self._pause(patience.pause_s)

    def _offset(self, place: str) -> int:
        return int(self._client.call("HEAD", place, headers=TUS).headers["Upload-Offset"])

    def _send_piece(self, place: str, offset: int, piece: bytes, tell: Tell) -> int:
        digest = base64.b64encode(hashlib.sha256(piece).digest()).decode()
        headers = {
            **TUS,
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha256 {digest}",
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(len(piece)),
        }
        chunks = _told(piece, offset, tell)
        reply = self._client.call("PATCH", place, content=chunks, headers=headers, timeout=PATIENT)
        return int(reply.headers["Upload-Offset"])

    def _note(self, path: Path) -> Path:
        facts = path.stat()
        about = f"{self._client.url}\n{path.resolve()}\n{facts.st_size}\n{facts.st_mtime_ns}"
        return self._notes / f"{hashlib.sha256(about.encode(errors='replace')).hexdigest()[:24]}.json"


def _told(piece: bytes, offset: int, tell: Tell) -> Iterator[bytes]:
    for at in range(0, len(piece), CHUNK_BYTES):
        chunk = piece[at : at + CHUNK_BYTES]
        yield chunk
        tell(offset + at + len(chunk))


def _passes(error: DiaryError) -> bool:
    return error.retryable or error.status in ASK_AGAIN


def _with_advice(error: DiaryError, path: Path) -> DiaryError:
    if not _passes(error):
        return error
    return ServiceUnavailableError(f"{error} What came of {path.name} is kept: give it again, and the rest is sent.")


def _changed(path: Path, size: int, mtime_ns: int) -> bool:
    facts = path.stat()
    return (facts.st_size, facts.st_mtime_ns) != (size, mtime_ns)


def _read(note: Path) -> str | None:
    """Where an upload lies; None without a note, or with a damaged one."""
    try:
        place = json.loads(note.read_text())["location"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return place if isinstance(place, str) and place.startswith("/v1/uploads/") else None


def _drop_old(folder: Path) -> None:
    for note in folder.glob("*.json"):
        if time.time() - note.stat().st_mtime > NOTES_KEPT_S:
            note.unlink(missing_ok=True)
