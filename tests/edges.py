"""Which service calls which: looked up in the machine's table of connections while a team works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import psutil

SAMPLE_S = 0.2  # connections are kept open: studio's as long as it waits for a job, those to stores for good

Edge = tuple[str, str]

SERVICES = ("studio", "ingest", "transcription", "trainer", "inference")
CALLS: set[Edge] = {
    ("studio", "ingest"),
    ("studio", "transcription"),
    ("studio", "trainer"),
    ("studio", "inference"),
    *((service, "s3") for service in SERVICES),
    *((service, "postgres") for service in SERVICES),
}
"""All calls among services and stores that there are."""


class EdgeRecorder:
    """Collects who was seen connected to whom, from entry to exit.

    ports   listening port -> service
    pids    process -> service, of those that live now; what they have started counts as theirs
    """

    def __init__(self, ports: Mapping[int, str], pids: Callable[[], Mapping[int, str]]) -> None:
        self._ports = dict(ports)
        self._pids = pids
        self.seen: set[Edge] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> EdgeRecorder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> set[Edge]:
        """The edges of this moment; between workers of one service there are none to tell."""
        services = self._pids()
        found = set()
        for one in psutil.net_connections("tcp"):
            if one.pid is not None and one.raddr and one.raddr.port in self._ports:
                caller = _service_of(one.pid, services)
                if caller is not None:
                    found.add((caller, self._ports[one.raddr.port]))
        return found

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.seen |= self.look()


def _service_of(pid: int, services: Mapping[int, str]) -> str | None:
    """Whose a process is: a service's own, or one that it started, at any depth; None for a stranger's."""
    if pid in services:
        return services[pid]
    try:
        ancestors = psutil.Process(pid).parents()
    except psutil.NoSuchProcess:
        return None
    return next((services[one.pid] for one in ancestors if one.pid in services), None)
