"""Every pod: closed as the Pod Security Standard `restricted` asks, limited, probed, with the GPUs that are stated."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from services.inference.engine import BASE_NAME, command
from services.inference.settings import Settings as InferenceSettings
from services.studio.machine.local import ROOT, SERVICES
from shared.models import REVISION, base_folder
from tests.k8s.edges import selects
from tests.k8s.manifests import (
    FLEET,
    GPU,
    NAME,
    OVERLAYS,
    WORKERS,
    Objects,
    Pods,
    base,
    of_kind,
    overlay,
    pods,
    settings_of,
)
from tests.test_compose_files import CPU as CPU_FILES
from tests.test_compose_files import GPU as GPU_FILES
from tests.test_compose_files import rendered as compose

RESTRICTED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
    "claimTemplate",
}  # fmt: skip
ON_GPU = ("transcription", "trainer", "inference")


def test_no_pod_is_more_than_restricted_allows(all_pods: dict[str, Pods]):
    for found in all_pods.values():
        pod, container = found.spec, found.container
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] == 2000
        assert pod["securityContext"]["runAsGroup"] == pod["securityContext"]["fsGroup"] == 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
        assert not [port for port in container.get("ports", []) if "hostPort" in port]
        assert {kind for volume in pod["volumes"] for kind in volume} - {"name"} <= RESTRICTED_VOLUMES


@pytest.mark.parametrize("name", [*OVERLAYS, FLEET])
def test_the_namespace_asks_for_it(name: str):
    [namespace] = of_kind(overlay(name), "Namespace").values()
    prefix = "pod-security.kubernetes.io/"
    levels = {key: value for key, value in namespace["metadata"]["labels"].items() if key.startswith(prefix)}

    assert levels == {f"{prefix}{mode}": "restricted" for mode in ("enforce", "audit", "warn")}


def test_kubernetes_sets_no_variables_that_are_our_settings(all_pods: dict[str, Pods]):
    assert all(found.spec["enableServiceLinks"] is False for found in all_pods.values())


def test_only_a_trainer_that_makes_jobs_has_a_cluster_token(objects: Objects):
    with_token = {name for name, found in pods(objects).items() if found.spec["automountServiceAccountToken"]}

    assert with_token == ({"trainer"} if "training" in pods(objects) else set())
    assert all(found["automountServiceAccountToken"] is False for found in of_kind(objects, "ServiceAccount").values())


def test_each_workload_has_an_account_of_its_own(all_pods: dict[str, Pods]):
    assert {name: found.spec["serviceAccountName"] for name, found in all_pods.items()} == {
        name: name for name in all_pods
    }


def test_every_pod_is_limited_and_probed(all_pods: dict[str, Pods]):
    paths = {"minio": ("/minio/health/live", "/minio/health/ready"), "vllm": ("/health", "/health")}
    for name, found in all_pods.items():
        container = found.container
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        if found.kind == "PodTemplate":
            continue  # a Job's pod is done when it has ended
        live, ready = paths.get(name, ("/health/live", "/health/ready"))
        assert container["startupProbe"]["httpGet"]["path"] == container["livenessProbe"]["httpGet"]["path"] == live
        assert container["readinessProbe"]["httpGet"]["path"] == ready


def test_what_loads_models_or_compiles_may_take_minutes_to_start():
    patience = {name: start_patience_s(found) for name, found in pods(base()).items()}

    assert patience["inference"] >= 1200 and patience["transcription"] >= 300 and patience["trainer"] >= 300
    assert start_patience_s(pods(overlay(FLEET))["vllm"]) >= 1200


def start_patience_s(found: Pods) -> int:
    probe = found.container["startupProbe"]
    return int(probe["periodSeconds"] * probe["failureThreshold"])


def test_workers_keep_their_names_and_the_others_are_alone(objects: Objects):
    found = pods(objects)

    assert {name for name, one in found.items() if one.kind == "StatefulSet"} == {*WORKERS}
    for name in WORKERS:
        worker = {"name": f"{name.upper()}_WORKER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
        assert worker in found[name].container["env"]
    for name in {"studio", "minio"} & set(found):
        assert (found[name].replicas, found[name].owner["spec"]["strategy"]) == (1, {"type": "Recreate"})


def test_who_asks_for_no_gpu_sees_none_and_who_asks_is_left_to_the_device_plugin(objects: Objects):
    """NVIDIA's images ask for all GPUs; a variable of the pod itself would also hide the one that it was given."""
    for name, found in pods(objects).items():
        told = {one["name"]: one.get("value") for one in found.container.get("env", [])}
        has_one = "nvidia.com/gpu" in found.container["resources"]["limits"]
        of_nvidia = name not in ("minio", "vllm")
        assert told.get("NVIDIA_VISIBLE_DEVICES") == (None if has_one or not of_nvidia else "void"), name


