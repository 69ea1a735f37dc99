"""Reading lists while somebody erases: what went since it was listed is left out, damage is not."""

from __future__ import annotations

import pytest

from services.studio.library import Library
from shared import keys
from shared.errors import ArtifactMissingError
from tests.fakes import MemoryStore
from tests.studio.a_show import put_show


class Erasing(MemoryStore):
    """Where a recording goes as soon as something of it was listed."""

    def list(self, prefix: str) -> list[str]:
        found = super().list(prefix)
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
