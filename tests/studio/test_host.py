"""This machine before anything is installed: memory, Docker, and room for all that the containers take."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

from services.studio.machine import host
from services.studio.machine.local import ROOT
from shared.machine import Docker, Gpu, Gpus
from shared.models import catalogue
from shared.needs import GB

DOCKER = Docker("28.3.2", "2.39.1", Path("/var/lib/docker"), ("runc",), None)
GPU = Gpus((Gpu("NVIDIA H100 80GB HBM3", (9, 0), "580.95.05", 81559),))


def test_the_machine_is_examined_with_plain_python_before_anything_is_installed():
    done = subprocess.run(
        [sys.executable, "-S", "-m", "services.studio.machine.host"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode in (0, 1), done.stderr
    assert all(line[:5] in ("ok   ", "look ") for line in done.stdout.splitlines())
    assert {"GPU", "memory", "disk", "Docker"} <= {line[5:].split()[0].rstrip(":") for line in done.stdout.splitlines()}


def test_a_gpu_host_needs_room_for_images_models_recordings_and_work():
    gpu_host = host.container_needs(GPU, DOCKER)
    laptop = host.container_needs(Gpus(), DOCKER)

    assert [need.why for need in gpu_host] == ["images", "models", "recordings", "work"]
    assert {need.folder for need in gpu_host} == {Path("/var/lib/docker")}
    assert sum(need.bytes for need in laptop) < sum(need.bytes for need in gpu_host)


def test_the_size_of_all_models_is_the_catalogues():
    assert math.ceil(sum(model.size_bytes or 0 for model in catalogue()) / GB) == host.MODELS_GB


def test_docker_its_plugin_and_the_toolkit_of_a_gpu():
    good = Docker("28.3.2", "v2.39.1", Path("/var/lib/docker"), ("nvidia", "runc"), None)
    bare = Docker("20.10.24+dfsg1", None, Path("/var/lib/docker"), ("runc",), None)
    away = Docker(None, "2.39.1", None, (), None, trouble="permission denied")

    assert all(finding.ok for finding in host.judge_docker(good, gpu=True))
    assert [finding.ok for finding in host.judge_docker(bare, gpu=True)] == [True, False, False]
    assert "nvidia-ctk" in host.judge_docker(bare, gpu=True)[2].detail
    assert not host.judge_docker(away, gpu=False)[0].ok
    assert host.judge_docker(Docker(None, None, None, (), None), gpu=False)[0].ok


def test_memory_for_all_services_is_asked_for():
    assert host.judge_memory(16 * GB).ok and not host.judge_memory(4 * GB).ok
