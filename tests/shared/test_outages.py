"""A job database that goes away and comes back, workers that leave, and claims whose answer was lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import BaseModel, SecretStr

from shared.errors import ServiceUnavailableError
from shared.jobs import JobContext, Jobs
from shared.progress import Hearing, ProgressBoard
from shared.schemas import Job, JobState
from shared.settings import ServiceSettings
from tests import kit
from tests.conftest import free_port_base
from tests.team import Postgres

pytestmark = pytest.mark.timeout(300)


class Order(BaseModel):
    words: int = 3


class Done(BaseModel):
    words: int


MakeJobs = Callable[..., Jobs]
Run = Callable[[Order, JobContext], Done]


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    server = Postgres(tmp_path / "postgres", free_port_base(1))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def make_jobs(tmp_path: Path, postgres: Postgres) -> Iterator[MakeJobs]:
    made: list[Jobs] = []

    def make(run: Run, silent_after_s: float = 60.0) -> Jobs:
        settings = ServiceSettings(
            work_dir=tmp_path / "work", database_url=SecretStr(postgres.url), silent_after_s=silent_after_s
        )
        jobs = Jobs("inference", settings)
        jobs.handle("write", Order, run)
        jobs.start()
        made.append(jobs)
        return jobs

    yield make
    for jobs in made:
        jobs.stop()


def submit(jobs: Jobs) -> Job:
    return jobs.submit("write", Order(), actor="ann", trace_id="a" * 32)


def ended(jobs: Jobs, job: Job) -> Job:
    return kit.until(lambda: (now := jobs.get(job.id)).state.ended and now, "the job has ended", 150)


@pytest.mark.postgres
def test_who_asks_while_the_database_is_away_is_told_so_and_the_job_goes_on_when_it_is_back(
    postgres: Postgres, make_jobs: MakeJobs
):
    went_away, steps = threading.Event(), []

    def work() -> None:
        steps.append("begun")
        went_away.wait()
        steps.append("ended")

    def run(order: Order, job: JobContext) -> Done:
        job.step("work", work)
        job.progress("going on")
        return Done(words=order.words)

    jobs = make_jobs(run)
    job = submit(jobs)
    kit.until(lambda: steps, "the job runs")
    postgres.stop()
    for ask in (lambda: jobs.get(job.id), jobs.list, lambda: submit(jobs), lambda: jobs.cancel(job.id)):
        with pytest.raises(ServiceUnavailableError, match="the job database does not answer"):
            ask()
    went_away.set()
    kit.until(lambda: "ended" in steps, "the step ends while nobody can write it down")
    postgres.start()

    assert ended(jobs, job).state is JobState.DONE
    assert steps == ["begun", "ended"]


@pytest.mark.postgres
def test_a_claim_whose_answer_was_lost_is_taken_up_again(postgres: Postgres, make_jobs: MakeJobs):
    busy, runs = threading.Event(), []

    def run(order: Order, job: JobContext) -> Done:
        runs.append(job.id)
        busy.wait()
        return Done(words=order.words)

    jobs = make_jobs(run, silent_after_s=1.0)
    first = submit(jobs)
    kit.until(lambda: runs, "the worker is busy")
    second = submit(jobs)
    engine = sa.create_engine(postgres.url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        claim = (
            "UPDATE dbos.workflow_status SET status = 'PENDING', executor_id = 'inference-1' WHERE workflow_uuid = :id"
        )
        connection.execute(sa.text(claim), {"id": second.id})
    engine.dispose()
    busy.set()

    assert {ended(jobs, job).state for job in (first, second)} == {JobState.DONE}
    assert runs == [first.id, second.id]


@pytest.mark.postgres
def test_workers_that_start_together_on_an_empty_database_all_find_their_tables(postgres: Postgres):
    boards = [ProgressBoard(postgres.url) for _ in range(8)]

    with ThreadPoolExecutor(len(boards)) as pool:
        list(pool.map(ProgressBoard.open, boards))

    for number, board in enumerate(boards):
        board.heartbeat(f"ingest-{number}", 0.0)
    assert len(boards[0].silent_workers("ingest", 1.0)) == len(boards)
    for board in boards:
        board.close()


@pytest.mark.postgres
def test_a_worker_that_stops_says_so_and_is_known_by_its_service_only(postgres: Postgres, make_jobs: MakeJobs):
    jobs = make_jobs(lambda order, job: Done(words=order.words))
    board = ProgressBoard(postgres.url)
    board.open()
    long_ago = time.time() - 3600.0
    assert board.silent_workers("inference", long_ago) == []

    jobs.stop()

    assert board.silent_workers("inference", long_ago) == ["inference-1"]
    assert board.silent_workers("ingest", time.time()) == []
    board.close()


def test_only_a_worker_that_would_have_heard_the_others_takes_them_for_silent():
    hearing = Hearing(silent_after_s=60.0, now=0.0)
    for now in range(10, 70, 10):
        assert not hearing.suffices(now - 1)
        hearing.beat(now)
    assert hearing.suffices(60)

    hearing.interrupted(100)
    assert not hearing.suffices(159) and hearing.suffices(160)


def test_after_a_late_heartbeat_of_its_own_a_worker_listens_anew():
    hearing = Hearing(silent_after_s=60.0, now=0.0)
    hearing.beat(20)

    hearing.beat(500)

    assert not hearing.suffices(559) and hearing.suffices(560)
