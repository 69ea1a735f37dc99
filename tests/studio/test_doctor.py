"""`diary doctor` and what it is made of: this machine with a local stack, and a round past all services."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import httpx

from services.studio.machine import doctor
from services.studio.machine.local import Stack
from services.studio.neighbours import Neighbours
from services.studio.rounds import make_round
from shared.client import ServiceClient
from shared.needs import Finding
from tests.conftest import free_port_base

TOLD = Finding("GPU 0", True, "NVIDIA L4", service="trainer")


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
    neighbours = Neighbours(urls, "diary_secret", transport=httpx.MockTransport(answer))

    memory, trainer, inference = make_round(lambda: own, neighbours)

    assert (memory.service, trainer) == ("studio", TOLD)
    assert (inference.service, inference.ok) == ("inference", False) and "does not answer" in inference.detail


def test_a_running_stack_tells_the_doctor_everything():
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=json.dumps([asdict(TOLD)])))

    assert doctor.ask(ServiceClient("studio", "http://studio", "", transport=transport)) == [TOLD]
