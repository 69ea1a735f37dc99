"""Resumable uploads over HTTP: the tus protocol, broken connections, several senders, several replicas."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from services.studio.doors import uploads
from services.studio.doors.uploads import OFFSET_BODY, uploads_door
from shared import keys
from shared.uploads import arrived, facts_of, fetch_upload
from tests.conftest import s3_store
from tests.fakes import MemoryStore
from tests.kit import until
from tests.studio.a_door import Headers, app_of, door_of, serving

TUS = {"Tus-Resumable": "1.0.0"}
LIMIT = 100 * 1024 * 1024
MIB = 1024 * 1024


class Sender:
    """Speaks tus as a client would."""

    def __init__(self, client: Any, headers: dict[str, str]) -> None:
        self.client = client  # of httpx, or a TestClient, which has the same methods
        self.people: dict[str, Headers] = {}
        self.headers = {**headers, **TUS}

    def begin(self, length: int, **more: str) -> httpx.Response:
        headers = {**self.headers, "Upload-Length": str(length), **more}
        return self.client.post("/v1/uploads", headers=headers)

    def send(self, place: str, offset: int, data, **more: str) -> httpx.Response:
        headers = {**self.headers, "Upload-Offset": str(offset), "Content-Type": OFFSET_BODY, **more}
        return self.client.patch(place, content=data, headers=headers)

    def offset(self, place: str) -> int:
        reply = self.client.head(place, headers=self.headers)
        assert reply.status_code == 200, reply.status_code
        return int(reply.headers["Upload-Offset"])


def sha256_of(data: bytes) -> str:
    return "sha256 " + base64.b64encode(hashlib.sha256(data).digest()).decode()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def sender(tmp_path: Path, store: MemoryStore) -> Sender:
    client, people = door_of(tmp_path, store, uploads_door(store, LIMIT))
    sender = Sender(client, people["ed"])
    sender.people = people
    return sender


def test_a_file_comes_in_pieces_and_head_tells_where_to_go_on(sender: Sender, store: MemoryStore, tmp_path: Path):
    name = base64.b64encode("drive ☕.mp3".encode()).decode()
    begun = sender.begin(11, **{"Upload-Metadata": f"filename {name},filetype YQ=="})
    place = begun.headers["location"]

    first = sender.send(place, 0, b"hello ")
    there = sender.client.head(place, headers=sender.headers)
    last = sender.send(place, 6, b"world")

    key = begun.json()["upload_key"]
    assert begun.status_code == 201 and place == f"/v1/{key}" and begun.headers["tus-resumable"] == "1.0.0"
    assert (first.status_code, first.headers["upload-offset"]) == (204, "6")
    assert (there.headers["upload-offset"], there.headers["upload-length"]) == ("6", "11")
    assert there.headers["cache-control"] == "no-store" and name in there.headers["upload-metadata"]
    assert (last.status_code, last.headers["upload-offset"]) == (204, "11")
    facts = facts_of(store, key)
    assert facts is not None and (facts.filename, facts.by, facts.bytes) == ("drive ☕.mp3", "ed", 11)
    fetch_upload(store, key, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"hello world"


def test_a_body_of_any_length_is_cut_into_pieces(sender: Sender, store: MemoryStore, monkeypatch):
    monkeypatch.setattr(uploads, "PIECE_BYTES", 1000)
    data = bytes(range(250)) * 10
    begun = sender.begin(len(data))

    reply = sender.send(begun.headers["location"], 0, (data[at : at + 64] for at in range(0, len(data), 64)))

    assert reply.headers["upload-offset"] == "2500"
    parts = store.list(begun.json()["upload_key"] + "/0")
    assert [len(store.get(part)) for part in parts] == [1000, 1000, 500]
    assert b"".join(map(store.get, parts)) == data


@pytest.mark.parametrize(
    ("method", "headers", "status", "why"),
    [
        ("begin", {"Tus-Resumable": "0.2.2", "Upload-Length": "3"}, 412, "speaks no other version"),
        ("begin", {}, 400, "Upload-Length"),
        ("begin", {"Upload-Length": "-3"}, 400, "Upload-Length"),
        ("begin", {"Upload-Length": str(LIMIT + 1)}, 413, "STUDIO_MAX_UPLOAD_BYTES"),
        ("begin", {"Upload-Length": "3", "Upload-Metadata": "filename %%%"}, 400, "base64"),
        ("send", {"Content-Type": "application/json"}, 415, OFFSET_BODY),
        ("send", {"Upload-Offset": "x"}, 400, "Upload-Offset"),
        ("send", {"Upload-Offset": "2"}, 409, "0 bytes have come"),
        ("send", {"Tus-Resumable": ""}, 412, "speaks no other version"),
        ("send", {"Upload-Checksum": "crc32 AAAA"}, 400, "sha256"),
        ("send", {"Upload-Checksum": "sha256 AAAA"}, 460, "checksum differs"),
    ],
)
def test_what_the_protocol_forbids_is_refused_with_its_status(
    sender: Sender, store: MemoryStore, method: str, headers: dict[str, str], status: int, why: str
):
    place = sender.begin(5).headers["location"]
    whole = {**sender.headers, "Upload-Offset": "0", "Content-Type": OFFSET_BODY, **headers}

    if method == "begin":
        reply = sender.client.post("/v1/uploads", headers={**sender.headers, **headers})
    else:
        reply = sender.client.patch(place, content=b"hello", headers=whole)

    assert (reply.status_code, reply.headers["tus-resumable"]) == (status, "1.0.0")
    assert why in reply.json()["detail"] and ("tus-version" in reply.headers) == (status == 412)
    assert sender.offset(place) == 0


def test_more_bytes_than_announced_are_refused(sender: Sender):
    place = sender.begin(5).headers["location"]

    reply = sender.send(place, 0, b"hello!")

    assert reply.status_code == 413 and "more bytes came than the 5" in reply.json()["detail"]
    assert sender.offset(place) == 0 and sender.send(place, 0, b"hello").status_code == 204


def test_damaged_bytes_are_not_kept(sender: Sender):
    place = sender.begin(5).headers["location"]

    damaged = sender.send(place, 0, b"hellp", **{"Upload-Checksum": sha256_of(b"hello")})
    right = sender.send(place, 0, b"hello", **{"Upload-Checksum": sha256_of(b"hello")})

    assert (damaged.status_code, right.status_code, right.headers["upload-offset"]) == (460, 204, "5")


def test_of_two_senders_at_one_offset_one_is_told_to_ask_again(sender: Sender, store: MemoryStore):
    begun = sender.begin(10)
    place, key = begun.headers["location"], begun.json()["upload_key"]

    def body() -> Iterator[bytes]:
        """While we send, somebody else's first bytes are stored."""
        yield b"aa"
        store.create(keys.upload_part(key, 0), b"bbb")
        yield b"aaaa"

    lost = sender.send(place, 0, body())

    assert lost.status_code == 409 and "somebody else" in lost.json()["detail"]
    assert sender.offset(place) == 3 and sender.send(place, 3, b"ccccccc").status_code == 204


