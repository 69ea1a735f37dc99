"""What an episode costs by its length, and eight at once, with the real vLLM. `make bench-inference`: half an hour.

    python -m tests.bench_inference run [--words 3000]
    python -m tests.bench_inference long [--words 10500] [--out .run/long]

The model is the packaged one on the CPU: its words make no sense, so what is shown is structure and cost.

`run`: one episode of our turn engine; beside it what people do instead, in the same run on the same engine. One
request that writes on until the context is full, the end of a turn forbidden. And naive re-sending: header and whole
history with every turn, nothing cached (each request has a `cache_salt` of its own); it goes through the turns of the
episode that we wrote and has as many tokens generated for each. No turn is rejected there: compare its tokens with
ours; its seconds are those of writing without a gate. Then eight short episodes at once on one engine, and the same
eight one after the other; the engine is started anew before each, so that none finds the other's prompts in its cache.
Ends with 1 where an aim is missed; no aim is in seconds. Whether cost grows with length is judged by generated tokens:
how many of them become words is chance, as so small a model loops now and then and is asked again.

`long`: one long episode, in a folder with its figures; half an hour or more. Run it in the background.

Prompt tokens are computed when vLLM has not taken them from its prefix cache; kept are those of the turns' texts, not
what was cut off or rejected. Seconds are those of writing turns, without the engine's start and the plan.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.inference import job as story
from services.inference.adapters import AdapterFiles
from services.inference.engine import BASE_NAME, Ask, Caller, Candidate, VllmEngine
from services.inference.settings import CPU_ENGINE, Settings
from services.studio.machine.local import BASE_MODEL, ROOT, prepare_base_model
from shared import keys
from shared.engines import Watch
from shared.errors import EngineFailedError
from shared.models import Base
from shared.render import Renderer, header
from shared.repetition import words_of, worst_window
from shared.schemas import Episode, EpisodeRequest, EpisodeTurn, Message, Show
from shared.store import Store, create_manifest, load
from tests.fakes import FakeJob, MemoryStore

MOST_COMPUTED, MOST_IN_WINDOW, MOST_GROWTH, MOST_AT_ONCE = 3.0, 0.25, 1.5, 0.7
MARKS = (250, 500, 1000, 1500)  # words at which costs are compared
SHORT_WORDS, EPISODES = 150, 8
TRIES = 4  # at one episode: what is written stays
MEASURE_S = 900.0
SHOW = Show(slug="lamplight", title="The Lamplight Hour", host="Mara Quill")
BRIEF = EpisodeRequest(
    show=SHOW.slug,
    guest="Theo Vance",
    about="keeping bees on the roofs of a city",
    adapter="base",
    facts=("Theo Vance has kept bees since 2004.", "He looks after 40 hives in Lisbon."),
)
COUNTERS = {
    "prompt": "vllm:prompt_tokens_total",
    "cached": "vllm:prompt_tokens_cached_total",
    "generated": "vllm:generation_tokens_total",
}


def main(arguments: Sequence[str]) -> int:
    """Print tables; 1 if an aim was missed."""
    options = argparse.ArgumentParser("tests.bench_inference", description=__doc__)
    kinds = options.add_subparsers(dest="kind", required=True)
    run = kinds.add_parser("run")
    run.add_argument("--words", type=int, default=3000)
    long = kinds.add_parser("long")
    long.add_argument("--words", type=int, default=10_500)
    long.add_argument("--out", type=Path, default=ROOT / ".run" / "long")
    asked = options.parse_args(arguments)
    prepare_base_model()
    if asked.kind == "long":
        return verdict(long_run(asked.words, asked.out))
    with tempfile.TemporaryDirectory(prefix="bench-inference-") as folder:
        return verdict([*cost_by_length(asked.words, Path(folder)), *many_at_once(Path(folder))])


def verdict(missed: Sequence[str]) -> int:
    print("\n" + ("missed: " + "; ".join(missed) if missed else "every aim was reached"), flush=True)
    return 1 if missed else 0


def settings_in(folder: Path) -> Settings:
    """Turns and context as a larger model has them."""
    return Settings(
        engine_idle_s=24 * 3600,  # what is compared asks the engine behind our back
        base_model=str(BASE_MODEL),
        engine_command=CPU_ENGINE.replace(".venvs/", f"{ROOT}/.venvs/"),
        log_dir=folder,
        adapter_dir=folder / "adapters",
        max_model_len=4096,
        host_max_tokens=80,
        guest_max_tokens=200,
        guest_min_tokens=30,
    )


# ---- counting --------------------------------------------------------------------------------------------------------


@dataclass
class Spent:
    """What one kind of request came to."""

    requests: int = 0
    computed: int = 0
    generated: int = 0
    seconds: float = 0.0


@dataclass
class CountingEngine:
    """The real engine; what is asked of it is added up by kind: turn, plan, summary, scoring."""

    engine: VllmEngine
    spent: dict[str, Spent] = field(default_factory=lambda: defaultdict(Spent))
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def base(self, job: Watch) -> Base:
        return self.engine.base(job)

    @property
    def renderer(self) -> Renderer:
        return self.engine.renderer

    def say(self, adapter: AdapterFiles | None, ask: Ask, job: Caller) -> list[Candidate]:
        began = time.monotonic()
        found = self.engine.say(adapter, ask, job)
        self._add(ask.kind, found[0].computed, sum(one.tokens for one in found), time.monotonic() - began)
        return found

    def score(self, adapter: AdapterFiles | None, prompt: Sequence[int], job: Caller) -> list[float]:
        """Prompts whose log-probabilities are asked for are never taken from the cache."""
        began = time.monotonic()
        found = self.engine.score(adapter, prompt, job)
        self._add("scoring", len(prompt), 0, time.monotonic() - began)
        return found

    def make_way(self, job: Watch) -> None:
        self.engine.make_way(job)

    def _add(self, kind: str, computed: int, generated: int, seconds: float) -> None:
        with self._guard:
            one = self.spent[kind]
            one.requests, one.computed = one.requests + 1, one.computed + computed
            one.generated, one.seconds = one.generated + generated, one.seconds + seconds

    def computed_for_turns(self) -> int:
        return self.spent["turn"].computed + self.spent["summary"].computed


@dataclass(frozen=True)
class Cost:
    """What so many words had cost when they were there."""

    words: int
    seconds: float
    computed: int
    generated: int


class CostedJob(FakeJob):
    """Writes down what each word count had cost; `tell` is shown each."""

    def __init__(self, folder: Path, name: str, engine: CountingEngine, tell: Callable[[Cost], None]) -> None:
        super().__init__(folder, name)
        self.costs: list[Cost] = []
        self._engine, self._tell, self._began = engine, tell, 0.0

    def progress(self, stage: str, done: float = 0, *figures: Any, **more: Any) -> None:
        if stage != "writing":
            return
        self._began = self._began or time.monotonic()
        spent = self._engine.spent
        generated = spent["turn"].generated + spent["summary"].generated
        seconds = time.monotonic() - self._began
        cost = Cost(int(done), seconds, self._engine.computed_for_turns(), generated)
        self.costs.append(cost)
        self._tell(cost)

    def at(self, words: int) -> Cost:
        return next((cost for cost in self.costs if cost.words >= words), self.costs[-1])

    def by_third(self, of: Callable[[Cost], float], per: Callable[[Cost], float]) -> list[float]:
        """How much of something there was per 100 of something else, in each third of the words."""
        total = self.costs[-1].words
        ends = [self.costs[0], *(self.at(round(third * total / 3)) for third in (1, 2, 3))]
        return [
            100 * (of(last) - of(first)) / max(1.0, per(last) - per(first)) for first, last in itertools.pairwise(ends)
        ]

    def seconds_per_100_words(self) -> list[float]:
        return self.by_third(lambda cost: cost.seconds, lambda cost: cost.words)

    def seconds_per_100_tokens(self) -> list[float]:
        """Of those that were generated, rejected turns and summaries included."""
        return self.by_third(lambda cost: cost.seconds, lambda cost: cost.generated)


@contextmanager
def an_engine(settings: Settings) -> Iterator[VllmEngine]:
    engine = VllmEngine(settings, lease=None)
    try:
        yield engine
    finally:
        engine.stop()


def warm(engine: VllmEngine, folder: Path) -> None:
    """Have it started, and its first steps done."""
    engine.score(None, [1, 2, 3, 4], FakeJob(folder))


def counters(engine: VllmEngine) -> dict[str, int]:
    """vLLM's own counts of prompt tokens, of those from its cache, and of generated ones, since it was started."""
    text = httpx.get(f"{engine._url}/metrics", timeout=30, trust_env=False).text
    return {name: round(counted(text, metric)) for name, metric in COUNTERS.items()}


