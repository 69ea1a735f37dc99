"""Processes of the local stack: start in the background, remember, stop by id, name who holds a busy port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from shared.errors import ConflictError

STOP_GRACE_S = 8.0


@dataclass(frozen=True)
class Program:
    """One process of the stack; `health` is the URL that answers 200 when it is up."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ports: Sequence[int]
    health: str
    log_file: Path
    pid_file: Path
    stop_grace_s: float = STOP_GRACE_S

    def start(self, cwd: Path) -> int:
        """Start unless it runs; returns the process id. ConflictError names the owner of a busy port."""
        if (running := self.pid()) is not None:
            return running
        self.demand_ports()
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                list(self.command),
                cwd=cwd,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        born = psutil.Process(process.pid).create_time()
        self.pid_file.write_text(json.dumps({"pid": process.pid, "born": born}))
        return process.pid

    def demand_ports(self) -> None:
        """raises ConflictError naming the owner of a port that we need and somebody else has"""
        if self.pid() is None:
            for port in self.ports:
                demand_free_port(port, self.name)

    def pid(self) -> int | None:
        """Our process, if it still runs; a stranger that got the same number is not ours."""
        try:
            known = json.loads(self.pid_file.read_text())
            process = psutil.Process(known["pid"])
            ours = abs(process.create_time() - known["born"]) < 1.0
            return process.pid if ours and process.status() != psutil.STATUS_ZOMBIE else None
        except (FileNotFoundError, json.JSONDecodeError, psutil.NoSuchProcess):
            return None

    def stop(self) -> bool:
        """SIGTERM, then SIGKILL after a grace; True if something ran."""
        pid = self.pid()
        if pid is not None:
            self.signal(signal.SIGTERM)
            until = time.monotonic() + self.stop_grace_s
            while self.pid() is not None and time.monotonic() < until:
                time.sleep(0.05)
            self.signal(signal.SIGKILL)
        self.pid_file.unlink(missing_ok=True)
        return pid is not None

    def signal(self, number: int) -> None:
        if (pid := self.pid()) is not None:
            with suppress(ProcessLookupError):
                os.killpg(pid, number)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0 if number == signal.SIGKILL else os.WNOHANG)

    def last_lines(self, count: int = 12) -> str:
        with suppress(FileNotFoundError):
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-count:])
        return ""


def demand_free_port(port: int, wanted_by: str) -> None:
    """raises ConflictError that names the process holding the port and how to choose another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConflictError(
                f"port {port}, wanted by {wanted_by}, is busy: {owner_of(port)}. "
                "Stop it, or choose other ports with STUDIO_PORT=9765 (the others follow it)"
            ) from error


def owner_of(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                break
            process = psutil.Process(connection.pid)
            return f"process {process.pid} ({' '.join(process.cmdline())[:80]})"
    return "held by a process of another user"
