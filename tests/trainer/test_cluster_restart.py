"""A whole trainer whose trainings run in pods: killed and started again, and told to cancel."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.studio.machine.local import Stack
from shared.client import ServiceClient
from shared.schemas import Adapter, Job
from shared.store import S3Store, load
from tests import kit
from tests.conftest import free_port_base
from tests.fakes import FakeCluster
from tests.trainer.conftest import SHOW

pytestmark = [pytest.mark.s3, pytest.mark.timeout(120)]

STEPS = 40
ENDLESS = 2000  # of a training that is cancelled


@pytest.fixture
def kubernetes(tmp_path: Path, s3_variables: dict[str, str]) -> Iterator[FakeCluster]:
    variables = {
        **s3_variables,
        "TRAINER_BASE_MODEL": str(tmp_path / "base"),
        "TRAINER_ENGINE_COMMAND": f"{sys.executable} -m tests.fakes trainer",
        "TRAINER_DEVICE": "cpu",
        "FAKE_STEP_S": "0.2",
    }
    cluster = FakeCluster(tmp_path / "pods", variables)
    yield cluster
    cluster.stop()


@pytest.fixture
def stack(tmp_path: Path, kubernetes: FakeCluster) -> Iterator[Stack]:
    """The test starts its trainer, and nothing else of it."""
    kubeconfig = tmp_path / "kubeconfig.json"
    kubeconfig.write_text(json.dumps(kubernetes.kubeconfig()))  # JSON is YAML
    opens = {name: value for name, value in kubernetes.environment.items() if name.startswith("S3_")}
    settings = {**opens, "KUBECONFIG": str(kubeconfig), "TRAINER_POD_TEMPLATE": "training", "TRAINER_POD_GPUS": "0"}
    stack = kit.scripted_stack(tmp_path, free_port_base(), settings)
    yield stack
    stack.program("trainer").stop()


def start(stack: Stack) -> ServiceClient:
    stack._service_token()
    stack.start("trainer")
    stack.wait_healthy("trainer")
    return ServiceClient("trainer", stack.url("trainer"), stack.admin_token())


def order(client: ServiceClient, steps: int = STEPS) -> Job:
    built = client.result(client.wait(client.submit("/v1/datasets", {"show": SHOW.slug, "max_length": 512})))
    wish = {"show": SHOW.slug, "dataset": built["dataset"], "steps": steps, "checkpoint_every": 8}
    return client.submit("/v1/adapters", wish)


def until_training(client: ServiceClient, job: Job) -> None:
    def shown() -> bool:
        progress = client.job(job.id).progress
        return progress is not None and progress.stage.startswith("training step")

    kit.until(shown, "training is under way")


def test_a_trainer_that_was_killed_finds_its_job_again_and_the_pod_has_not_noticed(
    stack: Stack, there: S3Store, kubernetes: FakeCluster
):
    client = start(stack)
    job = order(client)
    until_training(client, job)

    stack.program("trainer").signal(signal.SIGKILL)
    kit.until(lambda: stack.program("trainer").pid() is None, "the trainer is dead", 10)
    client = start(stack)
    result = client.result(client.wait(job))

    assert len(kubernetes.made) == len(kubernetes.pods) == 1 and not kubernetes.deleted
    assert [point.step for point in load(there, result["key"], Adapter).metrics] == list(range(STEPS + 1))


def test_a_stop_of_the_trainer_leaves_the_pod_alone_and_a_cancel_ends_it(
    stack: Stack, there: S3Store, kubernetes: FakeCluster
):
    client = start(stack)
    job = order(client, ENDLESS)
    until_training(client, job)
    stack.program("trainer").signal(signal.SIGTERM)
    kit.until(lambda: stack.program("trainer").pid() is None, "the trainer has ended")
    assert not kubernetes.deleted and kubernetes.running()

    client = start(stack)
    until_training(client, job)
    client.cancel(job.id)

    kit.until(lambda: kubernetes.deleted, "the Job is deleted")
    [pod] = kubernetes.pods.values()
    kit.until(lambda: pod.process and pod.process.poll() == 143, "the pod has ended")
