"""Training runs, under way or over: what was asked, how the losses went, which checkpoints are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter, Depends

from services.studio.care.withdrawal import REMOTE_JOB
from services.studio.library import Library
from shared.errors import ArtifactMissingError
from shared.schemas import Adapter, MetricPoint, Record, Run, TrainRequest
from shared.service import viewer
from shared.store import Store
from shared.tokens import Access, Token


class RunSummary(Record):
    """Where a run is.

    job            the order that works on it now, or did last, as `diary jobs` knows it
    step           the last one that there are figures of; 0 before the first checkpoint
    steps          how many were asked for, or in the end made; None: as many as the epochs take
    eval_loss      on held-out guests, of the newest checkpoint; before training, that of the base model
    best_step, best_eval_loss   of the checkpoint with the lowest, the base model's not among them
    adapter        name of what was kept; the run is over
    """

    number: int
    dataset: str
    job: str
    step: int
    steps: int | None
    eval_loss: float | None
    best_eval_loss: float | None
    best_step: int | None
    adapter: str | None
    claimed_at: datetime | None


class RunFigures(RunSummary):
    """All that curves are drawn from.

    checkpoints   steps whose state is stored, for going on
    epoch_ends    steps at which all examples had been seen once, twice, ...
    """

    request: TrainRequest
    metrics: tuple[MetricPoint, ...]
    checkpoints: tuple[int, ...]
    epoch_ends: tuple[int, ...] = ()


def runs_door(store: Store) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/runs", tags=["runs"])
    library = Library(store)

    def reader(show: str, token: Token = Depends(viewer)) -> str:
        token.demand(Access.VIEWER, show)
        return show

    @router.get("")
    def list_runs(show: str = Depends(reader)) -> list[RunSummary]:
        """All training runs of a show, the newest last."""
        return summaries_of(library, show)

    @router.get("/{number}")
    def get_run(number: int, show: str = Depends(reader)) -> RunFigures:
        """One run with the figures of every step so far, also while it is under way."""
        return figures_of(library, show, number)

    return router


def summaries_of(library: Library, show: str) -> list[RunSummary]:
    return [summary_of(run, *_found(library, show, run)) for run in library.runs(show)]


def figures_of(library: Library, show: str, number: int) -> RunFigures:
    """raises ArtifactMissingError for a run that nobody claimed"""
    run = library.run(show, number)
    adapter, metrics = _found(library, show, run)
    try:
        tokens = library.dataset(show, run.request.dataset).train_tokens
    except ArtifactMissingError:  # of a run that outlived its dataset
        tokens = 0
    return RunFigures(
        **summary_of(run, adapter, metrics).model_dump(),
        request=run.request,
        metrics=metrics,
        checkpoints=library.checkpoint_steps(show, number),
        epoch_ends=epoch_ends(metrics, tokens),
    )


def epoch_ends(metrics: Sequence[MetricPoint], epoch_tokens: int) -> tuple[int, ...]:
    """The first logged step at or after the end of each epoch.

    epoch_tokens   of all training examples; 0 where nobody knows
    """
    ends: list[int] = []
    for point in metrics:
        if epoch_tokens and point.tokens >= (len(ends) + 1) * epoch_tokens:
            ends += [point.step] * (point.tokens // epoch_tokens - len(ends))
    return tuple(ends)


def _found(library: Library, show: str, run: Run) -> tuple[Adapter | None, tuple[MetricPoint, ...]]:
    """What a run has led to so far. Its checkpoints may go once its adapter is stored."""
    adapter = library.adapter_of_run(show, run.number)
    if adapter is not None:
        return adapter, adapter.metrics
    checkpoint = library.newest_checkpoint(show, run.number)
    return None, checkpoint.metrics if checkpoint else ()


def summary_of(run: Run, adapter: Adapter | None, metrics: Sequence[MetricPoint]) -> RunSummary:
    """metrics   all so far, in order of their steps"""
    judged = [(point.eval_loss, point.step) for point in metrics if point.eval_loss is not None]
    best = min(((loss, step) for loss, step in judged if step > 0), default=(None, None))
    return RunSummary(
        number=run.number,
        dataset=run.request.dataset,
        job=order_of(run.job),
        step=metrics[-1].step if metrics else 0,
        steps=(adapter.steps if adapter else None) or run.request.steps,
        eval_loss=judged[-1][0] if judged else None,
        best_eval_loss=best[0],
        best_step=best[1],
        adapter=adapter.name if adapter else None,
        claimed_at=run.claimed_at,
    )


def run_of_order(library: Library, show: str, job: str) -> int | None:
    """The newest run that an order of a person has claimed or resumed so far."""
    for run in reversed(library.runs(show)):
        if job in map(order_of, (run.job, *run.jobs_before)):
            return run.number
    return None


def order_of(job: str) -> str:
    """`J` of `J.train.0`: the job of a person of which a service's job is a step."""
    found = REMOTE_JOB.match(job)
    return found.group(1) if found else job
