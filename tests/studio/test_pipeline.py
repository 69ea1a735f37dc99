"""The story's order, told with a crew that writes down what it was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.studio import pipeline
from shared import keys
from shared.errors import NotFoundError
from shared.schemas import EpisodeOptions, PipelineRequest, Show, Source
from tests.fakes import FakeJob, MemoryStore, ScriptedCrew
from tests.studio.a_show import put_show

SHOW = Show(slug="lamplight", title="The Lamplight Hour", host="Mara Quill")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore({keys.show("lamplight"): SHOW.model_dump_json().encode()})


def order(**fields) -> PipelineRequest:
    sources = (
        Source(url="https://example.org/1.mp3"),
        Source(url="https://example.org/2.mp3"),
        Source(upload_key="uploads/t"),
    )
    return PipelineRequest(**{"show": "lamplight", "sources": sources, **fields})


def test_the_steps_come_in_order_and_each_uses_what_the_one_before_made(store: MemoryStore, tmp_path: Path):
    crew = ScriptedCrew(spoken={"uploads/t": False})

    result = pipeline.run(
        order(host_is="12.5", episode=EpisodeOptions(guest="Orla")), job=FakeJob(tmp_path), store=store, crew=crew
    )

    assert [(step, len(requests)) for step, requests in crew.asked] == [
        ("ingest", 3),
        ("transcribe first", 1),
        ("set host", 1),
        ("transcribe", 1),
        ("know hosts", 1),
        ("dataset", 1),
        ("train", 1),
        ("write", 1),
    ]
    asked = dict(crew.asked)
    assert (
        asked["set host"][0].at_s == 12.5 and asked["set host"][0].recording == asked["transcribe first"][0].recording
    )
    assert asked["train"][0].dataset == result.dataset
    assert asked["write"][0].adapter == result.adapter
    assert len(result.recordings) == 3 and len(result.transcripts) == 2 and result.episode


def test_what_is_said_of_the_guest_goes_along_with_the_brief(store: MemoryStore, tmp_path: Path):
    crew = ScriptedCrew()
    brief = EpisodeOptions(guest="Ann Ash", guest_is="consented", consent="letter 7")

    pipeline.run(order(episode=brief), job=FakeJob(tmp_path), store=store, crew=crew)

    asked = dict(crew.asked)["write"][0]
    assert (asked.guest_is, asked.consent) == ("consented", "letter 7")


def test_what_the_shows_sources_have_grown_by_is_transcribed_with_the_rest(store: MemoryStore, tmp_path: Path):
    crew = ScriptedCrew(grown={"s1": ["rec-a", "rec-b"], "s2": []})

    result = pipeline.run(order(sources=(), subscriptions=("s1", "s2")), job=FakeJob(tmp_path), store=store, crew=crew)

    asked = dict(crew.asked)
    assert [request.source for request in asked["refresh"]] == ["s1", "s2"]
    heard = [*asked["transcribe first"], *asked["transcribe"]]
    assert [request.recording for request in heard] == list(result.recordings) == ["rec-a", "rec-b"]


def test_what_earlier_refreshes_brought_is_transcribed_too(store: MemoryStore, tmp_path: Path):
    put_show(store, "lamplight")
    store.delete(keys.transcript_head("lamplight", "spoken"))
    store.delete(keys.transcript_head("lamplight", "published"))  # it has no audio
    crew = ScriptedCrew(grown={"s1": []})

    pipeline.run(order(sources=(), subscriptions=("s1",)), job=FakeJob(tmp_path), store=store, crew=crew)

    assert [request.recording for request in dict(crew.asked)["transcribe first"]] == ["spoken"]
    assert pipeline.without_transcript(store, "lamplight") == ["spoken"]
    store.create(keys.tombstone("lamplight", "spoken"), b"{}")
    assert pipeline.without_transcript(store, "lamplight") == []


def test_without_an_episode_the_story_ends_at_the_adapter(store: MemoryStore, tmp_path: Path):
    crew = ScriptedCrew()

    result = pipeline.run(order(), job=FakeJob(tmp_path), store=store, crew=crew)

    assert result.episode is None and crew.asked[-1][0] == "train"


def test_a_restart_asks_nobody_twice(store: MemoryStore, tmp_path: Path):
    crew, job = ScriptedCrew(), FakeJob(tmp_path)

    first = pipeline.run(order(), job=job, store=store, crew=crew)
    asked = len(crew.asked)
    second = pipeline.run(order(), job=job, store=store, crew=crew)

    assert second == first and len(crew.asked) == asked


def test_an_unknown_show_names_the_command_that_makes_it(tmp_path: Path):
    with pytest.raises(NotFoundError, match="diary shows create nowhere"):
        pipeline.run(order(show="nowhere"), job=FakeJob(tmp_path), store=MemoryStore(), crew=ScriptedCrew())
