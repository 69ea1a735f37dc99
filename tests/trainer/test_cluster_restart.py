"""A whole trainer whose trainings run in pods: killed and started again, and told to cancel."""

from __future__ import annotations

import json
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.studio.local import Stack
from shared import keys
from shared.client import ServiceClient
from shared.schemas import Adapter, Job
from shared.store import S3Store, create_manifest, load
from tests import kit
from tests.conftest import free_port_base, s3_store
from tests.fakes import FakeCluster
from tests.trainer.conftest import GUESTS, SHOW, add_talk, small_talk

pytestmark = [pytest.mark.s3, pytest.mark.timeout(120)]

STEPS = 40


@pytest.fixture
def bucket() -> str:
    return f"restart-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def store(s3: Stack, bucket: str) -> S3Store:
    """A show in a bucket of its own."""
    store = s3_store(s3, bucket)
    store.ensure_bucket()
    create_manifest(store, keys.show(SHOW.slug), SHOW)
    for number, guest in enumerate(GUESTS[:2]):
        add_talk(store, f"rec{number}", guest, small_talk(guest))
    return store


@pytest.fixture
def kubernetes(tmp_path: Path, s3: Stack, bucket: str) -> Iterator[FakeCluster]:
    access = json.loads((s3.home / "secrets" / "s3.json").read_text())
    variables = {
        "S3_URL": s3.url("s3"),
        "S3_BUCKET": bucket,
        "S3_ACCESS_KEY": access["access"],
        "S3_SECRET_KEY": access["secret"],
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


def order(client: ServiceClient) -> Job:
    built = client.result(client.wait(client.submit("/v1/datasets", {"show": SHOW.slug, "max_length": 512})))
    wish = {"show": SHOW.slug, "dataset": built["dataset"], "steps": STEPS, "checkpoint_every": 8}
    return client.submit("/v1/adapters", wish)


def until_training(client: ServiceClient, job: Job) -> None:
    def shown() -> bool:
        progress = client.job(job.id).progress
        return progress is not None and progress.stage.startswith("training step")

    kit.until(shown, "training is under way")


def test_a_trainer_that_was_killed_finds_its_job_again_and_the_pod_has_not_noticed(
    stack: Stack, store: S3Store, kubernetes: FakeCluster
):
    client = start(stack)
    job = order(client)
    until_training(client, job)

    stack.program("trainer").signal(signal.SIGKILL)
    kit.until(lambda: stack.program("trainer").pid() is None, "the trainer is dead", 10)
    client = start(stack)
    result = client.result(client.wait(job))

    assert len(kubernetes.made) == len(kubernetes.pods) == 1 and not kubernetes.deleted
    assert [point.step for point in load(store, result["key"], Adapter).metrics] == list(range(STEPS + 1))


def test_a_stop_of_the_trainer_leaves_the_pod_alone_and_a_cancel_ends_it(
    stack: Stack, store: S3Store, kubernetes: FakeCluster
):
    client = start(stack)
    job = order(client)
    until_training(client, job)
    stack.program("trainer").signal(signal.SIGTERM)
    kit.until(lambda: stack.program("trainer").pid() is None, "the trainer has ended", 20)
    assert not kubernetes.deleted and kubernetes.running()

    client = start(stack)
    until_training(client, job)
    client.cancel(job.id)

    kit.until(lambda: kubernetes.deleted, "the Job is deleted", 20)
    [pod] = kubernetes.pods.values()
    kit.until(lambda: pod.process and pod.process.poll() == 75, "the pod has ended", 20)
