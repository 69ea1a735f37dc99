from __future__ import annotations

import threading

from services.studio.glances import Glances
from shared import keys
from shared.schemas import Transcript, TranscriptState
from shared.store import create_manifest, load, point
from tests.fakes import MemoryStore
from tests.kit import until
from tests.studio.a_show import put_show


def show() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    return store


def test_a_glance_tells_what_a_page_needs_of_a_transcript():
    seen = Glances(show()).of("lamp", patience_s=60)

    assert [one.recording for one in seen.glances] == ["published", "spoken"]
    glance = seen.glances[1]
    assert (glance.revision, glance.state, glance.turns, glance.words) == ("rev1", TranscriptState.MACHINE, 1, 6)
    assert not glance.host_known
    assert glance.waits_for_review
    assert seen.unread == 0


class SlowStore(MemoryStore):
    """A store that tells what is in a transcript only once it `may_go_on`."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(objects)
        self.may_go_on = threading.Event()

    def read(self, key: str) -> tuple[bytes, str]:
        if "/transcripts/" in key and not key.endswith("/head"):
            self.may_go_on.wait(60)
        return super().read(key)


def test_what_is_not_read_at_once_is_read_aside():
    store = SlowStore(show().objects)
    glances = Glances(store)
    first = glances.of("lamp", patience_s=0)

    assert (len(first.glances), first.unread) == (0, 2)
    store.may_go_on.set()
    until(lambda: len(glances.of("lamp", patience_s=0).glances) == 2, "both are read")


def test_a_new_revision_takes_the_place_of_the_old_one():
    store = show()
    glances = Glances(store)
    glances.of("lamp", patience_s=60)
    old = load(store, keys.transcript("lamp", "spoken", "rev1"), Transcript)
    new = old.model_copy(update={"id": "rev2", "state": TranscriptState.APPROVED})
    create_manifest(store, keys.transcript("lamp", "spoken", "rev2"), new)
    point(store, keys.transcript_head("lamp", "spoken"), b"rev2")

    states = {one.recording: one.state for one in glances.of("lamp", patience_s=60).glances}
    assert states == {"published": TranscriptState.MACHINE, "spoken": TranscriptState.APPROVED}


def test_an_erased_transcript_is_not_remembered():
    store = show()
    glances = Glances(store)
    glances.of("lamp", patience_s=60)
    for key in store.list(keys.transcripts("lamp", "spoken")):
        store.delete(key)

    assert [one.recording for one in glances.of("lamp").glances] == ["published"]
    assert not [key for key in glances._known if "spoken" in key]
