from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from services.studio.machine.processes import Program, demand_free_port
from shared.errors import ConflictError


def sleeper(tmp_path: Path) -> Program:
    return Program(
        "sleeper",
        [sys.executable, "-c", "import time; print('sleeping', flush=True); time.sleep(60)"],
        {},
        [],
        "http://127.0.0.1:1/",
        log_file=tmp_path / "logs" / "sleeper.log",
        pid_file=tmp_path / "pids" / "sleeper.json",
    )


def test_a_program_starts_once_and_is_stopped_by_its_id(tmp_path: Path):
    program = sleeper(tmp_path)

    pid = program.start(tmp_path)

    assert program.start(tmp_path) == pid
    assert program.stop() is True
    assert program.pid() is None and program.stop() is False


def test_a_strangers_process_with_our_old_number_is_left_alone(tmp_path: Path):
    program = sleeper(tmp_path)
    program.pid_file.parent.mkdir(parents=True)
    program.pid_file.write_text(f'{{"pid": {os.getpid()}, "born": 1.0}}')

    assert program.pid() is None
    program.signal(signal.SIGKILL)


def test_a_busy_port_is_named_with_its_owner():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConflictError, match=rf"process {os.getpid()}.*STUDIO_PORT"):
            demand_free_port(taken.getsockname()[1], "studio")
