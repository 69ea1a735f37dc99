"""Kills with real engines, once each: `make test-slow`. Every service and every engine is killed on the way."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import Any

import pytest

from services.studio.machine.local import ROOT, Stack, prepare_base_model
from tests import kit
from tests.conftest import demand_environments, free_port_base
from tests.test_real_parts import SCRIPT, speak

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.s3, pytest.mark.timeout(1800)]


@pytest.fixture
def stack(tmp_path):
    demand_environments("studio", "ingest", "transcription", "trainer", "inference", "engine-cpu", "speech")
    prepare_base_model()
    stack = Stack(tmp_path / "stack", free_port_base())
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def engine_of(stack: Stack, service: str, killed: int | None = None) -> int | None:
    """The engine that a service runs now, unless it is the one that was killed."""
    pid = kit.engine_pids(stack, [service]).get(service)
    return None if pid == killed else pid


def test_real_engines_and_their_services_are_killed_at_their_work_and_nothing_is_lost(stack: Stack, tmp_path):
    client = kit.studio_client(stack)
    kit.create_show(client, "lamplight")
    audio = speak(tmp_path, SCRIPT).read_bytes()
    published = sorted((ROOT / "examples" / "published").glob("*.*"))[:3]
    asked: dict[str, Any] = {
        "show": "lamplight",
        "sources": [{**kit.upload(client, audio, "talk.mp3"), "guest": "Ben Marsh"}],
        "host_is": "3",
        "dataset": {"max_length": 256},
        "training": {"steps": 4, "checkpoint_every": 1, "last_layers": 2, "examples_per_step": 1},
        "episode": {"guest": "Orla Finnegan", "words": 40},
    }
    asked["sources"] += [kit.upload(client, path.read_bytes(), path.name) for path in published]
    job = client.submit("/v1/pipelines", asked)

    for stage, service in zip(kit.STAGES[1:], kit.ENGINES[1:], strict=True):
        kit.at_stage(client, job, stage, 600)
        killed = kit.until(partial(engine_of, stack, service), f"{service} works", 300)
        time.sleep(5)
        os.killpg(killed, signal.SIGKILL)
        kit.until(partial(engine_of, stack, service, killed), f"{service} has a new engine", 300)
        kit.kill(stack, service)
        stack.start(service)
        kit.kill(stack, "studio")
        stack.start("studio")
        stack.wait_healthy("studio")
        stack.wait_healthy(service)
    result = client.result(client.wait(job))

    kit.assert_whole(kit.store_of(stack), asked, result)
