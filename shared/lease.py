"""One GPU (or two CPU cores), several services: whose engine may run now.

A `flock` on a file in a shared folder is the lease. Its descriptor is inherited by the engine's process, so the lease
ends exactly when the last process that could hold GPU memory ends, however it ends. Those who wait take a numbered
ticket (a locked file); a holder sees the ticket within a second, finishes its batch, turn or checkpoint, stops its
engine and lets go. Nobody calls another service while holding a lease.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.2
OnWait = Callable[[str], None]


@dataclass(frozen=True)
class Held:
    """A lease in hand; `descriptor` goes to the engine's process."""

    descriptor: int
    since: float


class Lease:
    """The lease of one device.

    folder       shared by all services of the machine
    owner        service name, shown to those who wait
    min_hold_s   how long a holder may go on although somebody waits, so that models are not loaded for one turn each
    """

    def __init__(self, folder: Path, owner: str, *, min_hold_s: float = 0.0) -> None:
        self._folder = folder
        self._owner = owner
        self._min_hold_s = min_hold_s
        self._held: Held | None = None

    @property
    def held(self) -> bool:
        return self._held is not None

    def acquire(self, on_wait: OnWait) -> int:
        """Wait for the turn of our ticket, telling `on_wait` who has the device; returns the descriptor to inherit.

        `on_wait` may raise (a cancelled job does): the ticket is given back.
        """
        if self._held:
            return self._held.descriptor
        self._tickets.mkdir(parents=True, exist_ok=True)
        ticket, descriptor = self._draw_ticket()
        try:
            while not self._is_first(ticket) or (lock := self._try_lock()) is None:
                on_wait(self.describe_holder())
                time.sleep(POLL_S)
        finally:
            ticket.unlink(missing_ok=True)
            os.close(descriptor)
        self._held = Held(lock, time.monotonic())
        self._write_holder()
        return lock

    def release(self) -> None:
        """Let go of our own copy; the lease ends when the engine's processes, which inherited it, are gone too."""
        if self._held:
            os.close(self._held.descriptor)
            self._held = None

    def wanted(self) -> bool:
        """Whether somebody waits for what we hold, and we have had our fair share of it."""
        if not self._held or time.monotonic() - self._held.since < self._min_hold_s:
            return False
        return any(self._is_live(ticket) for ticket in self._ticket_files())

    def describe_holder(self) -> str:
        """Who has the device, for those who wait: "trainer has it, for 40 s"."""
        try:
            holder = json.loads((self._folder / "holder.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return "nobody has it yet"
        return f"{holder['owner']} has it, for {time.time() - holder['since']:.0f} s"

    # ---- tickets -------------------------------------------------------------------------------------------------

    @property
    def _tickets(self) -> Path:
        return self._folder / "tickets"

    def _ticket_files(self) -> list[Path]:
        return sorted(self._tickets.glob("*.ticket")) if self._tickets.is_dir() else []

    def _draw_ticket(self) -> tuple[Path, int]:
        """Next number, in a file that stays locked while we live: a dead waiter's ticket is worth nothing."""
        counter = os.open(self._folder / "next", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            fcntl.flock(counter, fcntl.LOCK_EX)
            number = int(os.pread(counter, 20, 0) or b"0")
            os.pwrite(counter, str(number + 1).encode(), 0)
            ticket = self._tickets / f"{number:012d}-{self._owner}.ticket"
            unlocked = ticket.with_suffix(".new")
            descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            unlocked.rename(ticket)  # visible only once locked: nobody can take it for a dead one's
            return ticket, descriptor
        finally:
            os.close(counter)

    def _is_first(self, ticket: Path) -> bool:
        return not any(other.name < ticket.name and self._is_live(other) for other in self._ticket_files())

    def _is_live(self, ticket: Path) -> bool:
        try:
            descriptor = os.open(ticket, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            ticket.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)

    # ---- the lock ------------------------------------------------------------------------------------------------

    def _try_lock(self) -> int | None:
        descriptor = os.open(self._folder / "lease.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _write_holder(self) -> None:
        partial = self._folder / f"holder.{os.getpid()}"
        partial.write_text(json.dumps({"owner": self._owner, "since": time.time()}))
        with suppress(FileNotFoundError):
            partial.replace(self._folder / "holder.json")
