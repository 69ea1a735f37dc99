"""3,000 words in one go by the real service with real vLLM, undisturbed, then through three kills: `make test-slow`."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from services.inference import gate
from services.studio.machine.local import BASE_MODEL, SERVICES, Stack, prepare_base_model
from shared import keys
from shared.client import ServiceClient
from shared.families import MARKERS
from shared.render import renderer_for
from shared.repetition import words_of
from shared.schemas import Episode, EpisodeTurn, Job
from shared.store import S3Store, create_manifest, load
from tests import kit
from tests.bench_inference import COUNTERS, MOST_COMPUTED, MOST_IN_WINDOW, counted, kept_tokens
from tests.conftest import demand_environments, free_port_base
from tests.inference.conftest import SHOW

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.s3, pytest.mark.timeout(3600)]

WORDS = 3000
BRIEF = {
    "show": SHOW.slug,
    "guest": "Theo Vance",
    "about": "keeping bees on the roofs of a city",
    "facts": ["Theo Vance has kept bees since 2004.", "He looks after 40 hives in Lisbon."],
    "words": WORDS,
    "adapter": "base",
}
CONTEXT_TOKENS = 4096
LONGER_TURNS = {
    "INFERENCE_MAX_MODEL_LEN": str(CONTEXT_TOKENS),
    "INFERENCE_HOST_MAX_TOKENS": "80",
    "INFERENCE_GUEST_MIN_TOKENS": "30",
    "INFERENCE_GUEST_MAX_TOKENS": "200",
}
SCORED_TOKENS = 2000  # INFERENCE_SCORING_TOKENS, unset
EPISODE_S, ENGINE_S, TURN_S = 1500, 300, 300


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """The S3 server and inference; the other services stay down."""
    demand_environments(*SERVICES, "engine-cpu")
    prepare_base_model()
    stack = Stack(tmp_path / "stack", free_port_base(), settings=LONGER_TURNS)
    try:
        for name in ("s3", "inference"):
            stack.start(name)
            stack.wait_healthy(name)
        yield stack
    finally:
        stack.down()


@pytest.fixture
def store(stack: Stack) -> S3Store:
    store = kit.store_of(stack)
    create_manifest(store, keys.show(SHOW.slug), SHOW)
    return store


def test_an_episode_of_3000_words_goes_on_whatever_is_killed_meanwhile(stack: Stack, store: S3Store):
    client = ServiceClient("inference", stack.url("inference"), stack.admin_token())
    first = client.submit("/v1/episodes", BRIEF)
    kit.until(lambda: turn_keys(store, first), "the first turn", ENGINE_S + EPISODE_S)
    before = prompt_tokens_computed(engine_of(stack))
    quiet = load(store, client.result(client.wait(first, patience_s=EPISODE_S))["key"], Episode)
    assert_sound(quiet)
    assert_computed_once(quiet, before, prompt_tokens_computed(engine_of(stack)))

    job = client.submit("/v1/episodes", BRIEF)
    seen = [kill_at(turn, what, stack, store, job) for turn, what in killings(len(quiet.turns))]
    disturbed = load(store, client.result(client.wait(job))["key"], Episode)

    assert_sound(disturbed, len(seen))
    for stored in seen:
        assert texts(disturbed.turns)[: len(stored)] == stored
    assert alike(quiet, disturbed) > len(seen[0]), "the turn that the first kill broke off is written again alike"


# ---- kills -----------------------------------------------------------------------------------------------------------


def killings(turns: int) -> list[tuple[int, str]]:
    """At which turn what is killed: the engine, the service, and a third time whichever; other turns each time."""
    seed = random.SystemRandom().randrange(10**6)
    dice = random.Random(seed)
    at = sorted(dice.sample(range(2, turns - 6), 3))
    whom = dice.sample(["engine", "service", dice.choice(["engine", "service"])], 3)
    print(f"seed {seed}: " + ", ".join(f"{what} at turn {turn}" for turn, what in zip(at, whom, strict=True)))
    return list(zip(at, whom, strict=True))


def kill_at(turn: int, what: str, stack: Stack, store: S3Store, job: Job) -> list[str]:
    """Kill once so many turns are stored, in the middle of the next; returns the texts that were stored by then."""
    kit.until(lambda: len(turn_keys(store, job)) >= turn, f"{turn} turns", EPISODE_S)
    kit.until(lambda: is_up(stack), "the engine works", ENGINE_S)
    time.sleep(1)
    stored = [load(store, key, EpisodeTurn).text for key in turn_keys(store, job)]
    if what == "engine":
        os.killpg(engine_of(stack), signal.SIGKILL)
    else:
        kit.kill(stack, "inference")
        stack.start("inference")
        stack.wait_healthy("inference")
    kit.until(lambda: len(turn_keys(store, job)) > len(stored), "a turn after the kill", ENGINE_S + TURN_S)
    return stored


def turn_keys(store: S3Store, job: Job) -> list[str]:
    return store.list(keys.episode_turns(SHOW.slug, keys.episode_id(job.id)))


def is_up(stack: Stack) -> bool:
    return "inference" in kit.engine_pids(stack, ["inference"])


def engine_of(stack: Stack) -> int:
    """The first process of the engine's group."""
    return kit.engine_pids(stack, ["inference"])["inference"]


