"""The door to the nearest training passages: what it quotes, with which seconds, and what it never quotes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.studio.doors.nearest import Indexes, nearest_door
from shared import keys
from shared.schemas import Adapter, Dataset, Episode, EpisodeTurn, RecordingEdits, Role, Transcript, Turn
from shared.store import create_manifest, load, put_blob
from tests.fakes import MemoryStore
from tests.studio.a_dataset import example
from tests.studio.a_door import door_of
from tests.studio.a_show import put_show

PLACE = "/v1/shows/lamp/episodes/e1/turns"
TRAIN = (
    example("Ann", "What is it?", "I am Ann, the spoken one. I mend copper kettles.", recording="spoken"),
    example("Bob", "What are kettles?", "Heavy things, those kettles.", recording="published"),
    *(example("Bob", f"Where is room {at}?", f"Behind door {at}.", recording="published") for at in range(9)),
)


class CountingStore(MemoryStore):
    """Counts how often each object is streamed."""

    def __init__(self) -> None:
        super().__init__()
        self.streamed: list[str] = []

    def stream(self, key: str, offset: int = 0, length: int | None = None):
        self.streamed.append(key)
        return super().stream(key, offset, length)


@pytest.fixture
def store() -> CountingStore:
    """The small show; its episode's guest talks of kettles, and so do two training recordings."""
    store = CountingStore()
    put_show(store)
    dataset = load(store, keys.dataset("lamp", "d1"), Dataset)
    train = put_blob(store, "".join(f"{one.model_dump_json()}\n" for one in TRAIN).encode(), "application/jsonl")
    replace(store, keys.dataset("lamp", "d1"), dataset.model_copy(update={"train": train}))
    episode = load(store, keys.episode("lamp", "e1"), Episode)
    turns = (episode.turns[0], episode.turns[1].model_copy(update={"text": 'My "copper" kettles, AND yours?'}))
    replace(store, keys.episode("lamp", "e1"), episode.model_copy(update={"turns": turns}))
    transcript = load(store, keys.transcript("lamp", "spoken", "rev1"), Transcript)
    said = Turn(
        speaker="S2", role=Role.GUEST, start_s=60, end_s=71, text="I am Ann, the spoken one. I mend copper kettles."
    )
    replace(store, keys.transcript("lamp", "spoken", "rev1"), transcript.model_copy(update={"turns": (said,)}))
    create_manifest(store, keys.edits("lamp", "spoken"), RecordingEdits(title="Kettles", by="ann"))
    return store


def replace(store: MemoryStore, key: str, record: Any) -> None:
    store.objects[key] = record.model_dump_json().encode()


def nearest(store: MemoryStore, tmp_path: Path, turn: int = 1, person: str = "vi", **query: Any):
    client, people = door_of(tmp_path, store, nearest_door(store))
    return client.get(f"{PLACE}/{turn}/nearest", params=query, headers=people[person])


def test_the_nearest_passages_come_with_title_and_seconds(store: MemoryStore, tmp_path: Path):
    found = nearest(store, tmp_path).json()

    assert (found["adapter"], found["dataset"], found["reason"]) == ("lamp.r1.c4", "d1", "")
    first = found["passages"][0]
    assert (first["recording"], first["title"], first["guest"], first["role"]) == ("spoken", "Kettles", "Ann", "guest")
    assert first["passage"] == "I mend copper kettles."
    assert (first["start_s"], first["end_s"]) == (66.6, 71.0), "ten words share eleven seconds"
    assert [one["score"] for one in found["passages"]] == sorted(
        (one["score"] for one in found["passages"]), reverse=True
    )
    assert found["passages"][1]["start_s"] is None, "its transcript says it otherwise"


def test_no_more_passages_than_asked_for(store: MemoryStore, tmp_path: Path):
    assert len(nearest(store, tmp_path, limit=1).json()["passages"]) == 1
    assert nearest(store, tmp_path, limit=21).status_code == 422


def test_a_turn_of_an_unfinished_episode_can_be_looked_up(store: MemoryStore, tmp_path: Path):
    turn = EpisodeTurn(index=1, role="guest", speaker="Orla", text="Copper!", tokens=2, adapter="lamp.r1.c4")
    replace(store, keys.episode_turn("lamp", "e1", 1), turn)
    store.delete(keys.episode("lamp", "e1"))

    assert nearest(store, tmp_path).json()["passages"][0]["passage"] == "I mend copper kettles."


