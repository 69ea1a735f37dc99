"""Jobs that mention something erased are forgotten: no file of the job database holds a word of them any more."""

from __future__ import annotations

import base64
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.errors import BadInputError, NotFoundError
from shared.forgetting import Forgetting, Names, carry_out
from shared.jobs import Jobs
from tests.kit import texts_as_stored
from tests.shared.test_jobs import Done, MakeJobs, Order, make_jobs, submit, wait

__all__ = ["make_jobs"]

SECRET = "The Keeper of Small Bridges"


class Talk(Order):
    title: str = ""
    recording: str = ""
    stop: bool = False


def talked(talk: Talk, job) -> Done:
    job.progress("hearing", 1, 2, "words", note=f"{talk.title} says nothing")
    job.step("hear", lambda: {"said": f"something by {talk.title}", "recording": talk.recording})
    if talk.words == 0:
        raise BadInputError(f"nothing was said in {talk.title}")
    while talk.stop:
        job.check()
        time.sleep(0.02)
    return Done(words=talk.words)


@pytest.fixture
def jobs(make_jobs: MakeJobs, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    monkeypatch.setattr("tests.shared.test_jobs.Order", Talk)  # what the fixture's jobs are asked
    return make_jobs(talked)


def asked(*words: str, dry_run: bool = False, **fields) -> Forgetting:
    return Forgetting(show="lamplight", words=words, dry_run=dry_run, **fields)


def held(jobs: Jobs, tmp_path: Path, text: str) -> list[str]:
    """Where the database holds a text: every file of SQLite byte by byte, every row of Postgres."""
    forms = texts_as_stored(text)
    if files := list((tmp_path / "state").glob("*")):
        return [path.name for path in files if any(form in path.read_bytes() for form in forms)]
    found = []
    engine = sa.create_engine(jobs.board._url)
    with engine.connect() as connection:
        for schema in sa.inspect(engine).get_schema_names():
            for table in sa.inspect(engine).get_table_names(schema=schema):
                rows = connection.execute(sa.text(f'SELECT * FROM "{schema}"."{table}"')).all()
                found += [table for row in rows if any(form in str(row).encode() for form in forms)]
    engine.dispose()
    return found


def test_what_mentions_it_goes_with_every_byte_and_the_rest_stays(jobs: Jobs, tmp_path: Path):
    by_id = wait(jobs, submit(jobs, Talk(title=SECRET, recording="r1"), "order-00.hear.1"))
    by_title = wait(jobs, submit(jobs, Talk(title=SECRET, words=0), "failed-01"))
    other = wait(jobs, submit(jobs, Talk(title="Another", recording="r12"), "order-001"))
    assert held(jobs, tmp_path, SECRET)

    told = carry_out(asked("r1", "order-00", texts=(SECRET,), dry_run=True), jobs)
    assert {job.id for job in told.ended} == {by_id.id, by_title.id} and held(jobs, tmp_path, SECRET)
    done = carry_out(asked("r1", "order-00", texts=(SECRET,)), jobs)

    assert done.ended == told.ended and held(jobs, tmp_path, SECRET) == []
    with pytest.raises(NotFoundError):
        jobs.get(by_id.id)
    assert jobs.get(other.id) == other and held(jobs, tmp_path, "Another")
    assert carry_out(asked("r1", texts=(SECRET,)), jobs).ended == ()


def test_a_job_that_is_not_finished_is_told_with_its_request_and_stays(jobs: Jobs):
    running = submit(jobs, Talk(recording="r1", stop=True))
    unrelated = submit(jobs, Talk(recording="r2", stop=True))

    told = carry_out(asked("r1"), jobs)
    jobs.cancel(running.id)
    jobs.cancel(unrelated.id)

    assert {(job.id, job.mentions, job.request["recording"]) for job in told.unfinished} == {
        (running.id, True, "r1"),
        (unrelated.id, False, "r2"),
    }
    assert told.ended == ()


def test_kinds_that_are_spared_and_jobs_of_other_shows_stay(jobs: Jobs):
    spared = wait(jobs, submit(jobs, Talk(recording="r1")))
    elsewhere = wait(jobs, submit(jobs, Talk(recording="r2", show="otherland")))

    assert carry_out(asked("r1", "r2", spare=("write",)), jobs).ended == ()
    assert [job.id for job in carry_out(asked("r1", "r2"), jobs).ended] == [spared.id]
    assert jobs.get(elsewhere.id).id == elsewhere.id


def test_a_title_that_is_an_everyday_word_of_jobs_takes_no_others_along(jobs: Jobs):
    job = wait(jobs, submit(jobs, Talk(title="Another", recording="r2")))

    for title in ("lamplight", "write", "recording", "words", "done", job.service):
        assert carry_out(asked("r1", texts=(title,)), jobs).ended == (), title


def test_a_title_in_what_a_job_said_last_of_its_progress_is_found(jobs: Jobs):
    job = wait(jobs, submit(jobs, Talk(title=f"About {SECRET}")))

    assert [found.id for found in carry_out(asked("r1", texts=(SECRET,)), jobs).ended] == [job.id]


def test_forgetting_while_jobs_run_harms_none(jobs: Jobs):
    stop = threading.Event()

    def forget_again_and_again() -> None:
        while not stop.is_set():
            carry_out(asked("nobody"), jobs)

    forgetting = threading.Thread(target=forget_again_and_again)
    forgetting.start()
    done = [wait(jobs, submit(jobs, Talk(title=str(number)))) for number in range(10)]
    stop.set()
    forgetting.join(30)

    assert [job.result for job in done] == [{"words": 3}] * 10


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("r1", True),
        ("shows/lamp/recordings/r1.json", True),
        ({"r1": 2}, True),
        ('{"recording": "r1"}', True),
        ("r12", False),
        ("the-r1", False),
        ("A title", True),
        ("Not A title alone", False),
        ("https://site.example/talk?token=abcdefgh12345678", True),
    ],
)
def test_ids_are_found_anywhere_and_texts_as_a_whole(value: object, found: bool):
    names = Names(("r1",), ("A title", "https://site.example/talk?token=***"))

    assert names.stand_in(value) is found


def test_a_text_is_found_in_its_stored_forms():
    stored = base64.b64encode(b"some bytes before " + SECRET.encode() + b" and after")

    assert any(form in stored for form in texts_as_stored(SECRET))
