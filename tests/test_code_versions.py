"""An upgrade strands nothing: a job half done under older code finishes under newer code (two code trees)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import kit

ROOT = Path(__file__).resolve().parents[1]

WORKER = """
import sys, time
from pathlib import Path
from pydantic import BaseModel
from shared.jobs import Jobs
from shared.settings import ServiceSettings

class Order(BaseModel):
    show: str = "lamplight"

class Done(BaseModel):
    said: list[str]

home = Path(sys.argv[1])

{run}

jobs = Jobs("toy", ServiceSettings(state_dir=home / "state", work_dir=home / "work"))
jobs.handle("toy", Order, run)
jobs.start()
job = jobs.submit("toy", Order(), actor="ann", trace_id="0" * 32, idempotency_key="the-one-job")
while not (job := jobs.get("the-one-job")).state.ended:
    time.sleep(0.05)
print(job.model_dump_json(), flush=True)
"""

OLDER = """
def run(order, job):
    first = job.step("first", lambda: "said by older code")
    (home / "half-way").touch()
    while True:
        time.sleep(0.1)
"""

NEWER = """
def run(order, job):
    # the same step, and new code after it
    first = job.step("first", lambda: "said by newer code")
    second = job.step("second", lambda: "and finished by newer code")
    return Done(said=[first, second])
"""


def worker(tmp_path: Path, tree: str, run: str) -> subprocess.Popen[str]:
    """A worker whose code is a tree of its own: our shared/ copied, and a handler."""
    folder = tmp_path / tree
    (folder / "shared").parent.mkdir(parents=True)
    for source in ROOT.glob("shared/*.py"):
        target = folder / "shared" / source.name
        target.parent.mkdir(exist_ok=True)
        target.write_text(source.read_text() + f"\n# {tree} tree\n")
    (folder / "worker.py").write_text(WORKER.format(run=run))
    return subprocess.Popen(
        [sys.executable, str(folder / "worker.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.timeout(90)
def test_a_job_half_done_under_older_code_finishes_under_newer_code(tmp_path: Path):
    older = worker(tmp_path, "older", OLDER)
    kit.until((tmp_path / "half-way").exists, "the older code is half way", 40)
    os.kill(older.pid, signal.SIGKILL)
    older.wait()

    newer = worker(tmp_path, "newer", NEWER)
    printed, _ = newer.communicate(timeout=60)

    assert '"state":"done"' in printed
    assert '"said":["said by older code","and finished by newer code"]' in printed
