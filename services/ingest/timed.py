"""A time limit for what an engine does for a job; it ends even a server that sends a byte a minute."""

from __future__ import annotations

import time
from typing import Any

from shared.engines import Watch
from shared.errors import EngineFailedError


class TimeIsUpError(EngineFailedError):
    """Ends the engine's process, as any trouble with it does; whoever asked hears of a server that is too slow."""


class TimedWatch:
    """A job that has no more than so many seconds from its first sign of progress on."""

    def __init__(self, job: Watch, limit_s: float) -> None:
        self._job, self._limit_s = job, limit_s
        self._ends: float | None = None  # waiting for the engine is not counted

    @property
    def trace_id(self) -> str:
        return self._job.trace_id

    def check(self) -> None:
        self._job.check()
        if self._ends is not None and time.monotonic() > self._ends:
            raise TimeIsUpError(
                f"the site is too slow: not done within {self._limit_s:g} s. Download it yourself and upload the file, "
                "or raise INGEST_DOWNLOAD_LIMIT_S"
            )

    def progress(self, stage: str, *amount: Any, **more: Any) -> None:
        self._ends = self._ends or time.monotonic() + self._limit_s
        self._job.progress(stage, *amount, **more)