def counted(text: str, metric: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{re.escape(metric)}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def written(brief: EpisodeRequest, job: FakeJob, store: Store, engine: CountingEngine, settings: Settings) -> Episode:
    """The episode of a brief. An engine that breaks off is started anew, as in the service."""
    for left in reversed(range(TRIES)):
        try:
            result = story.run(brief, job=job, store=store, engine=engine, settings=settings)
            return load(store, result.key, Episode)
        except EngineFailedError as error:
            if not left:
                raise
            print(f"once more: {error}", file=sys.stderr, flush=True)
    raise AssertionError("the last try raises")


class OpenStore(MemoryStore):
    """Puts every turn into a folder too, to be read while the episode grows."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def create(self, key: str, data: bytes) -> bool:
        is_new = super().create(key, data)
        if is_new and "/turns/" in key:
            (self._folder / key.rpartition("/")[2]).write_bytes(data)
        return is_new


def with_show(store: MemoryStore) -> MemoryStore:
    create_manifest(store, keys.show(SHOW.slug), SHOW)
    return store


# ---- cost by length --------------------------------------------------------------------------------------------------


def cost_by_length(words: int, folder: Path) -> list[str]:
    """Our episode, one request, naive re-sending; returns the aims that were missed."""
    settings = settings_in(folder)
    with an_engine(settings) as engine:
        counting = CountingEngine(engine)
        warm(engine, folder)
        job = CostedJob(folder, "ours", counting, told("ours", words))
        episode = written(BRIEF.model_copy(update={"words": words}), job, with_show(MemoryStore()), counting, settings)
        once, once_text = one_request(engine)
        naive = sent_again(engine, episode.turns, MARKS[-1])

    last = job.costs[-1]
    marks = [*(mark for mark in MARKS if mark < last.words), last.words]
    rows = [
        [f"{mark:,}", *in_cells(job.at(mark)), *in_cells(reached(once, mark)), *in_cells(reached(naive, mark))]
        for mark in marks
    ]
    print()
    columns = ["tokens", "s"]
    heads = [f"{who}: {what}" for who in ("turn engine", "one request", "all sent again") for what in columns]
    print_table(["words", *heads], rows)
    per_kept = per_kept_token(episode, counting)
    thirds, by_token = job.seconds_per_100_words(), job.seconds_per_100_tokens()
    growth, token_growth = thirds[-1] / thirds[0], by_token[-1] / by_token[0]
    ours_at, naive_at = job.at(MARKS[-1]), naive[-1]
    print()
    print_table(
        ["figure", "value", "aim"],
        [
            ["words, turns", f"{episode.report.words:,}, {episode.report.turns}", ""],
            ["computed prompt tokens per kept token", f"{per_kept:.2f}", f"{MOST_COMPUTED}"],
            ["seconds per 100 words, by third", shown(thirds), ""],
            ["last third to first", f"{growth:.2f}", ""],
            ["seconds per 100 generated tokens, by third", shown(by_token), ""],
            ["last third to first", f"{token_growth:.2f}", f"{MOST_GROWTH}"],
            ["attempts per turn, by third", shown(attempts_by_third(episode.turns)), ""],
            ["turns kept as the least bad", f"{least_bad(episode.turns)}", ""],
            ["all sent again, to ours: tokens", f"{naive_at.computed / max(1, ours_at.computed):.1f}", "more than 1"],
            ["all sent again, to ours: seconds", f"{naive_at.seconds / ours_at.seconds:.1f}", ""],
            ["worst window rep-4, ours", f"{episode.report.worst_window_rep4:.2f}", f"{MOST_IN_WINDOW}"],
            ["worst window rep-4, one request", f"{worst_window(words_of(once_text)):.2f}", ""],
            ["words of one request, context full", f"{once[-1].words:,}", ""],
        ],
    )
    return [
        *missed("computed prompt tokens per kept token", per_kept, MOST_COMPUTED),
        *missed("the last third's seconds per token to the first's", token_growth, MOST_GROWTH),
        *missed("worst window rep-4", episode.report.worst_window_rep4, MOST_IN_WINDOW),
        *missed("our computed tokens to those of all sent again", ours_at.computed / naive_at.computed, 1.0),
    ]


def one_request(engine: VllmEngine) -> tuple[list[Cost], str]:
    """One completion from the header on until the context is full: cost piece by piece, and the text."""
    prompt = engine.renderer.prompt([system(), Message(role="host", text="Welcome. How did it begin?")], "guest")
    room = engine._settings.max_model_len - len(prompt)
    body = {
        "model": BASE_NAME,
        "prompt": prompt,
        "min_tokens": room,
        "max_tokens": room,
        "temperature": BRIEF.temperature,
        "top_p": engine._settings.top_p,
        "seed": BRIEF.seed,
        "stream": True,
    }
    text, costs, began, tell = "", [], time.monotonic(), told("one request", room)
    with httpx.stream("POST", f"{engine._url}/v1/completions", json=body, timeout=MEASURE_S, trust_env=False) as reply:
        reply.raise_for_status()
        for number, line in enumerate(line for line in reply.iter_lines() if line.startswith("data: {")):
            text += json.loads(line.removeprefix("data: "))["choices"][0]["text"]
            if number % 20 == 0:
                costs.append(Cost(len(words_of(text)), time.monotonic() - began, len(prompt), number + 1))
                tell(costs[-1])
    costs.append(Cost(len(words_of(text)), time.monotonic() - began, len(prompt), room))
    return costs, text


def sent_again(engine: VllmEngine, turns: Sequence[EpisodeTurn], words: int) -> list[Cost]:
    """Each turn of an episode asked for with all before it, and nothing cached; costs turn by turn up to so many words.

    Prompts end where the context does: what does not fit is left out at the beginning, turn by turn.
    """
    costs, computed, generated, said = [], 0, 0, 0
    began, tell = time.monotonic(), told("all sent again", words)
    for turn in turns:
        prompt: list[int] = []
        first = 0
        while not prompt or len(prompt) + turn.tokens > engine._settings.max_model_len:
            history = [Message(role=one.role, text=one.text) for one in turns[first : turn.index]]
            prompt, first = engine.renderer.prompt([system(), *history], turn.role), first + 2
        body = {
            "model": BASE_NAME,
            "prompt": prompt,
            "min_tokens": turn.tokens,
            "max_tokens": turn.tokens,
            "temperature": BRIEF.temperature,
            "seed": BRIEF.seed,
            "cache_salt": uuid.uuid4().hex,
        }
        reply = httpx.post(f"{engine._url}/v1/completions", json=body, timeout=MEASURE_S, trust_env=False)
        usage = reply.raise_for_status().json()["usage"]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        computed, generated = computed + usage["prompt_tokens"] - cached, generated + usage["completion_tokens"]
        said += len(words_of(turn.text))
        costs.append(Cost(said, time.monotonic() - began, computed, generated))
        tell(costs[-1])
        if said >= words:
            break
    return costs


def system() -> Message:
    return header(
        show_title=SHOW.title,
        host=SHOW.host,
        guest=BRIEF.guest,
        facts=BRIEF.facts,
        about=BRIEF.about,
        position=0.5,
    )


def reached(costs: Sequence[Cost], words: int) -> Cost | None:
    """The first cost of so many words; none where it never came to as many."""
    return next((cost for cost in costs if cost.words >= words), None)


def in_cells(cost: Cost | None) -> list[str]:
    return [f"{cost.computed:,}", f"{cost.seconds:,.0f}"] if cost else ["-", "-"]


# ---- many at once ----------------------------------------------------------------------------------------------------


def many_at_once(folder: Path) -> list[str]:
    """Eight short episodes at once on one engine, and the same in turn; returns the aims that were missed."""
    settings = settings_in(folder)
    rows, per_word = [], {}
    for how, workers in (("at once", EPISODES), ("in turn", 1)):
        with an_engine(settings) as engine:
            warm(engine, folder)
            began = time.monotonic()
            with ThreadPoolExecutor(workers) as pool:
                episodes = list(pool.map(lambda seed: a_short_one(seed, folder, engine, settings), range(EPISODES)))
            seconds = time.monotonic() - began
        words = sum(episode.report.words for episode in episodes)
        tokens = sum(kept_tokens(episode.turns, engine.renderer) for episode in episodes)
        per_word[how] = seconds / words
        rows.append([how, f"{words:,}", f"{seconds:.0f}", f"{tokens / seconds:.1f}"])
    ratio = per_word["at once"] / per_word["in turn"]
    print()
    print_table([f"{EPISODES} episodes", "words", "s", "kept tokens/s"], rows)
    print(f"\nat once to in turn, seconds per word: {ratio:.2f} (aim {MOST_AT_ONCE})")
    return missed("eight at once to eight in turn", ratio, MOST_AT_ONCE)


def a_short_one(seed: int, folder: Path, engine: VllmEngine, settings: Settings) -> Episode:
    brief = BRIEF.model_copy(update={"words": SHORT_WORDS, "seed": seed})
    work = folder / f"short-{seed}"
    work.mkdir(exist_ok=True)
    return written(brief, FakeJob(work, f"short-{seed}"), with_show(MemoryStore()), CountingEngine(engine), settings)


# ---- a long one ------------------------------------------------------------------------------------------------------


def long_run(words: int, folder: Path) -> list[str]:
    """Write episode.json and figures.json into a folder, turns/ as they come; returns the aims that were missed."""
    turns = folder / "turns"
    turns.mkdir(parents=True, exist_ok=True)
    settings = settings_in(folder)
    with an_engine(settings) as engine:
        counting = CountingEngine(engine)
        warm(engine, folder)
        job = CostedJob(folder, "long", counting, told("long", words))
        episode = written(
            BRIEF.model_copy(update={"words": words}), job, with_show(OpenStore(turns)), counting, settings
        )
        by_vllm = counters(engine)
    (folder / "episode.json").write_text(episode.model_dump_json(indent=1) + "\n")

    figures = figures_of(episode, job, counting, by_vllm)
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    print()
    print_table(["figure", "value"], [[name, shown(value)] for name, value in figures.items()])
    report, per_kept = episode.report, per_kept_token(episode, counting)
    return [
        *([] if report.alternates and report.starts_with_host else ["host and guest do not alternate"]),
        *missed("empty turns", report.empty_turns, 0),
        *missed("words off the target", abs(report.words - words) / words, 0.10),
        *missed("computed prompt tokens per kept token", per_kept, MOST_COMPUTED),
        *missed("worst window rep-4", report.worst_window_rep4, MOST_IN_WINDOW),
        *missed(
            "the last third's seconds per token to the first's", figures["of tokens, last third to first"], MOST_GROWTH
        ),
    ]


def figures_of(
    episode: Episode, job: CostedJob, counting: CountingEngine, by_vllm: Mapping[str, int]
) -> dict[str, Any]:
    """What one table says of a long episode."""
    report, turns, spent = episode.report, episode.turns, counting.spent
    thirds, by_token = job.seconds_per_100_words(), job.seconds_per_100_tokens()
    kept = kept_tokens(turns, counting.renderer)
    rejected = sum(turn.attempts > 1 for turn in turns)
    return {
        "words": report.words,
        "turns": report.turns,
        "minutes": round(job.costs[-1].seconds / 60, 1),
        "kept tokens": kept,
        "computed prompt tokens of turns": spent["turn"].computed,
        "computed prompt tokens per kept token": round(per_kept_token(episode, counting), 2),
        "the same by vLLM's counters, all requests": round((by_vllm["prompt"] - by_vllm["cached"]) / kept, 2),
        "seconds per 100 words, by third": thirds,
        "of words, last third to first": round(thirds[-1] / thirds[0], 2),
        "seconds per 100 generated tokens, by third": by_token,
        "of tokens, last third to first": round(by_token[-1] / by_token[0], 2),
        "attempts per turn, by third": attempts_by_third(turns),
        "attempts per turn": round(sum(turn.attempts for turn in turns) / len(turns), 2),
        "turns that were said again": rejected,
        "turns kept as the least bad": least_bad(turns),
        "worst window rep-4": report.worst_window_rep4,
        "rep-4, whole text": report.rep4,
        "longest repeated span, words": report.longest_repeat_words,
        "one-word share of the guest": report.one_word_share,
        "empty turns": report.empty_turns,
        "compression of each tenth": list(report.compression),
        **{
            f"{kind}: requests, computed, generated tokens": [one.requests, one.computed, one.generated]
            for kind, one in spent.items()
        },
        "verdict": report.verdict,
    }


def kept_tokens(turns: Sequence[EpisodeTurn], renderer: Renderer) -> int:
    """Of the texts as they are read: `EpisodeTurn.tokens` counts what was cut off at the end too."""
    return sum(renderer.count(turn.text) for turn in turns)


def least_bad(turns: Sequence[EpisodeTurn]) -> int:
    """Turns of which no attempt passed the gate."""
    return sum(any(why.startswith("kept the least bad") for why in turn.rejected) for turn in turns)


def attempts_by_third(turns: Sequence[EpisodeTurn]) -> list[float]:
    edges = [round(third * len(turns) / 3) for third in range(4)]
    return [
        sum(turn.attempts for turn in turns[start:end]) / max(1, end - start)
        for start, end in itertools.pairwise(edges)
    ]


def per_kept_token(episode: Episode, counting: CountingEngine) -> float:
    """Prompt tokens that were computed for turns, rejected attempts included, and for summaries."""
    return counting.computed_for_turns() / kept_tokens(episode.turns, counting.renderer)


# ---- printing --------------------------------------------------------------------------------------------------------


def missed(what: str, value: float, most: float) -> list[str]:
    return [] if value <= most else [f"{what} {value:.2f}, at most {most}"]


def told(what: str, total: int) -> Callable[[Cost], None]:
    """Prints how far it is."""

    def tell(cost: Cost) -> None:
        figures = f"{cost.seconds:.0f} s, {cost.computed:,} computed, {cost.generated:,} generated tokens"
        print(f"{what}: {cost.words:,} words of {total:,}, {figures}", file=sys.stderr, flush=True)

    return tell


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """As docs have them."""
    for row in (heads, ["---"] * len(heads), *rows):
        print(f"| {' | '.join(row)} |", flush=True)


def shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(shown(one) for one in value)
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
