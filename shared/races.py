"""The two-second check at every start: a store that lets two writers win one conditional put is refused."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from shared import keys
from shared.errors import ConflictError, StoreUnsafeError
from shared.store import Store

PROBE_WRITERS = 4


def probe_races(store: Store, *, rounds: int = 1, writers: int = PROBE_WRITERS) -> None:
    """Refuse a store in which one conditional put has two winners (or none), by racing for it.

    raises   StoreUnsafeError, naming the number of winners
    """
    with ThreadPoolExecutor(writers) as pool:
        for _ in range(rounds):
            key = keys.probe(uuid.uuid4().hex)
            try:
                winners = _race(pool, writers, partial(_created, store, key))
                _demand_one_winner(winners, "If-None-Match")
                tag = store.read(key)[1]
                winners = _race(pool, writers, partial(_swapped, store, key, tag))
                _demand_one_winner(winners, "If-Match")
            finally:
                store.delete(key)


def _race(pool: ThreadPoolExecutor, writers: int, write: Callable[[int], bool]) -> int:
    start = threading.Barrier(writers)

    def run(writer: int) -> bool:
        start.wait()
        return write(writer)

    return sum(pool.map(run, range(writers)))


def _created(store: Store, key: str, writer: int) -> bool:
    return store.create(key, f"writer {writer}".encode())


def _swapped(store: Store, key: str, tag: str, writer: int) -> bool:
    try:
        store.replace(key, f"swapped by {writer}".encode(), tag)
    except ConflictError:
        return False
    return True


def _demand_one_winner(winners: int, condition: str) -> None:
    if winners != 1:
        raise StoreUnsafeError(
            f"{winners} of the writers won one conditional put ({condition}); exactly one may, or artifacts get lost. "
            "Use a store that honours conditional writes (see README, object store)"
        )