def test_the_base_model_has_learnt_from_nothing_here(store: MemoryStore, tmp_path: Path):
    episode = load(store, keys.episode("lamp", "e1"), Episode)
    replace(store, keys.episode("lamp", "e1"), episode.model_copy(update={"adapter": None}))

    found = nearest(store, tmp_path).json()

    assert found["passages"] == [] and "base model" in found["reason"] and found["dataset"] is None


def test_an_erased_recording_is_not_quoted_from_the_moment_of_its_tombstone(store: MemoryStore, tmp_path: Path):
    client, people = door_of(tmp_path, store, nearest_door(store))
    place = f"{PLACE}/1/nearest"
    before = client.get(place, headers=people["vi"]).json()["passages"]
    store.objects[keys.tombstone("lamp", "spoken")] = b"{}"

    after = client.get(place, headers=people["vi"]).json()["passages"]

    assert {one["recording"] for one in before} == {"spoken", "published"}
    assert {one["recording"] for one in after} == {"published"}


def test_a_dataset_with_a_source_withdrawn_is_read_no_more_nor_remembered(store: MemoryStore, tmp_path: Path):
    client, people = door_of(tmp_path, store, nearest_door(store))
    place = f"{PLACE}/1/nearest"
    assert client.get(place, headers=people["vi"]).json()["passages"]
    dataset = load(store, keys.dataset("lamp", "d1"), Dataset)
    replace(store, keys.dataset("lamp", "d1"), dataset.model_copy(update={"source_withdrawn": ("spoken",)}))

    found = client.get(place, headers=people["vi"]).json()

    assert found["passages"] == [] and found["source_withdrawn"] == ["spoken"]
    assert "diary datasets build lamp" in found["reason"]


def test_examples_that_are_not_stored_are_said_to_be_missing(store: MemoryStore, tmp_path: Path):
    store.delete(load(store, keys.dataset("lamp", "d1"), Dataset).train.key)

    found = nearest(store, tmp_path).json()

    assert found["passages"] == [] and "restore them from a backup" in found["reason"]


def test_the_examples_are_read_once_for_many_turns(store: CountingStore, tmp_path: Path):
    client, people = door_of(tmp_path, store, nearest_door(store))
    train = load(store, keys.dataset("lamp", "d1"), Dataset).train.key

    for turn in (0, 1, 1):
        assert client.get(f"{PLACE}/{turn}/nearest", headers=people["vi"]).status_code == 200

    assert store.streamed.count(train) == 1


def test_what_is_kept_is_bounded_and_the_oldest_goes_first():
    indexes, read = Indexes(kept_words=20), list[str]()

    def examples(name: str):
        read.append(name)
        yield example("Ann", "One two three four five.", "Six seven eight.")

    for name in ("a", "b", "a", "c", "a", "b"):
        assert indexes.of(name, examples(name)).nearest("seven", "guest", 1)

    assert read == ["a", "b", "c", "b"]


def test_what_is_not_there_and_who_may_not_look(store: MemoryStore, tmp_path: Path):
    missing = nearest(store, tmp_path, turn=7)

    assert missing.status_code == 404 and "numbered from 0 to 1" in missing.json()["detail"]
    client, people = door_of(tmp_path, store, nearest_door(store))
    unknown = client.get(f"{PLACE.replace('e1', 'e9')}/0/nearest", headers=people["vi"])
    assert unknown.status_code == 404 and "diary episodes list lamp" in unknown.json()["detail"]
    assert client.get(f"{PLACE}/1/nearest").status_code == 401
    assert client.get(f"{PLACE}/1/nearest", headers=people["one"]).status_code == 403


def test_an_adapter_that_is_not_stored_is_named(store: MemoryStore, tmp_path: Path):
    adapter = load(store, keys.adapter("lamp", "lamp.r1.c4"), Adapter)
    store.delete(keys.adapter("lamp", adapter.name))

    reply = nearest(store, tmp_path)

    assert reply.status_code == 404 and adapter.name in reply.json()["detail"]
