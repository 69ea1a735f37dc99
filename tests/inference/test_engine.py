"""The near side of vLLM over a fake server in a real child process: readiness, canary, cancel, death, lease, fleets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from services.inference import job as story
from services.inference.adapters import fetch
from services.inference.engine import Ask, Hall, Replica, VllmEngine, command
from shared import keys
from shared.errors import BadInputError, EngineFailedError, EngineRefusedError, JobCancelledError
from shared.lease import Lease
from shared.schemas import Episode, EpisodeRequest, EpisodeResult
from shared.store import load
from tests.conftest import free_port_base
from tests.fakes import FakeJob
from tests.inference.conftest import SHOW, add_adapter
from tests.kit import healthy, until

BRIEF = EpisodeRequest(show=SHOW.slug, guest="Theo Vance", about="bees on a roof", words=120)


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
    assert time.monotonic() - at < 15, "long before it would have answered"
    assert group_is_gone(pid)


def test_whoever_waits_gets_the_device_between_two_turns(vllm, job, tmp_path, adapter):
    engine = vllm()
    engine.say(adapter, ask(), job)
    trainer = Lease(tmp_path / "lease", "trainer")
    took = threading.Event()

    def take() -> None:
        trainer.acquire(lambda note: None)
        took.set()

    def release_once_it_waits() -> None:
        until(lambda: "waiting for the GPU" in [stage for stage, *_ in job.events], "the episode waits")
        trainer.release()

    waiting = threading.Thread(target=take)
    waiting.start()
    deadline = time.monotonic() + 5
    while not engine.wanted() and engine.pid and time.monotonic() < deadline:
        time.sleep(0.05)

    engine.stop()

    assert took.wait(30)
    releasing = threading.Thread(target=release_once_it_waits)
    releasing.start()
    assert engine.say(adapter, ask(), job)  # waits for the device, starts, loads and proves again
    for thread in (waiting, releasing):
        thread.join()


def test_a_missing_program_or_base_model_names_the_setting(settings, tmp_path):
    with pytest.raises(EngineFailedError, match="INFERENCE_ENGINE_COMMAND"):
        command(settings.model_copy(update={"engine_command": "/no/such/python -m vllm"}), 1)
    with pytest.raises(BadInputError, match="INFERENCE_BASE_MODEL"):
        command(settings.model_copy(update={"base_model": str(tmp_path / "none")}), 1)


def test_only_listed_routes_are_reached(vllm, job):
    engine = vllm()

    for route in (("POST", "/sleep"), ("POST", "/v1/unload_lora_adapter"), ("POST", "/collective_rpc")):
        with pytest.raises(ValueError, match="allow-list"):
            engine._ask(Replica(), *route, {}, job)


def test_requests_carry_the_trace_id_into_the_engines_log(vllm, job, settings):
    vllm().say(None, ask(), job)

    log = (settings.log_dir / "inference-engine.log").read_text()
    assert any(line.startswith(job.trace_id) and "/v1/completions" in line for line in log.splitlines())


# ---- a fleet that is not ours --------------------------------------------------------------------------------------


@pytest.fixture
def fleet():
    port = free_port_base(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes", "vllm", "--port", str(port)], stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: healthy(f"{url}/health"), "the server answers")
        yield url
    finally:
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


# ---- what went wrong, in words that help -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`.",
        "ValueError: To serve at least one request, 4.0 GiB KV cache is needed, which is larger than the available KV "
        "cache memory (1.0 GiB).",
    ],
)
def test_an_engine_that_ran_out_of_memory_says_what_to_lower(vllm, job, words):
    engine = vllm(FAKE_VLLM_DIES_AT="1", FAKE_VLLM_LAST_WORDS=words)

    with pytest.raises(EngineFailedError, match="lower INFERENCE_MAX_MODEL_LEN or INFERENCE_MAX_LORAS"):
        engine.say(None, ask(), job)


def test_an_engine_that_died_of_something_else_gives_no_such_advice(vllm, job):
    engine = vllm(FAKE_VLLM_DIES_AT="1", FAKE_VLLM_LAST_WORDS="Segmentation fault")

    with pytest.raises(EngineFailedError) as caught:
        engine.say(None, ask(), job)

    assert "ran out of memory" not in str(caught.value)


def test_what_an_earlier_run_died_of_is_not_said_of_this_one(vllm, job, settings):
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    (settings.log_dir / "inference-engine.log").write_text("CUDA out of memory\n")
    engine = vllm(FAKE_VLLM_DIES_AT="1")

    with pytest.raises(EngineFailedError) as caught:
        engine.say(None, ask(), job)

    assert "ran out of memory" not in str(caught.value)


def test_a_hanging_engine_is_given_up_and_the_episode_goes_on_at_the_same_turn(store, job, settings, tmp_path):
    hanging = {"FAKE_VLLM_HANGS_AT": "4", "FAKE_VLLM_HUNG": str(tmp_path / "hung")}
    engine = VllmEngine(
        settings.model_copy(update={"engine_environment": hanging, "request_timeout_s": 5.0, "scoring_tokens": 0}),
        Lease(tmp_path / "lease", "inference"),
    )
    turns = keys.episode_turns("lamp", keys.episode_id(job.id))
    try:
        with pytest.raises(EngineFailedError, match="broke off: ReadTimeout"):
            story.run(BRIEF, job=job, store=store, engine=engine, settings=settings)
        before, pid = store.list(turns), engine.pid
        result = story.run(BRIEF, job=job, store=store, engine=engine, settings=settings)
    finally:
        engine.stop()

    episode = load(store, result.key, Episode)
    assert (len(before), pid) == (3, None), "the engine that hung is stopped"
    assert [turn.index for turn in episode.turns] == list(range(len(episode.turns)))


# ---- scores ----------------------------------------------------------------------------------------------------------


def test_a_score_is_one_log_probability_for_each_token_after_the_first(vllm, job, adapter):
    engine = vllm()

    own, base = engine.score(adapter, [5, 6, 7, 8], job), engine.score(None, [5, 6, 7, 8], job)

    assert len(own) == len(base) == 3 and own != base
    assert all(logprob < 0 for logprob in (*own, *base))
    assert ("loading the adapter", 0, None, "") in job.events, "it is proven first"


# ---- several episodes at once ----------------------------------------------------------------------------------------


class Writers:
    """Episodes that are written at the same time, each in a thread of its own, on one engine."""

    def __init__(self, engine, store, settings, folder) -> None:
        self._parts = {"engine": engine, "store": store, "settings": settings}
        self._folder = folder
        self.jobs: dict[str, FakeJob] = {}
        self.results: dict[str, EpisodeResult] = {}
        self.errors: dict[str, BaseException] = {}
        self._threads: list[threading.Thread] = []

    def start(self, name: str, brief: EpisodeRequest) -> None:
        work = self._folder / name
        work.mkdir()
        self.jobs[name] = FakeJob(work, name)
        self._threads.append(threading.Thread(target=self._write, args=(name, brief), daemon=True))
        self._threads[-1].start()

    def _write(self, name: str, brief: EpisodeRequest) -> None:
        try:
            self.results[name] = story.run(brief, job=self.jobs[name], **self._parts)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.errors[name] = error

    def turns(self, name: str) -> int:
        return len(self._parts["store"].list(keys.episode_turns("lamp", keys.episode_id(name))))

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture
def writers(vllm, store, settings, tmp_path):
    add_adapter(store, "lamp.r1.c8")
    add_adapter(store, "lamp.r1.c16")
    engine = vllm(FAKE_VLLM_TURN_S="0.1")
    return Writers(engine, store, settings.model_copy(update={"scoring_tokens": 500}), tmp_path), engine


VOICES = {"one": "base", "two": "lamp.r1.c8", "three": "lamp.r1.c16"}


def test_episodes_with_several_adapters_are_written_at_once_and_each_as_if_it_were_alone(
    writers, store, settings, tmp_path
):
    all_of_them, engine = writers
    for name, adapter in VOICES.items():
        all_of_them.start(name, BRIEF.model_copy(update={"adapter": adapter}))
    all_of_them.join()

    assert all_of_them.errors == {}
    for name, adapter in VOICES.items():
        job = FakeJob(tmp_path, f"{name}-alone")
        brief = BRIEF.model_copy(update={"adapter": adapter})
        result = story.run(brief, job=job, store=store, engine=engine, settings=settings)
        together, alone = (load(store, key, Episode) for key in (all_of_them.results[name].key, result.key))
        assert [turn.text for turn in together.turns] == [turn.text for turn in alone.turns]
        assert {turn.adapter for turn in together.turns} == {None if adapter == "base" else adapter}


def test_a_cancel_of_one_leaves_the_engine_to_the_others(writers):
    all_of_them, engine = writers
    for name, adapter in VOICES.items():
        all_of_them.start(name, BRIEF.model_copy(update={"adapter": adapter, "words": 400}))
    until(lambda: all(all_of_them.turns(name) for name in VOICES), "all have begun", 30)
    pid = engine.pid

    all_of_them.jobs["two"].cancel()
    all_of_them.join()

    assert isinstance(all_of_them.errors.pop("two"), JobCancelledError)
    assert all_of_them.errors == {} and {*all_of_them.results} == {"one", "three"}
    assert engine.pid == pid, "the same process wrote on"


def test_whoever_waits_gets_the_device_between_turns_of_all_and_all_go_on_afterwards(writers, tmp_path):
    all_of_them, engine = writers
    for name, adapter in VOICES.items():
        all_of_them.start(name, BRIEF.model_copy(update={"adapter": adapter, "words": 250}))
    until(lambda: all(all_of_them.turns(name) for name in VOICES), "all have begun", 30)
    pid, trainer = engine.pid, Lease(tmp_path / "lease", "trainer")

    trainer.acquire(lambda note: None)
    held_by, turns = engine.pid, {name: all_of_them.turns(name) for name in VOICES}
    time.sleep(0.5)
    still = {name: all_of_them.turns(name) for name in VOICES}
    trainer.release()
    all_of_them.join()

    assert held_by is None and turns == still, "nobody writes while the trainer has the device"
    assert all_of_them.errors == {} and len(all_of_them.results) == 3
    assert engine.pid not in (None, pid)
    stages = [stage for job in all_of_them.jobs.values() for stage, *_ in job.events]
    assert "making way" in stages and "waiting for the GPU" in stages


def test_a_cancelled_episode_does_not_wait_for_the_device_behind_another(writers, tmp_path):
    all_of_them, _engine = writers
    trainer = Lease(tmp_path / "lease", "trainer")
    trainer.acquire(lambda note: None)
    for name in ("one", "two"):
        all_of_them.start(name, BRIEF)
    until(lambda: any("waiting for the GPU" in str(job.events) for job in all_of_them.jobs.values()), "one waits", 20)
    time.sleep(0.5)
    waiting = next(name for name, job in all_of_them.jobs.items() if "waiting for the GPU" in str(job.events))
    behind = "two" if waiting == "one" else "one"

    all_of_them.jobs[behind].cancel()

    until(lambda: behind in all_of_them.errors, "the cancelled one has ended, and the device is still away", 30)
    trainer.release()
    all_of_them.join()
    assert isinstance(all_of_them.errors.pop(behind), JobCancelledError)
    assert all_of_them.errors == {} and {*all_of_them.results} == {waiting}


def test_who_reads_a_prompts_log_probabilities_is_alone_with_the_engine(tmp_path):
    """vLLM dies of such a request beside others."""
    hall, job = Hall(), FakeJob(tmp_path)
    said: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def talk() -> None:
        with hall.among_others(job):
            inside.set()
            leave.wait(10)
            said.append("talked")

    def read() -> None:
        with hall.alone(job):
            said.append("read")

    talker = threading.Thread(target=talk)
    talker.start()
    inside.wait(10)
    with hall.among_others(job):
        said.append("talked too")
    reader = threading.Thread(target=read)
    reader.start()
    reader.join(0.3)
    assert said == ["talked too"]
    leave.set()
    for thread in (talker, reader):
        thread.join(10)

    assert said == ["talked too", "talked", "read"]


def test_a_cancelled_job_does_not_wait_for_the_others_to_be_done(tmp_path):
    hall, cancelled = Hall(), FakeJob(tmp_path)
    cancelled.cancel()

    with hall.among_others(FakeJob(tmp_path)), pytest.raises(JobCancelledError), hall.alone(cancelled):
        pass
    with hall.alone(FakeJob(tmp_path)), pytest.raises(JobCancelledError), hall.among_others(cancelled):
        pass
    with hall.among_others(FakeJob(tmp_path)):
        pass
