"""What a page tells of a training run: where it is, how fast, what each checkpoint was found to be. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.studio.doors.runs import RunFigures, RunSummary
from shared.schemas import Dataset, Job, Judged, MetricPoint


@dataclass(frozen=True)
class Stand:
    """`state` is a class of site.css; `word` is what people read."""

    state: str
    word: str


@dataclass(frozen=True)
class Row:
    """A checkpoint. `marks` say what is special about it."""

    point: MetricPoint
    judged: Judged | None
    marks: tuple[str, ...]


@dataclass(frozen=True)
class Pace:
    """Over the whole run so far; None where nothing was measured yet."""

    tokens_per_s: float | None
    memory_gb: float | None
    seconds: float


def stand_of(run: RunSummary, job: Job | None) -> Stand:
    """job   the order that works on it, waits to, or did last, if this studio still knows it"""
    if run.adapter is not None:
        return Stand("done", "done")
    if job is not None and not job.state.ended:
        return Stand(job.state.value, "waiting" if job.state.value == "queued" else "running")
    return Stand("cancelled", "stopped")


def resumes_at(run: RunFigures, dataset: Dataset | None, *, under_way: bool) -> int | None:
    """The step at which a stopped run can be gone on with; None for one that cannot.

    dataset   None where it is not there any more
    """
    if under_way or run.adapter is not None or dataset is None or dataset.source_withdrawn:
        return None
    return run.checkpoints[-1] if run.checkpoints else None


def why_not_resumed(run: RunFigures, dataset: Dataset | None) -> str:
    """For a stopped run: why it cannot be gone on with, in a sentence."""
    if dataset is None or dataset.source_withdrawn:
        return "A recording of its dataset was erased, and its checkpoints with it: it cannot go on."
    if run.step == 0:
        return "It was stopped before its first checkpoint, so there is nothing to go on from."
    return "Its checkpoints were removed to free space, so there is nothing to go on from."


def rows_of(run: RunFigures, kept: int | None) -> list[Row]:
    """Points at which the model was judged: before training, then every checkpoint.

    kept   step of the checkpoint that became the trained model
    """
    return [
        Row(point, point.judged, tuple(_marks(point, place, run, kept)))
        for place, point in enumerate(run.metrics)
        if point.eval_loss is not None
    ]


def _marks(point: MetricPoint, place: int, run: RunFigures, kept: int | None) -> list[str]:
    marks = []
    if point.step == 0:
        marks.append("before training" if place else "the base model")
    if point.step and point.step == run.best_step:
        marks.append("lowest loss")
    if point.step and point.step == kept:
        marks.append("the trained model")
    if point.step in run.checkpoints:
        marks.append("stored to go on from")
    return marks


def guests_of(rows: Sequence[Row]) -> list[str]:
    """Held-out guests in order of their names."""
    return sorted({one.guest for row in rows if row.judged for one in row.judged.guests})


def pace_of(metrics: Sequence[MetricPoint]) -> Pace:
    trained = [point for point in metrics if point.step]
    seconds = trained[-1].seconds if trained else 0.0
    memory = max((point.memory_gb for point in trained if point.memory_gb is not None), default=None)
    return Pace(round(trained[-1].tokens / seconds, 1) if seconds else None, memory, seconds)
