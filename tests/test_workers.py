"""Two workers, one Postgres: one is killed and never started again; the other takes its jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from services.studio.machine.local import ROOT, SERVICES, Stack
from services.studio.machine.processes import Program
from tests import kit
from tests.conftest import free_port_base

pytestmark = [pytest.mark.s3, pytest.mark.postgres, pytest.mark.timeout(240)]


@dataclass
class Pair:
    stack: Stack
    second: Program


@pytest.fixture
def pair(tmp_path, postgres_url: str) -> Iterator[Pair]:
    """A stack on one Postgres for all services, whose transcription has two workers; studio knows both."""
    port = free_port_base(16)
    here, there = f"http://127.0.0.1:{port + 2}", f"http://127.0.0.1:{port + 14}"
    settings = {
        **{f"{service.upper()}_DATABASE_URL": postgres_url for service in SERVICES},
        "TRANSCRIPTION_SILENT_AFTER_S": "3",
        "STUDIO_TRANSCRIPTION_URL": f"{here} {there}",
        "TRANSCRIPTION_ENGINE_COMMAND": f"env FAKE_STEP_S=0.75 {kit.engine_command('transcription')}",
    }
    stack = kit.scripted_stack(tmp_path, port, settings)
    first = stack.program("transcription")
    second = replace(
        first,
        name="transcription-2",
        environment={**first.environment, "TRANSCRIPTION_PORT": str(port + 14), "TRANSCRIPTION_WORKER": "2"},
        ports=[port + 14],
        health=there + "/health/ready",
        log_file=first.log_file.with_name("transcription-2.log"),
        pid_file=first.pid_file.with_name("transcription-2.json"),
    )
    try:
        stack.up()
        second.start(ROOT)
        yield Pair(stack, second)
    finally:
        second.stop()
        stack.down()


def test_the_pipeline_finishes_although_a_worker_never_comes_back(pair: Pair):
    client = kit.studio_client(pair.stack)
    show = kit.create_show(client, "never")
    kit.until(lambda: kit.healthy(pair.second.health), "the second worker is up", 120)
    asked = kit.order(client, show, audio=4)
    job = client.submit("/v1/pipelines", asked)

    kit.at_stage(client, job, "transcribe 1/3: recognising")
    kit.kill(pair.stack, "transcription")
    result = client.result(client.wait(job))

    kit.assert_whole(kit.store_of(pair.stack), asked, result)
    assert pair.stack.program("transcription").pid() is None
