"""`diary doctor` and what it is made of: this machine before anything is installed, and a round past all services."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import httpx

from services.studio import doctor, host
from services.studio.local import ROOT, Stack
from services.studio.rounds import Rounds
from shared.client import ServiceClient
from shared.machine import Docker, Gpu, Gpus
from shared.needs import Finding
from tests.conftest import free_port_base

DOCKER = Docker("28.3.2", "2.39.1", Path("/var/lib/docker"), ("runc",), None)
GPU = Gpus((Gpu("NVIDIA H100 80GB HBM3", (9, 0), "580.95.05", 81559),))
TOLD = Finding("GPU 0", True, "NVIDIA L4", service="trainer")


def test_the_machine_is_examined_with_plain_python_before_anything_is_installed():
    done = subprocess.run(
        [sys.executable, "-S", "-m", "services.studio.host"], cwd=ROOT, capture_output=True, text=True, check=False
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


def test_a_local_stack_is_examined_in_every_part(tmp_path: Path, dev_python):
    found = doctor.examine(Stack(tmp_path / "run", free_port_base(), python_of=dev_python))

    assert {"python", "GPU", "memory", "yt-dlp", "ffmpeg", "environment trainer", "studio"} <= {
        finding.what for finding in found
    }
    assert all(finding.detail for finding in found)


def test_one_round_past_all_services_names_the_one_that_is_away():
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer diary_secret"
        if request.url.host == "trainer":
            return httpx.Response(200, json=[asdict(TOLD)])
        raise httpx.ConnectError("refused")

    urls = {"trainer": "http://trainer:8080", "inference": "http://inference:8080"}
    own = [Finding("memory", True, "16 GB")]
    rounds = Rounds(urls, "diary_secret", lambda: own, transport=httpx.MockTransport(answer))

    memory, trainer, inference = rounds()

    assert (memory.service, trainer) == ("studio", TOLD)
    assert (inference.service, inference.ok) == ("inference", False) and "does not answer" in inference.detail


def test_a_running_stack_tells_the_doctor_everything():
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=json.dumps([asdict(TOLD)])))

    assert doctor.ask(ServiceClient("studio", "http://studio", "", transport=transport)) == [TOLD]
