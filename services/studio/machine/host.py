"""What a machine needs before anything is installed or downloaded: GPU and driver, Docker, disk, memory.

`python3 -m services.studio.machine.host` works with plain Python; `diary doctor` says the same and more.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from shared import machine, needs
from shared.machine import Docker, Gpus, Version, dotted, numbers
from shared.needs import GB, Finding, Need, in_gb

ROOT = Path(__file__).resolve().parents[3]

# Unpacked, on a host that builds: vLLM 26, transcription 9.0, trainer 6.3, inference on top of vLLM 0.4, ingest 1.0,
# studio 0.7, and the two big environments once more in their build stages 15.
IMAGES_GB = 60
CPU_IMAGES_GB = 20  # inference 3.1, transcription 3.1, trainer 2.3, ingest 1.0, studio 0.7, their build stages 8
MODELS_GB = 17  # the catalogue's sum; reading it takes packages
OBJECTS_GB = 20  # a show of some hundred hours as original audio and working copies: estimate
MEMORY_GB = 8  # all services with the small models: estimate
LEAST_ENGINE = (20, 10)
LEAST_COMPOSE = (2, 24, 4)  # !reset and !override in compose.cpu.yaml


def examine(wanted: Sequence[Need] | None = None) -> list[Finding]:
    """All findings about the machine itself.

    wanted   what will be written where; unset: what the containers take
    """
    gpus, docker = machine.gpus(), machine.docker()
    wanted = container_needs(gpus, docker) if wanted is None else wanted
    return [
        *needs.judge_gpus(gpus),
        judge_memory(machine.memory_bytes()),
        *needs.judge_disks(wanted, machine.disks(need.folder for need in wanted)),
        *judge_docker(docker, gpu=bool(gpus.found or gpus.trouble)),
    ]


def container_needs(gpus: Gpus, docker: Docker) -> list[Need]:
    """With a GPU: images, models, recordings, work. Else the smaller images, and models that are inside them."""
    folder = docker.root or ROOT
    if not gpus.found:
        return [Need(folder, CPU_IMAGES_GB * GB, "images")]
    gigabytes = {
        "images": IMAGES_GB,
        "models": MODELS_GB,
        "recordings": OBJECTS_GB,
        "work": sum(needs.STATE_GB.values()),
    }
    return [Need(folder, count * GB, why) for why, count in gigabytes.items()]


def judge_memory(memory_bytes: int) -> Finding:
    ok = memory_bytes >= MEMORY_GB * GB * 0.9  # a machine sold with 8 GB shows a little less
    advice = "" if ok else f"; {MEMORY_GB} GB are planned for: give Docker, or the machine, more"
    return Finding("memory", ok, in_gb(memory_bytes) + advice)


def judge_docker(docker: Docker, *, gpu: bool) -> list[Finding]:
    """The engine, Compose, and the toolkit that lets containers see a GPU.

    gpu   this machine has one
    """
    if docker.engine is None:
        why = docker.trouble or "there is none here; `make up` runs without it"
        return [Finding("Docker", not docker.trouble, why)]
    found = [
        _at_least("Docker", docker.engine, LEAST_ENGINE, "upgrade it"),
        _at_least("Docker Compose", docker.compose or "", LEAST_COMPOSE, "install the plugin docker-compose-v2"),
    ]
    return [*found, _toolkit(docker)] if gpu else found


def _at_least(what: str, version: str, least: Version, advice: str) -> Finding:
    ok = numbers(version) >= least
    detail = version if ok else f"{version or 'missing'}; {dotted(least)} or newer is needed: {advice}"
    return Finding(what, ok, detail)


def _toolkit(docker: Docker) -> Finding:
    what = "NVIDIA container toolkit"
    if "nvidia" in docker.runtimes or docker.toolkit:
        return Finding(what, True, docker.toolkit or "Docker knows the nvidia runtime")
    advice = "install nvidia-container-toolkit, then `sudo nvidia-ctk runtime configure --runtime=docker`"
    return Finding(what, False, f"is missing, so containers see no GPU; {advice} and restart Docker")


def main() -> int:
    found = examine()
    for finding in found:
        print(f"{'ok  ' if finding.ok else 'look'} {finding.what}: {finding.detail}")
    return 0 if all(finding.ok for finding in found) else 1


if __name__ == "__main__":
    sys.exit(main())
