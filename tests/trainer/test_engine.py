"""The near side against a real child process and a real lease: checkpoints, yielding, cancelling, base models."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.trainer.engine import TrainingEngine, visible
from services.trainer.plan import Course, Plan
from services.trainer.settings import Settings
from shared.errors import JobCancelledError, LeaseYieldedError
from shared.lease import Lease
from shared.models import Base
from shared.schemas import MetricPoint, TrainRequest
from tests.fakes import FakeJob

COMMAND = f"{sys.executable} -m tests.fakes counting"


@pytest.fixture
def engine(tmp_path: Path, base: Base) -> Iterator[TrainingEngine]:
    settings = Settings(
        engine_command=COMMAND, base_model=str(base.folder), log_dir=tmp_path, cpu_last_layers=7, device="cpu"
    )
    engine = TrainingEngine.from_settings(settings, Lease(tmp_path / "lease", "trainer"))
    yield engine
    engine.stop()


def plan_for(job: FakeJob, base: Base, **wishes) -> Plan:
    request = TrainRequest(show="lamp", dataset="d")
    nothing = job.work_dir / "nothing"
    return Plan(
        request=request,
        course=a_course(**{"steps": 3, "checkpoint_every": 2, **wishes}),
        base=base,
        max_length=512,
        loss_on="both",
        train=nothing,
        eval=nothing,
        work=job.work_dir,
        tensorboard=nothing,
    )


def a_course(**wishes) -> Course:
    usual = {
        "steps_per_epoch": 2.0, "examples_per_step": 2, "learning_rate": 1e-3, "processes": 1, "quantised": False,
        "recompute": False, "row_tokens": 512, "questions": 4, "answer_tokens": 40,
    }  # fmt: skip
    return Course(**{**usual, **wishes})


class Kept(list[int]):
    """Steps of the checkpoints that were kept."""

    metrics: tuple[MetricPoint, ...] = ()

    def __call__(self, folder: Path, step: int, metrics) -> None:
        assert json.loads((folder / "state.json").read_text()) == step
        self.append(step)
        self.metrics = tuple(metrics)


def test_checkpoints_are_handed_over_as_they_are_made_and_the_child_is_gone_afterwards(engine, job, base):
    kept = Kept()

    trained = engine.train(plan_for(job, base), job, kept)

    assert kept == [2, 3] and [point.step for point in trained.metrics] == [0, 1, 2, 3]
    assert ("training", 3, 3, "steps") in job.events
    assert not engine.process.alive


def test_the_child_is_told_what_the_operator_set(engine, job, base):
    told = engine.train(plan_for(job, base, steps=1), job, Kept()).parameters

    assert told == {"cpu_last_layers": 7, "device": "cpu"}


def test_whoever_waits_gets_the_device_after_the_step_in_hand_and_no_step_is_lost(engine, job, base, tmp_path):
    waiter = Lease(tmp_path / "lease", "inference")
    kept, got_it_at, asked_at = Kept(), [], []

    def want_it() -> None:
        while ("training", 1, 50, "steps") not in job.events:
            time.sleep(0.01)
        asked_at.append(time.monotonic())
        waiter.acquire(lambda note: None)
        got_it_at.append(time.monotonic())
        waiter.release()

    thread = threading.Thread(target=want_it, daemon=True)
    thread.start()
    plan = plan_for(job, base, steps=50, checkpoint_every=50)
    with pytest.raises(LeaseYieldedError, match="goes on after step"):
        engine.train(plan, job, kept)
    thread.join(60)

    assert got_it_at[0] - asked_at[0] < 12, "before the training would have ended by itself"
    assert len(kept) == 1 and kept[0] >= 1, "a checkpoint out of turn"
    shorter = plan.course.model_copy(update={"steps": kept[0] + 2})
    resumed = engine.train(plan.model_copy(update={"course": shorter, "metrics": kept.metrics}), job, kept)
    assert [point.step for point in resumed.metrics] == list(range(shorter.steps + 1))


def test_cancelling_kills_the_child_within_seconds(engine, job, base):
    cancelled: list[tuple[int, float]] = []

    def cancel_at_first_checkpoint(folder: Path, step: int, metrics) -> None:
        cancelled.append((engine.process.pid, time.monotonic()))
        job.cancel()

    with pytest.raises(JobCancelledError):
        engine.train(plan_for(job, base, steps=100), job, cancel_at_first_checkpoint)

    [(pid, at)] = cancelled
    assert time.monotonic() - at < 10 and not psutil.pid_exists(pid)


@pytest.mark.parametrize(("chosen", "count"), [("", 4), ("0", 1), ("2,3", 2), ("0,1,2,3,4,5", 4), ("GPU-8f2a, ", 1)])
def test_the_operator_says_which_gpus_may_be_used(chosen, count):
    assert visible(4, chosen) == count


# ---- base models -----------------------------------------------------------------------------------------------------


def test_the_base_model_of_a_folder_is_what_its_revision_file_says(engine, job, base):
    assert engine.base(job) == base and not engine.process.alive
