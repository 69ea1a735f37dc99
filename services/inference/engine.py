"""The near side of vLLM: a server of our own on loopback (or a fleet by URLs), reached through an allow-list.

No adapter is used before a canary has shown that it changes the output: vLLM has served the base model under an
adapter's name (vllm issues 34186, 41754). What was proven counts for one process: a new one loads and proves again, and
so does each server of a fleet. An episode's turns stay on one server (fleet.py).
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, Protocol

import httpx

from services.inference.adapters import AdapterFiles
from services.inference.fleet import ranked
from services.inference.settings import Settings
from shared.engines import POLL_S, ServerEngine, Watch
from shared.errors import EngineFailedError, EngineRefusedError
from shared.gpu_time import Meter
from shared.lease import Lease
from shared.models import Base, read_base
from shared.render import Renderer, header, renderer_for
from shared.schemas import Message
from shared.shelf import Shelf

log = logging.getLogger(__name__)

BASE_NAME = "base"
ALLOWED = {  # and /health while it starts
    ("GET", "/v1/models"),
    ("POST", "/v1/load_lora_adapter"),
    ("POST", "/v1/completions"),
}
CONNECT_S = 5.0
REST_S = 15.0  # that a server of a fleet is left alone after it failed, while there are others
DYING_S = 3.0
LOG_TAIL_BYTES = 20_000
LESS_MEMORY = (
    "it ran out of memory: lower INFERENCE_MAX_MODEL_LEN or INFERENCE_MAX_LORAS, or leave it more of the GPU "
    "(--gpu-memory-utilization in INFERENCE_ENGINE_COMMAND)"
)
LAST_WORDS = (
    ("CUDA out of memory", LESS_MEMORY),
    ("OutOfMemoryError", LESS_MEMORY),
    ("No available memory for the cache blocks", LESS_MEMORY),
    ("larger than the available KV cache memory", LESS_MEMORY),
    ("larger than the maximum number of tokens that can be stored in KV cache", LESS_MEMORY),
)
CANARY_LEAST = 1e-4  # log-probability that an adapter must move at least, beside ten times the engine's own noise
CANARY_PLACES = 16
CANARY = (
    header(show_title="The Canary", host="Ada", guest="Ben", about="how a small bird keeps miners safe"),
    Message(role="host", text="Tell me how you began. What did your parents do, and what did you want to become?"),
)


@dataclass(frozen=True)
class Ask:
    """One thing to be said, as ids; `n` candidates come back.

    kind     what it is for: turns are what is read, the rest is our own
    schema   JSON schema that the answer has to fit; None for free speech
    """

    prompt: Sequence[int]
    stop_ids: Sequence[int]
    min_tokens: int
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    n: int = 1
    kind: Literal["turn", "plan", "summary"] = "turn"
    schema: dict[str, Any] | None = None


@dataclass(frozen=True)
class Candidate:
    """What the model said. `ended`: it said its end-of-turn token itself; `logprob` is the mean over its tokens.

    computed   prompt tokens that the engine had not read before, for all candidates together; 0 where it does not say
    """

    text: str
    tokens: int
    ended: bool
    logprob: float
    computed: int = 0


class Caller(Watch, Protocol):
    """The job that a turn is said for. Its id chooses the server of a fleet."""

    @property
    def id(self) -> str: ...


@dataclass
class _Proof:
    """What is known of one run of one server: the log-probabilities of the canary per model name."""

    pid: int | None
    base: list[float] = field(default_factory=list)
    noise: float = 0.0
    adapters: dict[str, tuple[str, list[float]]] = field(default_factory=dict)


class VllmServer(ServerEngine):
    """The child process; each start has a free port of its own."""

    def __init__(self, settings: Settings, lease: Lease | None) -> None:
        super().__init__(
            "vllm",
            [],
            lease=lease,
            log_file=settings.log_dir / "inference-engine.log",
            environment=settings.child_environment(),
            idle_s=settings.engine_idle_s,
            gpus=0 if settings.on_cpu else 1,
        )
        self._settings = settings
        self.url = ""
        self._log_starts_at = 0

    def _start(self, job: Watch) -> None:
        self._log_starts_at = self._log_file.stat().st_size if self._log_file.is_file() else 0
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = command(self._settings, port)
        super()._start(job)

    def died(self) -> EngineFailedError:
        return self._death()

    def is_dying(self) -> bool:
        """Whether it ends within a moment: a connection breaks before its process is gone."""
        until = time.monotonic() + DYING_S
        while self.alive and time.monotonic() < until:
            time.sleep(POLL_S / 4)
        return not self.alive

    def explained(self, failure: EngineFailedError) -> EngineFailedError:
        """With what an operator can change, where the engine's last words tell."""
        advice = advice_on(_tail(self._log_file, self._log_starts_at))
        return EngineFailedError(f"{failure}; {advice}") if advice else failure

    def _death(self) -> EngineFailedError:
        return self.explained(super()._death())


