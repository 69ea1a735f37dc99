"""As many transcription workers as there are jobs: what KEDA counts, and whom nothing else may count."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import BaseModel, SecretStr

from services.transcription.settings import Settings
from shared.jobs import Jobs
from shared.settings import ServiceSettings
from tests import kit
from tests.k8s.manifests import Object, Objects, of_kind, overlay, pods, product, refusal, settings_of
from tests.shared.test_jobs import own_database


@pytest.fixture(params=["+keda", "gpu-cluster+keda"])
def scaled(request: pytest.FixtureRequest) -> Objects:
    return product(request.param)


def rule(objects: Objects) -> Object:
    [found] = of_kind(objects, "ScaledObject").values()
    return dict(found["spec"])


def test_the_number_of_workers_is_kedas_alone(scaled: Objects):
    target = rule(scaled)["scaleTargetRef"]
    sets = of_kind(scaled, "StatefulSet")

    assert target == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "transcription"}
    assert "replicas" not in sets["transcription"]["spec"]
    assert all("replicas" in found["spec"] for name, found in sets.items() if name != "transcription")


def test_one_worker_is_always_there_and_there_are_never_more_than_gpus_for_them(scaled: Objects):
    assert rule(scaled)["minReplicaCount"] == 1
    assert rule(scaled)["maxReplicaCount"] == pods(overlay("gpu-cluster"))["transcription"].replicas


def test_no_worker_goes_while_all_are_busy(scaled: Objects):
    """A job for each, those that run counted too; and as many as one worker runs at once."""
    [trigger] = rule(scaled)["triggers"]
    at_once = int(settings_of(scaled).get("TRANSCRIPTION_CONCURRENCY", Settings().concurrency))

    assert trigger["metadata"]["targetQueryValue"] == str(at_once)
    assert "'PENDING'" in trigger["metadata"]["query"]


def test_workers_go_late_and_one_at_a_time_within_what_an_autoscaler_allows(scaled: Objects):
    behaviour = rule(scaled)["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    [policy] = behaviour["scaleDown"]["policies"]

    assert {*behaviour} == {"scaleDown"}
    assert 600 <= behaviour["scaleDown"]["stabilizationWindowSeconds"] <= 3600
    assert (policy["type"], policy["value"]) == ("Pods", 1) and 0 < policy["periodSeconds"] <= 1800


def test_the_job_database_is_asked_with_the_url_that_the_workers_have(scaled: Objects):
    [trigger] = rule(scaled)["triggers"]
    credentials = of_kind(scaled, "TriggerAuthentication")[trigger["authenticationRef"]["name"]]
    [reference] = credentials["spec"]["secretTargetRef"]

    assert trigger["type"] == "postgresql" and reference["parameter"] == "connection"
    files = pods(scaled)["transcription"].secret_files
    assert reference["key"] == files["transcription_database_url"]


def test_over_a_queue_that_only_one_worker_can_open_it_does_not_render():
    assert "components/keda': test operation does not apply" in refusal("base", "keda")


# ---- what it counts, in a real database ------------------------------------------------------------------------------


class Order(BaseModel):
    show: str = "lamplight"


@pytest.fixture
def url(postgres_url: str) -> str:
    return own_database(postgres_url)


@pytest.fixture
def go() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def jobs_of(service: str, url: str, folder: Path, go: threading.Event) -> Jobs:
    """A worker whose jobs last until they may go."""

    def run(order: BaseModel, job: object) -> Order:
        assert go.wait(60)
        return Order()

    settings = ServiceSettings(
        state_dir=folder / "state", work_dir=folder / "work", database_url=SecretStr(url), worker=f"{service}-0"
    )
    jobs = Jobs(service, settings)
    jobs.handle("work", Order, run)
    jobs.start()
    return jobs


@pytest.mark.postgres
def test_queued_and_running_jobs_are_counted_and_ended_ones_are_not(url: str, tmp_path: Path, go: threading.Event):
    jobs = jobs_of("transcription", url, tmp_path, go)
    try:
        assert counted(url) == 0
        submitted = [jobs.submit("work", Order(), actor="t", trace_id="t") for _ in range(3)]
        kit.until(lambda: jobs.get(submitted[0].id).state.value == "running", "one runs")
        assert counted(url) == 3
        jobs.cancel(submitted[2].id)
        assert counted(url) == 2

        go.set()
        kit.until(lambda: counted(url) == 0, "all have ended")
    finally:
        go.set()
        jobs.stop()


@pytest.mark.postgres
def test_jobs_of_another_service_in_the_same_database_are_not_counted(url: str, tmp_path: Path, go: threading.Event):
    jobs = jobs_of("inference", url, tmp_path, go)
    try:
        submitted = jobs.submit("work", Order(), actor="t", trace_id="t")
        kit.until(lambda: jobs.get(submitted.id).state.value == "running", "it runs")

        assert counted(url) == 0
    finally:
        go.set()
        jobs.stop()


def counted(url: str) -> int:
    [trigger] = rule(product("+keda"))["triggers"]
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = connection.scalar(sa.text(trigger["metadata"]["query"]))
    engine.dispose()
    return int(found)
