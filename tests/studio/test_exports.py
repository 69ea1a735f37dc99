from __future__ import annotations

import io
import tarfile

import pytest

from services.studio.care.archive import Only, tar_size
from services.studio.care.exports import take_stock, tar_bytes
from shared import keys
from shared.errors import ArtifactMissingError, BadInputError, NotFoundError
from shared.schemas import Recording
from shared.store import load, put_blob
from tests.fakes import MemoryStore
from tests.studio.a_show import put_show


def exported(store: MemoryStore, only: Only = "all", show: str = "lamp") -> bytes:
    return b"".join(tar_bytes(store, take_stock(store, show, only)))


def members(file: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(file)) as tar:
        found = {}
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            found[member.name] = content.read()
        return found


def test_a_whole_export_holds_every_object_of_the_show_and_nothing_else():
    store = MemoryStore()
    put_show(store, "lamp")
    own = dict(store.objects)
    put_show(store, "other")
    put_blob(store, b"of nobody", "text/plain")

    found = members(exported(store))

    assert next(iter(found)) == "export.json" and list(found)[1:] == sorted(own)
    assert {key: found[key] for key in own} == own


def test_its_length_is_known_before_it_is_sent():
    store = MemoryStore()
    put_show(store, "a-show-with-a-very-long-name-so-that-keys-do-not-fit-into-one")
    show = "a-show-with-a-very-long-name-so-that-keys-do-not-fit-into-one"

    stock = take_stock(store, show, "all")

    assert tar_size(stock.export) == len(b"".join(tar_bytes(store, stock)))
    assert max(len(entry.key) for entry in stock.export.entries) > 100


def test_the_same_show_gives_the_same_bytes():
    store = MemoryStore()
    put_show(store)

    first = exported(store)
    store.grow_old(hours=30)

    assert exported(store) == first


def test_a_text_export_leaves_out_audio_and_checkpoints_and_lists_the_audio():
    store = MemoryStore()
    put_show(store)
    spoken = load(store, keys.recording("lamp", "spoken"), Recording)
    published = load(store, keys.recording("lamp", "published"), Recording)
    assert spoken.working is not None

    stock = take_stock(store, "lamp", "text")

    assert {entry.key for entry in stock.export.left_out} == {spoken.original.key, spoken.working.key}
    kept = {entry.key for entry in stock.export.entries}
    assert keys.recording("lamp", "spoken") in kept and published.original.key in kept
    assert not [key for key in kept if "/checkpoints/" in key]
    assert {key for key in kept if key.startswith("shows/")} == {
        key for key in store.list("shows/lamp/") if "/checkpoints/" not in key
    }


def test_a_manifest_that_came_while_we_listed_is_taken_along():
    store = MemoryStore()
    put_show(store)
    late = keys.dataset("lamp", "d1")

    class SlowList(MemoryStore):
        def list(self, prefix: str) -> list[str]:
            return [key for key in super().list(prefix) if key != late]

    slow = SlowList(store.objects)

    assert late in {entry.key for entry in take_stock(slow, "lamp", "all").export.entries}


def test_an_unknown_show_and_a_lost_blob_are_named():
    store = MemoryStore()
    put_show(store)
    lost = load(store, keys.recording("lamp", "spoken"), Recording).original
    store.delete(lost.key)

    with pytest.raises(NotFoundError, match="no show 'nowhere'"):
        take_stock(store, "nowhere", "all")
    with pytest.raises(ArtifactMissingError, match=lost.key):
        take_stock(store, "lamp", "all")
    assert take_stock(store, "lamp", "text").export.left_out  # which does not need it


def test_a_damaged_blob_breaks_the_file_off():
    store = MemoryStore()
    put_show(store)
    stock = take_stock(store, "lamp", "all")
    blob = next(entry for entry in stock.export.entries if entry.key.startswith("blobs/"))
    store.objects[blob.key] = b"x" * blob.bytes

    with pytest.raises(BadInputError, match="damaged"):
        list(tar_bytes(store, stock))
