"""The trainer told to stop, a real process with a real S3 server: what was trained is saved first, within a bound."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.studio.machine.local import Stack
from shared import keys
from shared.client import ServiceClient
from shared.schemas import Adapter, Checkpoint, Job
from shared.store import S3Store, load
from tests import kit
from tests.conftest import free_port_base
from tests.trainer.conftest import SHOW

pytestmark = [pytest.mark.s3, pytest.mark.timeout(240)]

STEPS = 20  # and no checkpoint before the last
SOON_S = 40  # half of the usual grace, and many times what a stop takes


@pytest.fixture
def stack(s3_variables: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """The test starts its trainer, and nothing else of it."""
    stack = kit.scripted_stack(tmp_path, free_port_base(), s3_variables, step_s=0.2)
    yield stack
    stack.program("trainer").stop()


def start(stack: Stack) -> ServiceClient:
    stack._service_token()
    stack.start("trainer")
    stack.wait_healthy("trainer")
    return ServiceClient("trainer", stack.url("trainer"), stack.admin_token())


def order(client: ServiceClient) -> Job:
    built = client.result(client.wait(client.submit("/v1/datasets", {"show": SHOW.slug, "max_length": 512})))
    wish = {"show": SHOW.slug, "dataset": built["dataset"], "steps": STEPS, "checkpoint_every": STEPS}
    return client.submit("/v1/adapters", wish)


def step_of(client: ServiceClient, job: Job) -> int:
    """The step that the job shows, once it shows one."""

    def shown() -> int:
        progress = client.job(job.id).progress
        return int(progress.stage.split()[-1]) if progress and progress.stage.startswith("training step") else 0

    return kit.until(shown, "training is under way")


def in_the_middle(client: ServiceClient, job: Job) -> None:
    kit.until(lambda: step_of(client, job) >= 4, "some steps are done")


def stopped(stack: Stack) -> float:
    """Seconds that the trainer took to end after its SIGTERM."""
    began = time.monotonic()
    stack.program("trainer").signal(signal.SIGTERM)
    gone(stack)
    return time.monotonic() - began


def gone(stack: Stack) -> None:
    kit.until(lambda: stack.program("trainer").pid() is None, "the trainer has ended", 60)


def checkpoints(store: S3Store) -> list[Checkpoint]:
    return [load(store, key, Checkpoint) for key in store.list(keys.checkpoints(SHOW.slug, 1))]


def test_a_stop_in_the_middle_saves_the_step_in_hand_and_the_next_start_goes_on_from_it(stack: Stack, there: S3Store):
    client = start(stack)
    job = order(client)
    in_the_middle(client, job)

    assert stopped(stack) < SOON_S
    (saved,) = checkpoints(there)
    client = start(stack)
    went_on_at = step_of(client, job)
    result = client.result(client.wait(job))

    assert 4 <= saved.step < STEPS and went_on_at > saved.step
    assert [checkpoint.step for checkpoint in checkpoints(there)] == [saved.step, STEPS]
    adapter = load(there, result["key"], Adapter)
    assert [point.step for point in adapter.metrics] == list(range(STEPS + 1))


def test_a_trainer_that_trains_nothing_stops_within_seconds(stack: Stack):
    start(stack)

    assert stopped(stack) < SOON_S


def test_without_grace_it_stops_at_once_and_the_job_begins_again(stack: Stack, there: S3Store):
    stack = replace(stack, settings={**stack.settings, "TRAINER_STOP_GRACE_S": "0"})
    client = start(stack)
    job = order(client)
    in_the_middle(client, job)

    assert stopped(stack) < SOON_S
    assert checkpoints(there) == []
    client = start(stack)
    client.result(client.wait(job))

    assert [checkpoint.step for checkpoint in checkpoints(there)] == [STEPS]


@pytest.mark.parametrize(("grace_s", "signals"), [("1", 1), ("90", 2)], ids=["the bound", "a second SIGTERM"])
def test_an_engine_that_does_not_save_is_waited_for_no_longer_than(stack: Stack, there: S3Store, grace_s, signals):
    stack = replace(stack, settings={**stack.settings, "TRAINER_STOP_GRACE_S": grace_s})
    client = start(stack)
    in_the_middle(client, order(client))
    os.killpg(kit.engine_pids(stack, ["trainer"])["trainer"], signal.SIGSTOP)
    program = stack.program("trainer")

    program.signal(signal.SIGTERM)
    kit.until(lambda: "saving a checkpoint before the stop" in program.log_file.read_text(), "it tries to save")
    began = time.monotonic()
    if signals == 2:
        assert program.pid() is not None
        program.signal(signal.SIGTERM)
    gone(stack)

    assert time.monotonic() - began < SOON_S
    assert "stopped without a checkpoint" in program.log_file.read_text() and checkpoints(there) == []