class Hall:
    """Many may talk in it at once, or one alone.

    With --enable-lora, vLLM dies when log-probabilities of a prompt are asked for while it writes for others: its
    logits have one row per sequence of the step then, not one per token of the prompt (seen on CPU; vllm issue 16668).
    It keeps this gateway's requests apart, and knows nothing of other gateways at the same server.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside, self._waiting, self._is_alone = 0, 0, False

    @contextmanager
    def among_others(self, job: Watch) -> Iterator[None]:
        with self._changed:
            while self._is_alone or self._waiting:
                self._changed.wait(POLL_S)
                job.check()
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, job: Watch) -> Iterator[None]:
        """Whoever comes later waits, so that this one's turn comes too."""
        with self._changed:
            self._waiting += 1
            try:
                while self._is_alone or self._inside:
                    self._changed.wait(POLL_S)
                    job.check()
                self._is_alone = True
            finally:
                self._waiting -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._is_alone = False
                self._changed.notify_all()


class Replica:
    """One vLLM server: where it answers, and what was proven of it.

    url     empty where it is our child, whose address changes with each start
    rests   until then (monotonic seconds) others are asked first: it has just failed
    """

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.proof: _Proof | None = None
        self.proving = threading.Lock()
        self.hall = Hall()
        self.rests = 0.0

    def failed(self) -> None:
        self.proof = None
        self.rests = time.monotonic() + REST_S


