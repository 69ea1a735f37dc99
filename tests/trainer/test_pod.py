"""The program of a training pod: what it says, what it leaves behind, and with which exit code it goes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from services.trainer import job as story
from services.trainer.pod import DETAIL_CHARACTERS, PodJob, show_end_of, work
from services.trainer.pod_order import PodOrder
from shared.engines import as_error
from shared.errors import BadInputError, DiaryError, NoSpaceError, StoreUnavailableError
from shared.schemas import Adapter, DatasetRequest, Problem, TrainRequest
from shared.store import load
from tests.fakes import FakeJob, MemoryStore, ScriptedTrainingEngine

TERMINATION_BYTES = 4096  # that Kubernetes keeps


@pytest.fixture
def order(store: MemoryStore, job: FakeJob, engine: ScriptedTrainingEngine) -> PodOrder:
    built = story.build(DatasetRequest(show="lamp", max_length=512), job=job, store=store, engine=engine)
    wish = TrainRequest(show="lamp", dataset=built.dataset, steps=6, checkpoint_every=2)
    return PodOrder(job="job-1", kind="train", actor="tester", trace_id="0" * 32, request=wish)


@pytest.fixture
def told() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def pod_job(order: PodOrder, told: io.BytesIO, tmp_path: Path) -> PodJob:
    (tmp_path / "pod").mkdir()
    return PodJob(order, tmp_path / "pod", told)


@pytest.fixture
def last_words(tmp_path: Path) -> Path:
    return tmp_path / "last-words"


def test_an_order_survives_its_way_through_a_variable(order):
    assert PodOrder.model_validate_json(order.model_dump_json()) == order


def test_a_pod_that_has_trained_ends_with_0_and_its_adapter_is_in_the_store(
    order, pod_job, store, engine, last_words, told
):
    assert work(order.request, pod_job, store, engine, last_words) == 0

    [key] = store.list("shows/lamp/adapters/")
    assert load(store, key, Adapter).lineage.job == order.job and not last_words.exists()
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    assert all(set(line) == {"progress"} for line in lines)
    assert [line["progress"]["done"] for line in lines if line["progress"]["stage"] == "storing checkpoint"] == [
        2,
        4,
        6,
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [(BadInputError("too long"), 70), (NoSpaceError("full"), 70), (StoreUnavailableError("x" * 9000), 75)],
    ids=["hopeless", "disk", "passing"],
)
def test_an_error_goes_into_the_termination_message_and_the_code_says_whether_to_try_again(
    order, pod_job, store, base, last_words, error: DiaryError, code: int, monkeypatch
):
    monkeypatch.setattr("shared.patience.PATIENCE_S", 0.0)
    engine = ScriptedTrainingEngine(base, breaks={2: error})

    assert work(order.request, pod_job, store, engine, last_words) == code

    assert len(last_words.read_bytes()) < TERMINATION_BYTES
    problem = Problem.model_validate_json(last_words.read_text())
    again = as_error({"kind": f"{problem.title}Error", "message": problem.detail})
    assert type(again) is type(error) and str(again) == str(error)[:DETAIL_CHARACTERS]


def test_what_passes_is_waited_for_in_the_pod(order, pod_job, store, base, last_words, told):
    engine = ScriptedTrainingEngine(base, breaks={2: StoreUnavailableError("away")})

    assert work(order.request, pod_job, store, engine, last_words) == 0

    assert b"away; trying again (1)" in told.getvalue() and engine.steps == [1, 2, 3, 4, 5, 6]


def test_a_pod_that_has_to_go_ends_as_one_that_may_be_tried_again(order, pod_job, store, engine, last_words):
    pod_job.stopping.set()

    assert work(order.request, pod_job, store, engine, last_words) == 143
    assert not last_words.exists()


def test_the_end_of_the_engines_log_outlives_the_pod(tmp_path: Path, capsys):
    (tmp_path / "engine.log").write_text("".join(f"line {number}\n" for number in range(1000)))

    show_end_of(tmp_path / "engine.log")
    show_end_of(tmp_path / "none.log")

    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "line 999" and len(lines) == 40
