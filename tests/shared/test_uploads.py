"""Uploads in both forms: one object, and pieces that must be complete."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from shared import keys
from shared.errors import ArtifactMissingError, BadInputError
from shared.store import Store, create_manifest
from shared.uploads import Upload, arrived, facts_of, fetch_upload, forget_upload, upload_bytes
from tests.conftest import s3_store
from tests.fakes import MemoryStore


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest) -> Store:
    """In memory, and a real S3 server, which takes the part of a key before a slash for a folder."""
    if request.param == "memory":
        return MemoryStore()
    store = s3_store(request.getfixturevalue("s3"), "uploads")
    store.ensure_bucket()
    for key in store.list(""):
        store.delete(key)
    return store


@pytest.fixture
def key() -> str:
    """A new one for each test, as for each upload: the store keeps its empty folder, which bars the name."""
    return keys.upload(f"20300101-{uuid.uuid4().hex}")


def begin(store: Store, key: str, size: int) -> None:
    create_manifest(store, keys.upload_facts(key), Upload(bytes=size, filename="talk.mp3", by="ed"))


def put(store: Store, key: str, offset: int, data: bytes) -> None:
    assert store.create(keys.upload_part(key, offset), data)


def test_pieces_become_the_file_in_their_order(store: Store, key: str, tmp_path: Path):
    begin(store, key, 25)
    for offset, data in ((0, b"a" * 10), (10, b"b" * 3), (13, b"c" * 12)):
        put(store, key, offset, data)

    fetch_upload(store, key, tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == b"a" * 10 + b"b" * 3 + b"c" * 12
    assert upload_bytes(store, key) == 25


def test_what_is_missing_is_counted_from_the_first_gap(store: Store, key: str, tmp_path: Path):
    begin(store, key, 25)
    put(store, key, 0, b"a" * 10)
    put(store, key, 20, b"stray")

    assert arrived(store, key) == 10
    for look in (lambda: upload_bytes(store, key), lambda: fetch_upload(store, key, tmp_path / "file")):
        with pytest.raises(BadInputError, match="not finished: 10 of 25 bytes"):
            look()
    assert not (tmp_path / "file").exists()


def test_an_upload_of_one_object_works_the_same(store: Store, key: str, tmp_path: Path):
    store.create(key, b"whole")

    fetch_upload(store, key, tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == b"whole" and upload_bytes(store, key) == 5
    assert facts_of(store, key) is None
    forget_upload(store, key)
    assert store.list("") == []


def test_an_empty_file_is_complete_at_once(store: Store, key: str, tmp_path: Path):
    begin(store, key, 0)

    fetch_upload(store, key, tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == b"" and upload_bytes(store, key) == 0


def test_nothing_of_a_forgotten_upload_is_left_and_forgetting_again_is_fine(store: Store, key: str, tmp_path: Path):
    begin(store, key, 25)
    put(store, key, 0, b"a" * 10)
    put(store, key, 10, b"b" * 15)

    forget_upload(store, key)
    forget_upload(store, key)

    assert store.list("") == [] and upload_bytes(store, key) is None
    with pytest.raises(ArtifactMissingError, match="diary recordings add"):
        fetch_upload(store, key, tmp_path / "file")


def test_half_forgotten_is_no_beginning(store: Store, key: str):
    begin(store, key, 25)
    put(store, key, 0, b"a" * 10)
    store.delete(keys.upload_facts(key))

    assert facts_of(store, key) is None and upload_bytes(store, key) is None
    forget_upload(store, key)
    assert store.list("") == []
