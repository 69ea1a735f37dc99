"""A toy engine for tests/shared/test_engines.py: the far side of the pipe protocol with every way to misbehave."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

from shared.engines import Reporter, serve
from shared.errors import BadInputError


def count(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    for number in range(1, arguments["to"] + 1):
        reporter.event(number=number)
        reporter.progress("counting", number, arguments["to"], "numbers")
    return {"counted": arguments["to"]}


def chatter(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    print("download bar 100 %", flush=True)
    subprocess.run([sys.executable, "-c", "print('and a child of the library')"], check=True)
    return {"fine": True}


def refuse(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    raise BadInputError("choose a number above 0")


def die(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    os._exit(9)


def stumble(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    return {"never": 1 / 0}


def hang_with_grandchild(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    reporter.event(grandchild=grandchild.pid)
    time.sleep(600)
    return {}


def trace(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    return {"trace_id": os.environ["DIARY_TRACE_ID"]}


if __name__ == "__main__":
    serve(
        {
            name: globals()[name]
            for name in ("count", "chatter", "refuse", "die", "stumble", "hang_with_grandchild", "trace")
        }
    )
