"""Reading lists while somebody erases: what went since it was listed is left out, damage is not."""

from __future__ import annotations

import pytest

from services.studio.library import Library
from shared import keys
from shared.errors import ArtifactMissingError
from shared.schemas import RecordingEdits
from shared.store import Stored
from tests.fakes import MemoryStore
from tests.studio.a_show import put_show


class Erasing(MemoryStore):
    """Where a recording goes as soon as something of it was listed."""

    def list(self, prefix: str) -> list[str]:
        return list(self.sizes(prefix))

    def sizes(self, prefix: str) -> dict[str, Stored]:
        found = {key: self._stored(key) for key in super().list(prefix)}
        if "recordings" in prefix or "transcripts" in prefix:
            for key in [key for key in found if "spoken" in key]:
                self.delete(key)
        return found


def test_what_was_erased_since_it_was_listed_is_left_out():
    store = Erasing()
    put_show(store)

    assert [recording.id for recording in Library(store).recordings("lamp")] == ["published"]
    assert [transcript.recording for transcript in Library(store).transcripts("lamp")] == ["published"]


def test_a_pointer_to_nothing_is_damage_and_said():
    store = MemoryStore()
    put_show(store)
    store.delete(keys.transcript("lamp", "spoken", "rev1"))

    with pytest.raises(ArtifactMissingError):
        Library(store).transcripts("lamp")


def test_a_list_is_read_from_the_store_once_and_is_always_as_it_is_now():
    store = Counting()
    put_show(store)
    library = Library(store)
    library.recordings("lamp")
    store.read_keys.clear()

    assert len(library.recordings("lamp")) == 2
    assert not [key for key in store.read_keys if "/recordings/" in key]
    changed = RecordingEdits(by="ann", guest="Ann Ash")
    store.create(keys.edits("lamp", "spoken"), changed.model_dump_json().encode())
    assert {one.guest for one in library.recordings("lamp")} == {"Ann Ash", "Bob"}
    store.delete(keys.recording("lamp", "published"))
    assert [one.id for one in library.recordings("lamp")] == ["spoken"]


class Counting(MemoryStore):
    """Notes what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_keys: list[str] = []

    def read(self, key: str) -> tuple[bytes, str]:
        self.read_keys.append(key)
        return super().read(key)
