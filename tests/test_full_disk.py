"""A full disk in the work folder: the job says so, and nothing of it stays in the store."""

from __future__ import annotations

import errno
from functools import partial
from pathlib import Path

import pytest

from services.ingest import job as ingest
from shared import keys
from shared.errors import NoSpaceError
from shared.jobs import JobContext, Jobs
from shared.schemas import IngestRequest, IngestResult, JobState, Show
from shared.settings import ServiceSettings
from tests.fakes import FullDiskStore, ScriptedIngestEngine
from tests.kit import until

SHOW = Show(slug="lamplight", title="The Lamplight Hour", host="Mara Quill")


def ingest_in(store: FullDiskStore, downloads: Path, request: IngestRequest, job: JobContext) -> IngestResult:
    return ingest.run(request, job=job, store=store, downloads=downloads, engine=ScriptedIngestEngine())


def test_a_full_work_folder_fails_the_job_with_what_to_do_and_leaves_nothing(tmp_path: Path):
    store = FullDiskStore({keys.show("lamplight"): SHOW.model_dump_json().encode(), "uploads/u1": b"ID3 sound"})
    settings = ServiceSettings(state_dir=tmp_path / "state", work_dir=tmp_path / "work")
    jobs = Jobs("ingest", settings)
    jobs.handle(
        "ingest",
        IngestRequest,
        partial(ingest_in, store, tmp_path / "downloads"),
    )
    jobs.start()
    try:
        request = IngestRequest(show="lamplight", upload_key="uploads/u1")
        queued = jobs.submit("ingest", request, actor="ann", trace_id="0" * 32)
        until(lambda: jobs.get(queued.id).state.ended, "the job ends")
        failed = jobs.get(queued.id)
    finally:
        jobs.stop()

    assert failed.state is JobState.FAILED and failed.problem is not None
    assert failed.problem.status == NoSpaceError.status and "free space" in failed.problem.detail
    assert list(store.objects) == [keys.show("lamplight"), "uploads/u1"]
    assert [path for path in (tmp_path / "work").rglob("*") if path.is_file()] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_the_real_errno_of_a_full_device_is_the_one_we_explain():
    with pytest.raises(OSError, match="No space left") as caught, Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")
    assert caught.value.errno == errno.ENOSPC
