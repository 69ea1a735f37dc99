"""What earlier versions stored opens today: a show of each, read and written on; their job databases, taken up.

The fixtures are made by tests/upgrade_fixture.py, one folder for each version that was released.
"""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from pathlib import Path
from typing import get_args

import pytest

from services.studio.care.exports import take_stock, tar_bytes
from services.studio.care.holdings import KNOWN_SCHEMA, survey
from services.studio.care.imports import bring_in
from services.studio.care.lineage import damage, recordings_behind, walk
from services.studio.care.storage import usage
from services.studio.library import Library
from services.studio.machine.local import SERVICES
from services.trainer.checkpoints import newest_checkpoint
from shared import keys
from shared.client import ServiceClient
from shared.errors import NewerDataError
from shared.schemas import (
    Absences,
    Adapter,
    Checkpoint,
    Dataset,
    Episode,
    EpisodeTurn,
    JobState,
    Record,
    Recording,
    Run,
    Show,
    Transcript,
    Voiceprint,
)
from shared.store import Store, load
from shared.version import VERSION
from tests import kit
from tests.conftest import free_port_base
from tests.fakes import MemoryStore
from tests.upgrade_fixture import SHOW, folder_of

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("v*"))
STORED: tuple[type[Record], ...] = (
    Show,
    Recording,
    Transcript,
    Voiceprint,
    Dataset,
    Adapter,
    Episode,
    EpisodeTurn,
    Absences,
    Run,
    Checkpoint,
)


def import_into(store: Store, fixture: Path, work: Path) -> bytes:
    file = lzma.decompress((fixture / "show.tar.xz").read_bytes())
    bring_in(io.BytesIO(file), store, work, "STUDIO_WORK_DIR", lambda show: None)
    return file


def members(file: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(file)) as tar:
        return {member.name: content.read() for member in tar if (content := tar.extractfile(member))}


def test_this_version_has_its_fixture():
    assert folder_of(VERSION) in FIXTURES


@pytest.mark.parametrize("record", STORED, ids=lambda record: record.__name__)
def test_every_record_that_is_stored_tells_its_schema(record: type[Record]):
    known = get_args(record.model_fields["schema_version"].annotation)

    assert 1 in known and max(known) <= KNOWN_SCHEMA  # what version 1 wrote stays readable


@pytest.mark.parametrize("record", STORED, ids=lambda record: record.__name__)
def test_a_newer_record_asks_for_an_upgrade(record: type[Record]):
    key = keys.show("lamp")
    store = MemoryStore({key: json.dumps({"schema_version": 99}).encode()})

    with pytest.raises(NewerDataError, match=r"newer version.*upgrade"):
        load(store, key, record)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.name)
def test_a_show_of_an_earlier_version_is_read_whole(fixture: Path, tmp_path: Path):
    store = MemoryStore()
    file = import_into(store, fixture, tmp_path)
    library = Library(store)

    recordings, transcripts = library.recordings(SHOW), library.transcripts(SHOW)
    datasets, adapters, episodes = library.datasets(SHOW), library.adapters(SHOW), library.episodes(SHOW)

    assert [len(found) for found in (recordings, transcripts, datasets, adapters, episodes)] == [3, 3, 1, 1, 1]
    assert library.episode_turns(SHOW, episodes[0].id)
    assert load(store, keys.voiceprint(SHOW), Voiceprint).show == SHOW
    assert load(store, keys.run(SHOW, 1), Run).number == 1
    assert newest_checkpoint(store, SHOW, 1)
    links = walk(store, keys.episode(SHOW, episodes[0].id))
    assert damage(links) == [] and len(recordings_behind(links)) == 3
    assert usage(survey(store)).bytes == sum(len(data) for data in store.objects.values())
    again = b"".join(tar_bytes(store, take_stock(store, SHOW, "all")))
    ours, theirs = members(again), members(file)
    assert ours.pop("export.json") and theirs.pop("export.json") and ours == theirs


@pytest.mark.s3
@pytest.mark.timeout(180)
@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.name)
def test_the_jobs_of_an_earlier_version_are_listed_and_its_unfinished_ones_taken_up(fixture: Path, tmp_path: Path):
    stack = kit.scripted_stack(tmp_path, free_port_base(), step_s=0)
    with tarfile.open(fixture / "jobs.tar.xz") as tar:
        tar.extractall(tmp_path / "state", filter="data")
    try:
        stack.start("s3")
        stack.wait_healthy("s3")
        store = kit.store_of(stack)
        store.ensure_bucket()
        import_into(store, fixture, tmp_path / "import")
        for key, data in json.loads((fixture / "uploads.json").read_text()).items():
            store.put_stream(key, io.BytesIO(bytes.fromhex(data)), "application/octet-stream")

        stack.up()

        for service in SERVICES:
            client = ServiceClient(service, stack.url(service), stack.admin_token())
            jobs = client.call("GET", "/v1/jobs").json()
            finished = [job for job in jobs if not job["id"].startswith("upgrade-")]
            assert finished and {job["state"] for job in finished} == {"done"}, service
            for number in (0, 1):
                job = client.wait(client.job(f"upgrade-{service}-{number}"))
                assert job.state is JobState.DONE, f"{service}: {job.problem}"
                assert job.result
        assert len(Library(store).adapters(SHOW)) == 3 and len(Library(store).episodes(SHOW)) == 3
    finally:
        stack.down()
