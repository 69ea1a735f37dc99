"""Durable jobs on the real workflow library, with SQLite and with Postgres."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import DBOS
from pydantic import BaseModel, SecretStr

from shared import gpu_time
from shared.database import database_url
from shared.errors import BadInputError, ConflictError, EngineFailedError, NotFoundError, QuotaError
from shared.jobs import Jobs
from shared.progress import ProgressBoard
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

    def make(run, worker: str = "1", silent_after_s: float = 60.0, **more: Any) -> Jobs:
        settings = ServiceSettings(
            state_dir=tmp_path / "state",
            work_dir=tmp_path / "work",
            database_url=SecretStr(url) if url else None,
            worker=worker,
            silent_after_s=silent_after_s,
            **more,
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


# ---- fair order between shows ----------------------------------------------------------------------------------------


def test_five_hundred_queued_jobs_of_a_show_delay_anothers_first_by_one(make_jobs: MakeJobs):
    order_of_work: list[str] = []
    all_queued = threading.Event()

    def run(order: Order, job) -> Done:
        assert all_queued.wait(120)
        order_of_work.append(order.show)
        return Done(words=1)

    jobs = make_jobs(run)
    for _ in range(500):
        submit(jobs, Order(show="long"))
    first, second = (submit(jobs, Order(show="short")) for _ in range(2))
    all_queued.set()
    wait(jobs, second)

    assert wait(jobs, first).state is JobState.DONE
    assert order_of_work.index("short") <= 2, "one runs, and one more may go before"
    assert order_of_work[: order_of_work.index("short") + 3].count("short") >= 2


def test_threads_that_submit_at_once_queue_each_job_in_a_round_of_its_own(make_jobs: MakeJobs):
    hold = threading.Event()
    jobs = make_jobs(lambda order, job: Done(words=int(hold.wait(60))))
    running = submit(jobs, Order(show="other"))

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: submit(jobs, Order(show="lamplight")), range(24)))

    tags = sorted(tag for job, tag in tags_of(jobs).items() if job != running.id)
    hold.set()
    assert tags == list(range(tags[0], tags[0] + len(made)))


def test_one_worker_at_a_time_submits_to_a_queue(make_jobs: MakeJobs):
    ours = make_jobs(lambda order, job: Done(words=1))
    theirs = ProgressBoard(database_url("inference", ours.settings))  # as another process has it
    theirs.open()
    entered = threading.Event()

    def enter() -> None:
        with theirs.one_at_a_time("inference-jobs"):
            entered.set()

    other = threading.Thread(target=enter)
    with ours.board.one_at_a_time("inference-jobs") as connection:
        other.start()
        several_processes = connection.dialect.name == "postgresql"
        waited = not entered.wait(0.5 if several_processes else 30)
    other.join(10)
    theirs.close()

    assert entered.is_set() and waited == several_processes


def test_a_job_that_is_queued_again_keeps_its_place(make_jobs: MakeJobs):
    started = threading.Event()

    def hangs(order: Order, job) -> Done:
        started.set()
        while True:
            job.check()
            time.sleep(0.02)

    lost = make_jobs(hangs, worker="lost")
    made = [submit(lost) for _ in range(3)]
    assert started.wait(10)
    before = tags_of(lost)
    lost.stop()

    other = make_jobs(lambda order, job: Done(words=7), worker="other", silent_after_s=1.0)
    for job in made:
        wait(other, job)

    assert tags_of(other) == before and len({*before.values()}) == 3


def tags_of(jobs: Jobs) -> dict[str, int]:
    """The tag of each job, by its id."""
    found = DBOS.list_workflows(queue_name=f"{jobs.service}-jobs", load_input=False)
    return {one.workflow_id: one.priority for one in found if one.priority is not None}


# ---- quotas of a show ------------------------------------------------------------------------------------------------


def test_a_show_with_all_its_jobs_is_refused_others_are_not_and_a_repeat_never_is(make_jobs: MakeJobs):
    go = threading.Event()
    jobs = make_jobs(lambda order, job: Done(words=int(go.wait(60))), show_jobs=2)
    first, _ = submit(jobs, key="order-0001"), submit(jobs)

    with pytest.raises(QuotaError, match=r"unfinished jobs in inference.*\(2\).*cancel one.*raise INFERENCE_SHOW_JOBS"):
        submit(jobs)
    assert submit(jobs, key="order-0001").id == first.id
    assert submit(jobs, Order(show="other")).state is not JobState.FAILED
    follows = jobs.submit("write", Order(), actor="ann", trace_id="a" * 32, within_quota=False)
    go.set()
    wait(jobs, follows)

    assert wait(jobs, submit(jobs)).state is JobState.DONE


def test_gpu_hours_are_kept_over_a_restart_and_limit_a_show(make_jobs: MakeJobs):
    def run(order: Order, job) -> Done:
        gpu_time.spend(1800.0)
        return Done(words=1)

    first = make_jobs(run, show_gpu_hours=1.0)
    wait(first, submit(first))
    first.stop()
    second = make_jobs(run, show_gpu_hours=1.0)
    wait(second, submit(second))

    with pytest.raises(QuotaError, match=r"1 GPU hours a day.*until \d{4}-.* UTC.*INFERENCE_SHOW_GPU_HOURS"):
        submit(second)
    assert wait(second, submit(second, Order(show="other"))).state is JobState.DONE


def test_gpu_seconds_are_counted_by_show(make_jobs: MakeJobs):
    def run(order: Order, job) -> Done:
        gpu_time.spend(float(order.words))
        return Done(words=1)

    jobs = make_jobs(run)
    for show, seconds in (("lamplight", 3), ("lamplight", 4), ("other", 5)):
        wait(jobs, submit(jobs, Order(show=show, words=seconds)))

    told = jobs.metrics.render().decode()
    assert 'diary_gpu_seconds_total{show="lamplight"} 7.0' in told
    assert 'diary_gpu_seconds_total{show="other"} 5.0' in told
