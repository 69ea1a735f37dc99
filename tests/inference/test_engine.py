"""The near side of vLLM over a fake server in a real child process: readiness, canary, cancel, death, lease, fleets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from services.inference.adapters import fetch
from services.inference.engine import Ask, VllmEngine, command
from shared.errors import BadInputError, EngineFailedError, EngineRefusedError, JobCancelledError
from shared.lease import Lease
from tests.fakes import FakeJob
from tests.inference.conftest import add_adapter


def ask(seed: int = 1, **more) -> Ask:
    defaults = {
        "prompt": [1, 2, 3],
        "stop_ids": [2],
        "min_tokens": 6,
        "max_tokens": 40,
        "temperature": 0.8,
        "top_p": 1.0,
    }
    return Ask(**{**defaults, "seed": seed, **more})


@pytest.fixture
def adapter(store, tmp_path):
    return fetch(store, add_adapter(store, "lamp.r1.c8"), tmp_path / "adapters", 16)


@pytest.fixture
def other_adapter(store, tmp_path):
    return fetch(store, add_adapter(store, "lamp.r1.c16"), tmp_path / "adapters", 16)


def group_is_gone(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_turn_has_text_tokens_and_a_log_probability_and_follows_from_its_seed(vllm, job):
    engine = vllm()

    first, again, other = (engine.say(None, ask(seed), job) for seed in (1, 1, 2))

    assert first == again != other
    assert first[0].text.endswith(".")
    assert (first[0].tokens, first[0].ended) == (len(first[0].text.split()), True)
    assert -1 <= first[0].logprob < 0
    assert len(engine.say(None, ask(n=3), job)) == 3


def test_the_server_listens_on_loopback_and_its_command_carries_our_limits(settings, vllm, job):
    engine = vllm()
    engine.say(None, ask(), job)

    line = command(settings, 8123)

    assert line[line.index("--host") + 1] == "127.0.0.1"
    assert "--enable-lora" in line
    batched, longest = (int(line[line.index(f"--max-{name}") + 1]) for name in ("num-batched-tokens", "model-len"))
    assert batched >= longest


def test_an_adapter_speaks_with_its_own_voice_after_its_canary(vllm, job, adapter, other_adapter):
    engine = vllm()

    voices = [engine.say(voice, ask(), job)[0].text for voice in (None, adapter, other_adapter, adapter)]

    assert len(set(voices)) == 3
    assert voices[1] == voices[3]
    assert ("loading the adapter", 0, None, "") in job.events


def test_the_base_model_under_an_adapters_name_is_refused_and_that_engine_is_not_kept(vllm, job, adapter):
    engine = vllm(FAKE_VLLM_LORA_IS_BASE="1")

    with pytest.raises(EngineRefusedError, match=r"canary: lamp\.r1\.c8 speaks exactly like base"):
        engine.say(adapter, ask(), job)

    assert engine.pid is None


def test_a_server_that_answers_to_any_name_is_refused(vllm, job):
    with pytest.raises(EngineRefusedError, match="a model it does not have"):
        vllm(FAKE_VLLM_ANY_NAME="1").say(None, ask(), job)


def test_an_adapter_that_the_server_cannot_load_is_refused(vllm, job, adapter):
    (adapter.folder / "adapter_config.json").unlink()

    with pytest.raises(EngineRefusedError, match=r"does not load lamp\.r1\.c8"):
        vllm().say(adapter, ask(), job)


def test_other_weights_under_a_loaded_name_never_replace_it_in_place(vllm, job, adapter):
    engine = vllm()
    engine.say(adapter, ask(), job)
    changed = type(adapter)(adapter.name, adapter.folder, "f" * 64)

    with pytest.raises(EngineFailedError, match="other weights"):
        engine.say(changed, ask(), job)

    assert engine.say(changed, ask(), job)  # in a new process


def test_a_killed_engine_fails_the_turn_and_the_next_one_loads_and_proves_again(vllm, job, adapter):
    engine = vllm(FAKE_VLLM_TURN_S="5")
    threading.Timer(1.5, lambda: os.killpg(engine.pid, signal.SIGKILL)).start()

    with pytest.raises(EngineFailedError, match=r"vllm died|broke off"):
        engine.say(adapter, ask(), job)
    job.events.clear()
    engine = vllm()
    engine.say(adapter, ask(), job)

    assert ("loading the adapter", 0, None, "") in job.events


def test_after_a_death_the_same_engine_object_starts_a_new_process(vllm, job, adapter):
    engine = vllm(FAKE_VLLM_DIES_AT="2")
    before = engine.say(adapter, ask(), job)
    with pytest.raises(EngineFailedError, match=r"died|broke off"):
        engine.say(adapter, ask(), job)

    assert engine.say(adapter, ask(), job) == before


def test_a_server_that_never_gets_healthy_is_given_up(vllm, job):
    engine = vllm(ready_timeout_s=0.5, FAKE_VLLM_READY_S="60")

    with pytest.raises(EngineFailedError, match="not ready within"):
        engine.say(None, ask(), job)

    assert engine.pid is None


@pytest.mark.parametrize("slow", [{"FAKE_VLLM_READY_S": "30"}, {"FAKE_VLLM_TURN_S": "30"}])
def test_cancel_is_noticed_at_once_and_ends_the_whole_group(vllm, job, slow):
    engine = vllm(**slow)
    cancelled_at = []

    def cancel() -> None:
        cancelled_at.append((time.monotonic(), engine.pid))
        job.cancel()

    threading.Timer(1.5, cancel).start()
    with pytest.raises(JobCancelledError):
        engine.say(None, ask(), job)

    [(at, pid)] = cancelled_at
    assert time.monotonic() - at < 4
    assert group_is_gone(pid)


def test_whoever_waits_gets_the_device_between_two_turns(vllm, job, tmp_path, adapter):
    engine = vllm()
    engine.say(adapter, ask(), job)
    trainer = Lease(tmp_path / "lease", "trainer")
    took = threading.Event()

    def take() -> None:
        trainer.acquire(lambda note: None)
        took.set()

    waiting = threading.Thread(target=take)
    waiting.start()
    deadline = time.monotonic() + 5
    while not engine.wanted() and engine.pid and time.monotonic() < deadline:
        time.sleep(0.05)

    engine.stop()

    assert took.wait(5)
    threading.Timer(0.5, trainer.release).start()
    assert engine.say(adapter, ask(), job)  # waits for the device, starts, loads and proves again
    assert "waiting for the GPU" in [event[0] for event in job.events]
    waiting.join()


def test_a_missing_program_or_base_model_names_the_setting(settings, tmp_path):
    with pytest.raises(EngineFailedError, match="INFERENCE_ENGINE_COMMAND"):
        command(settings.model_copy(update={"engine_command": "/no/such/python -m vllm"}), 1)
    with pytest.raises(BadInputError, match="INFERENCE_BASE_MODEL"):
        command(settings.model_copy(update={"base_model": str(tmp_path / "none")}), 1)


def test_only_listed_routes_are_reached(vllm, job):
    engine = vllm()

    for route in (("POST", "/sleep"), ("POST", "/v1/unload_lora_adapter"), ("POST", "/collective_rpc")):
        with pytest.raises(ValueError, match="allow-list"):
            engine._ask(*route, {}, job)


def test_requests_carry_the_trace_id_into_the_engines_log(vllm, job, settings):
    vllm().say(None, ask(), job)

    log = (settings.log_dir / "inference-engine.log").read_text()
    assert any(line.startswith(job.trace_id) and "/v1/completions" in line for line in log.splitlines())


# ---- a fleet that is not ours --------------------------------------------------------------------------------------


@pytest.fixture
def fleet():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes", "vllm", "--port", str(port)], stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx.get(f"{url}/health")
            break
        except httpx.ConnectError:
            time.sleep(0.05)
    yield url
    process.kill()
    process.wait()


def test_a_fleet_is_used_without_a_process_or_a_lease(fleet, settings, job, adapter):
    one, two = (VllmEngine(settings.model_copy(update={"vllm_url": fleet}), lease=None) for _ in range(2))

    assert one.say(adapter, ask(), job) == two.say(adapter, ask(), job)  # the second finds the adapter loaded
    assert (one.pid, one.wanted()) == (None, False)
    one.stop()


def test_a_fleet_that_went_away_is_named(settings, job):
    engine = VllmEngine(settings.model_copy(update={"vllm_url": "http://127.0.0.1:9"}), lease=None)

    with pytest.raises(EngineFailedError, match=r"http://127\.0\.0\.1:9 broke off"):
        engine.say(None, ask(), FakeJob(settings.log_dir))
