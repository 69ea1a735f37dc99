"""The job of a refresh as one of its items sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from shared.jobs import JobContext

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """A JobContext: progress counts items, and says how far the one in hand is."""

    job: JobContext
    number: int
    count: int
    title: str

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def kind(self) -> str:
        return self.job.kind

    @property
    def actor(self) -> str:
        return self.job.actor

    @property
    def trace_id(self) -> str:
        return self.job.trace_id

    @property
    def work_dir(self) -> Path:
        return self.job.work_dir / f"item-{self.number}"

    def check(self) -> None:
        self.job.check()

    def is_over(self, job_id: str) -> bool:
        return self.job.is_over(job_id)

    def progress(
        self,
        stage: str,
        done: float = 0,
        total: float | None = None,
        unit: str = "",
        note: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> None:
        share = f" {done / total:.0%}" if total else ""
        told = f"{self.title[:60]}: {stage}{share}" + (f" ({note})" if note else "")
        self.job.progress("bringing recordings", self.number, self.count, "recordings", told)

    def step(self, name: str, work: Callable[[], T]) -> T:
        return self.job.step(f"{name} {self.number}", work)

    def wait(self, seconds: float, why: str) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            self.progress("waiting", note=f"{left:.0f} s: {why}")
            time.sleep(min(left, 0.5))
