"""Which job writes what a page shows, and where people read it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.studio.pages.writing import being_written, page_of, planned, stopped, to_look_over
from shared.schemas import EpisodeRequest, Job, JobState


def a_job(kind: str = "write", state: JobState = JobState.DONE, **facts: Any) -> Job:
    at = datetime(2031, 5, 4, tzinfo=UTC)
    return Job(id="order-01", kind=kind, service="studio", state=state, created_at=at, updated_at=at, **facts)


def result(brief: EpisodeRequest | None) -> dict[str, Any]:
    told = {"episode": "", "key": "", "words": 0, "turns": 0, "canary": None}
    return told | {"brief": brief.model_dump(mode="json") if brief else None}


def test_a_job_leads_to_the_page_of_what_it_makes():
    turns = {"turns": "/v1/shows/lamp/episodes/e9/turns", "stream": "/v1/shows/lamp/episodes/e9/events?job=a"}

    assert page_of(a_job(links=turns)) == "/shows/lamp/episodes/e9"
    assert (
        page_of(a_job("compare", links={"comparison": "/v1/shows/lamp/comparisons/c1"})) == "/shows/lamp/comparisons/c1"
    )
    assert page_of(a_job("train", links={"self": "/v1/jobs/order-01"})) == ""


def test_a_plan_is_what_a_finished_order_ended_with():
    brief = EpisodeRequest(show="lamp", guest="Ann")

    assert planned(a_job(result=result(brief))) == brief
    assert planned(a_job(result=result(None))) is None
    assert planned(a_job("train", result={"adapter": "lamp.r1.c4"})) is None
    assert planned(a_job(state=JobState.RUNNING)) is None and planned(None) is None


@pytest.mark.parametrize("kind", ["write", "revise", "compare", "pipeline"])
def test_jobs_that_write_are_told_apart_by_whether_they_go_on(kind: str):
    running, failed = a_job(kind, JobState.RUNNING), a_job(kind, JobState.FAILED)
    jobs = [running, failed, a_job(kind), a_job("train", JobState.RUNNING), a_job("train", JobState.FAILED)]

    assert being_written(jobs) == [running]
    assert stopped(jobs) == [failed]
    assert to_look_over(jobs) == []
