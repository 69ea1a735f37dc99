"""Run an engine on a leash: `python -m shared.leash FD COMMAND...`, the first process of the engine's group.

FD is the reading end of a pipe that the service holds open. When the service ends, however it ends, the pipe closes
and the whole group is killed: no engine outlives its service, no GPU memory is left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

TERM_GRACE_S = 2.0


def main() -> int:
    """Start the command, wait for it, end what it left behind, and leave last: we hold the lease as long as they do."""
    leash, command = int(sys.argv[1]), sys.argv[2:]
    inherited = [int(fd) for fd in os.environ.pop("LEASH_PASS_FDS", "").split()]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the group's SIGTERM is for the engine; we leave when it has left
    child = subprocess.Popen(command, pass_fds=inherited, preexec_fn=_default_sigterm)
    threading.Thread(target=_kill_group_when_closed, args=(leash,), daemon=True).start()
    code = child.wait()
    _end_the_others()
    return code if code >= 0 else 128 - code


def _default_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _kill_group_when_closed(leash: int) -> None:
    while os.read(leash, 1):
        pass
    _end_the_others()
    os.killpg(0, signal.SIGKILL)


def _end_the_others() -> None:
    """SIGTERM to the rest of our group, a grace, SIGKILL, and wait until all are gone."""
    if not _others():
        return
    os.killpg(0, signal.SIGTERM)
    until = time.monotonic() + TERM_GRACE_S
    while (left := _others()) and time.monotonic() < until:
        time.sleep(0.02)
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    while _others():
        time.sleep(0.02)


def _others() -> list[int]:
    """Processes of our group that run, without ourselves."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(FileNotFoundError, ProcessLookupError):
                state, _, group = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:3]
                if int(group) == os.getpgrp() and state != "Z":
                    found.append(int(folder.name))
    return found


if __name__ == "__main__":
    sys.exit(main())
