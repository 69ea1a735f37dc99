"""What a machine needs before anything is installed or downloaded: GPU and driver for each image, Docker, disk, memory.

`python3 -m services.studio.host` works with plain Python; `diary doctor` says the same and more.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from shared import machine, needs
from shared.needs import GB, Finding, Need

ROOT = Path(__file__).resolve().parents[2]


def examine(wanted: Sequence[Need] | None = None) -> list[Finding]:
    """All findings about the machine itself.

    wanted   what will be written where; unset: what the containers take
    """
    gpus, docker = machine.gpus(), machine.docker()
    wanted = container_needs(gpus, docker) if wanted is None else wanted
    return [
        *needs.judge_gpus(gpus, list(needs.CUDA_OF)),
        needs.judge_memory(machine.memory_bytes()),
        *needs.judge_disks(wanted, machine.disks(need.folder for need in wanted)),
        *needs.judge_docker(docker, gpu=bool(gpus.found or gpus.trouble)),
    ]


def container_needs(gpus: machine.Gpus, docker: machine.Docker) -> list[Need]:
    """With a GPU: images, models, recordings, work. Else the smaller images, and models that are inside them."""
    folder = docker.root or ROOT
    if not gpus.found:
        return [Need(folder, needs.CPU_IMAGES_GB * GB, "images")]
    gigabytes = {
        "images": needs.IMAGES_GB,
        "models": needs.MODELS_GB,
        "recordings": needs.OBJECTS_GB,
        "work": sum(needs.STATE_GB.values()),
    }
    return [Need(folder, count * GB, why) for why, count in gigabytes.items()]


def main() -> int:
    found = examine()
    for finding in found:
        print(f"{'ok  ' if finding.ok else 'look'} {finding.what}: {finding.detail}")
    return 0 if all(finding.ok for finding in found) else 1


if __name__ == "__main__":
    sys.exit(main())
