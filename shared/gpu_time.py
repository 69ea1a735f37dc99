"""GPU seconds of shows: how long engines work for each of their jobs, and how much of a quota is left.

A job's runner opens an account for the thread that runs it (`charged_to`); whatever works on a GPU in that thread
charges it, by a Meter or by `spend`. Work outside of jobs is charged to nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

HOUR_S = 3600
WINDOW_HOURS = 24

Charge = Callable[[float], None]
"""Takes GPU seconds; called by several threads at once."""

_account: ContextVar[Charge | None] = ContextVar("diary_gpu_account", default=None)


@contextmanager
def charged_to(charge: Charge) -> Iterator[None]:
    """What this thread spends inside goes to an account."""
    token = _account.set(charge)
    try:
        yield
    finally:
        _account.reset(token)


def spend(seconds: float) -> None:
    """Charge GPU seconds to the job that this thread runs: seconds x GPUs of work that no engine of ours does."""
    if charge := _account.get():
        charge(seconds)


class Meter:
    """Measures the work of one engine, and divides the time equally among those that it works for at the moment.

    gpus    GPUs that the engine holds while it works; 0 on a CPU: nothing is measured
    clock   seconds, only ever rising
    """

    def __init__(self, gpus: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._gpus = gpus
        self._clock = clock
        self._guard = threading.Lock()
        self._at_work: list[Charge] = []
        self._settled_at = clock()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Bracket a piece of work; the account is that of the thread."""
        charge = _account.get() or _nobody
        with self._guard:
            self._settle()
            self._at_work.append(charge)
        try:
            yield
        finally:
            with self._guard:
                self._settle()
                self._at_work.remove(charge)

    def settle(self) -> None:
        """Charge what was worked so far: long work is seen, and limited, while it is under way."""
        with self._guard:
            self._settle()

    def _settle(self) -> None:
        now = self._clock()
        passed_s, self._settled_at = now - self._settled_at, now
        if self._gpus and self._at_work:
            share_s = passed_s * self._gpus / len(self._at_work)
            for charge in self._at_work:
                charge(share_s)


def _nobody(seconds: float) -> None:
    """The account of work outside of jobs."""


class Ledger:
    """GPU seconds by show that are not written down yet."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._seconds: dict[str, float] = {}

    def add(self, show: str, seconds: float) -> None:
        with self._guard:
            self._seconds[show] = self._seconds.get(show, 0.0) + seconds

    def take(self) -> dict[str, float]:
        """All of it; whoever takes it writes it down, or adds it again."""
        with self._guard:
            taken, self._seconds = self._seconds, {}
        return taken


@dataclass(frozen=True)
class Spent:
    """GPU seconds that were spent in one hour, counted since 1970."""

    hour: int
    seconds: float


def hour_of(at: float) -> int:
    return int(at // HOUR_S)


def window_start(now: float) -> int:
    """First of the hours that count at a time, seconds since 1970: with the one that runs, a day of them."""
    return hour_of(now) - WINDOW_HOURS + 1


def free_again_at(spent: Sequence[Spent], limit_s: float, now: float) -> float | None:
    """When the sum of a day's hours is below a limit: seconds since 1970; None if it is so now."""
    left = sorted((one for one in spent if one.hour >= window_start(now)), key=lambda one: one.hour)
    total_s = sum(one.seconds for one in left)
    free_at: float | None = None
    for one in left:
        if total_s < limit_s:
            break
        total_s -= one.seconds
        free_at = float((one.hour + WINDOW_HOURS) * HOUR_S)
    return free_at
