"""What an episode is written with: the job that it is written for, a store, an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.inference import adapters
from services.inference.adapters import AdapterFiles
from services.inference.engine import Ask, Caller, Candidate
from services.inference.settings import Settings
from shared.engines import Watch
from shared.jobs import JobContext
from shared.models import Base
from shared.render import Renderer
from shared.schemas import Adapter
from shared.store import Store


class Engine(Protocol):
    """What writes turns; `services.inference.engine.VllmEngine` is the real one."""

    def base(self, job: Watch) -> Base:
        """The base model, waited for where it is still on its way; ask for it before anything else."""
        ...

    @property
    def renderer(self) -> Renderer: ...

    def say(self, adapter: AdapterFiles | None, ask: Ask, job: Caller) -> list[Candidate]: ...

    def score(self, adapter: AdapterFiles | None, prompt: Sequence[int], job: Caller) -> list[float]: ...

    def make_way(self, job: Watch) -> None:
        """Where another service waits for the device: return when it can have it. What is asked next waits its turn."""
        ...


@dataclass(frozen=True)
class Means:
    job: JobContext
    store: Store
    engine: Engine
    settings: Settings

    def fetched(self, adapter: Adapter | None) -> AdapterFiles | None:
        """The checked files of an adapter, where the engine can read them; None for the base model."""
        if adapter is None:
            return None
        return adapters.fetch(self.store, adapter, self.settings.adapter_dir, self.settings.max_lora_rank)

    @property
    def room_for_facts(self) -> int:
        """Tokens that the facts of a guest's sheet may take together: a quarter of what the model reads."""
        return self.settings.max_model_len // 4
