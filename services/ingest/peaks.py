"""The waveform that a player draws: the lowest and highest sample of every 50 ms, made while the samples stream by.

Stored in audiowaveform's binary format, version 2 with 8 bit values, which peaks.js and waveform-data.js read.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.errors import BadInputError
from shared.working_copy import RATE_HZ

SAMPLES_PER_PIXEL = 800
MEDIA_TYPE = "application/octet-stream"

_HEADER = struct.Struct("<iIiiIi")  # version, flags, sample rate, samples per pixel, length, channels
_VERSION, _EIGHT_BIT, _CHANNELS = 2, 1, 1
_PIXEL_BYTES = 2 * SAMPLES_PER_PIXEL


class Peaks:
    """Built from raw samples, in pieces of any size; holds 40 bytes a second of audio, never the audio."""

    def __init__(self) -> None:
        self._pairs = bytearray()
        self._rest = b""
        self._bytes = 0

    @property
    def samples(self) -> int:
        return self._bytes // 2

    @property
    def duration_s(self) -> float:
        return self.samples / RATE_HZ

    def add(self, chunk: bytes) -> None:
        """16 bit little-endian mono samples at 16 kHz."""
        self._bytes += len(chunk)
        data = self._rest + chunk
        whole = len(data) // _PIXEL_BYTES * _PIXEL_BYTES
        self._pairs += _pairs(np.frombuffer(data[:whole], "<i2").reshape(-1, SAMPLES_PER_PIXEL))
        self._rest = data[whole:]

    def dat(self) -> bytes:
        """The file; its last pixel may stand for less than the others."""
        rest = np.frombuffer(self._rest[: len(self._rest) // 2 * 2], "<i2")
        pairs = bytes(self._pairs) + (_pairs(rest.reshape(1, -1)) if rest.size else b"")
        return _HEADER.pack(_VERSION, _EIGHT_BIT, RATE_HZ, SAMPLES_PER_PIXEL, len(pairs) // 2, _CHANNELS) + pairs


class Waveform(NamedTuple):
    """What a file of peaks says.

    lows, highs   (P,) int8, lowest and highest sample of each pixel, in 256ths
    """

    rate_hz: int
    samples_per_pixel: int
    lows: NDArray[np.int8]
    highs: NDArray[np.int8]


def read(data: bytes) -> Waveform:
    """raises BadInputError for what `Peaks.dat` does not make"""
    if len(data) < _HEADER.size:
        raise BadInputError(f"a file of {len(data)} bytes holds no waveform; add the recording's file again")
    version, flags, rate_hz, samples_per_pixel, length, channels = _HEADER.unpack_from(data)
    values = np.frombuffer(data, np.int8, offset=_HEADER.size)
    if (version, flags, channels, 2 * length) != (_VERSION, _EIGHT_BIT, _CHANNELS, values.size):
        raise BadInputError(
            f"no waveform of ours: version {version}, flags {flags}, {channels} channels, {length} pairs in "
            f"{values.size} bytes; add the recording's file again"
        )
    return Waveform(rate_hz, samples_per_pixel, values[0::2], values[1::2])


def _pairs(pixels: NDArray[np.int16]) -> bytes:
    """(P, S) int16 -> P pairs of int8, each lowest and highest; divided as C does, towards zero."""
    edges = np.stack([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    return np.trunc(edges / 256).astype(np.int8).tobytes()