def alike(quiet: Episode, disturbed: Episode) -> int:
    """How many turns are the undisturbed episode's, word for word, before one is not.

    Usually all. A prompt that is read anew gives log-probabilities up to 2e-5 off those of one from the cache, and once
    in many thousand tokens that is another word: from there on it is another episode, as sound as the first.
    """
    pairs = list(zip(texts(quiet.turns), texts(disturbed.turns), strict=False))
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), len(pairs))
    print(f"{same} turns are alike, of {len(quiet.turns)} undisturbed and {len(disturbed.turns)}")
    return same


# ---- what must hold --------------------------------------------------------------------------------------------------


def assert_sound(episode: Episode, kills: int = 0) -> None:
    """A new engine has read nothing: each kill costs the prompt of one turn."""
    turns, report = episode.turns, episode.report
    print(
        f"{report.words} words, {len(turns)} turns, {report.worst_window_rep4:.2f} worst window, "
        f"{computed(turns) / kept(turns):.2f} computed prompt tokens per kept token"
    )
    assert [turn.index for turn in turns] == list(range(len(turns)))
    assert [turn.role for turn in turns] == [("host", "guest")[index % 2] for index in range(len(turns))]
    assert all(words_of(turn.text) for turn in turns)
    assert not [turn.text for turn in turns if marks(turn.text)]
    assert turns[-1].closing and abs(report.words - WORDS) <= 0.10 * WORDS
    assert report.worst_window_rep4 <= MOST_IN_WINDOW
    assert computed(turns) <= MOST_COMPUTED * kept(turns) + kills * CONTEXT_TOKENS


def marks(text: str) -> list[str]:
    return [marker for marker in MARKERS if marker in text] + gate.MARKER.findall(text)


def assert_computed_once(episode: Episode, before: int, by_vllm: int) -> None:
    """vLLM counts what we do, and besides it summaries and scoring: less than as much again.

    before    its count once the first turn was kept: canaries, and a plan in as many attempts as it took
    by_vllm   its count at the end
    """
    ours = computed(episode.turns)
    besides = by_vllm - ours - before
    print(f"vLLM computed {by_vllm} prompt tokens: {ours} for turns, {before} up to the first, {besides} besides")
    assert 0 < ours <= by_vllm
    assert besides <= SCORED_TOKENS + kept(episode.turns)


def prompt_tokens_computed(engine: int) -> int:
    """By the counters of the server that is running, whose port its command line tells."""
    text = httpx.get(f"http://127.0.0.1:{port_of(engine)}/metrics", timeout=30, trust_env=False).text
    assert COUNTERS["prompt"] in text and COUNTERS["cached"] in text
    return round(counted(text, COUNTERS["prompt"]) - counted(text, COUNTERS["cached"]))


def port_of(engine: int) -> str:
    command = Path(f"/proc/{engine}/cmdline").read_text().split("\0")
    return command[command.index("--port") + 1]


def computed(turns: Sequence[EpisodeTurn]) -> int:
    return sum(turn.computed_prompt_tokens for turn in turns)


def kept(turns: Sequence[EpisodeTurn]) -> int:
    return kept_tokens(turns, renderer_for(BASE_MODEL))


def texts(turns: Sequence[EpisodeTurn]) -> list[str]:
    return [turn.text for turn in turns]
