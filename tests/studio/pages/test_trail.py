"""What an episode was made from: adapter by adapter, with the recordings of each one's dataset."""

from __future__ import annotations

import pytest

from services.studio.library import Library
from services.studio.pages.trail import trail_of
from shared import keys
from shared.schemas import Adapter, Dataset
from shared.store import create_manifest, load
from tests.fakes import MemoryStore
from tests.studio.a_show import put_show

FIRST = "lamp.r1.c4"


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    return store


def trail(store: MemoryStore, **facts):
    library = Library(store)
    return trail_of(library, library.episode("lamp", "e1").model_copy(update=facts))


def replace(store: MemoryStore, key: str, record) -> None:
    store.objects[key] = record.model_dump_json().encode()


def test_the_recordings_of_the_dataset_come_with_their_titles(store: MemoryStore):
    (step,) = trail(store)

    assert (step.adapter, step.dataset, step.gone) == (FIRST, "d1", "")
    assert [(one.title, one.guest, one.words, one.held_out) for one in step.recordings] == [
        ("Ann on spoken lamps", "Ann", 5, False), ("Bob on published lamps", "Bob", 5, True)
    ]  # fmt: skip


def test_a_dataset_of_the_first_schema_tells_by_its_lineage(store: MemoryStore):
    key = keys.dataset("lamp", "d1")
    replace(store, key, load(store, key, Dataset).model_copy(update={"schema_version": 1, "report": None}))

    (step,) = trail(store)

    assert [(one.recording, one.guest, one.words) for one in step.recordings] == [
        ("spoken", "Ann", None), ("published", "Bob", None)
    ]  # fmt: skip


def test_an_adapter_that_went_on_from_another_leads_to_it(store: MemoryStore):
    second = load(store, keys.adapter("lamp", FIRST), Adapter).model_copy(
        update={"name": "lamp.r2.c4", "parent": FIRST}
    )
    create_manifest(store, keys.adapter("lamp", "lamp.r2.c4"), second)

    assert [step.adapter for step in trail(store, adapter="lamp.r2.c4")] == ["lamp.r2.c4", FIRST]


def test_what_is_gone_is_said_and_an_erased_recording_has_no_title(store: MemoryStore):
    store.delete(keys.recording("lamp", "spoken"))
    assert [one.title for one in trail(store)[0].recordings] == ["", "Bob on published lamps"]

    store.delete(keys.dataset("lamp", "d1"))
    assert "dataset is not stored" in trail(store)[0].gone

    store.delete(keys.adapter("lamp", FIRST))
    assert "trained model is not stored" in trail(store)[0].gone


def test_the_base_model_has_nothing_behind_it(store: MemoryStore):
    assert trail(store, adapter=None) == []
