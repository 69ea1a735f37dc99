"""A recording of three hours through a real stack: how long, and how much memory. `make bench-ingest`.

Everything is real: studio takes the upload, ingest fetches it from the store, runs ffmpeg and stores what it made.
Memory is what the ingest service and all its children hold (RSS, five times a second) above what the idle service
holds; the engine and ffmpeg do not run while it is idle, so all of theirs counts. Time is compared with the very same
ffmpeg command alone, before and after the job, its samples thrown away.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from services.ingest import recipes
from services.ingest.audio import Limits
from services.ingest.settings import Settings
from services.studio.machine.local import ROOT, venv_python
from shared import keys
from shared.schemas import Job, Recording
from shared.store import load
from tests import kit
from tests.conftest import free_port_base
from tests.ingest.conftest import voice_wav

SAMPLE_S = 0.2
MB = 1024**2
MOST_TIME, MOST_MB = 1.3, 300.0
PARTS = ("service", "engine", "ffmpeg")


class Watcher:
    """Resident memory of a process and its children, five times a second."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seen: list[dict[str, float]] = []

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> dict[str, float]:
        """MB by part; the engine's leash counts as engine."""
        found = dict.fromkeys(PARTS, 0.0)
        for process in [self._root, *self._root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                found[self._part(process)] += process.memory_info().rss / MB
        return found

    def _part(self, process: psutil.Process) -> str:
        if process.pid == self._root.pid:
            return "service"
        return "ffmpeg" if "ffmpeg" in process.name() else "engine"

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.seen.append(self.look())


class Stages:
    """When each stage of a job began, as its progress tells."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def see(self, job: Job) -> None:
        self._began.setdefault(job.progress.stage if job.progress else "waiting", time.monotonic())

    def seconds(self) -> dict[str, float]:
        edges = [*self._began.values(), time.monotonic()]
        return {stage: round(end - start, 1) for stage, start, end in zip(self._began, edges, edges[1:], strict=False)}


def main(arguments: list[str]) -> int:
    """Print a table and JSON; 1 if a target was missed."""
    options = argparse.ArgumentParser("tests.bench_ingest", description=__doc__)
    options.add_argument("--hours", type=float, default=3.0)
    hours = options.parse_args(arguments).hours
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
        found = measure(Path(folder), hours)
    print_table(found)
    print(json.dumps(found))
    return 0 if found["ratio"] <= MOST_TIME and found["peak_mb"]["together"] <= MOST_MB else 1


def measure(folder: Path, hours: float) -> dict[str, Any]:
    ffmpeg = ffmpeg_of_ingest()
    original = long_recording(ffmpeg, folder, hours)
    stack = kit.scripted_stack(folder / "stack", free_port_base(), {"INGEST_ENGINE_COMMAND": ""})
    stack.python_of = lambda name: venv_python("ingest") if name == "ingest" else Path(sys.executable)
    try:
        for name in ("s3", "ingest", "studio"):
            stack.start(name)
            stack.wait_healthy(name)
        client = kit.studio_client(stack)
        kit.create_show(client, "bench")
        upload_s, source = timed(lambda: upload(stack.url("studio"), stack.admin_token(), original))
        pid = stack.program("ingest").pid()
        assert pid is not None
        before_s = alone_s(ffmpeg, original, folder)
        idle = Watcher(pid).look()
        stages = Stages()
        with Watcher(pid) as watcher:
            request = {"show": "bench", **source}
            job_s, job = timed(lambda: client.wait(client.submit("/v1/recordings", request), stages.see))
        stage_s = stages.seconds()
        after_s = alone_s(ffmpeg, original, folder)
        result = client.result(job)
        recording = load(kit.store_of(stack), keys.recording("bench", result["recording"]), Recording)
    finally:
        stack.down()
    return {
        "hours": hours,
        "original_mb": round(original.stat().st_size / MB, 1),
        "upload_s": round(upload_s, 1),
        "job_s": round(job_s, 1),
        "stages_s": stage_s,
        "ffmpeg_alone_s": [round(before_s, 1), round(after_s, 1)],
        "ratio": round(job_s / statistics.mean([before_s, after_s]), 3),
        "idle_mb": round(sum(idle.values()), 1),
        "peak_mb": peaks(watcher.seen, idle),
        "duration_s": recording.duration_s,
        "stored_mb": {
            name: round(blob.bytes / MB, 1)
            for name in ("original", "working", "web", "peaks")
            if (blob := getattr(recording, name)) is not None
        },
    }


def peaks(seen: list[dict[str, float]], idle: dict[str, float]) -> dict[str, float]:
    """Most MB above idle: of all together at one time, how that moment splits, and of each part at its own time."""
    worst = max(seen, key=lambda one: sum(one.values()))
    return {
        "together": round(sum(worst.values()) - sum(idle.values()), 1),
        **{f"{part} then": round(worst[part] - idle[part], 1) for part in PARTS},
        **{f"{part} at most": round(max(one[part] for one in seen) - idle[part], 1) for part in PARTS},
    }


def print_table(found: dict[str, Any]) -> None:
    peak = found["peak_mb"]
    alone = " and ".join(f"{seconds:.1f}" for seconds in found["ffmpeg_alone_s"])
    rows = [
        ("recording", f"{found['hours']:g} h, {found['original_mb']} MB of mp3"),
        ("upload through studio", f"{found['upload_s']:.1f} s"),
        ("ingest job", f"{found['job_s']:.1f} s"),
        *((f"  {stage}", f"{seconds:.1f} s") for stage, seconds in found["stages_s"].items()),
        ("ffmpeg alone", f"{alone} s"),
        ("ratio", f"{found['ratio']:.2f} (at most {MOST_TIME})"),
        ("idle service", f"{found['idle_mb']:.0f} MB"),
        ("peak above idle", f"{peak['together']:.0f} MB (at most {MOST_MB:.0f})"),
        *((f"  of it {part}", f"{peak[f'{part} then']:.0f} MB") for part in PARTS),
    ]
    for name, value in rows:
        print(f"{name:38}{value}")


def ffmpeg_of_ingest() -> str:
    say = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
    command = [str(venv_python("ingest")), "-c", say]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def long_recording(ffmpeg: str, folder: Path, hours: float) -> Path:
    """A minute of syllables, again and again, as a 128 kbit/s stereo mp3."""
    minute, minutes, whole = folder / "minute.wav", folder / "minute.mp3", folder / "talk.mp3"
    minute.write_bytes(voice_wav(60))
    quiet = [ffmpeg, "-loglevel", "error", "-y"]
    subprocess.run([*quiet, "-i", str(minute), "-b:a", "128k", str(minutes)], check=True)
    loops = ["-stream_loop", str(round(hours * 60) - 1), "-i", str(minutes), "-c", "copy", str(whole)]
    subprocess.run([*quiet, *loops], check=True)
    return whole


def upload(url: str, token: str, path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.post(f"{url}/v1/uploads", content=file, headers=headers, timeout=600)
    answer.raise_for_status()
    return {"upload_key": answer.json()["upload_key"], "filename": path.name}


def alone_s(ffmpeg: str, original: Path, folder: Path) -> float:
    settings = Settings()
    limits = Limits.model_validate({name: getattr(settings, name) for name in Limits.model_fields})
    working, web, tags = (folder / name for name in ("alone.flac", "alone.mp3", "alone.txt"))
    command = recipes.convert(ffmpeg, original, working, web, tags, limits)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return timed(lambda: subprocess.run(command, check=True, **quiet))[0]  # type: ignore[call-overload]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.monotonic()
    result = work()
    return time.monotonic() - began, result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
