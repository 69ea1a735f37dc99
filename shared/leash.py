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

TERM_GRACE_S = 2.0


def main() -> int:
    leash, command = int(sys.argv[1]), sys.argv[2:]
    inherited = [fd for fd in map(int, os.environ.pop("LEASH_PASS_FDS", "").split())]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the group's SIGTERM is for the engine; we leave when it has left
    child = subprocess.Popen(command, pass_fds=inherited, preexec_fn=_default_sigterm)
    for fd in inherited:
        os.close(fd)
    threading.Thread(target=_kill_group_when_closed, args=(leash,), daemon=True).start()
    code = child.wait()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return code if code >= 0 else 128 - code


def _default_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _kill_group_when_closed(leash: int) -> None:
    while os.read(leash, 1):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(TERM_GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
