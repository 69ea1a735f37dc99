"""One contract for every store: the fake one that unit tests use keeps the same promises as a real S3 server."""

from __future__ import annotations

import io
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import urllib3
from minio.error import S3Error

from shared import keys
from shared.errors import (
    ArtifactMissingError,
    BadInputError,
    ConflictError,
    NewerDataError,
    NotAllowedError,
    StoreUnavailableError,
    StoreUnsafeError,
)
from shared.races import probe_races
from shared.schemas import Show
from shared.store import (
    S3Store,
    Store,
    create_manifest,
    fetch_blob,
    get_blob,
    load,
    point,
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


def test_sizes_and_times_are_told_of_one_object_and_of_many(store: Store):
    before = datetime.now(UTC)
    store.create(keys.recording("lamplight", "b"), b"12345")
    store.create(keys.recording("lamplight", "a"), b"1")
    store.create(keys.show("other"), b"{}")

    found = store.sizes("shows/lamplight/")

    assert {key: stored.bytes for key, stored in found.items()} == {
        keys.recording("lamplight", "a"): 1,
        keys.recording("lamplight", "b"): 5,
    }
    assert list(found) == sorted(found)
    alone = store.stat(keys.recording("lamplight", "b"))
    assert alone is not None and alone.bytes == 5
    assert before - timedelta(seconds=1) <= alone.modified <= datetime.now(UTC), "S3 tells whole seconds"
    assert store.stat(keys.recording("lamplight", "nowhere")) is None


def test_folders_are_what_holds_further_keys(store: Store):
    for key in (keys.show("lamplight"), keys.recording("lamplight", "a"), keys.show("other"), "shows/readme"):
        store.create(key, b"{}")

    assert store.folders("shows/") == ("lamplight", "other")
    assert store.folders("shows/lamplight/") == ("recordings",)
    assert store.folders("shows/nowhere/") == ()


def test_a_version_tag_is_told_by_a_list_as_it_is_by_reading(store: Store):
    key = keys.recording("lamplight", "a")
    store.create(key, b"1")
    _, tag = store.read(key)

    assert store.sizes(keys.recordings("lamplight"))[key].tag == tag
    store.replace(key, b"2", tag)
    assert store.sizes(keys.recordings("lamplight"))[key].tag == store.read(key)[1] != tag


def test_an_object_is_streamed_piece_by_piece(store: Store):
    data = bytes(range(256)) * 20_000
    store.put_stream("uploads/u1", io.BytesIO(data), "application/octet-stream")

    pieces = list(store.stream("uploads/u1"))

    assert b"".join(pieces) == data and len(pieces) > 1
    with pytest.raises(ArtifactMissingError):
        list(store.stream("uploads/u2"))


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, None, slice(None)),
        (0, 10, slice(0, 10)),
        (1_500_000, 1_200_000, slice(1_500_000, 2_700_000)),
        (2_999_990, 100, slice(2_999_990, None)),
        (2_999_999, None, slice(2_999_999, None)),
        (17, 0, slice(0, 0)),
        (3_000_000, None, slice(0, 0)),
        (4_000_000, 5, slice(0, 0)),
    ],
)
def test_a_part_of_an_object_is_streamed(store: Store, offset: int, length: int | None, expected: slice):
    data = bytes(range(250)) * 12_000
    store.put_stream("uploads/u1", io.BytesIO(data), "application/octet-stream")

    assert b"".join(store.stream("uploads/u1", offset, length)) == data[expected]


def test_a_part_of_nothing_is_missing(store: Store):
    with pytest.raises(ArtifactMissingError):
        list(store.stream("uploads/u2", 5, 10))


def test_a_blob_that_broke_off_is_sent_again(store: Store):
    blob = put_blob(store, b"good", "text/plain")
    store.put_stream(blob.key, io.BytesIO(b"go"), "text/plain")

    put_blob(store, b"good", "text/plain")

    assert get_blob(store, blob) == b"good"


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


def test_a_manifest_of_a_newer_version_asks_for_an_upgrade(store: Store):
    newer = {"schema_version": 2, "slug": "lamplight", "hosts": ["Mara Quill"]}
    store.create(keys.show("lamplight"), json.dumps(newer).encode())

    with pytest.raises(NewerDataError, match=r"made by a newer version.*schema 2, this one knows 1.*upgrade"):
        load(store, keys.show("lamplight"), Show)


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
def test_parts_of_a_write_that_broke_off_are_found_and_dropped(s3):
    store = s3_store(s3, "broken-off")
    store.ensure_bucket()
    upload = store._client._create_multipart_upload("broken-off", "uploads/u1", {})
    store._client._upload_part("broken-off", "uploads/u1", b"a" * 6_000_000, None, upload, 1)
    later, earlier = (datetime.now(UTC) + timedelta(minutes=sign) for sign in (1, -1))

    assert store.sizes("") == {} and store.broken_off(earlier) == ()
    [name] = store.broken_off(later)
    store.drop_broken_off(name)
    store.drop_broken_off(name)

    assert store.broken_off(later) == ()


@pytest.mark.s3
def test_wrong_credentials_are_named(s3):
    store = S3Store(s3.url("s3"), "nobody", "wrong-secret", "diary")

    with pytest.raises(NotAllowedError, match="S3_ACCESS_KEY"):
        store.ensure_bucket()


def test_a_key_that_may_not_list_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch):
    store = S3Store("http://127.0.0.1:1", "somebody", "secret", "diary")

    def denied(*asked: object, **more: object) -> None:
        raise S3Error(urllib3.HTTPResponse(status=403), "AccessDenied", "denied", "/diary", "1", "1")

    monkeypatch.setattr(store._client, "list_objects", denied)

    with pytest.raises(NotAllowedError, match="may not list shows/; give it the policy"):
        store.list("shows/")


def test_every_key_knows_its_writer_and_an_alien_key_is_refused():
    assert keys.writer(keys.adapter("lamplight", "lamplight.r1.c8")) == "trainer"
    assert keys.writer(keys.episode_turn("lamplight", "e1", 3)) == "inference"
    with pytest.raises(ValueError, match="not a key"):
        keys.writer("somewhere/else")


@pytest.mark.parametrize(
    "key",
    [
        keys.show("lamp"),
        keys.voiceprint("lamp"),
        keys.recording("lamp", "r1"),
        keys.transcript("lamp", "r1", "t1"),
        keys.transcript_head("lamp", "r1"),
        keys.dataset("lamp", "d1"),
        keys.run("lamp", 12),
        keys.checkpoint("lamp", 12, 8),
        keys.adapter("lamp", "lamp.r12.c8"),
        keys.episode_turn("lamp", "e1", 3),
        keys.episode("lamp", "e1"),
        keys.blob("0" * 64),
    ],
)
def test_a_shows_own_keys_are_told_from_all_others(key: str):
    assert keys.is_content_of(key, "lamp")
    assert keys.is_content_of(key, "other") is key.startswith("blobs/")
    assert not keys.is_content_of(key + "/..", "lamp") and not keys.is_content_of("/" + key, "lamp")


@pytest.mark.parametrize("key", ["uploads/u1", "imports/i.json", "probes/p", "shows/lamp/absences/a.json", "blobs/0"])
def test_what_passes_or_stays_here_is_no_content_of_a_show(key: str):
    assert not keys.is_content_of(key, "lamp")


@pytest.mark.parametrize("name", ["../other", "a/b", "", ".hidden", "x" * 200, "a..b", "a\nb"])
def test_no_name_leads_to_another_place(name: str):
    with pytest.raises(BadInputError, match="no name of ours"):
        keys.recording("lamplight", name)
