"""All manifests render, are what the API of each supported Kubernetes expects, and name the images of compose.yaml."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.studio.machine.env import wanted
from services.studio.machine.image_digests import component
from services.studio.machine.local import ROOT, SERVICES
from tests.k8s.manifests import (
    COMPONENTS,
    FLEET,
    OVERLAYS,
    SECRET,
    Object,
    Objects,
    copy_of_k8s,
    of_kind,
    overlay,
    pods,
    rendered,
)
from tests.test_compose_files import CPU, GPU
from tests.test_compose_files import rendered as compose

KUBERNETES = ("1.34", "1.35", "1.36", "1.37")
CUSTOM: dict[tuple[str, str], dict[str, type]] = {
    # kinds of operators: no schema at hand, so what their references say they must have
    ("monitoring.coreos.com/v1", "ServiceMonitor"): {"selector": dict, "endpoints": list},
    ("monitoring.coreos.com/v1", "PrometheusRule"): {"groups": list},
    ("kueue.x-k8s.io/v1beta2", "LocalQueue"): {"clusterQueue": str},
    ("keda.sh/v1alpha1", "ScaledObject"): {"scaleTargetRef": dict, "triggers": list},
    ("keda.sh/v1alpha1", "TriggerAuthentication"): {"secretTargetRef": list},
}
DIGEST = "sha256:" + "ab" * 32


@cache
def problem(text: str, version: str) -> str:
    """What the API would say against an object; most of them are the same in many overlays."""
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is missing; run `make install`")
    try:
        validate.validate(json.loads(text), version, strict=True)
    except validate.ValidationError as error:
        return str(error)
    return ""


def problems(objects: Objects, version: str) -> list[str]:
    ours = [found for found in objects if (found["apiVersion"], found["kind"]) not in CUSTOM]
    return [said for found in ours if (said := problem(json.dumps(found, sort_keys=True), version))]


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_what_the_api_expects(all_objects: Objects, version: str):
    assert not problems(all_objects, version)


@pytest.mark.parametrize("version", KUBERNETES)
def test_so_is_what_the_device_plugin_is_given(version: str):
    assert not problems((yaml.safe_load((ROOT / "k8s/overlays/single-gpu/time-slicing.yaml").read_text()),), version)


def test_a_typing_error_would_be_found():
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"selektor": {}}}

    assert problems((service,), "1.34")


def test_objects_of_others_have_what_their_operator_asks_for(objects: Objects):
    for found in objects:
        wanted_fields = CUSTOM.get((found["apiVersion"], found["kind"]), {})
        assert {name: type(found["spec"].get(name)) for name in wanted_fields} == wanted_fields


def test_every_folder_is_rendered_by_these_tests():
    assert {path.name for path in (ROOT / "k8s/overlays").iterdir()} - {"mine"} == {*OVERLAYS, FLEET}
    assert {path.name for path in (ROOT / "k8s/components").iterdir()} == {*COMPONENTS}


def test_no_name_is_there_twice_and_all_is_in_one_namespace(all_objects: Objects):
    names = [(found["kind"], found["metadata"]["name"]) for found in all_objects]
    [namespace] = of_kind(all_objects, "Namespace")

    assert len(names) == len({*names})
    assert {found["metadata"].get("namespace", namespace) for found in all_objects} == {namespace}


@pytest.mark.parametrize("name", [*OVERLAYS, FLEET])
def test_images_are_those_of_compose(name: str):
    stack = compose(*CPU) if name == "cpu-demo" else compose(*GPU)
    expected = {service: stack[service]["image"] for service in ("minio", *SERVICES)}
    expected |= {"training": expected["trainer"], "vllm": stack["inference"]["build"]["args"]["BASE_IMAGE"]}

    assert {who: found.container["image"] for who, found in pods(overlay(name)).items()} == {
        who: expected[who] for who in pods(overlay(name))
    }


def test_no_image_is_without_a_version(all_objects: Objects):
    for found in pods(all_objects).values():
        assert re.search(r":[^/:]+$|@sha256:[0-9a-f]{64}$", found.container["image"]), found.name
        assert not found.container["image"].endswith(":latest")


def test_nothing_secret_is_in_the_manifests(all_objects: Objects):
    files = [*(ROOT / "k8s").glob("base/**/*"), *(ROOT / "k8s").glob("components/**/*")]

    assert not of_kind(all_objects, "Secret")
    for path in [path for path in files if path.is_file()]:
        assert not re.search(r"(?i)token=|password=|secret_key=", path.read_text()), path


# ---- an overlay of the operator's own, as README.md tells ----------------------------------------------------------


def block(name: str) -> str:
    """A block of commands of k8s/README.md that says it is run here."""
    [found] = re.findall(rf"<!-- {name}.*?-->\n```sh\n(.*?)```", (ROOT / "k8s/README.md").read_text(), re.DOTALL)
    return str(found)


def operators_folder(root: Path, name: str) -> Objects:
    """What the README's commands for an overlay make, after `make env` and `make push`."""
    copy_of_k8s(root)
    (root / "secrets").mkdir()
    for file, text in wanted(root / "secrets", "").items():
        (root / "secrets" / file).write_text(text)
    (root / "k8s/images").mkdir()
    repositories = {service: f"registry.example:5000/team/diary/{service}" for service in SERVICES}
    (root / "k8s/images/kustomization.yaml").write_text(
        component({service: f"{repository}@{DIGEST}" for service, repository in repositories.items()})
    )
    subprocess.run(["bash", "-euc", block("mine")], cwd=root, env={**os.environ, "OVERLAY": name}, check=True)
    return rendered(root / "k8s/overlays/mine")


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_readmes_overlay_pins_every_image_to_what_was_pushed(tmp_path: Path, name: str):
    mine = pods(operators_folder(tmp_path, name))

    for who, found in mine.items():
        if who not in ("minio", "training"):
            assert found.container["image"] == f"registry.example:5000/team/diary/{who}@{DIGEST}"
    if "training" in mine:
        assert mine["training"].container["image"] == mine["trainer"].container["image"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_readmes_overlay_makes_the_secret_and_every_reference_follows_its_name(tmp_path: Path, name: str):
    objects = operators_folder(tmp_path, name)
    [(secret, made)] = of_kind(objects, "Secret").items()

    assert re.fullmatch(rf"{SECRET}-[a-z0-9]+", secret)  # a changed secret restarts whoever reads it
    for found in pods(objects).values():
        assert found.volumes["secrets"]["secret"]["secretName"] == secret, found.name
    assert set(made["data"]) >= {"s3_access_key", "s3_secret_key", "tokens.json", "studio_token", "viewer_token"}


def with_a_secret(root: Path, below: str, component: str, file: str) -> Objects:
    """An overlay whose Secret is generated, so that its name ends in a hash."""
    copy_of_k8s(root)
    mine = root / "k8s/overlays/mine"
    mine.mkdir()
    (mine / file).write_text("x")
    kustomization: dict[str, Any] = {
        "namespace": "diary",
        "resources": [f"../{below}"],
        "components": [f"../../components/{component}"],
        "secretGenerator": [{"name": SECRET, "files": [file]}],
    }
    (mine / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return rendered(mine)


def test_prometheus_finds_the_viewers_token_by_the_generated_name(tmp_path: Path):
    objects = with_a_secret(tmp_path, "single-gpu", "monitoring", "viewer_token")

    [secret] = of_kind(objects, "Secret")
    [endpoint] = of_kind(objects, "ServiceMonitor")["diary"]["spec"]["endpoints"]
    assert endpoint["authorization"]["credentials"] == {"name": secret, "key": "viewer_token"}


def test_keda_finds_the_job_databases_url_by_the_generated_name(tmp_path: Path):
    objects = with_a_secret(tmp_path, "gpu-cluster", "keda", "database_url")

    [secret] = of_kind(objects, "Secret")
    [wanted_key] = of_kind(objects, "TriggerAuthentication")["job-database"]["spec"]["secretTargetRef"]
    assert wanted_key == {"parameter": "connection", "name": secret, "key": "database_url"}


def test_a_team_moves_into_its_own_namespace_whole(tmp_path: Path):
    copy_of_k8s(tmp_path)
    folder = tmp_path / "k8s/overlays/blue"
    shutil.copytree(tmp_path / "k8s/overlays/team-example", folder)
    for path in folder.iterdir():
        path.write_text(path.read_text().replace("team-example", "blue"))

    objects = rendered(folder)

    assert {*of_kind(objects, "Namespace")} == {"blue"}
    assert "team-example" not in json.dumps(objects)
    subjects: list[Object] = of_kind(objects, "RoleBinding")["trainer"]["subjects"]
    assert subjects == [{"kind": "ServiceAccount", "name": "trainer", "namespace": "blue"}]
