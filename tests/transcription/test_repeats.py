"""A show's transcripts become its repeated spans."""

from __future__ import annotations

import pytest

from services.transcription import repeats as story
from shared import keys
from shared.corrections import Classification, Repeats, ShowRequest
from shared.errors import JobCancelledError
from shared.schemas import HostMethod, Role, Speaker, Transcript, Turn
from shared.store import create_manifest, load, point
from tests.fakes import FakeJob, MemoryStore
from tests.transcription.conftest import lineage

ADVERT = " ".join(f"sock{number}" for number in range(40))


def add_transcript(store: MemoryStore, recording: str, text: str, revision: str = "rev1") -> None:
    turn = Turn(speaker="S1", role=Role.HOST, start_s=0, end_s=10, text=text)
    transcript = Transcript(
        id=revision,
        recording=recording,
        show="demo",
        kind="machine",
        speakers=(Speaker(label="S1", role=Role.HOST),),
        host_method=HostMethod.SET,
        turns=(turn,),
        lineage=lineage(),
    )
    create_manifest(store, keys.transcript("demo", recording, revision), transcript)
    point(store, keys.transcript_head("demo", recording), revision.encode())


@pytest.fixture
def spoken(store: MemoryStore) -> MemoryStore:
    for number in range(3):
        add_transcript(store, f"rec{number}", f"hello{number} {ADVERT} bye{number}")
    return store


def find(store: MemoryStore, job: FakeJob) -> Repeats:
    story.run(ShowRequest(show="demo"), job=job, store=store)
    return load(store, keys.repeats("demo"), Repeats)


def test_what_is_found_names_the_revisions_that_were_read(spoken: MemoryStore, job: FakeJob):
    result = story.run(ShowRequest(show="demo"), job=job, store=spoken)

    found = load(spoken, keys.repeats("demo"), Repeats)
    assert found.transcripts == {"rec0": "rev1", "rec1": "rev1", "rec2": "rev1"}
    assert [(cluster.text, len(cluster.places)) for cluster in found.clusters] == [(ADVERT, 3)]
    assert (result.clusters, result.unclassified, result.places, result.words) == (1, 1, 3, 120)
    assert [event for event in job.events if event[0] == "reading transcripts"][-1][1:3] == (2, 3)


def test_only_the_current_revision_counts(spoken: MemoryStore, job: FakeJob):
    add_transcript(spoken, "rec1", "nothing of the kind", revision="rev2")

    assert find(spoken, job).clusters == ()


def test_what_people_said_before_holds_when_it_is_looked_for_again(spoken: MemoryStore, job: FakeJob):
    (cluster,) = find(spoken, job).clusters
    said = Classification(id=cluster.id, show="demo", kind="advert", grams=cluster.grams, by="ann")
    create_manifest(spoken, keys.classification("demo", cluster.id), said)
    add_transcript(spoken, "rec9", f"more {ADVERT}")

    found = find(spoken, job)

    assert [(one.id, one.kind, len(one.places)) for one in found.clusters] == [(cluster.id, "advert", 4)]
    assert story.run(ShowRequest(show="demo"), job=job, store=spoken).unclassified == 0


def test_a_show_without_transcripts_repeats_nothing(store: MemoryStore, job: FakeJob):
    assert find(store, job).clusters == ()


def test_cancelling_leaves_what_was_found_before(spoken: MemoryStore, job: FakeJob):
    before = find(spoken, job)
    job.cancel()

    with pytest.raises(JobCancelledError):
        story.run(ShowRequest(show="demo"), job=job, store=spoken)

    assert load(spoken, keys.repeats("demo"), Repeats) == before
