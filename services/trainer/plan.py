"""What the training engine is asked for and what it answers: a plan, and a trained adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from shared.engines import Watch
from shared.families import LossOn
from shared.models import Base
from shared.schemas import MetricPoint, Record, TrainRequest

TARGET_MODULES = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")

KeepCheckpoint = Callable[[Path, int, Sequence[MetricPoint]], None]


class Device(Record):
    """What training runs on.

    memory_gb     of one GPU, or of the machine, in 10^9 bytes
    last_layers   how many layers are adapted when a request does not say; None: all
    """

    kind: Literal["cpu", "cuda"]
    name: str
    memory_gb: float
    count: int = 1
    last_layers: int | None = None


class Course(Record):
    """What a run will do, as settled before it starts; see course.py.

    examples_per_step        rows: packs, where short examples are packed
    row_tokens               packs hold at most so many
    questions, answer_tokens how many openings each checkpoint is prompted with, and how much it may say
    """

    steps: int
    steps_per_epoch: float
    examples_per_step: int
    checkpoint_every: int
    learning_rate: float
    processes: int
    quantised: bool
    recompute: bool
    row_tokens: int
    questions: int
    answer_tokens: int


class Plan(Record):
    """What to train.

    resume        folder of the checkpoint to go on from; `metrics` are the figures up to it
    best          folder of the best checkpoint so far, if that is another one
    parent        folder of an adapter to start from
    work          a folder for files
    tensorboard   a folder for TensorBoard's files, which outlive the run
    """

    request: TrainRequest
    course: Course
    base: Base
    max_length: int
    loss_on: LossOn
    train: Path
    eval: Path
    work: Path
    tensorboard: Path
    resume: Path | None = None
    best: Path | None = None
    parent: Path | None = None
    metrics: tuple[MetricPoint, ...] = ()

    @property
    def save_now(self) -> Path:
        """Made by the near side to ask for a checkpoint after the step in hand."""
        return self.work / "save-now"


class Trained(Record):
    """A finished run: `folder` holds adapter_model.safetensors, adapter_config.json and loss.png.

    step      of the checkpoint that was kept
    metrics   the base model first, at step 0; then the adapter that training went on from, if any, at step 0 too
    """

    folder: Path
    step: int
    metrics: tuple[MetricPoint, ...]
    versions: dict[str, str]
    parameters: dict[str, str | int | float]


class Engine(Protocol):
    def base(self, job: Watch) -> Base: ...

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard files, which outlive their runs."""
        ...

    def device(self) -> Device: ...

    def train(self, plan: Plan, job: Watch, keep: KeepCheckpoint) -> Trained:
        """Train to the last step; `keep(folder, step, metrics)` is called with each checkpoint.

        raises   LeaseYieldedError after a checkpoint if another service waits for the device: call again to go on;
                 OutOfMemoryError if the device's memory does not do: call again with a leaner course
        """
        ...
