import time
from pathlib import Path

import pytest

from services.ingest.timed import TimedWatch, TimeIsUpError
from tests.fakes import FakeJob


def test_time_runs_from_the_first_sign_of_progress_on(tmp_path: Path):
    job = FakeJob(tmp_path)
    watch = TimedWatch(job, 0.05)
    time.sleep(0.1)
    watch.check()

    watch.progress("downloading", 1, 2, "bytes")
    watch.check()
    time.sleep(0.1)

    with pytest.raises(TimeIsUpError, match="INGEST_DOWNLOAD_LIMIT_S"):
        watch.check()
    assert job.events == [("downloading", 1, 2, "bytes")]