def test_a_token_of_the_cluster_finds_room_below_the_secrets(objects: Objects):
    """It lies at /var/run/secrets/kubernetes.io, /var/run is a link to /run, and the secrets are mounted read only."""
    for name, found in pods(objects).items():
        wanted = "/var/run/secrets" if found.spec["automountServiceAccountToken"] else "/run/secrets"
        if "secrets" in found.mounts:
            assert found.mounts["secrets"]["mountPath"] == wanted, name


def test_with_one_sliced_gpu_its_three_pods_go_to_the_node_that_has_it():
    for name in ("transcription", "trainer", "inference"):
        chosen = pods(overlay("single-gpu"))[name].spec["nodeSelector"]
        assert chosen == {"nvidia.com/device-plugin.config": "single-gpu"}, name


def test_several_workers_share_a_queue_only_in_postgres(objects: Objects):
    """A SQLite file is one worker's own."""
    for name in WORKERS:
        one = pods(objects)[name]
        assert one.replicas == 1 or f"{name}_database_url" in one.secret_files, name


@pytest.mark.parametrize("name", OVERLAYS)
def test_grace_and_secret_files_are_those_of_compose(name: str):
    stack = compose(*GPU_FILES)
    for who, found in pods(overlay(name)).items():
        like = stack["trainer" if who == "training" else who]
        given = {one["target"].removeprefix("/run/secrets/") for one in like["secrets"]}
        further = {f"{who}_database_url", "inference_vllm_key"}
        grace = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", like["stop_grace_period"])
        assert grace is not None
        minutes, seconds = (int(part or 0) for part in grace.groups())
        assert found.spec["terminationGracePeriodSeconds"] == 60 * minutes + seconds, who
        if who == "training":  # it has no door, and fetches nothing
            given -= {"tokens.json", "hf_token"}
        assert set(found.secret_files) - further == given, who


def test_without_a_gpu_memory_is_that_of_compose():
    for name in SERVICES:
        limit = int(compose(*CPU_FILES)[name]["mem_limit"])
        assert pods(overlay("cpu-demo"))[name].container["resources"]["limits"]["memory"] == f"{limit // 2**30}Gi"


# ---- GPUs ----------------------------------------------------------------------------------------------------------


def stated() -> dict[str, tuple[int, int]]:
    """GPUs and how often each is offered, of the overlays as README.md states them."""
    rows = re.findall(r"^\| `overlays/([\w-]+)` \|.*\| (\d+)(?:, offered (\d+) times)? \|$", readme(), re.MULTILINE)
    return {name: (int(gpus), int(times or 1)) for name, gpus, times in rows}


def readme() -> str:
    return (ROOT / "k8s/README.md").read_text()


@pytest.mark.parametrize("name", [*OVERLAYS, FLEET])
def test_gpus_add_up_to_what_is_stated(name: str):
    gpus, times = stated()[name]

    assert gpus_at_once(overlay(name)) == gpus * times


def gpus_at_once(objects: Objects) -> int:
    """Of all pods when everything works, training pods included."""
    training = 1
    if "training" in pods(objects):
        training = int(settings_of(objects).get("TRAINER_CONCURRENCY", 1))
    counts = {"PodTemplate": training}
    return sum(found.gpus * counts.get(found.kind, found.replicas) for found in pods(objects).values())


def test_the_device_plugin_offers_the_one_gpu_as_often_as_it_is_asked_for():
    supplied = yaml.safe_load((ROOT / "k8s/overlays/single-gpu/time-slicing.yaml").read_text())
    config = yaml.safe_load(supplied["data"]["single-gpu"])
    [resource] = config["sharing"]["timeSlicing"]["resources"]

    assert resource == {"name": GPU, "replicas": gpus_at_once(overlay("single-gpu"))}
    assert stated()["single-gpu"] == (1, resource["replicas"])


def test_a_quota_of_a_team_has_room_for_what_it_runs():
    objects = overlay("team-example")
    hard = of_kind(objects, "ResourceQuota")["share"]["spec"]["hard"]
    claims = [*of_kind(objects, "PersistentVolumeClaim").values(), *state_claims(objects)]

    assert hard[f"requests.{GPU}"] == gpus_at_once(objects)
    assert gibibytes(hard["requests.storage"]) >= sum(
        gibibytes(claim["spec"]["resources"]["requests"]["storage"]) for claim in claims
    )


def state_claims(objects: Objects) -> list[dict[str, Any]]:
    sets = of_kind(objects, "StatefulSet").values()
    return [claim for found in sets for claim in found["spec"]["volumeClaimTemplates"] * found["spec"]["replicas"]]


def gibibytes(quantity: str) -> int:
    assert quantity.endswith("Gi")
    return int(quantity.removesuffix("Gi"))


def test_with_one_device_all_three_are_on_its_node_and_share_a_lease():
    for name in ("single-gpu", "cpu-demo"):
        objects = overlay(name)
        for service in ON_GPU:
            found = pods(objects)[service]
            [rule] = found.spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
            assert rule["topologyKey"] == "kubernetes.io/hostname"
            assert rule["labelSelector"]["matchLabels"].items() <= found.labels.items()
            assert found.volumes["lease"]["persistentVolumeClaim"] == {"claimName": "lease"}
            assert settings_of(objects)[f"{service.upper()}_LEASE_DIR"] == found.mounts["lease"]["mountPath"]
        modes = [found["spec"]["accessModes"] for found in of_kind(objects, "PersistentVolumeClaim").values()]
        assert modes == [["ReadWriteOnce"]] * len(modes)


