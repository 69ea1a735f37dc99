"""Engines as child processes: called, watched, cancelled, killed, never outliving their service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from shared.engines import PipeEngine, ServerEngine
from shared.errors import BadInputError, EngineFailedError, JobCancelledError
from shared.gpu_time import charged_to
from shared.lease import Lease
from tests.fakes import FakeJob

FAR_SIDE = [sys.executable, "-m", "tests.fakes", "toy"]


def make_engine(tmp_path: Path, lease: Lease | None = None, idle_s: float = 300.0) -> PipeEngine:
    return PipeEngine("toy", FAR_SIDE, lease=lease, log_file=tmp_path / "toy.log", idle_s=idle_s)


@pytest.fixture
def engine(tmp_path: Path):
    engine = make_engine(tmp_path)
    yield engine
    engine.stop()


@pytest.fixture
def job(tmp_path: Path) -> FakeJob:
    return FakeJob(tmp_path)


def test_a_call_returns_the_result_and_relays_progress_and_events(engine: PipeEngine, job: FakeJob):
    events: list[dict] = []

    result = engine.call("count", {"to": 3}, job, events.append)

    assert result == {"counted": 3}
    assert ("counting", 3, 3, "numbers") in job.events
    assert events == [{"number": 1}, {"number": 2}, {"number": 3}]


def test_prints_of_libraries_do_not_break_the_protocol(engine: PipeEngine, job: FakeJob, tmp_path: Path):
    assert engine.call("chatter", {}, job) == {"fine": True}
    assert "download bar" in (tmp_path / "toy.log").read_text()


def test_what_a_server_prints_is_in_its_log(tmp_path: Path, job: FakeJob):
    log_file = tmp_path / "server.log"
    script = "import sys, time; print('why it broke', flush=True); time.sleep(60)"
    server = ServerEngine("server", [sys.executable, "-c", script], lease=None, log_file=log_file)

    with server.working(job):
        server.wait_until(lambda: "why it broke" in log_file.read_text(), job, timeout_s=20)

    server.stop()


def test_a_refusal_keeps_its_kind_and_the_engine_stays_warm(engine: PipeEngine, job: FakeJob):
    with pytest.raises(BadInputError, match="choose a number"):
        engine.call("refuse", {}, job)
    pid = engine.pid

    engine.call("count", {"to": 1}, job)

    assert engine.pid == pid


def test_a_dead_child_is_an_engine_failure_and_the_next_call_starts_another(engine: PipeEngine, job: FakeJob):
    with pytest.raises(EngineFailedError, match="died"):
        engine.call("die", {}, job)

    assert engine.call("count", {"to": 1}, job) == {"counted": 1}


def test_an_unexpected_error_in_the_child_is_told_with_its_kind(engine: PipeEngine, job: FakeJob):
    with pytest.raises(EngineFailedError, match="ZeroDivisionError"):
        engine.call("stumble", {}, job)


def test_cancel_ends_the_whole_process_group_within_five_seconds(engine: PipeEngine, job: FakeJob):
    grandchildren: list[int] = []
    asked: list[float] = []

    def on_event(event: dict) -> None:
        grandchildren.append(event["grandchild"])
        asked.append(time.monotonic())
        job.cancel()

    with pytest.raises(JobCancelledError):
        engine.call("hang_with_grandchild", {}, job, on_event)

    assert time.monotonic() - asked[0] < 5
    assert not engine.alive
    _until(lambda: _gone(grandchildren[0]), 5)


def test_the_engine_dies_with_its_service_even_when_that_is_killed(tmp_path: Path):
    script = (
        "import sys; from pathlib import Path; from tests.shared.test_engines import make_engine\n"
        "from tests.fakes import FakeJob\n"
        "engine = make_engine(Path(sys.argv[1]))\n"
        "engine.call('hang_with_grandchild', {}, FakeJob(Path('.')), lambda e: print(e['grandchild'], flush=True))"
    )
    service = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert service.stdout
    grandchild = int(service.stdout.readline())

    os.kill(service.pid, signal.SIGKILL)
    service.wait()

    _until(lambda: _gone(grandchild), 20)


def test_an_idle_engine_is_stopped_and_gives_the_lease_back(tmp_path: Path, job: FakeJob):
    engine = make_engine(tmp_path, Lease(tmp_path / "lease", "toy"), idle_s=0.2)
    engine.call("count", {"to": 1}, job)

    _until(lambda: not engine.alive, 20)

    Lease(tmp_path / "lease", "other").acquire(lambda note: None)


def test_a_resting_engine_yields_to_a_service_that_waits(tmp_path: Path, job: FakeJob):
    engine = make_engine(tmp_path, Lease(tmp_path / "lease", "toy"))
    engine.call("count", {"to": 1}, job)
    other = Lease(tmp_path / "lease", "other")

    waiter = threading.Thread(target=other.acquire, args=(lambda note: None,))
    waiter.start()
    waiter.join(10)

    assert other.held and not engine.alive


def test_the_trace_id_reaches_the_engine(engine: PipeEngine, job: FakeJob):
    assert engine.call("trace", {}, job) == {"trace_id": job.trace_id}


@pytest.mark.parametrize(
    "name",
    ["S3_SECRET_KEY", "INFERENCE_VLLM_KEY", "HF_TOKEN", "HF_TOKEN_PATH", "DIARY_SECRETS_DIR", "STUDIO_SERVICE_TOKEN",
     "STUDIO_DATABASE_URL"],
)  # fmt: skip
def test_what_opens_other_doors_is_not_handed_to_an_engine(engine: PipeEngine, job: FakeJob, monkeypatch, name: str):
    monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("HARMLESS", "known")
    engine.call("count", {"to": 1}, job)
    assert engine.pid

    handed = psutil.Process(engine.pid).environ()

    assert name not in handed and handed["HARMLESS"] == "known"


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _until(condition, timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_time_of_an_engine_on_a_gpu_is_charged_to_the_job_it_works_for(tmp_path: Path, job: FakeJob):
    charged: dict[str, float] = {"gpu": 0.0, "cpu": 0.0}

    def call(name: str, gpus: int) -> float:
        engine = PipeEngine(name, FAR_SIDE, lease=None, log_file=tmp_path / "toy.log", gpus=gpus)
        began = time.monotonic()
        try:
            with charged_to(lambda seconds: charged.update({name: charged[name] + seconds})):
                engine.call("count", {"to": 3}, job)
        finally:
            took = time.monotonic() - began
            engine.stop()
        return took

    took = call("gpu", gpus=1)
    call("cpu", gpus=0)

    assert 0 < charged["gpu"] <= took and charged["cpu"] == 0