def test_a_dropped_upload_leaves_nothing_even_while_it_is_sent(sender: Sender, store: MemoryStore):
    place = sender.begin(10).headers["location"]
    sender.send(place, 0, b"aaa")

    def body() -> Iterator[bytes]:
        yield b"bbb"
        assert sender.client.delete(place, headers=sender.headers).status_code == 204
        yield b"bbb"

    reply = sender.send(place, 3, body())

    assert reply.status_code == 404 and store.list("uploads/") == []
    assert sender.client.head(place, headers=sender.headers).status_code == 404


def test_only_who_began_it_or_an_admin_goes_on(sender: Sender):
    place = sender.begin(5).headers["location"]

    def head(who: str) -> int:
        return sender.client.head(place, headers={**sender.people[who], **TUS}).status_code

    assert [head(who) for who in ("ed", "ann", "mel", "vi")] == [200, 200, 403, 403]
    assert sender.client.head(place, headers=TUS).status_code == 401
    assert sender.client.patch(place, content=b"hello", headers=TUS).status_code == 401
    assert sender.client.head("/v1/uploads/..%2Fshows", headers=sender.headers).status_code in (404, 422)


def test_options_tell_what_is_spoken_here(sender: Sender):
    reply = sender.client.options("/v1/uploads", headers=sender.people["vi"])

    assert reply.status_code == 204 and reply.headers["tus-version"] == "1.0.0"
    assert reply.headers["tus-max-size"] == str(LIMIT)
    assert reply.headers["tus-extension"] == "creation,termination,checksum"
    assert reply.headers["tus-checksum-algorithm"] == "sha256,sha1"


def test_a_whole_body_is_still_one_object(sender: Sender, store: MemoryStore):
    reply = sender.client.post("/v1/uploads", content=b"whole", headers=sender.people["ed"])

    assert reply.status_code == 201 and store.get(reply.json()["upload_key"]) == b"whole"


# ---- behind real sockets -------------------------------------------------------------------------------------------


