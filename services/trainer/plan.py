"""What the training engine is asked for and what it answers: a plan, and a trained adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from shared.engines import Watch
from shared.models import Base
from shared.render import LossOn
from shared.schemas import MetricPoint, Record, TrainRequest

TARGET_MODULES = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")

KeepCheckpoint = Callable[[Path, int, Sequence[MetricPoint]], None]


class Plan(Record):
    """What to train. `resume` is a checkpoint folder, `metrics` the figures up to it; `work` is a folder for files."""

    request: TrainRequest
    base: Base
    max_length: int
    loss_on: LossOn
    train: Path
    eval: Path
    work: Path
    resume: Path | None = None
    metrics: tuple[MetricPoint, ...] = ()

    @property
    def save_now(self) -> Path:
        """Made by the near side to ask for a checkpoint after the step in hand."""
        return self.work / "save-now"


class Trained(Record):
    """A finished run: `folder` holds adapter_model.safetensors, adapter_config.json and loss.png."""

    folder: Path
    metrics: tuple[MetricPoint, ...]
    versions: dict[str, str]
    parameters: dict[str, str | int | float]


class Engine(Protocol):
    def base(self, job: Watch) -> Base: ...

    def train(self, plan: Plan, job: Watch, keep: KeepCheckpoint) -> Trained:
        """Train to the last step; `keep(folder, step, metrics)` is called with each checkpoint.

        raises   LeaseYieldedError after a checkpoint if another service waits for the device: call again to go on
        """
        ...
