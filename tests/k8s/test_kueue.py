"""Trainings that wait in a queue of the cluster: who puts them there, and the share that the example gives them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import yaml
from lightkube.resources.core_v1 import PodTemplate

from services.studio.machine.local import ROOT
from services.trainer.cluster import QUEUE, job_of
from shared.schemas import TrainRequest
from tests.fakes import FakeJob
from tests.k8s.edges import selects
from tests.k8s.manifests import (
    Object,
    Objects,
    base,
    of_kind,
    overlay,
    pods,
    product,
    refusal,
    settings_of,
    with_components,
)

EXAMPLE = ROOT / "k8s/components/kueue/cluster-queue.yaml"
API = "kueue.x-k8s.io/v1beta2"


@pytest.fixture(params=["+kueue", "gpu-cluster+kueue"])
def queued(request: pytest.FixtureRequest) -> Objects:
    return product(request.param)


def example(kind: str) -> Object:
    [found] = [one for one in yaml.safe_load_all(EXAMPLE.read_text()) if one["kind"] == kind]
    assert found["apiVersion"] == API
    return cast(Object, found)


def test_the_trainers_jobs_name_the_queue_and_their_pods_do_not(queued: Objects, tmp_path: Path):
    template = cast(PodTemplate, PodTemplate.from_dict(of_kind(queued, "PodTemplate")["training"]))

    made = job_of(TrainRequest(show="lamp", dataset="d1"), FakeJob(tmp_path), template).to_dict()

    [queue] = of_kind(queued, "LocalQueue")
    assert made["metadata"]["labels"][QUEUE] == queue
    assert QUEUE not in made["spec"]["template"]["metadata"]["labels"]


def test_without_the_component_no_job_waits_in_a_queue():
    assert QUEUE not in of_kind(overlay("gpu-cluster"), "PodTemplate")["training"]["metadata"].get("labels", {})


def test_over_a_trainer_that_makes_no_jobs_it_does_not_render():
    assert "no matches for Id PodTemplate" in refusal("base", "kueue")


def test_the_example_is_the_share_that_the_queue_draws_on_and_our_namespaces_may(queued: Objects):
    share = example("ClusterQueue")
    [namespace] = of_kind(queued, "Namespace").values()

    assert of_kind(queued, "LocalQueue")["training"]["spec"] == {"clusterQueue": share["metadata"]["name"]}
    assert selects(share["spec"]["namespaceSelector"], namespace["metadata"]["labels"])
    [group] = share["spec"]["resourceGroups"]
    [flavor] = group["flavors"]
    assert flavor["name"] == example("ResourceFlavor")["metadata"]["name"]
    assert [one["name"] for one in flavor["resources"]] == group["coveredResources"]


def test_the_example_has_room_for_the_trainings_that_are_made_at_once():
    """Kueue takes limits where there are no requests, and admits nothing that asks for what is not covered."""
    objects = overlay("gpu-cluster")
    asked = pods(objects)["training"].container["resources"]
    needs = {**asked["limits"], **asked["requests"]}
    [group] = example("ClusterQueue")["spec"]["resourceGroups"]
    quota = {one["name"]: one["nominalQuota"] for one in group["flavors"][0]["resources"]}

    trainings = int(settings_of(objects)["TRAINER_CONCURRENCY"])
    assert {name: trainings * amount(need) for name, need in needs.items()} == {
        name: amount(most) for name, most in quota.items()
    }


def amount(quantity: str | int) -> int:
    return int(str(quantity).removesuffix("Gi"))


def test_it_changes_nothing_else():
    without, queued = with_components("training-jobs"), product("+kueue")

    assert {*names(queued)} - {*names(without)} == {("LocalQueue", "training")}
    assert [one for one in queued if one["kind"] not in ("PodTemplate", "LocalQueue")] == [
        one for one in without if one["kind"] != "PodTemplate"
    ]
    assert not of_kind(base(), "LocalQueue")


def names(objects: Objects) -> list[tuple[str, str]]:
    return [(one["kind"], one["metadata"]["name"]) for one in objects]