class VllmEngine:
    """Writes turns with the base model or with proven adapters.

    lease   held while the child lives; None for a fleet or a device of our own
    shelf   brings the base model; None where it is there for sure
    """

    def __init__(self, settings: Settings, lease: Lease | None, shelf: Shelf | None = None) -> None:
        self._settings = settings
        self._shelf = shelf
        self._child = None if settings.vllm_urls else VllmServer(settings, lease)
        self._fleet_time = Meter(gpus=1)  # how many it has, nobody tells us: one, whenever we wait for it
        self._replicas = {url: Replica(url) for url in settings.vllm_urls or [""]}

    def base(self, job: Watch) -> Base:
        """The base model, once it is in its folder."""
        if self._shelf is not None:
            self._shelf.demand(job)
        return read_base(self._settings.base_folder)

    @cached_property
    def renderer(self) -> Renderer:
        return renderer_for(self._settings.base_folder)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def wanted(self) -> bool:
        """Whether another service waits for the device."""
        return self._child is not None and self._child.wanted()

    def make_way(self, job: Watch) -> None:
        """Where another service waits for the device: return once it is given back, when nobody is in the middle of a
        turn. What is asked next waits its turn."""
        while self._child is not None and self._child.alive and self.wanted():
            job.check()
            job.progress("making way", note="another service waits for the GPU")
            time.sleep(POLL_S)

    def stop(self) -> None:
        if self._child:
            self._child.stop()

    def say(self, adapter: AdapterFiles | None, ask: Ask, job: Caller) -> list[Candidate]:
        """Candidates for one turn, by an adapter that was loaded and seen to change the output in this very process.

        raises   EngineRefusedError if the canary fails; EngineFailedError if the server does not come up or breaks off;
                 JobCancelledError within a second of a cancel
        """
        with self._working(job):
            replica = self._ready(adapter, job)
            body = {
                "model": adapter.name if adapter else BASE_NAME,
                "prompt": list(ask.prompt),
                "stop_token_ids": list(ask.stop_ids),
                "min_tokens": ask.min_tokens,
                "max_tokens": ask.max_tokens,
                "temperature": ask.temperature,
                "top_p": ask.top_p,
                "seed": ask.seed,
                "n": ask.n,
                "logprobs": 0,
                **({"structured_outputs": {"json": ask.schema}} if ask.schema else {}),
            }
            answer = self._complete(replica, body, job)
            computed = _computed(answer.get("usage") or {})
            return [_candidate(choice, computed) for choice in answer["choices"]]

    def score(self, adapter: AdapterFiles | None, prompt: Sequence[int], job: Caller) -> list[float]:
        """Log-probability of each id of a text after the first one, by a proven adapter or by the base model.

        raises   as `say` does
        """
        with self._working(job):
            replica = self._ready(adapter, job)
            return self._logprobs(replica, adapter.name if adapter else BASE_NAME, prompt, job)

    # ---- ready and proven ------------------------------------------------------------------------------------------

    @contextmanager
    def _working(self, job: Watch) -> Iterator[None]:
        with self._fleet_time.working() if self._child is None else self._child.working(job):
            yield

    def _ready(self, adapter: AdapterFiles | None, job: Caller) -> Replica:
        """The server for this job, with the adapter loaded and proven on it."""
        replica = self._chosen(job)
        while not replica.proving.acquire(timeout=POLL_S):
            job.check()
        try:
            proof = self._healthy(replica, job)
            if adapter and adapter.name not in proof.adapters:
                self._load(replica, proof, adapter, job)
            if adapter and proof.adapters[adapter.name][0] != adapter.digest:
                raise self._other_weights(replica, adapter)
        finally:
            replica.proving.release()
        return replica

    def _chosen(self, job: Caller) -> Replica:
        """The first of the job's ranking that answers; where none does, the first, whose error is told."""
        ranking = [self._replicas[url] for url in ranked([*self._replicas], job.id)]
        if self._child or len(ranking) == 1:
            return ranking[0]
        rested = [replica for replica in ranking if replica.rests <= time.monotonic()]
        for replica in rested:
            job.check()
            if replica.proof or self._is_healthy(replica):
                return replica
            log.warning("a vLLM server does not answer", extra={"url": replica.url})
            replica.failed()
        return ranking[0]

    def _healthy(self, replica: Replica, job: Watch) -> _Proof:
        """What is known of the server that runs now, once it answers; its base model has been looked at."""
        if replica.proof is None or replica.proof.pid != self.pid:
            replica.proof = None
            if self._child:
                self._child.wait_until(lambda: self._is_healthy(replica), job, timeout_s=self._settings.ready_timeout_s)
            proof = _Proof(self.pid)
            self._demand_names(replica, job)
            proof.base = self._canary(replica, BASE_NAME, job)
            proof.noise = _distance(proof.base, self._canary(replica, BASE_NAME, job))
            replica.proof = proof
        return replica.proof

    def _load(self, replica: Replica, proof: _Proof, adapter: AdapterFiles, job: Watch) -> None:
        """Load under the adapter's immutable name, never in place, and believe it only after its canary."""
        job.progress("loading the adapter", note=adapter.name)
        served = self._ask(replica, "GET", "/v1/models", None, job).json()
        places = {model["id"]: model.get("root") for model in served["data"]}
        if places.get(adapter.name, str(adapter.folder)) != str(adapter.folder):
            raise self._somebody_elses(replica, adapter, places[adapter.name])
        if adapter.name not in places:
            body = {"lora_name": adapter.name, "lora_path": str(adapter.folder)}
            answer = self._ask(replica, "POST", "/v1/load_lora_adapter", body, job)
            if answer.status_code != 200:
                raise EngineRefusedError(
                    f"vLLM does not load {adapter.name}: {answer.text[:300]}{self._advice(replica, adapter)}"
                )
        seen = self._canary(replica, adapter.name, job)
        least = max(CANARY_LEAST, 10 * proof.noise)
        others = {BASE_NAME: proof.base} | {
            name: values for name, (digest, values) in proof.adapters.items() if digest != adapter.digest
        }
        for name, values in others.items():
            if not (moved := _distance(seen, values)) > least:  # so written that "not a number" is refused too
                self._distrust(replica)
                raise EngineRefusedError(
                    f"canary: {adapter.name} speaks exactly like {name}{self._where(replica)} (largest change "
                    f"{moved:.1e}, more than {least:.1e} expected); it is not used. Train it for longer; if it should "
                    "differ, vLLM is at fault"
                )
        moved = _distance(seen, proof.base)
        log.info("adapter proven", extra={"adapter": adapter.name, "moved": moved, "url": self._url(replica)})
        proof.adapters[adapter.name] = (adapter.digest, seen)

    def _other_weights(self, replica: Replica, adapter: AdapterFiles) -> EngineFailedError | EngineRefusedError:
        if self._child is None:
            return EngineRefusedError(
                f"{adapter.name} is loaded with other weights{self._where(replica)}; restart that vLLM server"
            )
        self._distrust(replica)
        return EngineFailedError(f"{adapter.name} is loaded with other weights; the engine is started again")

    def _somebody_elses(self, replica: Replica, adapter: AdapterFiles, place: str | None) -> EngineRefusedError:
        return EngineRefusedError(
            f"an adapter of the name {adapter.name} is loaded{self._where(replica)} from {place}, not from "
            f"{adapter.folder}: gateways that share a server need one INFERENCE_ADAPTER_DIR, and teams that share it "
            "shows of different names"
        )

    def _advice(self, replica: Replica, adapter: AdapterFiles) -> str:
        """What a server that is not our child may lack: our child has it from its command line."""
        if self._child:
            return ""
        return (
            f"{self._where(replica)}. It must read {adapter.folder} at that very path (INFERENCE_ADAPTER_DIR on a "
            "shared volume) and run with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, --enable-lora and --max-lora-rank "
            f"{self._settings.max_lora_rank} or more"
        )

    def _where(self, replica: Replica) -> str:
        return "" if self._child else f" on {replica.url}"

    def _demand_names(self, replica: Replica, job: Watch) -> None:
        """A server that answers to any name would pass the base model off as an adapter."""
        body = {"model": f"no-such-adapter-{uuid.uuid4().hex[:8]}", "prompt": [1], "max_tokens": 1}
        answer = self._ask(replica, "POST", "/v1/completions", body, job)
        if answer.status_code >= 500:
            raise self._failure(replica, answer)
        if answer.status_code != 404:
            self._distrust(replica)
            raise EngineRefusedError(
                f"the engine{self._where(replica)} answers {answer.status_code} to a model it does not have, not 404"
            )

    def _canary(self, replica: Replica, model: str, job: Watch) -> list[float]:
        """Log-probabilities that a model gives in a fixed prompt.

        A server that others may use too is not asked for those of the prompt's own tokens (see Hall): it says one token
        after each of several beginnings of it.
        """
        prompt = self.renderer.prompt(CANARY, "guest")
        if self._child:
            return self._logprobs(replica, model, prompt, job)
        beginnings = [list(prompt[:end]) for end in range(len(prompt), 0, -max(1, len(prompt) // CANARY_PLACES))]
        body = {"model": model, "prompt": beginnings, "max_tokens": 1, "temperature": 0, "logprobs": 0}
        said = sorted(self._complete(replica, body, job)["choices"], key=lambda choice: choice["index"])
        return [choice["logprobs"]["token_logprobs"][0] for choice in said]

    def _logprobs(self, replica: Replica, model: str, prompt: Sequence[int], job: Watch) -> list[float]:
        body = {"model": model, "prompt": list(prompt), "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
        choice = self._complete(replica, body, job)["choices"][0]
        seen = zip(prompt, choice["prompt_logprobs"], strict=True)
        return [entry[str(token)]["logprob"] for token, entry in seen if entry]

    def _distrust(self, replica: Replica) -> None:
        replica.proof = None
        self.stop()

    def _is_healthy(self, replica: Replica) -> bool:
        try:
            url = f"{self._url(replica)}/health"
            return httpx.get(url, timeout=CONNECT_S, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    # ---- the wire --------------------------------------------------------------------------------------------------

    def _complete(self, replica: Replica, body: dict[str, Any], job: Watch) -> dict[str, Any]:
        alone = "prompt_logprobs" in body
        with replica.hall.alone(job) if alone else replica.hall.among_others(job):
            answer = self._ask(replica, "POST", "/v1/completions", body, job)
        if answer.status_code == 404:
            replica.proof = None
            raise EngineFailedError(f"the engine has no model {body['model']} any more; it is loaded again")
        if answer.status_code >= 500:
            raise self._failure(replica, answer)
        if answer.status_code != 200:
            raise EngineRefusedError(f"the engine refused a turn ({answer.status_code}): {answer.text[:300]}")
        return answer.json()

    def _failure(self, replica: Replica, answer: httpx.Response) -> EngineFailedError:
        replica.failed()
        failure = EngineFailedError(
            f"the engine{self._where(replica)} failed ({answer.status_code}): {answer.text[:300]}"
        )
        return self._child.explained(failure) if self._child else failure

    def _url(self, replica: Replica) -> str:
        return self._child.url if self._child else replica.url

    def _ask(self, replica: Replica, method: str, path: str, body: dict[str, Any] | None, job: Watch) -> httpx.Response:
        """One request; the job is looked at five times a second. Leaving closes the connection, which ends the work."""
        if (method, path) not in ALLOWED:
            raise ValueError(f"{method} {path} is not on the engine's allow-list")
        url = self._url(replica)
        try:
            return asyncio.run(self._exchange(url, method, path, body, job))
        except httpx.HTTPError as error:
            replica.failed()
            hangs = isinstance(error, httpx.TimeoutException)
            if self._child and not hangs and self._child.is_dying():
                raise self._child.died() from error
            raise EngineFailedError(f"the engine at {url} broke off: {type(error).__name__} {error}") from error

    async def _exchange(
        self, url: str, method: str, path: str, body: dict[str, Any] | None, job: Watch
    ) -> httpx.Response:
        headers = {"X-Request-Id": f"{job.trace_id}-{uuid.uuid4().hex[:8]}"}
        if self._settings.vllm_key:
            headers["Authorization"] = f"Bearer {self._settings.vllm_key.get_secret_value()}"
        timeout = httpx.Timeout(self._settings.request_timeout_s, connect=CONNECT_S)
        async with httpx.AsyncClient(timeout=timeout, headers=headers, trust_env=False) as client:
            request = asyncio.ensure_future(client.request(method, url + path, json=body))
            try:
                while not (await asyncio.wait({request}, timeout=POLL_S))[0]:
                    job.check()
                    if self._child and not self._child.alive:
                        raise self._child.died()
                return request.result()
            finally:
                request.cancel()


def command(settings: Settings, port: int) -> list[str]:
    """The engine's command line: the operator's program, and the address and limits that we rely on.

    raises   EngineFailedError naming the setting if the program is not there, BadInputError if the base model is not
    """
    base = read_base(settings.base_folder)
    program = [part.replace("{model}", str(base.folder)) for part in shlex.split(settings.engine_command)]
    if shutil.which(program[0]) is None:
        raise EngineFailedError(f"no program {program[0]}; install the engine or set INFERENCE_ENGINE_COMMAND")
    options = {
        "--host": "127.0.0.1",
        "--port": port,
        "--served-model-name": BASE_NAME,
        "--generation-config": "vllm",
        "--max-model-len": settings.max_model_len,
        "--max-num-batched-tokens": settings.max_model_len,  # a longer seeded prompt kills the engine on CPU
        "--max-lora-rank": settings.max_lora_rank,
        "--max-loras": settings.max_loras,
    }
    flags = ["--enable-lora", "--enable-prompt-tokens-details"]
    return [*program, *flags, *[str(part) for option in options.items() for part in option]]


def advice_on(log_text: str) -> str:
    """What to change, by the last words of vLLM; empty where they say nothing that is known."""
    return next((advice for words, advice in LAST_WORDS if words in log_text), "")


def _tail(path: Path, starts_at: int) -> str:
    """The end of a log, of what was written since a place in it."""
    with path.open("rb") as log_file:
        log_file.seek(max(starts_at, path.stat().st_size - LOG_TAIL_BYTES))
        return log_file.read().decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _distance(these: Sequence[float], those: Sequence[float]) -> float:
    """Largest difference between two lists of log-probabilities of one prompt."""
    return max(abs(one - other) for one, other in zip(these, those, strict=True))


def _computed(usage: dict[str, Any]) -> int:
    """Prompt tokens that were read for this request; vLLM counts those that it took from its cache apart."""
    details = usage.get("prompt_tokens_details") or {}
    return usage["prompt_tokens"] - (details.get("cached_tokens") or 0) if usage else 0


def _candidate(choice: dict[str, Any], computed: int) -> Candidate:
    logprobs = [value for value in choice["logprobs"]["token_logprobs"] if value is not None]
    return Candidate(
        text=choice["text"],
        tokens=len(logprobs),
        ended=choice["finish_reason"] == "stop",
        logprob=fmean(logprobs) if logprobs else 0.0,
        computed=computed,
    )
