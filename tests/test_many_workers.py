"""Growing past one machine, without a cluster: several workers per service on one Postgres and one S3 server.

Workers are killed and stopped for good, Postgres and the S3 server go away and come back, all while work is under way.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.studio.care.holdings import survey
from shared import keys
from shared.client import ServiceClient
from shared.schemas import Job, JobState, Transcript
from shared.store import S3Store, load
from tests import kit, team
from tests.conftest import free_port_base
from tests.edges import CALLS, EdgeRecorder
from tests.k8s.edges import service_edges
from tests.k8s.manifests import with_components
from tests.team import Team

pytestmark = [pytest.mark.s3, pytest.mark.postgres, pytest.mark.timeout(900)]

RECORDINGS = 60
OUTAGE_S = 10.0
QUEUED = 500
MINUTES_OLD_S = 3600.0  # a file that changed a moment ago may still be on its way into the folder


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[Team]:
    """Four workers of transcription, two of inference; ingest takes no time, and reads a folder."""
    settings = {
        "INGEST_FOLDER": str(tmp_path / "feed"),
        "INGEST_ENGINE_COMMAND": f"env FAKE_STEP_S=0 {kit.engine_command('ingest')}",
        "INGEST_PAUSE_S": "0",
        "INFERENCE_CONCURRENCY": "1",
        "FAKE_VLLM_TURN_S": "0.8",
    }
    counts = {"transcription": 4, "inference": 2}
    many = team.assemble(tmp_path / "team", free_port_base(20), counts, settings, step_s=0.2)
    try:
        many.start("ingest", "transcription", "trainer", "inference", "studio")
        yield many
    finally:
        many.stop()


def test_nothing_is_lost_or_doubled_while_workers_and_stores_go(grown: Team, tmp_path: Path):
    client, store = kit.studio_client(grown.stack), kit.store_of(grown.stack)
    with EdgeRecorder(grown.ports, grown.pids) as recorder:
        trained = train(client)
        fill_folder(tmp_path / "feed" / "many")
        bring_folder(client, "many")

        transcribing = client.submit("/v1/transcripts/missing", {"show": "many"})
        writing = [write(client, trained, guest) for guest in ("Ann Ash", "Bob Birch")]
        live_through_everything(grown, store)

        told = client.result(client.wait(transcribing))
        episodes = [client.result(client.wait(job)) for job in writing]

    assert (len(told["recordings"]), told["failed"]) == (RECORDINGS, {})
    assert jobs_of(grown, "many") == Counter({JobState.DONE: RECORDINGS})
    assert revisions(store, "many") == {recording: ["machine"] for recording in told["recordings"]}
    assert blobs_missing(store) == set()
    for job, episode in zip(writing, episodes, strict=True):
        turns = store.list(keys.episode_turns(trained, episode["episode"]))
        assert len(turns) == episode["turns"]
        assert len(engines_that_said(grown, job)) == 1
    assert {engine for job in writing for engine in engines_that_said(grown, job)} == {"inference", "inference-2"}
    assert recorder.seen == CALLS


def test_the_network_policies_allow_exactly_these_calls():
    assert service_edges(with_components("postgres-external")) == CALLS


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Team]:
    """Three workers of transcription, and nothing else."""
    few = team.assemble(tmp_path / "team", free_port_base(20), {"transcription": 3}, step_s=2.0)
    try:
        few.start("transcription")
        yield few
    finally:
        few.stop()


def test_500_queued_recordings_of_one_show_delay_another_shows_first_by_one_job_at_most(three: Team):
    client, store = three.client("transcription"), kit.store_of(three.stack)
    many, [one] = team.seed_show(store, "large", QUEUED), team.seed_show(store, "small", 1)

    def ask(show: str, recording: str) -> Job:
        return client.submit("/v1/transcripts", {"show": show, "recording": recording})

    with ThreadPoolExecutor(8) as pool:
        before = list(pool.map(partial(ask, "large"), many))
    mine = ask("small", one)
    kit.until(lambda: client.job(mine.id).state is not JobState.QUEUED, "the other show's first job is begun", 180)
    times = claims(three)

    assert len(before) == QUEUED
    assert sum(job.id not in times for job in before) > QUEUED * 0.9, "the queue was not long"
    asked_at = client.job(mine.id).created_at.timestamp()
    assert sum(asked_at < times.get(job.id, 0.0) < times[mine.id] for job in before) <= 1


def claims(few: Team) -> dict[str, float]:
    """When each job was taken up by a worker, in seconds since the epoch; those that still wait are missing."""
    engine = sa.create_engine(few.postgres.url.replace("postgresql:", "postgresql+psycopg:"))
    started = "SELECT workflow_uuid, started_at_epoch_ms FROM dbos.workflow_status WHERE started_at_epoch_ms > 0"
    with engine.connect() as connection:
        found = {job: at_ms / 1000.0 for job, at_ms in connection.execute(sa.text(started))}
    engine.dispose()
    return found


def live_through_everything(grown: Team, store: S3Store) -> None:
    """Four troubles, each while recordings are still being transcribed."""
    first, second, *_ = grown.workers["transcription"]
    at_least_transcribed(store, 4)
    first.signal(signal.SIGKILL)
    at_least_transcribed(store, 8)
    second.stop()
    at_least_transcribed(store, 12)
    grown.postgres.stop()
    time.sleep(OUTAGE_S)
    grown.postgres.start()
    at_least_transcribed(store, 24)
    grown.stack.program("s3").stop()
    time.sleep(OUTAGE_S)
    grown.stack.start("s3")
    grown.stack.wait_healthy("s3")
    assert len(transcribed(store)) < RECORDINGS, "all was done before the last trouble came"


def transcribed(store: S3Store) -> list[str]:
    return [key for key in store.list(keys.transcripts("many")) if key.endswith("/head")]


def at_least_transcribed(store: S3Store, count: int) -> None:
    kit.until(lambda: len(transcribed(store)) >= count, f"{count} recordings have a transcript", 240)
    assert len(transcribed(store)) < RECORDINGS


def train(client: ServiceClient) -> str:
    """A small show with an adapter; returns its name."""
    show = kit.create_show(client, "lamplight")
    order = kit.order(client, show, audio=1, steps=2)
    client.result(client.wait(client.submit("/v1/pipelines", {**order, "episode": None})))
    return show


def fill_folder(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in range(RECORDINGS):
        path = folder / f"{number:02d}.mp3"
        path.write_bytes(b"ID3" + bytes((number * 5 + at * 3) % 256 for at in range(2000)))
        os.utime(path, times=2 * (time.time() - MINUTES_OLD_S,))


def bring_folder(client: ServiceClient, show: str) -> None:
    kit.create_show(client, show)
    source = client.call("POST", f"/v1/shows/{show}/sources", json={"address": show, "kind": "folder"}).json()
    brought = client.result(client.wait(client.submit("/v1/refreshes", {"show": show, "source": source["id"]})))
    assert len(brought["recordings"]) == RECORDINGS, brought


def write(client: ServiceClient, show: str, guest: str) -> Job:
    return client.submit("/v1/episodes", {"show": show, "guest": guest, "words": 600})


def jobs_of(grown: Team, show: str) -> Counter[JobState]:
    """How the jobs of transcription ended."""
    client = grown.client("transcription")
    listed = client.call("GET", "/v1/jobs", params={"show": show, "kind": "transcribe", "limit": 1000}).json()
    client.close()
    return Counter(JobState(job["state"]) for job in listed)


def revisions(store: S3Store, show: str) -> dict[str, list[str]]:
    """The kinds of all revisions of each recording's transcript."""
    found: dict[str, list[str]] = {}
    for key in store.list(keys.transcripts(show)):
        if key.endswith(".json"):
            transcript = load(store, key, Transcript)
            found.setdefault(transcript.recording, []).append(transcript.kind)
    return found


def blobs_missing(store: S3Store) -> set[str]:
    holdings = survey(store, lambda done, total: None)
    named = {blob.key for blobs in holdings.named.values() for blob in blobs}
    return named - set(holdings.objects)


def engines_that_said(grown: Team, job: Job) -> set[str]:
    """Workers of inference whose engine was asked on behalf of a job."""
    found = set()
    for worker in grown.workers["inference"]:
        log = Path(worker.environment["INFERENCE_LOG_DIR"]) / "inference-engine.log"
        if log.exists() and any(line.startswith(job.trace_id) for line in log.read_text().splitlines()):
            found.add(worker.name)
    return found
