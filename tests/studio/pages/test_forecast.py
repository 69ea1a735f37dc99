from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.studio.pages.forecast import (
    Pace,
    coming_sentence,
    covered_s,
    disk_sentence,
    filter_words,
    kept_bytes_per_s,
    pace_of,
    passed_over,
    time_sentence,
)
from shared.schemas import Job, JobState
from shared.subscriptions import Filters, RefreshResult
from tests.fakes import MemoryStore
from tests.studio.pages.a_talk import put_recording

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def job(kind: str, begun_s: float, ended_s: float, **facts: Any) -> Job:
    times = {"created_at": NOON + timedelta(seconds=begun_s), "updated_at": NOON + timedelta(seconds=ended_s)}
    return Job.model_validate({"id": "j", "kind": kind, "service": "studio", "state": "done", **times, **facts})


def found(**facts: Any) -> RefreshResult:
    given = {
        "source": "s1", "title": "A feed", "dry_run": True, "found": 9, "new": 4, "known": 3, "erased": 0,
        "left_out": {}, "hours": 2.0, "bytes": 200_000_000,
    }  # fmt: skip
    return RefreshResult.model_validate({**given, **facts})


def test_the_pace_counts_time_in_which_several_jobs_went_on_once():
    store = MemoryStore()
    recordings = [put_recording(store, name, duration_s=600) for name in ("r1", "r2", "r3")]
    jobs = [
        job("transcribe", 0, 60, result={"recording": "r1"}),
        job("transcribe", 0, 100, result={"recording": "r2"}),
        job("transcribe-missing", 500, 600, result={"recordings": ["r3"]}),
    ]

    assert pace_of(jobs, recordings) == Pace(recordings=3, audio_s=1800, took_s=200)


def test_failed_jobs_and_recordings_that_are_gone_tell_no_pace():
    recordings = [put_recording(MemoryStore(), "r1", duration_s=600)]
    failed = job("transcribe", 0, 60, state=JobState.FAILED, result=None)

    assert pace_of([failed, job("transcribe", 0, 60, result={"recording": "gone"})], recordings) is None
    assert pace_of([job("train", 0, 60, result={"recording": "r1"})], recordings) is None


@pytest.mark.parametrize(
    ("spans", "seconds"), [([], 0), ([(0, 10), (2, 5)], 10), ([(0, 10), (5, 15)], 15), ([(20, 30), (0, 10)], 20)]
)
def test_covered_seconds(spans: list[tuple[int, int]], seconds: float):
    times = [(NOON + timedelta(seconds=begun), NOON + timedelta(seconds=ended)) for begun, ended in spans]

    assert covered_s(times) == seconds


def test_what_is_not_known_is_not_guessed():
    assert "not known yet" in time_sentence(found(), None)
    assert "does not tell the lengths" in time_sentence(found(hours=0), Pace(1, 600, 60))
    assert "how large shows with the first recording" in disk_sentence(found(), None)
    assert "does not tell the sizes" in disk_sentence(found(bytes=0, hours=0), None)
    assert kept_bytes_per_s([]) is None


def test_what_was_measured_is_told_with_what_it_was_measured_of():
    assert time_sentence(found(), Pace(3, 1800, 200)) == (
        "about 13 min: 3 recordings of this show took 3 min here, 9 times as fast as listening"
    )
    assert disk_sentence(found(), 10_000) == (
        "about 272 MB: 200 MB to fetch, and working copies as of the recordings that are here"
    )
    [recording] = [put_recording(MemoryStore(), "r1", b"x" * 300, duration_s=10)]
    assert kept_bytes_per_s([recording]) == 60


def test_what_would_come_and_what_not():
    assert coming_sentence(found()) == "4 recordings, 2 h 00 min"
    assert coming_sentence(found(hours=0)) == "4 recordings, of unknown length"
    assert coming_sentence(found(new=0)) == "nothing new"
    assert passed_over(found(known=1, erased=1, left_out={"shorter than 20 min": 2})) == [
        "1 is here already",
        "2 left out: shorter than 20 min",
        "1 was erased and not fetched again",
    ]


def test_filters_in_words():
    assert filter_words(Filters()) == ""
    assert filter_words(Filters.model_validate({"min_minutes": 20, "newest": 5, "after": "2030-01-31"})) == (
        "from 2030-01-31 on, at least 20 min, only the newest 5"
    )
