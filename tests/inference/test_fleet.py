"""A vLLM fleet of several servers: an episode stays on one, each proves its adapters, and one may die."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.inference import engine as near_side
from services.inference import job as story
from services.inference.adapters import fetch
from services.inference.engine import VllmEngine
from services.inference.fleet import ranked
from services.inference.settings import Settings
from shared import keys
from shared.errors import EngineFailedError, EngineRefusedError
from shared.schemas import Episode
from shared.store import load
from tests.conftest import free_port_base
from tests.fakes import FakeJob
from tests.inference.conftest import add_adapter
from tests.inference.test_engine import BRIEF, ask
from tests.kit import healthy, until


@dataclass
class Server:
    """A scripted vLLM server that anybody may use."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def asked(self, path: str, trace_id: str = "") -> int:
        lines = self.log.read_text().splitlines()
        return sum(path in line and line.startswith(trace_id) for line in lines)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(port: int | None = None, **environment: str) -> Server:
        port = port or free_port_base(1)
        log = tmp_path / f"server-{len(made)}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.fakes", "vllm", "--port", str(port)],
                stderr=stderr,
                env={**os.environ, **environment},
            )
        made.append(Server(f"http://127.0.0.1:{port}", process, log))
        until(lambda: healthy(f"{made[-1].url}/health"), "the server answers")
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def two(serve) -> list[Server]:
    return [serve(), serve()]


@pytest.fixture
def gateway(settings: Settings) -> Callable[..., VllmEngine]:
    def make(*servers: Server, **changes) -> VllmEngine:
        urls = " ".join(server.url for server in servers)
        return VllmEngine(settings.model_copy(update={"vllm_url": urls, **changes}), lease=None)

    return make


def first_of(servers: list[Server], job: FakeJob) -> tuple[Server, Server]:
    """The server that a job turns to first, and the other one."""
    one, other = sorted(servers, key=lambda server: ranked([it.url for it in servers], job.id).index(server.url))
    return one, other


def jobs_of_each(servers: list[Server], folder: Path, count: int) -> list[FakeJob]:
    """So many jobs that turn first to each server: which these are follows from the servers' ports."""
    jobs = [FakeJob(folder, f"job-{number}") for number in range(100)]
    return [job for one in servers for job in [job for job in jobs if first_of(servers, job)[0] is one][:count]]


def test_jobs_spread_over_the_servers_and_a_lost_one_moves_only_its_own():
    urls = [f"http://vllm-{number}.vllm:8000" for number in range(4)]
    jobs = [f"job-{number}" for number in range(400)]
    before = {job: ranked(urls, job)[0] for job in jobs}

    after = {job: ranked(urls[:3], job)[0] for job in jobs}

    assert min(Counter(before.values()).values()) > 60
    assert all(after[job] == url for job, url in before.items() if url != urls[3])
    assert ranked(urls, "job-1") == ranked(urls[::-1], "job-1"), "every gateway ranks alike"


def test_all_turns_of_a_job_are_said_by_one_server_and_another_gateway_chooses_the_same(two, gateway, job):
    one, other = first_of(two, job)
    for engine in (gateway(*two), gateway(*two[::-1])):
        for seed in range(4):
            engine.say(None, ask(seed), job)

    assert one.asked("/v1/completions") >= 8
    assert other.asked("/v1/") == 0


def test_episodes_of_several_jobs_use_all_servers(two, gateway, tmp_path):
    engine = gateway(*two)
    for job in jobs_of_each(two, tmp_path, 4):
        engine.say(None, ask(), job)

    assert all(server.asked("/v1/completions") for server in two)


