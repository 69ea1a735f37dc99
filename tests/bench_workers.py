"""What further workers add: the same number of recordings by one worker of transcription, then by three.

Workers are processes on one Postgres and one S3 server, engines are scripted and sleep for as long as a recording is to
take: what is measured is the queue between them, not a model, and not how many cores this machine has.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from services.studio.machine.processes import Program
from shared.client import ServiceClient
from tests import kit, team
from tests.conftest import free_port_base
from tests.team import Team

WORKERS = 3
LEAST_RATIO = 2.7
PIECES = 5  # of work that the scripted engine makes of a recording
WARM_UPS = 10


def main(arguments: list[str]) -> int:
    """Print a table and JSON; 1 if the target was missed."""
    options = argparse.ArgumentParser("tests.bench_workers", description=__doc__)
    options.add_argument("--recordings", type=int, default=18, help="for each of the two runs")
    options.add_argument("--seconds", type=float, default=5.0, help="that an engine takes for a recording")
    given = options.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-workers-") as folder:
        found = measure(Path(folder), given.recordings, given.seconds)
    print_table(found)
    print(json.dumps(found))
    return 0 if found["ratio"] >= LEAST_RATIO else 1


def measure(folder: Path, recordings: int, engine_s: float) -> dict[str, Any]:
    many = team.assemble(folder, free_port_base(20), {"transcription": WORKERS}, step_s=engine_s / PIECES)
    first, *others = many.workers["transcription"]
    try:
        many.start_stores()
        team.start_workers([first])
        alone_s = run(many, [first], "alone", recordings)
        team.start_workers(others)
        together_s = run(many, [first, *others], "together", recordings)
    finally:
        many.stop()
    return {
        "recordings": recordings,
        "engine_s": engine_s,
        "workers": WORKERS,
        "alone_s": round(alone_s, 1),
        "together_s": round(together_s, 1),
        "ratio": round(alone_s / together_s, 2),
    }


def run(many: Team, workers: list[Program], show: str, recordings: int) -> float:
    """Seconds from the first order to the last transcript, by workers whose engines run already."""
    warm_up(many, workers, f"{show}-warm-up")
    names = team.seed_show(kit.store_of(many.stack), show, recordings)
    client = many.client("transcription")
    began = time.monotonic()
    transcribe(client, show, names)
    ended = time.monotonic()
    client.close()
    return ended - began


def warm_up(many: Team, workers: list[Program], show: str) -> None:
    """Give out recordings until each worker has had one, and so has started its engine."""
    names = team.seed_show(kit.store_of(many.stack), show, WARM_UPS * len(workers))
    client = many.client("transcription")
    while not all(map(engine_runs, workers)):
        transcribe(client, show, [names.pop() for _ in workers])
    client.close()


def transcribe(client: ServiceClient, show: str, recordings: list[str]) -> None:
    ask = partial(client.submit, "/v1/transcripts")
    with ThreadPoolExecutor(len(recordings)) as pool:
        jobs = list(pool.map(ask, [{"show": show, "recording": name} for name in recordings]))
    for job in jobs:
        client.result(client.wait(job))


def engine_runs(worker: Program) -> bool:
    return bool(httpx.get(f"http://127.0.0.1:{worker.ports[0]}/health/live").json()["engines"])


def print_table(found: dict[str, Any]) -> None:
    ideal_s = found["recordings"] * found["engine_s"]
    rows = [
        ("recordings", f"{found['recordings']}, {found['engine_s']:g} s each in the engine"),
        ("one worker", f"{found['alone_s']:.1f} s ({ideal_s:.1f} s in the engine)"),
        (
            f"{found['workers']} workers",
            f"{found['together_s']:.1f} s ({ideal_s / found['workers']:.1f} s in an engine)",
        ),
        ("ratio", f"{found['ratio']:.2f} (at least {LEAST_RATIO})"),
        ("target", "reached" if found["ratio"] >= LEAST_RATIO else "MISSED"),
    ]
    for name, value in rows:
        print(f"{name:38}{value}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
