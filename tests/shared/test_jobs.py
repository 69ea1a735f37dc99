"""Durable jobs on the real workflow library, with SQLite and with Postgres."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from pydantic import BaseModel, SecretStr

from shared.errors import BadInputError, ConflictError, EngineFailedError, NotFoundError
from shared.jobs import Jobs
from shared.schemas import Job, JobState
from shared.settings import ServiceSettings


class Order(BaseModel):
    show: str = "lamplight"
    words: int = 3


class Done(BaseModel):
    words: int


MakeJobs = Callable[..., Jobs]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def make_jobs(request: pytest.FixtureRequest, tmp_path) -> Iterator[MakeJobs]:
    """Make the jobs of one worker; another call is another worker (or the same one, restarted)."""
    url = own_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    made: list[Jobs] = []

    def make(run, worker: str = "1", silent_after_s: float = 60.0) -> Jobs:
        settings = ServiceSettings(
            state_dir=tmp_path / "state",
            work_dir=tmp_path / "work",
            database_url=SecretStr(url) if url else None,
            worker=worker,
            silent_after_s=silent_after_s,
        )
        jobs = Jobs("inference", settings)
        jobs.handle("write", Order, run)
        jobs.start()
        made.append(jobs)
        return jobs

    yield make
    for jobs in made:
        jobs.stop()


def own_database(server_url: str) -> str:
    """A database of this test alone: a worker would take up what another test left unfinished."""
    name = f"jobs_{uuid.uuid4().hex}"
    engine = sa.create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)


def wait(jobs: Jobs, job: Job, timeout_s: float = 30.0) -> Job:
    until = time.monotonic() + timeout_s
    while not (job := jobs.get(job.id)).state.ended:
        assert time.monotonic() < until, f"still {job.state}: {job.progress}"
        time.sleep(0.05)
    return job


def submit(jobs: Jobs, order: Order | None = None, key: str | None = None) -> Job:
    return jobs.submit("write", order or Order(), actor="ann", trace_id="a" * 32, idempotency_key=key)


def test_a_job_runs_and_keeps_its_result_actor_and_trace(make_jobs: MakeJobs):
    jobs = make_jobs(lambda order, job: Done(words=order.words))

    job = wait(jobs, submit(jobs))

    assert (job.state, job.result, job.actor, job.trace_id) == (JobState.DONE, {"words": 3}, "ann", "a" * 32)


def test_the_same_key_is_the_same_job_and_other_work_under_it_is_refused(make_jobs: MakeJobs):
    runs = []

    def run(order: Order, job) -> Done:
        runs.append(1)
        return Done(words=order.words)

    jobs = make_jobs(run)

    first = wait(jobs, submit(jobs, key="order-0001"))
    again = submit(jobs, key="order-0001")

    assert (again.id, again.state, len(runs)) == (first.id, JobState.DONE, 1)
    with pytest.raises(ConflictError, match="choose a new one"):
        submit(jobs, Order(words=9), key="order-0001")


def test_a_refused_job_fails_with_its_advice_and_an_engine_that_dies_is_tried_again(make_jobs: MakeJobs):
    tries = []

    def run(order: Order, job) -> Done:
        if order.words == 0:
            raise BadInputError("words must be above 0; ask for some")
        tries.append(1)
        if len(tries) == 1:
            raise EngineFailedError("vLLM died")
        return Done(words=len(tries))

    jobs = make_jobs(run)

    refused = wait(jobs, submit(jobs, Order(words=0)))
    retried = wait(jobs, submit(jobs))

    assert refused.state is JobState.FAILED
    assert refused.problem and refused.problem.status == 422 and "ask for some" in refused.problem.detail
    assert retried.result == {"words": 2}


def test_cancel_reaches_a_running_handler(make_jobs: MakeJobs):
    started, released = threading.Event(), threading.Event()

    def run(order: Order, job) -> Done:
        started.set()
        try:
            while True:
                job.check()
                time.sleep(0.02)
        finally:
            released.set()

    jobs = make_jobs(run)
    job = submit(jobs)
    assert started.wait(10)

    jobs.cancel(job.id)

    assert released.wait(5)
    assert wait(jobs, job).state is JobState.CANCELLED


def test_progress_is_readable_and_an_unknown_job_is_named(make_jobs: MakeJobs):
    go = threading.Event()

    def run(order: Order, job) -> Done:
        job.progress("writing", 1, 4, "turns")
        go.wait(10)
        return Done(words=1)

    jobs = make_jobs(run)
    job = submit(jobs)
    until = time.monotonic() + 10
    while (progress := jobs.get(job.id).progress) is None and time.monotonic() < until:
        time.sleep(0.05)
    go.set()

    assert progress and (progress.stage, progress.done, progress.total) == ("writing", 1, 4)
    with pytest.raises(NotFoundError, match="diary jobs list"):
        jobs.get("nothing-here")


def test_a_restarted_worker_goes_on_after_the_last_finished_step(make_jobs: MakeJobs):
    done: list[str] = []
    second_step = threading.Event()

    def dies_in_step_two(order: Order, job) -> Done:
        job.step("one", lambda: done.append("one"))
        second_step.set()
        while True:
            job.check()
            time.sleep(0.02)

    def finishes(order: Order, job) -> Done:
        job.step("one", lambda: done.append("one again"))
        job.step("two", lambda: done.append("two"))
        return Done(words=2)

    first = make_jobs(dies_in_step_two)
    job = submit(first)
    assert second_step.wait(10)
    first.stop()

    second = make_jobs(finishes)

    assert wait(second, job).state is JobState.DONE
    assert done == ["one", "two"]


def test_the_jobs_of_a_silent_worker_go_to_another(make_jobs: MakeJobs):
    started = threading.Event()

    def hangs(order: Order, job) -> Done:
        started.set()
        while True:
            job.check()
            time.sleep(0.02)

    lost = make_jobs(hangs, worker="lost")
    job = submit(lost)
    assert started.wait(10)
    lost.stop()

    other = make_jobs(lambda order, job: Done(words=7), worker="other", silent_after_s=1.0)

    assert wait(other, job).result == {"words": 7}