def test_each_server_loads_an_adapter_and_passes_its_canary_before_it_is_used_there(
    two, gateway, store, tmp_path, monkeypatch
):
    adapter = fetch(store, add_adapter(store, "lamp.r1.c8"), tmp_path / "adapters", 16)
    engine, order = gateway(*two), []
    asked = engine._ask

    def noted(at, method, path, body, job):
        order.append((at.url, path, body))
        return asked(at, method, path, body, job)

    monkeypatch.setattr(engine, "_ask", noted)

    for job in jobs_of_each(two, tmp_path, 4):
        engine.say(adapter, ask(), job)

    for server in two:
        assert server.asked("/v1/load_lora_adapter") == 1
        mine = [(path, body and body.get("model")) for url, path, body in order if url == server.url]
        loaded = mine.index(("/v1/load_lora_adapter", None))
        first_turn = next(
            at
            for at, (url, path, body) in enumerate(order)
            if url == server.url and path == "/v1/completions" and body["max_tokens"] > 1
        )
        assert ("/v1/completions", adapter.name) not in mine[:loaded]
        canaries = [body for url, _, body in order[:first_turn] if url == server.url and body and "model" in body]
        assert canaries[-1]["model"] == adapter.name and canaries[-1]["max_tokens"] == 1


def test_a_server_that_speaks_as_the_base_model_is_named_and_its_healthy_neighbour_is_used(
    serve, gateway, store, tmp_path
):
    good, bad = serve(), serve(FAKE_VLLM_LORA_IS_BASE="1")
    adapter = fetch(store, add_adapter(store, "lamp.r1.c8"), tmp_path / "adapters", 16)
    engine = gateway(good, bad)
    said, refused = 0, []
    for job in jobs_of_each([good, bad], tmp_path, 4):
        try:
            said += len(engine.say(adapter, ask(), job))
        except EngineRefusedError as error:
            refused.append(str(error))

    assert (said, len(refused)) == (4, 4)
    assert all(f"canary: lamp.r1.c8 speaks exactly like base on {bad.url}" in text for text in refused)


def test_when_a_server_dies_in_the_middle_the_episode_goes_on_at_the_other(
    serve, gateway, store, settings, tmp_path, job
):
    servers = [serve(), serve()]
    one, other = first_of(servers, job)
    add_adapter(store, "lamp.r1.c8")
    brief = BRIEF.model_copy(update={"adapter": "lamp.r1.c8"})
    engine, turns = gateway(*servers), keys.episode_turns("lamp", keys.episode_id(job.id))
    lean = settings.model_copy(update={"scoring_tokens": 0})

    class DyingJob(FakeJob):
        def progress(self, stage, *rest, **more) -> None:
            super().progress(stage, *rest, **more)
            if stage == "writing" and len(store.list(turns)) == 3:
                one.kill()

    with pytest.raises(EngineFailedError, match=f"{one.url} broke off"):
        story.run(brief, job=DyingJob(tmp_path / "work", job.id), store=store, engine=engine, settings=lean)
    begun = {key: store.get(key) for key in store.list(turns)}
    result = story.run(brief, job=job, store=store, engine=engine, settings=lean)

    episode = load(store, result.key, Episode)
    assert len(begun) == 3 and all(store.get(key) == turn for key, turn in begun.items())
    assert [turn.index for turn in episode.turns] == list(range(len(episode.turns)))
    assert len(episode.turns) > 3 and {turn.adapter for turn in episode.turns} == {"lamp.r1.c8"}
    assert other.asked("/v1/load_lora_adapter") == 1, "it was proven there too"


def test_a_server_that_came_back_empty_loads_and_proves_again_and_has_its_episodes_back(
    serve, gateway, store, tmp_path, job, monkeypatch
):
    monkeypatch.setattr(near_side, "REST_S", 0.0)
    servers = [serve(), serve()]
    one, other = first_of(servers, job)
    adapter = fetch(store, add_adapter(store, "lamp.r1.c8"), tmp_path / "adapters", 16)
    engine = gateway(*servers)
    engine.say(adapter, ask(), job)
    one.kill()
    again = serve(port=int(one.url.rsplit(":", 1)[1]))

    with pytest.raises(EngineFailedError, match="has no model"):
        engine.say(adapter, ask(), job)
    engine.say(adapter, ask(), job)

    assert again.asked("/v1/load_lora_adapter") == 1 and other.asked("/v1/") == 0


