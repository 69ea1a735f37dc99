"""The GPU lease between real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from shared.errors import JobCancelledError
from shared.lease import Lease


def patient(note: str) -> None:
    pass


def test_a_second_service_waits_until_the_first_lets_go(tmp_path: Path):
    trainer, inference = Lease(tmp_path, "trainer"), Lease(tmp_path, "inference")
    trainer.acquire(patient)
    notes: list[str] = []
    waiter = threading.Thread(target=inference.acquire, args=(notes.append,))
    waiter.start()
    _until(lambda: notes and trainer.wanted())

    trainer.release()

    waiter.join(5)
    assert inference.held and "trainer has it" in notes[0]


def test_turns_are_taken_in_the_order_of_the_tickets(tmp_path: Path):
    first = Lease(tmp_path, "first")
    first.acquire(patient)
    order: list[str] = []

    def take(lease: Lease, name: str) -> None:
        lease.acquire(patient)
        order.append(name)
        lease.release()

    threads = []
    for name in ("second", "third", "fourth"):
        threads.append(threading.Thread(target=take, args=(Lease(tmp_path, name), name)))
        threads[-1].start()
        _until(lambda name=name: any(name in ticket.name for ticket in (tmp_path / "tickets").glob("*.ticket")))

    first.release()
    for thread in threads:
        thread.join(10)

    assert order == ["second", "third", "fourth"]


def test_the_lease_lives_as_long_as_the_engine_that_inherited_it(tmp_path: Path):
    service, other = Lease(tmp_path, "trainer"), Lease(tmp_path, "inference")
    descriptor = service.acquire(patient)
    engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[descriptor])
    service.release()

    with pytest.raises(TimeoutError):
        other.acquire(_give_up_after(1.0))
    engine.kill()
    engine.wait()
    other.acquire(_give_up_after(5.0))

    assert other.held


def test_a_dead_waiters_ticket_is_worth_nothing(tmp_path: Path):
    holder = Lease(tmp_path, "trainer")
    holder.acquire(patient)
    script = "import sys; from pathlib import Path; from shared.lease import Lease\n"
    script += "Lease(Path(sys.argv[1]), 'inference').acquire(lambda note: None)"
    waiter = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env={**os.environ, "PYTHONPATH": "."})
    _until(holder.wanted)

    waiter.kill()
    waiter.wait()

    assert not holder.wanted()


def test_a_cancelled_waiter_gives_its_ticket_back(tmp_path: Path):
    holder, waiter = Lease(tmp_path, "trainer"), Lease(tmp_path, "inference")
    holder.acquire(patient)

    def cancelled(note: str) -> None:
        raise JobCancelledError("cancelled")

    with pytest.raises(JobCancelledError):
        waiter.acquire(cancelled)

    assert not holder.wanted() and list((tmp_path / "tickets").iterdir()) == []


def test_a_holder_is_left_alone_for_its_fair_share(tmp_path: Path):
    holder, waiter = Lease(tmp_path, "trainer", min_hold_s=3.0), Lease(tmp_path, "inference")
    holder.acquire(patient)
    thread = threading.Thread(target=waiter.acquire, args=(patient,))
    thread.start()
    _until(lambda: list((tmp_path / "tickets").glob("*.ticket")))

    assert not holder.wanted()
    _until(holder.wanted)
    holder.release()
    thread.join(5)


def _until(condition, timeout_s: float = 10.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def _give_up_after(seconds: float):
    until = time.monotonic() + seconds

    def on_wait(note: str) -> None:
        if time.monotonic() > until:
            raise TimeoutError(note)

    return on_wait
