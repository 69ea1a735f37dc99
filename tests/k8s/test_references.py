"""Whatever a manifest names is there: claims, settings, secrets, accounts, pods, ports; and what is there is used."""

from __future__ import annotations

import pytest

from services.studio.machine.env import wanted
from tests.k8s.edges import selects
from tests.k8s.manifests import (
    OVERLAYS,
    SECRET,
    Objects,
    Pods,
    of_kind,
    overlay,
    pods,
    settings_maps,
    settings_of,
    with_components,
)

TOLD_IN_THE_README = {"database_url", "inference_vllm_key"}  # files that the operator adds to secrets/


def test_every_claim_is_there_and_used(all_objects: Objects):
    used = {
        volume["persistentVolumeClaim"]["claimName"]
        for found in pods(all_objects).values()
        for volume in found.volumes.values()
        if "persistentVolumeClaim" in volume
    }

    assert used == {*of_kind(all_objects, "PersistentVolumeClaim")}


def test_every_volume_is_mounted_and_every_mount_has_a_volume(all_objects: Objects):
    for name, found in pods(all_objects).items():
        assert set(found.mounts) == set(found.volumes), name
        paths = [mount["mountPath"] for mount in found.mounts.values()]
        assert len(paths) == len({*paths}) and found.mounts["tmp"]["mountPath"] == "/tmp"


def test_every_account_is_there_and_used(all_objects: Objects):
    accounts = {found.spec["serviceAccountName"] for found in pods(all_objects).values()}

    assert accounts == {*of_kind(all_objects, "ServiceAccount")}


def test_every_pod_of_ours_reads_the_one_map_of_settings(objects: Objects):
    [settings] = settings_maps(objects)

    for name, found in pods(objects).items():
        if name != "minio":
            assert found.container["envFrom"] == [{"configMapRef": {"name": settings}}], name


def test_every_secret_file_is_one_that_make_env_makes_or_the_readme_tells_of(objects: Objects, tmp_path):
    keys = {key for found in pods(objects).values() for key in found.secret_files.values()}

    assert keys <= {*wanted(tmp_path, "")} | TOLD_IN_THE_README
    for found in pods(objects).values():
        assert found.spec["volumes"][0]["name"] == "secrets"  # the components' patches count on it
        assert found.volumes["secrets"]["secret"]["secretName"] == SECRET
        assert found.mounts["secrets"]["readOnly"] is True
        assert not [one for one in found.container.get("env", []) if "secretKeyRef" in one.get("valueFrom", {})]


def test_prometheus_reads_with_a_token_that_make_env_makes(tmp_path):
    [endpoint] = of_kind(with_components("monitoring"), "ServiceMonitor")["diary"]["spec"]["endpoints"]

    assert endpoint["authorization"]["credentials"]["key"] in wanted(tmp_path, "")


def test_every_selector_selects_the_pods_it_is_for(all_objects: Objects):
    found = pods(all_objects)
    for name, one in found.items():
        if one.kind != "PodTemplate":
            assert selects(one.owner["spec"]["selector"], one.labels)
            assert selected(one.owner["spec"]["selector"], found) == [name]
    for name, service in of_kind(all_objects, "Service").items():
        assert selected({"matchLabels": service["spec"]["selector"]}, found) == [name.removesuffix("-workers")]
    for name, policy in of_kind(all_objects, "NetworkPolicy").items():
        assert selected(policy["spec"]["podSelector"], found), name


def selected(selector: dict, found: dict[str, Pods]) -> list[str]:
    return [name for name, one in found.items() if selects(selector, one.labels)]


def test_every_service_leads_to_a_port_of_its_pods(all_objects: Objects):
    found = pods(all_objects)
    for name, service in of_kind(all_objects, "Service").items():
        ports = {port["name"]: port for port in found[name.removesuffix("-workers")].container["ports"]}
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]]["containerPort"] == port["port"]


def test_workers_are_governed_by_a_headless_service(all_objects: Objects):
    for name, found in of_kind(all_objects, "StatefulSet").items():
        governing = of_kind(all_objects, "Service")[found["spec"]["serviceName"]]
        assert governing["spec"]["clusterIP"] == "None", name


def test_prometheus_finds_each_service_once():
    objects = with_components("monitoring")
    selector = of_kind(objects, "ServiceMonitor")["diary"]["spec"]["selector"]
    services = of_kind(objects, "Service")

    assert sorted(name for name, found in services.items() if selects(selector, found["metadata"]["labels"])) == sorted(
        name for name in pods(objects) if name != "minio"
    )


def test_an_external_store_leaves_nothing_of_the_inner_one():
    objects = with_components("s3-external")

    assert not [found for found in objects if found["metadata"]["name"] in ("minio", "objects", "store", "to-store")]
    assert settings_of(objects)["S3_URL"] == "https://s3.example.org"


# ---- what may be asked of the cluster ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OVERLAYS)
def test_nobody_but_the_trainer_may_ask_anything_and_only_this(name: str):
    objects = overlay(name)
    kinds = {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
    rights = [found for found in objects if found["kind"] in kinds]
    if "training" not in pods(objects):
        assert not rights
        return
    [namespace] = of_kind(objects, "Namespace")

    assert sorted(found["kind"] for found in rights) == ["Role", "RoleBinding"]
    assert of_kind(objects, "Role")["trainer"]["rules"] == [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "delete"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["podtemplates"], "resourceNames": ["training"], "verbs": ["get"]},
    ]
    binding = of_kind(objects, "RoleBinding")["trainer"]
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "trainer"}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "trainer", "namespace": namespace}]
    assert settings_of(objects)["TRAINER_POD_TEMPLATE"] in of_kind(objects, "PodTemplate")