@pytest.mark.s3
@pytest.mark.timeout(120)
def test_what_came_before_a_connection_broke_is_kept_and_another_replica_goes_on(s3, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(uploads, "PIECE_BYTES", MIB)
    store = s3_store(s3, "resumed")
    store.ensure_bucket()
    data = bytes(range(251)) * 20_000
    app, secrets = app_of(tmp_path / "one", store, [uploads_door(store, LIMIT)])
    other_app, other_secrets = app_of(tmp_path / "two", store, [uploads_door(store, LIMIT)])
    with serving(app) as url, httpx.Client(base_url=url) as client:
        sender = Sender(client, {"Authorization": f"Bearer {secrets['ed']}"})
        begun = sender.begin(len(data))
        place, key = begun.headers["location"], begun.json()["upload_key"]
        send_and_break(url, place, sender.headers, len(data), data[: 3 * MIB - 777])
        until(lambda: len(store.list(f"{key}/")) == 4, "what came is kept: facts, two whole pieces and a bit")
        kept = sender.offset(place)
    with serving(other_app) as url, httpx.Client(base_url=url, timeout=30) as client:
        sender = Sender(client, {"Authorization": f"Bearer {other_secrets['ed']}"})
        late = sender.send(place, 0, data[: 4 * MIB])
        rest = sender.send(place, kept, data[kept:])

    assert 2 * MIB < kept <= 3 * MIB - 777  # the server throws away what it had not read when the connection broke
    assert late.status_code == 409 and rest.headers["upload-offset"] == str(len(data))
    fetch_upload(store, key, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == data


def send_and_break(url: str, place: str, headers: dict[str, str], announced: int, data: bytes) -> None:
    """Send less than was announced, then go without a goodbye."""
    lines = {**headers, "Host": "here", "Upload-Offset": "0", "Content-Type": OFFSET_BODY}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(f"PATCH {place} HTTP/1.1\r\n{head}Content-Length: {announced}\r\n\r\n".encode() + data)


@pytest.mark.s3
@pytest.mark.timeout(120)
def test_senders_that_race_make_one_right_file(s3, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(uploads, "PIECE_BYTES", 64 * 1024)
    store = s3_store(s3, "raced")
    store.ensure_bucket()
    data = bytes(range(251)) * 4_000
    app, secrets = app_of(tmp_path, store, [uploads_door(store, LIMIT)])
    with serving(app) as url:
        headers = {"Authorization": f"Bearer {secrets['ed']}"}
        with httpx.Client(base_url=url) as client:
            begun = Sender(client, headers).begin(len(data))
        place, key = begun.headers["location"], begun.json()["upload_key"]

        def send_all(step: int) -> None:
            with httpx.Client(base_url=url, timeout=30) as client:
                sender = Sender(client, headers)
                while (at := sender.offset(place)) < len(data):
                    sender.send(place, at, data[at : at + step])

        racers = [threading.Thread(target=send_all, args=(step,)) for step in (10_000, 77_777, 150_000, 150_000)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join(60)

    assert arrived(store, key) == len(data)
    fetch_upload(store, key, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == data


@pytest.mark.timeout(60)
def test_a_sender_that_falls_silent_frees_its_place(tmp_path: Path, store: MemoryStore, monkeypatch):
    monkeypatch.setattr(uploads, "SILENCE_S", 0.5)
    app, secrets = app_of(tmp_path, store, [uploads_door(store, LIMIT)])
    with serving(app) as url, httpx.Client(base_url=url) as client:
        sender = Sender(client, {"Authorization": f"Bearer {secrets['ed']}"})
        place = sender.begin(100).headers["location"]
        lines = {**sender.headers, "Host": "here", "Upload-Offset": "0", "Content-Type": OFFSET_BODY}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.sendall(f"PATCH {place} HTTP/1.1\r\n{head}Content-Length: 100\r\n\r\nhello".encode())
            answer = connection.recv(1000).decode()

    assert " 408 " in answer and arrived(store, place.removeprefix("/v1/")) == 5


@pytest.mark.timeout(60)
def test_a_sender_of_a_whole_body_that_falls_silent_is_let_go_too(tmp_path: Path, store: MemoryStore, monkeypatch):
    monkeypatch.setattr(uploads, "SILENCE_S", 0.5)
    app, secrets = app_of(tmp_path, store, [uploads_door(store, LIMIT)])
    with serving(app) as url:
        parts = urlsplit(url)
        head = f"POST /v1/uploads HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {secrets['ed']}\r\n"
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.sendall(f"{head}Content-Length: 100\r\n\r\nhello".encode())
            answer = connection.recv(1000).decode()

    assert " 408 " in answer and store.list("uploads/") == []
