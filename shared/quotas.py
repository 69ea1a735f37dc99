"""What one show may have of a service, so that all shows get some of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.errors import QuotaError
from shared.gpu_time import HOUR_S, Spent, free_again_at


@dataclass(frozen=True)
class Quotas:
    """Limits of each show in one service; 0 is no limit.

    jobs        that have not ended
    gpu_hours   in the last day
    """

    service: str
    jobs: int
    gpu_hours: float

    def demand_room(self, show: str, unfinished: int, spent: Callable[[], Sequence[Spent]], now: float) -> None:
        """raises   QuotaError if a show can have no further job now; it says when, or what helps"""
        if self.jobs and unfinished >= self.jobs:
            raise QuotaError(
                f"{show} has as many unfinished jobs in {self.service} as a show may have ({self.jobs}): "
                f"wait until one ends, cancel one, or have the operator raise {self._setting('SHOW_JOBS')}"
            )
        free_at = free_again_at(spent(), self.gpu_hours * HOUR_S, now) if self.gpu_hours else None
        if free_at is not None:
            when = datetime.fromtimestamp(free_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
            raise QuotaError(
                f"{show} has used its {self.gpu_hours:g} GPU hours a day in {self.service}: "
                f"wait until {when}, or have the operator raise {self._setting('SHOW_GPU_HOURS')}"
            )

    def _setting(self, name: str) -> str:
        return f"{self.service.upper()}_{name}"
