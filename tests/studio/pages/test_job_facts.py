"""What pages tell of a job: what was asked without secrets, and where what it made is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.studio.pages.job_facts import Made, asked, made_by, outcome
from shared.schemas import DatasetRequest, IngestRequest, Job, JobState, PipelineRequest, Problem, Source, TrainRequest

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def job(kind: str, **facts: Any) -> Job:
    base: dict[str, Any] = {"show": "lamp", "state": JobState.DONE, "created_at": WHEN, "updated_at": WHEN}
    return Job(id="j1", kind=kind, service="studio", **{**base, **facts})


def test_what_was_set_by_hand_is_told_and_the_usual_is_not():
    request = TrainRequest(show="lamp", dataset="d9", epochs=1.5, packing=False, learning_rate=0.0002)

    assert asked(request) == [
        ("epochs", "1.5"), ("packing", "no"), ("learning rate", "0.0002"), ("dataset", "d9"),
    ]  # fmt: skip


def test_a_secret_of_an_address_is_not_told_however_deep_it_lies():
    url = "https://ann:pa55word@feeds.example/show.mp3?token=s3cr3t12345"
    order = PipelineRequest(show="lamp", sources=(Source(url=url), Source(upload_key="uploads/1", filename="a.mp3")))

    for request in (IngestRequest(show="lamp", url=url), order):
        told = str(asked(request))
        assert "feeds.example" in told
        assert "pa55word" not in told and "s3cr3t12345" not in told and "uploads/1" not in told


def test_long_lists_and_texts_are_cut():
    many = tuple(f"r{number}" for number in range(30))

    [(_, told)] = asked(DatasetRequest(show="lamp", recordings=many))

    assert told.startswith("r0, r1") and told.endswith("and 22 more")


@pytest.mark.parametrize(
    ("kind", "result", "made"),
    [
        ("ingest", {"recording": "r1", "key": "k", "new": True}, ("The recording", "recordings/r1")),
        ("dataset", {"dataset": "d9", "key": "k"}, ("The dataset d9", "datasets/d9")),
        ("train", {"adapter": "lamp.r12.c240"}, ("The trained model lamp.r12.c240, with its curves", "runs/12")),
        ("write", {"episode": "e1", "key": "k", "brief": None}, ("The AI episode", "episodes/e1")),
    ],
)
def test_a_result_leads_to_the_page_of_what_was_made(kind: str, result: dict[str, Any], made: tuple[str, str]):
    assert made_by(job(kind, result=result)) == [Made(made[0], f"/shows/lamp/{made[1]}")]


def test_a_result_that_only_counts_its_recordings_leads_to_none_and_tells_how_many():
    replaced = job("replace", result={"found": 3, "recordings": 2, "places": [], "batch": None})

    assert made_by(replaced) == []
    assert outcome(replaced) == [("found", "3"), ("recordings", "2")]


def test_a_plan_to_be_reviewed_is_no_episode():
    assert made_by(job("write", result={"episode": "", "key": "", "words": 0})) == []


def test_a_pipeline_leads_to_everything_it_made():
    result = {
        "recordings": ["r1", "r2"],
        "transcripts": ["t1"],
        "dataset": "d",
        "adapter": "lamp.r1.c4",
        "episode": "e",
    }

    assert [one.address.removeprefix("/shows/lamp/") for one in made_by(job("pipeline", result=result), run=1)] == [
        "recordings", "datasets/d", "runs/1", "episodes/e",
    ]  # fmt: skip


def test_work_under_way_leads_to_what_grows():
    links = {"turns": "/v1/shows/lamp/episodes/e1/turns"}
    running = {"state": JobState.RUNNING}

    assert made_by(job("train", **running), run=3) == [Made("Training run 3: its curves", "/shows/lamp/runs/3")]
    assert [one.address for one in made_by(job("write", links=links, **running))] == ["/shows/lamp/episodes/e1"]


def test_a_failed_job_leads_nowhere_but_to_its_run():
    problem = Problem(title="OutOfMemory", status=507, detail="the memory does not hold it")
    links = {"turns": "/v1/shows/lamp/episodes/e1/turns", "comparison": "/v1/shows/lamp/comparisons/c1"}
    failed = {"state": JobState.FAILED, "problem": problem, "links": links}

    assert made_by(job("write", **failed)) == made_by(job("compare", **failed)) == []
    assert [one.address for one in made_by(job("train", **failed), run=2)] == ["/shows/lamp/runs/2"]


def test_figures_of_a_result_are_told_without_what_is_a_link():
    assert outcome(job("dataset", result={"dataset": "d9", "key": "k", "tokens": 130, "examples": 3})) == [
        ("tokens", "130"), ("examples", "3"),
    ]  # fmt: skip
