"""One turn after the other: plan, ask, gate, choose, store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from services.inference import gate
from services.inference.adapters import AdapterFiles
from services.inference.engine import Ask, Candidate
from services.inference.lengths import TurnPlan, plan_turn
from services.inference.settings import Settings
from services.inference.window import first_seen
from shared import keys
from shared.engines import Watch
from shared.errors import BadInputError, ConflictError, EngineFailedError
from shared.jobs import JobContext
from shared.models import Base
from shared.recitation import TrainingText
from shared.render import Renderer, header
from shared.repetition import words_of
from shared.report import Spoken
from shared.schemas import EpisodeRequest, EpisodeTurn, Message, Show
from shared.store import Store, create_manifest, load

WARMER = 0.1  # added to the temperature with every attempt at a turn
HOTTEST = 1.3


class Engine(Protocol):
    """What writes turns; `services.inference.engine.VllmEngine` is the real one."""

    def base(self, job: Watch) -> Base:
        """The base model, waited for where it is still on its way; ask for it before anything else."""
        ...

    @property
    def renderer(self) -> Renderer: ...

    def say(self, adapter: AdapterFiles | None, ask: Ask, job: Watch) -> list[Candidate]: ...

    def wanted(self) -> bool: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Desk:
    """All that is needed to write one turn after the other."""

    request: EpisodeRequest
    show: Show
    episode_id: str
    adapter: AdapterFiles | None
    job: JobContext
    store: Store
    engine: Engine
    settings: Settings
    learnt: TrainingText | None = None

    def next_plan(self, turns: Sequence[EpisodeTurn]) -> TurnPlan | None:
        """What comes next; None after the closing. Follows from the turns alone, so that a repeat plans the same."""
        if turns and turns[-1].closing:
            return None
        assert self.request.words is not None, "a brief is settled before its first turn"
        return plan_turn(len(turns), self.said(turns), self.request.words, self.settings.host, self.settings.guest)

    def said(self, turns: Sequence[EpisodeTurn]) -> int:
        return sum(len(words_of(turn.text)) for turn in turns)

    def write(self, plan: TurnPlan, turns: Sequence[EpisodeTurn]) -> EpisodeTurn:
        """Ask until a turn passes the gate; the best of the merely imperfect ones after the last attempt.

        raises   EngineFailedError if no attempt gave a turn that may be kept; nothing is ever written by us instead
        """
        history = [Spoken(turn.role, turn.text, turn.closed) for turn in turns]
        prompt = self._prompt(plan, turns)
        rejected: list[str] = []
        imperfect: list[tuple[int, gate.Draft, Candidate]] = []
        for attempt in range(1, self.settings.attempts + 1):
            good: list[tuple[gate.Draft, Candidate]] = []
            for candidate in self.engine.say(self.adapter, self._ask(plan, prompt, attempt), self.job):
                draft = gate.draft(candidate.text, ended=candidate.ended)
                faults = [
                    *gate.faults(draft, plan.role, history, (self.show.host, self.request.guest), plan.fit_words),
                    *gate.recitals(draft, self.learnt),
                ]
                if not faults:
                    good.append((draft, candidate))
                    continue
                rejected.append(f"attempt {attempt}: {'; '.join(fault.reason for fault in faults)}")
                if not any(fault.grave for fault in faults):
                    imperfect.append((sum(fault.weight for fault in faults), draft, candidate))
            if good:
                return self._turn(plan, *_typical(good), attempt, rejected)
        if not imperfect:
            raise EngineFailedError(
                f"turn {plan.index} ({plan.role}) failed {self.settings.attempts} times: {rejected[-1]}"
            )
        _, draft, candidate = min(imperfect, key=lambda kept: kept[0])
        return self._turn(plan, draft, candidate, self.settings.attempts, [*rejected, "kept the least bad of these"])

    def keep(self, turn: EpisodeTurn) -> EpisodeTurn:
        """Store a turn unless it is there; what is stored counts, whoever wrote it."""
        key = keys.episode_turn(self.show.slug, self.episode_id, turn.index)
        if create_manifest(self.store, key, turn):
            return turn
        stored = load(self.store, key, EpisodeTurn)
        if stored.adapter != turn.adapter:
            raise ConflictError(
                f"another worker writes episode {self.episode_id} with {stored.adapter}; it goes on there"
            )
        return stored

    def parameters(self) -> dict[str, object]:
        names = ("host_min_tokens", "host_max_tokens", "guest_min_tokens", "guest_max_tokens", "top_p", "max_model_len")
        return {name: getattr(self.settings, name) for name in names}

    def _prompt(self, plan: TurnPlan, turns: Sequence[EpisodeTurn]) -> list[int]:
        costs = [self.engine.renderer.count(turn.text) for turn in turns]
        first = first_seen(costs, self.settings.window_tokens)
        system = header(
            show_title=self.show.title,
            host=self.show.host,
            guest=self.request.guest,
            facts=self.request.facts,
            about=self.request.about,
            position=plan.position,
            summary=self._goodbye() if plan.closing else "",
        )
        said = [Message(role=turn.role, text=turn.text) for turn in turns[first:]]
        prompt = self.engine.renderer.prompt([system, *said], plan.role)
        if len(prompt) + plan.max_tokens > self.settings.max_model_len:
            raise BadInputError(
                f"the brief is too long for the model: {len(prompt)} tokens before turn {plan.index}, and it "
                f"reads {self.settings.max_model_len}; shorten `about` and `facts`"
            )
        return prompt

    def _goodbye(self) -> str:
        return f"all is said. {self.show.host} thanks {self.request.guest} and says goodbye."

    def _ask(self, plan: TurnPlan, prompt: Sequence[int], attempt: int) -> Ask:
        temperature = self.request.temperature + WARMER * (attempt - 1)
        return Ask(
            prompt=prompt,
            stop_ids=self.engine.renderer.stop_ids(plan.role),
            min_tokens=plan.min_tokens,
            max_tokens=plan.max_tokens,
            temperature=min(temperature, max(HOTTEST, self.request.temperature)),
            top_p=self.settings.top_p,
            seed=seed_for(self.episode_id, self.request.seed, plan.index, attempt),
            n=self.request.candidates,
        )

    def _turn(
        self, plan: TurnPlan, draft: gate.Draft, candidate: Candidate, attempts: int, rejected: Sequence[str]
    ) -> EpisodeTurn:
        return EpisodeTurn(
            index=plan.index,
            role=plan.role,
            speaker=self.show.host if plan.role == "host" else self.request.guest,
            text=draft.text,
            tokens=candidate.tokens,
            attempts=attempts,
            rejected=tuple(rejected),
            closed=draft.closed,
            closing=plan.closing,
            target_words=self.request.words,
            adapter=self.adapter.name if self.adapter else None,
        )


def seed_for(episode_id: str, seed: int, turn: int, attempt: int) -> int:
    """One seed per attempt, below 2**31, the same in every repeat."""
    digest = hashlib.sha256(f"{episode_id}/{seed}/{turn}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _typical(good: Sequence[tuple[gate.Draft, Candidate]]) -> tuple[gate.Draft, Candidate]:
    """The candidate whose mean log-probability is nearest the median: the likeliest one is the blandest."""
    middle = median(candidate.logprob for _, candidate in good)
    return min(good, key=lambda pair: abs(pair[1].logprob - middle))
