"""The page of a show: which jobs it follows."""

from __future__ import annotations

from datetime import UTC, datetime

from services.studio.pages.shows import RUNNING_SHOWN, going_on
from shared.schemas import Job, JobState

NOW = datetime(2031, 5, 1, tzinfo=UTC)


def job(name: str, state: JobState) -> Job:
    return Job(
        id=name, kind="ingest", service="studio", state=state, show="lamp", actor="ann", trace_id="t",
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def test_of_many_jobs_those_that_run_are_followed_and_the_others_counted():
    waiting = [job(f"w{number}", JobState.QUEUED) for number in range(20)]
    jobs = [*waiting, job("over", JobState.DONE), job("now", JobState.RUNNING)]

    shown, more = going_on(jobs)

    assert [one.id for one in shown[:2]] == ["now", "w0"]
    assert len(shown) == RUNNING_SHOWN and len(shown) + more == 21
