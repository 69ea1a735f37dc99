"""Nothing is lost or doubled: every service and every engine killed at every stage, with real processes, a real S3
server, the real workflow library, and scripted engines. The same with real engines, once each: test_real_kills.py.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.studio.machine.local import SERVICES, Stack
from shared.client import ServiceClient
from shared.errors import RemoteJobError, ServiceUnavailableError
from shared.schemas import JobState
from tests import kit
from tests.conftest import free_port_base

pytestmark = [pytest.mark.s3, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = kit.scripted_stack(tmp_path_factory.mktemp("stack"), free_port_base())
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_killed_at_every_stage_and_started_again_loses_nothing(stack: Stack, client: ServiceClient, service):
    show = kit.create_show(client, f"kill-{service}")
    asked = kit.order(client, show)
    job = client.submit("/v1/pipelines", asked)

    for stage in kit.STAGES:
        kit.at_stage(client, job, stage)
        kit.kill(stack, service)
        stack.start(service)
    stack.wait_healthy(service)
    result = client.result(client.wait(job))

    kit.assert_whole(kit.store_of(stack), asked, result)


@pytest.mark.parametrize(("stage", "service"), list(zip(kit.STAGES, kit.ENGINES, strict=True)))
def test_a_killed_engine_is_tried_again_and_its_service_survives(stack: Stack, client: ServiceClient, stage, service):
    show = kit.create_show(client, f"engine-{service}")
    asked = kit.order(client, show)
    job = client.submit("/v1/pipelines", asked)
    before = stack.program(service).pid()

    kit.at_stage(client, job, stage)  # before it, an engine of an earlier job may rest there, and may be stopped
    pid = kit.until(lambda: kit.engine_pids(stack, [service]).get(service), f"{service}'s engine runs")
    time.sleep(0.3)
    os.killpg(pid, signal.SIGKILL)
    result = client.result(client.wait(job))

    assert stack.program(service).pid() == before
    kit.assert_whole(kit.store_of(stack), asked, result)


@pytest.fixture
def slow_engine(stack: Stack, service: str) -> Iterator[None]:
    """One service has an engine that takes a minute for each piece of work: a cancel comes in the middle of it."""
    name = f"{service.upper()}_ENGINE_COMMAND"
    command = f"env FAKE_STEP_S=60 FAKE_VLLM_TURN_S=60 {stack.settings[name]}"
    slow = replace(stack, settings={**stack.settings, name: command})
    _restart(slow, service)
    yield
    _restart(stack, service)


def _restart(stack: Stack, service: str) -> None:
    stack.program(service).stop()
    stack.start(service)
    stack.wait_healthy(service)


@pytest.mark.usefixtures("slow_engine")
@pytest.mark.parametrize(("stage", "service"), list(zip(kit.STAGES, kit.ENGINES, strict=True)))
def test_cancel_gives_the_engines_memory_back_within_five_seconds(stack: Stack, client: ServiceClient, stage, service):
    show = kit.create_show(client, f"cancel-{stage}")
    asked = kit.order(client, show)
    job = client.submit("/v1/pipelines", asked)
    kit.at_stage(client, job, stage)
    pid = kit.until(lambda: kit.engine_pids(stack, [service]).get(service), "the engine runs")

    began = time.monotonic()
    client.cancel(job.id)
    kit.until(lambda: not _alive(pid), "the engine is gone", 5)

    assert time.monotonic() - began < 5
    assert client.job(job.id).state is JobState.CANCELLED
    with pytest.raises(RemoteJobError, match="cancelled"):
        client.result(client.job(job.id))


def test_the_store_killed_in_the_middle_is_waited_for(stack: Stack, client: ServiceClient):
    show = kit.create_show(client, "no-store")
    asked = kit.order(client, show)
    job = client.submit("/v1/pipelines", asked)
    kit.at_stage(client, job, "transcribe")

    kit.kill(stack, "s3")
    time.sleep(3)
    stack.start("s3")
    stack.wait_healthy("s3")
    result = client.result(client.wait(job))

    kit.assert_whole(kit.store_of(stack), asked, result)


def test_training_asked_for_while_an_episode_is_written_takes_turns(stack: Stack, client: ServiceClient):
    show = kit.create_show(client, "turns")
    first = client.result(client.wait(client.submit("/v1/pipelines", kit.order(client, show, audio=0))))
    writing = client.submit("/v1/episodes", {"show": show, "guest": "Orla", "words": 200})
    kit.until(lambda: "inference" in kit.engine_pids(stack), "vLLM serves")

    training = client.submit(
        "/v1/adapters", {"show": show, "dataset": first["dataset"], "steps": 8, "checkpoint_every": 2}
    )
    holders = _watch_holders(stack, client, [writing.id, training.id])

    episode, adapter = client.result(client.job(writing.id)), client.result(client.job(training.id))
    assert holders[0] == "inference" and "trainer" in holders, holders
    assert adapter["adapter"] == f"{show}.r2.c8"
    turns = kit.store_of(stack).list(f"shows/{show}/episodes/{episode['episode']}/turns/")
    assert len(turns) == episode["turns"]


def _watch_holders(stack: Stack, client: ServiceClient, jobs: list[str]) -> list[str]:
    """Who had an engine, in order, until all jobs have ended; two at once is a failure of the lease."""
    holders: list[str] = []
    while any(not client.job(job).state.ended for job in jobs):
        running = kit.engine_pids(stack, ["trainer", "inference"])
        together = [name for name, pid in running.items() if _alive(pid)]
        assert len(together) < 2 or any(not _alive(pid) for pid in running.values()), f"both engines run: {running}"
        if together and (not holders or holders[-1] != together[0]):
            holders.append(together[0])
        time.sleep(0.05)
    return holders


def test_a_stack_whose_store_is_down_says_so_and_takes_no_work(tmp_path):
    stack = kit.scripted_stack(tmp_path, free_port_base())
    stack._service_token()
    try:
        stack.start("ingest")
        client = ServiceClient("ingest", stack.url("ingest"), stack.admin_token())
        kit.until(lambda: _answers(client), "ingest answers", 90)

        with pytest.raises(ServiceUnavailableError, match=r"object store does not answer.*make up"):
            client.submit("/v1/recordings", {"show": "x", "upload_key": "uploads/a"})
        stack.start("s3")
        stack.wait_healthy("s3")
        kit.store_of(stack).ensure_bucket()  # as studio does at its start
        stack.wait_healthy("ingest")
    finally:
        stack.down()


def _answers(client: ServiceClient) -> bool:
    try:
        client.call("GET", "/health/live")
    except ServiceUnavailableError:
        return False
    try:
        client.call("GET", "/health/ready")
    except ServiceUnavailableError as error:
        return "does not answer (" in str(error)
    return True


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
