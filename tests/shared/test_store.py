"""One contract for every store: the fake one that unit tests use keeps the same promises as a real S3 server."""

from __future__ import annotations

import io
import uuid

import pytest

from shared import keys
from shared.errors import ArtifactMissingError, BadInputError, ConflictError, StoreUnavailableError, StoreUnsafeError
from shared.schemas import Show
from shared.store import (
    S3Store,
    Store,
    create_manifest,
    fetch_blob,
    get_blob,
    load,
    point,
    probe_races,
    put_blob,
)
from tests.conftest import s3_store
from tests.fakes import MemoryStore, TwoWinnersStore


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore()
    real = s3_store(request.getfixturevalue("s3"), f"test-{uuid.uuid4().hex[:12]}")
    real.ensure_bucket()
    return real


KEY = keys.recording("lamplight", "rec1")


def test_what_is_created_once_stays(store: Store):
    assert store.create(KEY, b"first") is True
    assert store.create(KEY, b"second") is False
    assert store.get(KEY) == b"first"


def test_a_pointer_changes_only_for_who_read_its_latest_version(store: Store):
    store.create(KEY, b"one")
    _, tag = store.read(KEY)

    store.replace(KEY, b"two", tag)

    with pytest.raises(ConflictError, match="changed by somebody else"):
        store.replace(KEY, b"three", tag)
    assert store.get(KEY) == b"two"


def test_replacing_what_is_gone_is_a_conflict(store: Store):
    with pytest.raises(ConflictError):
        store.replace(KEY, b"two", "d41d8cd98f00b204e9800998ecf8427e")


def test_point_wins_whatever_was_there(store: Store):
    point(store, KEY, b"r1")
    point(store, KEY, b"r2")

    assert store.get(KEY) == b"r2"


def test_a_missing_key_says_who_makes_it(store: Store):
    with pytest.raises(ArtifactMissingError, match="diary recordings add"):
        store.get(KEY)
    assert store.exists(KEY) is False


def test_keys_are_listed_by_prefix_in_order_and_deleted(store: Store):
    for name in ("b", "a", "c"):
        store.create(keys.recording("lamplight", name), b"{}")
    store.create(keys.recording("lamplight-two", "d"), b"{}")
    store.delete(keys.recording("lamplight", "c"))

    assert store.list(keys.recordings("lamplight")) == [keys.recording("lamplight", name) for name in ("a", "b")]


def test_a_blob_comes_back_bit_for_bit_from_bytes_and_from_a_file(store: Store, tmp_path):
    data = bytes(range(256)) * 1000
    source = tmp_path / "source.bin"
    source.write_bytes(data)

    blob = put_blob(store, source, "audio/flac")

    assert put_blob(store, data, "audio/flac") == blob
    assert get_blob(store, blob) == data
    assert fetch_blob(store, blob, tmp_path / "copy.bin").read_bytes() == data


def test_a_damaged_blob_is_refused_and_leaves_no_file(store: Store, tmp_path):
    blob = put_blob(store, b"good", "text/plain")
    store.put_stream(blob.key, io.BytesIO(b"evil"), "text/plain")

    with pytest.raises(BadInputError, match="damaged"):
        fetch_blob(store, blob, tmp_path / "copy.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_of_another_kind_is_named(store: Store):
    store.create(KEY, b'{"not": "a show"}')

    with pytest.raises(BadInputError, match="not a valid Show"):
        load(store, KEY, Show)


def test_a_manifest_round_trips(store: Store):
    show = Show(slug="lamplight", title="The Lamplight Hour", host="Mara Quill")

    assert create_manifest(store, keys.show("lamplight"), show)
    assert load(store, keys.show("lamplight"), Show) == show


def test_the_race_probe_accepts_a_sound_store_and_leaves_nothing(store: Store):
    probe_races(store)

    assert store.list("probes/") == []


def test_the_race_probe_refuses_a_store_with_two_winners():
    with pytest.raises(StoreUnsafeError, match="conditional put"):
        probe_races(TwoWinnersStore())


def test_a_store_that_is_away_says_how_to_start_it():
    store = S3Store("http://127.0.0.1:9", "key", "secret", "diary", timeout_s=1)

    with pytest.raises(StoreUnavailableError, match="make up"):
        store.get(KEY)


@pytest.mark.s3
def test_wrong_credentials_are_named(s3):
    store = S3Store(s3.url("s3"), "nobody", "wrong-secret", "diary")

    with pytest.raises(BadInputError, match="S3_ACCESS_KEY"):
        store.ensure_bucket()


def test_every_key_knows_its_writer_and_an_alien_key_is_refused():
    assert keys.writer(keys.adapter("lamplight", "lamplight.r1.c8")) == "trainer"
    assert keys.writer(keys.episode_turn("lamplight", "e1", 3)) == "inference"
    with pytest.raises(ValueError, match="not a key"):
        keys.writer("somewhere/else")


@pytest.mark.parametrize("name", ["../other", "a/b", "", ".hidden", "x" * 200, "a..b", "a\nb"])
def test_no_name_leads_to_another_place(name: str):
    with pytest.raises(BadInputError, match="no name of ours"):
        keys.recording("lamplight", name)