def test_a_server_that_failed_is_left_alone_for_a_while(two, gateway, job):
    one, other = first_of(two, job)
    engine = gateway(*two)
    engine.say(None, ask(), job)
    engine._replicas[one.url].failed()

    engine.say(None, ask(), job)

    assert other.asked("/v1/completions") and engine._replicas[one.url].rests > time.monotonic()


def test_where_no_server_answers_the_first_is_named(two, gateway, job):
    engine = gateway(*two)
    for server in two:
        server.kill()

    for _ in range(2):
        with pytest.raises(EngineFailedError, match=f"{first_of(two, job)[0].url} broke off"):
            engine.say(None, ask(), job)


def test_more_adapters_than_the_engine_holds_at_once_are_each_loaded_and_proven_once(two, gateway, store, tmp_path):
    names = [f"lamp.r{number}.c8" for number in range(1, 6)]
    adapters = [fetch(store, add_adapter(store, name), tmp_path / "adapters", 16) for name in names]
    adapters = [type(one)(one.name, one.folder, f"{number:064x}") for number, one in enumerate(adapters)]
    engine = gateway(*two, max_loras=2)

    jobs = jobs_of_each(two, tmp_path, 3)
    said = {(one.name, job.id): engine.say(one, ask(), job)[0].text for one in adapters for job in jobs}

    assert len({text for (_, job_id), text in said.items() if job_id == jobs[0].id}) == 5
    assert [server.asked("/v1/load_lora_adapter") for server in two] == [5, 5]


def test_an_adapter_that_a_server_cannot_read_is_refused_with_what_the_server_needs(two, gateway, store, tmp_path, job):
    adapter = fetch(store, add_adapter(store, "lamp.r1.c8"), tmp_path / "adapters", 16)
    (adapter.folder / "adapter_config.json").unlink()

    with pytest.raises(EngineRefusedError, match=r"(?s)does not load lamp\.r1\.c8.*INFERENCE_ADAPTER_DIR on a shared"):
        gateway(*two).say(adapter, ask(), job)


def test_other_weights_under_a_name_that_a_server_has_are_refused_and_stay_refused(two, gateway, store, tmp_path, job):
    adapter = fetch(store, add_adapter(store, "lamp.r1.c8"), tmp_path / "adapters", 16)
    engine = gateway(*two)
    engine.say(adapter, ask(), job)
    changed = type(adapter)(adapter.name, adapter.folder, "f" * 64)

    for _ in range(2):
        with pytest.raises(EngineRefusedError, match=f"other weights on {first_of(two, job)[0].url}; restart"):
            engine.say(changed, ask(), job)
    assert engine.say(adapter, ask(), job)


def test_another_teams_adapter_of_the_same_name_is_not_taken_for_ours(two, gateway, store, tmp_path, job):
    adapter = add_adapter(store, "lamp.r1.c8")
    theirs, ours = (fetch(store, adapter, tmp_path / team, 16) for team in ("theirs", "ours"))
    gateway(two[0]).say(theirs, ask(), job)

    with pytest.raises(EngineRefusedError, match=f"from {theirs.folder}, not from {ours.folder}: gateways that share"):
        gateway(two[0]).say(ours, ask(), job)


def test_an_adapter_of_too_high_a_rank_is_refused_with_what_to_raise(store, tmp_path):
    adapter = add_adapter(store, "lamp.r1.c8", rank=8)

    with pytest.raises(EngineRefusedError, match=r"has rank 8, and INFERENCE_MAX_LORA_RANK is 4: raise it"):
        fetch(store, adapter, tmp_path / "adapters", 4)


def test_the_servers_of_a_fleet_are_separated_by_spaces_and_each_is_a_url():
    settings = Settings(vllm_url=" http://vllm-0.vllm:8000/  http://vllm-1.vllm:8000 http://vllm-0.vllm:8000 ")

    assert settings.vllm_urls == ("http://vllm-0.vllm:8000", "http://vllm-1.vllm:8000")
    assert Settings(vllm_url="").vllm_urls == Settings().vllm_urls == ()
    with pytest.raises(ValidationError, match=r"INFERENCE_VLLM_URL: .vllm-0:8000. is not a URL"):
        Settings(vllm_url="vllm-0:8000")
