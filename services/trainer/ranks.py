"""Training by several processes, one per GPU: accelerate's launcher starts them, and the first one speaks for all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from services.trainer.settings import own_rank
from shared.engines import Operation, Reporter, answer, as_error, private_stdout
from shared.errors import EngineFailedError

TOLD = b"\x1e"  # begins a line that a process says to us; libraries print others


def launch(processes: int, order: Path, reporter: Reporter) -> dict[str, Any]:
    """Have accelerate start one process per GPU; what they tell is passed on, and the first result is ours."""
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes),
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_ip", "127.0.0.1",
        "--main_process_port", "0", "-m", "services.trainer.engine", "rank", "--order", str(order),
    ]  # fmt: skip
    answers: list[dict[str, Any]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None
        for line in launcher.stdout:
            if not line.startswith(TOLD):
                print(line.decode(errors="replace"), end="", file=sys.stderr)
                continue
            message = json.loads(line[1:])
            if "progress" in message:
                reporter.progress(**message["progress"])
            elif "event" in message:
                reporter.event(**message["event"])
            else:
                answers.append(message)
    for message in answers:
        if "error" in message:
            raise as_error(message["error"])
    if launcher.returncode or not answers:
        raise EngineFailedError(f"training on {processes} GPUs ended with status {launcher.returncode}")
    result: dict[str, Any] = answers[0]["result"]
    return result


def rank(order: Path, train: Operation) -> int:
    """One process of several, started by accelerate; the first one speaks for all, errors come from any."""
    told = private_stdout()
    first = own_rank() == 0

    def send(message: dict[str, Any]) -> None:
        if first or "error" in message:
            told.write(TOLD + json.dumps(message).encode() + b"\n")

    request = {"op": "train", "arguments": json.loads(order.read_text(encoding="utf-8"))}
    found = answer({"train": train}, request, Reporter(send))
    send(found)
    return 1 if "error" in found else 0
