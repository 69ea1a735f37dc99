"""Run ffmpeg within bounds: of time, CPU, memory and what it may write; its log is read and its samples streamed."""

from __future__ import annotations

import io
import math
import os
import resource
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, NamedTuple

from services.ingest import audio
from services.ingest.audio import Limits
from shared.errors import EngineFailedError
from shared.working_copy import RATE_HZ

LOG_HEAD, LOG_TAIL, LINE_CHARS = 400, 200, 2000
CHUNK_BYTES = 64 * 1024
CPU_GRACE_S = 5  # from SIGXCPU, which lets ffmpeg say so, to SIGKILL
WORKING_BYTES_PER_S = 2 * RATE_HZ  # of uncompressed samples: FLAC is never much larger
UNBOUNDED = "this system cannot bound ffmpeg's memory and CPU time (no prlimit): give it trusted files only"


class Done(NamedTuple):
    """How a run ended: the beginning and end of its log, its exit code, and where silences start and end."""

    log: str
    code: int
    edges: list[tuple[str, float]]
    bounded: bool


class Log:
    """Reads what ffmpeg says without holding much of it, however much that is."""

    def __init__(self, found_duration: Callable[[float], None]) -> None:
        self.edges: list[tuple[str, float]] = []
        self._head: list[str] = []
        self._tail: deque[str] = deque(maxlen=LOG_TAIL)
        self._found_duration = found_duration

    @property
    def text(self) -> str:
        return "".join([*self._head, *self._tail])

    def read(self, stream: IO[str]) -> None:
        for line in _lines(stream):
            if line.startswith("    "):
                continue  # tags and chapters: the file's own words, of any length, and nothing we read here
            if edge := audio.silence_edge(line):
                self.edges.append(edge)
                continue
            (self._head if len(self._head) < LOG_HEAD else self._tail).append(line)
            if (duration_s := audio.declared_duration_s(line)) is not None:
                self._found_duration(duration_s)


def _lines(stream: IO[str]) -> Iterator[str]:
    """Lines, each cut to LINE_CHARS."""
    within = False
    while piece := stream.readline(LINE_CHARS):
        if not within:
            yield piece if piece.endswith("\n") else piece + "\n"
        within = not piece.endswith("\n")


def run(
    command: list[str], limits: Limits, on_samples: Callable[[bytes], None], found_duration: Callable[[float], None]
) -> Done:
    """Run it to its end.

    on_samples      called with each piece of its stdout
    found_duration  called with each input's length, in order, as its header tells it
    raises          BadAudioError when it takes too long; EngineFailedError when it cannot be started
    """
    # It stays in our process group: who ends the engine ends the group, and ffmpeg with it.
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise EngineFailedError(f"ffmpeg cannot be started: {error}; check INGEST_FFMPEG") from error
    assert process.stdout is not None and process.stderr is not None
    bounded = bind(process.pid, limits)
    log, messages = Log(found_duration), io.TextIOWrapper(process.stderr, "utf-8", errors="replace")
    reader = threading.Thread(target=log.read, args=(messages,), daemon=True)
    reader.start()
    late = threading.Event()
    timer = threading.Timer(limits.ffmpeg_limit_s, _end, (process, late))
    timer.start()
    try:
        while chunk := os.read(process.stdout.fileno(), CHUNK_BYTES):
            on_samples(chunk)
        code = process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        reader.join(timeout=5)
        process.stdout.close()
    if late.is_set():
        raise audio.too_slow(limits)
    return Done(log.text, code, log.edges, bounded)


def bind(pid: int, limits: Limits) -> bool:
    """Set what a process may use at most, from outside; False where the system cannot."""
    if not hasattr(resource, "prlimit"):
        return False
    cpu_s = math.ceil(limits.ffmpeg_limit_s)
    most = {
        resource.RLIMIT_AS: (limits.ffmpeg_memory_mb * 1024**2,) * 2,
        resource.RLIMIT_CPU: (cpu_s, cpu_s + CPU_GRACE_S),
        resource.RLIMIT_FSIZE: (file_bytes(limits),) * 2,
        resource.RLIMIT_CORE: (0, 0),
    }
    with suppress(ProcessLookupError):  # it has ended already
        for which, (soft, hard) in most.items():
            allowed = resource.prlimit(pid, which)[1]
            if allowed != resource.RLIM_INFINITY:
                soft, hard = min(soft, allowed), min(hard, allowed)
            resource.prlimit(pid, which, (soft, hard))
    return True


def file_bytes(limits: Limits) -> int:
    """The largest file that the longest recording can need."""
    return round((limits.max_duration_s + 60) * WORKING_BYTES_PER_S * 1.1)


def _end(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()