def test_with_a_gpu_each_there_is_no_lease_and_models_are_for_all_nodes():
    objects = overlay("gpu-cluster")

    assert not [name for name, found in pods(objects).items() if "lease" in found.volumes]
    assert {settings_of(objects)[f"{service.upper()}_LEASE_DIR"] for service in ON_GPU} == {""}
    modes = {name: found["spec"]["accessModes"] for name, found in of_kind(objects, "PersistentVolumeClaim").items()}
    assert [name for name, mode in modes.items() if mode == ["ReadWriteMany"]] == ["models"]


def test_replicas_of_a_service_keep_away_from_each_other(objects: Objects):
    for found in pods(objects).values():
        if found.kind == "PodTemplate":
            continue
        [rule] = found.spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        term = rule["podAffinityTerm"]
        assert term["topologyKey"] == "kubernetes.io/hostname" and term["matchLabelKeys"] == [NAME]
        assert selects(term["labelSelector"], found.labels) and NAME in found.labels


def test_a_drain_takes_one_pod_of_a_service_at_a_time_and_is_never_blocked(objects: Objects):
    budgets = of_kind(objects, "PodDisruptionBudget")

    assert {*budgets} == {name for name, found in pods(objects).items() if found.kind != "PodTemplate"}
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1 and "minAvailable" not in budget["spec"]
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        selected = [who for who, found in pods(objects).items() if selects(budget["spec"]["selector"], found.labels)]
        assert selected == [name]


# ---- training pods, and vLLM -----------------------------------------------------------------------------------------


def test_a_training_pod_is_the_trainer_without_its_door():
    objects = overlay("gpu-cluster")
    training, trainer = pods(objects)["training"], pods(objects)["trainer"]

    assert training.container["name"] == "trainer"
    assert training.container["command"] == ["python", "-m", "services.trainer.pod"]
    assert training.spec["restartPolicy"] == "Never"
    assert training.gpus == int(settings_of(objects)["TRAINER_POD_GPUS"]) and trainer.gpus == 0
    assert training.mounts["models"]["readOnly"] is True
    assert training.container["envFrom"] == trainer.container["envFrom"]
    assert {mount["mountPath"] for mount in training.mounts.values()} == {
        mount["mountPath"].removeprefix("/var") for mount in trainer.mounts.values()
    }


def test_the_fleet_is_started_as_inference_starts_its_own_engine(tmp_path, monkeypatch: pytest.MonkeyPatch):
    model = settings_of(base())["INFERENCE_BASE_MODEL"]
    folder = base_folder(model, tmp_path)
    folder.mkdir()
    (folder / REVISION).write_text('{"name": "n", "revision": "r"}')
    (folder / "config.json").write_text('{"max_position_embeddings": 32768}')
    (tmp_path / "vllm").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = InferenceSettings(
        base_model=model,
        models_dir=tmp_path,
        engine_command="vllm serve {model} --gpu-memory-utilization 0.9",
        max_model_len=int(settings_of(overlay("team-example")).get("INFERENCE_MAX_MODEL_LEN", 16384)),
    )

    started = [part.replace(str(tmp_path), "/models") for part in command(settings, 8000)]
    fleet = [part for argument in pods(overlay(FLEET))["vllm"].container["command"] for part in argument.split("=")]

    where = {"127.0.0.1": "0.0.0.0", str(settings.max_loras): "8"}  # for pods of others; adapters of several teams
    assert sorted(fleet) == sorted(
        where[part] if part in where and started[at - 1] in ("--host", "--max-loras") else part
        for at, part in enumerate(started)
    )
    assert BASE_NAME in fleet


def test_gateways_name_each_server_of_the_fleet_and_have_no_gpu():
    objects, fleet = overlay("team-example"), overlay(FLEET)
    [namespace] = of_kind(fleet, "Namespace")
    service = of_kind(fleet, "StatefulSet")["vllm"]["spec"]["serviceName"]
    replicas = of_kind(fleet, "StatefulSet")["vllm"]["spec"]["replicas"]

    assert of_kind(fleet, "Service")[service]["spec"]["clusterIP"] == "None"
    assert settings_of(objects)["INFERENCE_VLLM_URL"].split() == [
        f"http://vllm-{number}.{service}.{namespace}:8000" for number in range(replicas)
    ]
    assert pods(objects)["inference"].gpus == 0
    gateway, server = pods(objects)["inference"], pods(fleet)["vllm"]
    assert settings_of(objects)["INFERENCE_ADAPTER_DIR"].startswith(gateway.mounts["adapters"]["mountPath"])
    assert gateway.mounts["adapters"]["mountPath"] == server.mounts["adapters"]["mountPath"]
    assert server.mounts["adapters"]["readOnly"] is True
