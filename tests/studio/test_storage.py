from __future__ import annotations

from services.studio.care.holdings import survey
from services.studio.care.storage import Usage, usage
from shared.store import put_blob
from tests.fakes import MemoryStore
from tests.studio.a_show import put_show


def kinds(found: Usage, show: str) -> dict[str, int]:
    return {kind.kind: kind.objects for held in found.shows if held.show == show for kind in held.kinds}


def test_every_object_counts_for_its_show_and_kind():
    store = MemoryStore({"uploads/u1": b"12345"})
    put_show(store)

    found = usage(survey(store))

    assert kinds(found, "lamp") == {
        "show": 3,  # show.json, the voiceprint, the claim of the run
        "original audio": 4,  # two manifests, two files
        "working copies": 1,
        "transcripts": 4,  # two revisions, two heads
        "datasets": 3,
        "checkpoints": 5,  # two manifests, two optimizer states, the adapter's weights
        "adapters": 4,
        "episodes": 3,
    }
    assert [(kind.kind, kind.bytes) for kind in found.other] == [("uploads", 5)]


def test_sums_count_a_shared_blob_once():
    store = MemoryStore()
    put_show(store)

    found = usage(survey(store))

    everything = sum(len(data) for data in store.objects.values())
    assert found.bytes == found.shows[0].bytes == everything and found.objects == len(store.objects)
    assert sum(kind.bytes for kind in found.shows[0].kinds) > everything  # the weights: a checkpoint's and an adapter's


def test_one_show_is_told_alone_and_what_nobody_names_belongs_to_none():
    store = MemoryStore()
    put_show(store, "lamp")
    put_show(store, "other")
    put_blob(store, b"of nobody", "text/plain")

    assert [held.show for held in usage(survey(store), "lamp").shows] == ["lamp"]
    assert usage(survey(store), "lamp").other == ()
    assert [(kind.kind, kind.bytes) for kind in usage(survey(store)).other] == [("unreferenced blobs", 9)]


def test_an_empty_store_is_empty():
    assert usage(survey(MemoryStore())) == Usage(objects=0, bytes=0, shows=())
