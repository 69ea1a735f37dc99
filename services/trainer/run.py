"""One run from its first step to its last: the engine trains, what it makes is kept, and what passes is waited for."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.trainer.base import config_of
from services.trainer.checkpoints import (
    best_checkpoint,
    demand_ours,
    drop_old,
    fetch_checkpoint,
    keep_checkpoint,
    newest_checkpoint,
)
from services.trainer.choice import best_point
from services.trainer.course import course_of, leaner
from services.trainer.plan import Course, Device, Engine, Plan, Trained
from services.trainer.presets import estimate
from services.trainer.report import duration
from services.trainer.sizes import work_bytes
from shared.errors import BadInputError, LeaseYieldedError, OutOfMemoryError, StoreUnavailableError
from shared.jobs import JobContext
from shared.models import Base
from shared.patience import Patience
from shared.schemas import Adapter, Checkpoint, Dataset, Example, MetricPoint, Show, TrainRequest
from shared.space import demand_space
from shared.store import Store, fetch_blob


@dataclass(frozen=True)
class Order:
    """What is trained, and on what."""

    request: TrainRequest
    run: int
    show: Show
    dataset: Dataset
    base: Base
    parent: Adapter | None


@dataclass(frozen=True)
class Finished:
    """A run that is over: what came of it, and what had to be made leaner on the way."""

    order: Order
    course: Course
    trained: Trained
    savings: tuple[str, ...]


def train_to_the_end(order: Order, job: JobContext, store: Store, engine: Engine) -> Finished:
    """Run the engine, keep each checkpoint in the store; give the GPU to whoever waits for it and go on afterwards,
    with leaner settings where the memory does not do."""
    request, dataset, device = order.request, order.dataset, engine.device()
    demand_room(order, device, job)
    train_file = fetch_blob(store, dataset.train, job.work_dir / "train.jsonl")
    eval_file = fetch_blob(store, dataset.eval, job.work_dir / "eval.jsonl")
    sizes = example_sizes(train_file)
    course = course_of(request, sizes, dataset.max_length, device, config_of(order.base.folder))
    job.progress("preparing", note=outlook(course, request, device, order.base, sum(sizes)))
    parent = fetch_parent(store, order.parent, job.work_dir) if order.parent else None
    keep = Keeper(order, course, job, store)
    savings: list[str] = []

    while True:
        newest = newest_checkpoint(store, request.show, order.run)
        best = best_checkpoint(store, newest, request.memorisation_limit) if newest else None
        plan = Plan(
            request=request,
            course=course,
            base=order.base,
            max_length=dataset.max_length,
            loss_on=dataset.loss_on,
            train=train_file,
            eval=eval_file,
            work=job.work_dir,
            tensorboard=engine.tensorboard / f"{request.show}.r{order.run}",
            resume=fetch_checkpoint(store, newest, job.work_dir) if newest else None,
            best=fetch_checkpoint(store, best, job.work_dir) if best and best != newest else None,
            parent=parent,
            metrics=newest.metrics if newest else (),
        )
        try:
            return Finished(order, course, engine.train(plan, job, keep), tuple(savings))
        except LeaseYieldedError as yielded:
            job.progress("waiting for the GPU", note=str(yielded))
        except OutOfMemoryError as full:
            course, saved = lean(course, device, sizes, full)
            savings.append(saved)
            job.progress("going on with less memory", note=f"{full}; from now on {saved}")


class Keeper:
    """Stores each checkpoint as it is made, waits for a store that is away, and tidies up behind itself."""

    def __init__(self, order: Order, course: Course, job: JobContext, store: Store) -> None:
        self._order, self._course, self._job, self._store = order, course, job, store

    def __call__(self, folder: Path, step: int, metrics: Sequence[MetricPoint]) -> None:
        request, run = self._order.request, self._order.run
        self._job.progress("storing checkpoint", step, self._course.steps, "steps")
        checkpoint = Checkpoint(
            show=request.show,
            run=run,
            step=step,
            job=self._job.id,
            dataset=request.dataset,
            files={},
            metrics=tuple(metrics),
        )
        self._patiently(lambda: demand_ours(self._store, request.show, run, self._job.id))
        self._patiently(lambda: keep_checkpoint(self._store, folder, checkpoint))
        self._patiently(lambda: drop_old(self._store, request.show, run, metrics, request))
        best = best_point(metrics, request.memorisation_limit)
        for other in folder.parent.glob("checkpoint-*"):
            number = int(other.name.removeprefix("checkpoint-"))
            if number < step and (best is None or number != best.step):  # the engine may be ahead of us
                shutil.rmtree(other)

    def _patiently(self, work: Callable[[], object]) -> None:
        """Training goes on meanwhile, and no step of it is lost; raises StoreUnavailableError when patience ends."""
        patience = Patience()
        while True:
            try:
                work()
                return
            except StoreUnavailableError as error:
                if not patience.bears(error):
                    raise
                self._job.check()
                self._job.progress("waiting for the object store", note=str(error))
                time.sleep(patience.pause_s)


def lean(course: Course, device: Device, sizes: Sequence[int], full: OutOfMemoryError) -> tuple[Course, str]:
    """Settings that take less memory, and what they save. raises BadInputError when there are none"""
    found = leaner(course, device, sizes)
    if found is None:
        raise BadInputError(
            f"{full}, and nothing is left to save. Build the dataset again with examples half as long "
            f"(`diary datasets build --max-length {max(128, max(sizes) // 2)}`), or choose a smaller base model"
        ) from full
    return found


def outlook(course: Course, request: TrainRequest, device: Device, base: Base, tokens: int) -> str:
    """What is about to happen, for a person."""
    wished = request.model_copy(update={"epochs": course.steps / course.steps_per_epoch})
    expected = estimate(device, config_of(base.folder), course.row_tokens, wished, tokens)
    amount = f"{course.steps} steps, {course.steps / course.steps_per_epoch:.1f} epochs"
    if expected is None:
        return amount
    return (
        f"{amount}; about {duration(expected.hours)} and {expected.memory_gb:.1f} of {device.memory_gb:.0f} GB on "
        f"{device.name} ({expected.method}): an estimate"
    )


def example_sizes(train_file: Path) -> list[int]:
    """Tokens of each training example."""
    with train_file.open(encoding="utf-8") as lines:
        return [Example.model_validate_json(line).tokens for line in lines]


def fetch_parent(store: Store, parent: Adapter, work_dir: Path) -> Path:
    folder = work_dir / "parent"
    folder.mkdir(exist_ok=True)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        fetch_blob(store, parent.files[name], folder / name)
    return folder


def demand_room(order: Order, device: Device, job: JobContext) -> None:
    """Refuse a run whose checkpoints the work folder has no room for. raises NoSpaceError"""
    request, dataset, base = order.request, order.dataset, order.base
    layers = request.last_layers or device.last_layers
    checkpoints = work_bytes(config_of(base.folder), request.lora_rank, layers) or 0
    needed = checkpoints + dataset.train.bytes + dataset.eval.bytes
    what = f"the checkpoints of a rank {request.lora_rank} adapter of {base.name}"
    demand_space(job.work_dir, needed, what, setting="TRAINER_WORK_DIR")
