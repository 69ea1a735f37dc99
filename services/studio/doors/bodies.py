"""A request's body as a file that a thread can read: nothing of it is held in memory."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import anyio.from_thread

from shared.errors import BadInputError


class BodyReader(io.RawIOBase):
    """An async request body as a file that a thread can read.

    max_bytes  raises BadInputError with `too_large` behind it
    """

    def __init__(self, chunks: AsyncIterator[bytes], max_bytes: int | None, too_large: str = "") -> None:
        self._chunks = chunks
        self._left = max_bytes
        self._too_large = too_large
        self._buffer = bytearray()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._buffer) < size:
            chunk = anyio.from_thread.run(self._next_chunk)
            if not chunk:
                break
            if self._left is not None:
                self._left -= len(chunk)
                if self._left < 0:
                    raise BadInputError(self._too_large)
            self._buffer += chunk
        if size < 0:
            size = len(self._buffer)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def drain(self) -> None:
        """Read the rest and forget it: a client that still sends does not listen for the answer."""
        self._buffer.clear()
        async for _ in self._chunks:
            pass

    async def _next_chunk(self) -> bytes:
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return b""
