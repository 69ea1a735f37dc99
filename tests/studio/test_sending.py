"""Sending files: what a broken network costs, and that a file given again goes on where it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.studio.commands import sending
from services.studio.commands.sending import Sender
from services.studio.doors.uploads import uploads_door
from shared.client import ServiceClient
from shared.errors import BadInputError, ServiceUnavailableError
from shared.uploads import arrived, fetch_upload, forget_upload
from tests.fakes import FlakyTransport, MemoryStore
from tests.studio.a_door import app_of, serving

PIECE = 10_000
DATA = bytes(range(251)) * 180  # 45,180 bytes: five pieces


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def studio(tmp_path: Path, store: MemoryStore, monkeypatch) -> Iterator[tuple[str, str]]:
    """URL and token of a studio, and files that count as large soon."""
    monkeypatch.setattr(sending, "SMALL_BYTES", 5_000)
    monkeypatch.setattr(sending, "PIECE_BYTES", PIECE)
    app, secrets = app_of(tmp_path / "studio", store, [uploads_door(store, 100_000)])
    with serving(app) as url:
        yield url, secrets["ed"]


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    path.write_bytes(DATA)
    return path


def sender_of(studio: tuple[str, str], tmp_path: Path, network: FlakyTransport, pauses: list[float]) -> Sender:
    return Sender(ServiceClient("studio", *studio, transport=network), tmp_path / "notes", pauses.append)


def patches(network: FlakyTransport) -> list[int]:
    """Where the pieces that were sent began."""
    return [int(request.headers["Upload-Offset"]) for request in network.sent if request.method == "PATCH"]


def test_a_large_file_goes_in_pieces_and_leaves_no_note_once_taken(studio, talk: Path, store, tmp_path: Path):
    network = FlakyTransport()
    seen: list[int] = []

    sent = sender_of(studio, tmp_path, network, []).send(talk, seen.append)

    fetch_upload(store, sent.upload_key, tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == DATA
    assert patches(network) == [0, 10_000, 20_000, 30_000, 40_000] and seen[-1] == len(DATA)
    assert len(list((tmp_path / "notes").iterdir())) == 1
    sent.taken()
    assert list((tmp_path / "notes").iterdir()) == []


def test_a_small_file_is_one_body(studio, store, tmp_path: Path):
    path = tmp_path / "small.mp3"
    path.write_bytes(b"x" * 5_000)
    network = FlakyTransport()

    sent = sender_of(studio, tmp_path, network, []).send(path)

    assert store.get(sent.upload_key) == b"x" * 5_000 and sent.note is None and len(network.sent) == 1


def test_a_network_that_fails_costs_one_piece_at_most(studio, talk: Path, store, tmp_path: Path):
    """The third and fourth requests find no way there, the seventh is heard and its answer lost."""
    network = FlakyTransport(before=[3, 4], after=[7])
    pauses: list[float] = []

    sent = sender_of(studio, tmp_path, network, pauses).send(talk)

    fetch_upload(store, sent.upload_key, tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == DATA
    assert patches(network) == [0, 0, 10_000, 20_000, 30_000, 40_000]
    assert pauses == [1.0, 2.0, 1.0]


def test_the_same_file_given_again_goes_on_where_it_was(studio, talk: Path, store, tmp_path: Path):
    broken = FlakyTransport(before=range(5, 100))

    def give_up(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Sender(ServiceClient("studio", *studio, transport=broken), tmp_path / "notes", give_up).send(talk)
    network = FlakyTransport()
    sent = sender_of(studio, tmp_path, network, []).send(talk)

    assert patches(broken)[:2] == [0, 10_000] and patches(network) == [20_000, 30_000, 40_000]
    fetch_upload(store, sent.upload_key, tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == DATA


def test_a_file_that_was_changed_starts_anew(studio, talk: Path, store, tmp_path: Path):
    first = sender_of(studio, tmp_path, FlakyTransport(), []).send(talk)
    talk.write_bytes(DATA[::-1])
    os.utime(talk, (1, 1))

    second = sender_of(studio, tmp_path, FlakyTransport(), []).send(talk)

    assert second.upload_key != first.upload_key
    fetch_upload(store, second.upload_key, tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == DATA[::-1]


def test_a_file_that_changes_while_it_is_sent_is_refused(studio, talk: Path, tmp_path: Path):
    def tell(count: int) -> None:
        if count == 20_000:
            talk.write_bytes(DATA + b"more")

    with pytest.raises(BadInputError, match="was changed while it was sent"):
        sender_of(studio, tmp_path, FlakyTransport(), []).send(talk, tell)


def test_an_upload_that_is_gone_begins_again(studio, talk: Path, store, tmp_path: Path):
    first = sender_of(studio, tmp_path, FlakyTransport(), []).send(talk)
    forget_upload(store, first.upload_key)

    second = sender_of(studio, tmp_path, FlakyTransport(), []).send(talk)

    assert arrived(store, second.upload_key) == len(DATA)


def test_patience_ends_with_the_advice_that_nothing_is_lost(studio, talk: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("shared.patience.PATIENCE_S", -1)

    with pytest.raises(ServiceUnavailableError, match="give it again, and the rest is sent"):
        sender_of(studio, tmp_path, FlakyTransport(before=range(3, 100)), []).send(talk)


def test_what_the_server_refuses_is_not_tried_again(studio, tmp_path: Path):
    path = tmp_path / "huge.wav"
    pauses: list[float] = []
    path.write_bytes(b"x" * 100_001)

    with pytest.raises(Exception, match="STUDIO_MAX_UPLOAD_BYTES"):
        sender_of(studio, tmp_path, FlakyTransport(), pauses).send(path)

    assert pauses == [] and not list((tmp_path / "notes").glob("*"))


def test_notes_of_long_ago_are_dropped(studio, talk: Path, tmp_path: Path):
    old = tmp_path / "notes" / "old.json"
    old.parent.mkdir()
    old.write_text("{}")
    os.utime(old, (1, 1))

    sender_of(studio, tmp_path, FlakyTransport(), []).send(talk)

    assert not old.exists()
