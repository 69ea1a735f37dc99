"""What a page tells of a training run: its state, the checkpoints and what is special about each, its pace."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.studio.doors.runs import RunFigures, epoch_ends, figures_of, run_of_order
from services.studio.library import Library
from services.studio.pages.training import guests_of, pace_of, resumes_at, rows_of, stand_of, why_not_resumed
from shared.schemas import Job, JobState, MetricPoint
from tests.fakes import MemoryStore
from tests.studio.a_dataset import points, put_dataset, put_run

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def run_of(*losses: float | None, kept: int | None = None) -> RunFigures:
    store = MemoryStore()
    put_dataset(store)
    put_run(store, 1, points(*losses), kept=kept)
    return figures_of(Library(store), "lamp", 1)


def job(state: JobState) -> Job:
    return Job(id="order1", kind="train", service="studio", state=state, created_at=WHEN, updated_at=WHEN)


@pytest.mark.parametrize(
    ("kept", "of", "word"),
    [
        (2, JobState.DONE, "done"),
        (2, None, "done"),
        (None, JobState.RUNNING, "running"),
        (None, JobState.QUEUED, "waiting"),
        (None, JobState.CANCELLED, "stopped"),
        (None, JobState.FAILED, "stopped"),
        (None, None, "stopped"),
    ],
)
def test_a_run_is_done_once_it_has_a_model_and_else_as_its_job_is(kept: int | None, of: JobState | None, word: str):
    assert stand_of(run_of(3.0, None, 2.0, kept=kept), job(of) if of else None).word == word


def test_a_stopped_run_with_a_checkpoint_can_be_resumed_there():
    dataset = put_dataset(MemoryStore())
    run = run_of(3.0, None, 2.0, None, 2.2)

    assert resumes_at(run, dataset, under_way=False) == 4
    assert resumes_at(run, dataset, under_way=True) is None
    assert resumes_at(run_of(3.0, None, 2.0, kept=2), dataset, under_way=False) is None


def test_a_run_that_cannot_be_resumed_says_why():
    dataset = put_dataset(MemoryStore())
    withdrawn = dataset.model_copy(update={"source_withdrawn": ("r1",)})
    run = run_of(3.0, None, 2.0)
    collected = run.model_copy(update={"checkpoints": ()})

    for known, of, why in (
        (run, withdrawn, "was erased"),
        (run, None, "was erased"),
        (run_of(), dataset, "before its first checkpoint"),
        (collected, dataset, "removed to free space"),
    ):
        assert resumes_at(known, of, under_way=False) is None and why in why_not_resumed(known, of)


def test_each_checkpoint_says_what_is_special_about_it():
    rows = rows_of(run_of(3.0, None, 2.0, None, 2.2, kept=2), kept=2)

    assert [(row.point.step, row.marks) for row in rows] == [
        (0, ("the base model",)),
        (2, ("lowest loss", "the trained model", "stored to go on from")),
        (4, ("stored to go on from",)),
    ]
    assert guests_of(rows) == ["Bob"]


def test_the_pace_is_that_of_the_whole_run_and_memory_the_most_there_was():
    metrics = [
        MetricPoint(step=0, tokens=0, eval_loss=3.0),
        MetricPoint(step=1, tokens=500, seconds=10, memory_gb=9.5),
        MetricPoint(step=2, tokens=1000, seconds=20, memory_gb=9.0),
    ]
    assert (pace_of(metrics).tokens_per_s, pace_of(metrics).memory_gb, pace_of(metrics).seconds) == (50.0, 9.5, 20)
    assert pace_of(metrics[:1]).tokens_per_s is None and pace_of([]).memory_gb is None


def test_an_epoch_ends_where_all_examples_were_seen():
    steps = [MetricPoint(step=step, tokens=40 * step) for step in range(7)]

    assert epoch_ends(steps, 90) == (3, 5)
    assert epoch_ends(steps[:2], 90) == ()
    assert epoch_ends([MetricPoint(step=9, tokens=200)], 90) == (9, 9), "figures of every ninth step only"
    assert epoch_ends(steps, 0) == ()


def test_an_order_leads_to_the_run_that_it_claimed():
    store = MemoryStore()
    put_dataset(store)
    put_run(store, 1, ())
    put_run(store, 2, ())

    assert run_of_order(Library(store), "lamp", "order2") == 2
    assert run_of_order(Library(store), "lamp", "order3") is None
