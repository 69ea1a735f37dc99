"""A recording's audio over HTTP, as a browser and a download tool ask for it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.studio.doors.media import Span, file_name, media_door, parse_range
from services.studio.machine.local import Stack
from services.studio.settings import Settings
from shared import keys
from shared.schemas import Lineage, Recording, Track
from shared.service import job_service
from shared.store import Store, put_blob
from shared.tokens import TokenBook, new_token
from tests.conftest import s3_store
from tests.fakes import MemoryStore

WEB = bytes(range(256)) * 10_000
SIZE = len(WEB)
ETAG = f'"{hashlib.sha256(WEB).hexdigest()}"'
AUDIO = "/v1/shows/lamplight/recordings/r1/audio"
PEAKS = "/v1/shows/lamplight/recordings/r1/peaks"


@pytest.fixture
def store() -> Store:
    return MemoryStore()


@pytest.fixture
def recording(store: Store) -> Recording:
    return keep_all(store)


def keep_all(store: Store) -> Recording:
    return keep(
        store,
        original=put_blob(store, b"the mp4", "video/mp4"),
        working=put_blob(store, b"the flac", "audio/flac"),
        web=put_blob(store, WEB, "audio/mpeg"),
        peaks=put_blob(store, b"the peaks", "application/octet-stream"),
    )


def keep(store: Store, recording_id: str = "r1", title: str = 'Bread; "at" three/../ö', **fields: Any) -> Recording:
    facts = {"id": recording_id, "show": "lamplight", "title": title, "source": "upload:x"}
    recording = Recording(**facts, lineage=Lineage(by="ingest", version="1", job="j", actor="a"), **fields)
    store.create(keys.recording("lamplight", recording_id), recording.model_dump_json().encode())
    return recording


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, dict[str, str]]:
    """Headers of whoever views a show, by the show."""
    book, headers = TokenBook(tmp_path / "tokens.json"), {}
    for show in ("lamplight", "other"):
        secret, token = new_token(show, "viewer", show)
        book.add(token)
        headers[show] = {"Authorization": f"Bearer {secret}"}
    return headers


@pytest.fixture
def door(store: Store, tokens: dict[str, dict[str, str]], tmp_path: Path) -> TestClient:
    return door_of(store, tokens, tmp_path)


def door_of(store: Store, tokens: dict[str, dict[str, str]], tmp_path: Path) -> TestClient:
    settings = Settings(state_dir=tmp_path / "state", log_dir=tmp_path, tokens_file=tmp_path / "tokens.json")
    app = job_service("studio", settings, store, [], routers=[media_door(store)])
    return TestClient(app, headers=tokens["lamplight"])


# ---- whole and in parts ----------------------------------------------------------------------------------------------


def test_the_web_rendition_comes_whole_with_all_that_a_player_needs_to_seek(door: TestClient, recording: Recording):
    answer = door.get(AUDIO)

    assert answer.status_code == 200 and answer.content == WEB
    headers = answer.headers
    assert (headers["content-type"], headers["content-length"]) == ("audio/mpeg", str(SIZE))
    assert (headers["accept-ranges"], headers["etag"]) == ("bytes", ETAG)
    assert "private" in headers["cache-control"] and "immutable" in headers["cache-control"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "content-disposition" not in headers and "content-range" not in headers


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-1023", 0, 1024),
        ("bytes=1000000-", 1_000_000, SIZE),
        ("bytes=1048570-2097160", 1_048_570, 2_097_161),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=2559000-{SIZE * 9}", 2_559_000, SIZE),
        ("bytes=-500", SIZE - 500, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        ("Bytes = 5 - 9", 5, 10),
    ],
)
def test_one_range_comes_as_that_part(asked: str, first: int, end: int, door: TestClient, recording: Recording):
    answer = door.get(AUDIO, headers={"Range": asked})

    assert answer.status_code == 206 and answer.content == WEB[first:end]
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - first)
    assert answer.headers["etag"] == ETAG


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=-0"])
def test_a_range_outside_is_refused_with_the_size(asked: str, door: TestClient, recording: Recording):
    answer = door.get(AUDIO, headers={"Range": asked})

    assert answer.status_code == 416 and answer.headers["content-range"] == f"bytes */{SIZE}"
    assert f"{SIZE} bytes" in answer.json()["detail"]


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,5-9", "bytes=9-5", "bytes=-", "bytes=a-b", "bytes", "items=0-5", "bytes=0x1-9", "", "bytes=--5"],
)
def test_several_ranges_and_nonsense_are_answered_with_the_whole(asked: str):
    assert parse_range(asked, SIZE) is None


def test_a_range_of_nothing_is_empty():
    assert parse_range("bytes=0-", 0) == Span(0, 0) and parse_range(None, 0) is None
    assert parse_range("bytes=" + "9" * 400 + "-", SIZE) is None


def test_several_ranges_come_as_the_whole(door: TestClient, recording: Recording):
    answer = door.get(AUDIO, headers={"Range": "bytes=0-1,5-9"})

    assert answer.status_code == 200 and answer.content == WEB


def test_the_head_alone_tells_the_size(door: TestClient, recording: Recording):
    answer = door.head(AUDIO, headers={"Range": "bytes=0-1"})

    assert answer.status_code == 200 and answer.content == b""
    assert (answer.headers["content-length"], answer.headers["etag"]) == (str(SIZE), ETAG)
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.s3
def test_ranges_come_from_a_real_store(s3: Stack, tokens: dict[str, dict[str, str]], tmp_path: Path):
    store = s3_store(s3, "media")
    store.ensure_bucket()
    keep_all(store)
    door = door_of(store, tokens, tmp_path)

    spans = {"0-0": WEB[:1], "1048570-2097160": WEB[1_048_570:2_097_161], "-7": WEB[-7:]}
    for asked, data in spans.items():
        answer = door.get(AUDIO, headers={"Range": f"bytes={asked}"})
        assert answer.status_code == 206 and answer.content == data
    assert door.get(AUDIO).content == WEB
    assert door.get(AUDIO, headers={"Range": f"bytes={SIZE}-"}).status_code == 416
    store.delete(keys.blob(ETAG.strip('"')))
    assert door.get(AUDIO, headers={"Range": "bytes=0-5"}).status_code == 404


# ---- conditions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [ETAG, f"W/{ETAG}", f'"old", {ETAG}', "*"])
def test_what_the_client_has_is_not_sent_again(known: str, door: TestClient, recording: Recording):
    for headers in ({"If-None-Match": known}, {"If-None-Match": known, "Range": "bytes=0-9"}):
        answer = door.get(AUDIO, headers=headers)

        assert answer.status_code == 304 and answer.content == b""
        assert answer.headers["etag"] == ETAG


def test_another_version_is_sent(door: TestClient, recording: Recording):
    assert door.get(AUDIO, headers={"If-None-Match": '"old"'}).status_code == 200


@pytest.mark.parametrize(
    ("condition", "status"), [(ETAG, 206), ('"old"', 200), (f"W/{ETAG}", 200), ("Mon, 23 Nov 2026 10:00:00 GMT", 200)]
)
def test_a_range_of_another_version_is_answered_with_the_whole(
    condition: str, status: int, door: TestClient, recording: Recording
):
    answer = door.get(AUDIO, headers={"Range": "bytes=2-5", "If-Range": condition})

    assert answer.status_code == status
    assert answer.content == (WEB[2:6] if status == 206 else WEB)


# ---- renditions ------------------------------------------------------------------------------------------------------


def test_originals_and_working_copies_come_as_files_with_safe_names(door: TestClient, recording: Recording):
    original, working = (door.get(AUDIO, params={"rendition": name}) for name in ("original", "working"))

    assert (original.content, original.headers["content-type"]) == (b"the mp4", "video/mp4")
    assert original.headers["content-disposition"] == 'attachment; filename="Bread-at-three-r1.mp4"'
    assert (working.content, working.headers["content-type"]) == (b"the flac", "audio/flac")
    assert working.headers["content-disposition"] == 'attachment; filename="Bread-at-three-r1-working.flac"'
    assert original.headers["x-content-type-options"] == "nosniff"


def test_a_name_is_never_empty_nor_leads_elsewhere():
    blob = put_blob(MemoryStore(), b"x", "application/x-odd")
    for title in ("../../etc/passwd", "\u202eexe.ogg", '"; evil="', "..", "x" * 300):
        name = file_name(keep(MemoryStore(), title=title, original=blob), blob, "original")
        assert name.endswith("r1.bin") and len(name) < 120
        assert set(name[:-4]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


def test_the_waveform_comes_as_it_is(door: TestClient, recording: Recording):
    answer = door.get(PEAKS)

    assert answer.status_code == 200 and answer.content == b"the peaks"
    assert door.get(PEAKS, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert door.head(PEAKS).headers["content-length"] == "9"


def test_each_speakers_track_can_be_had(door: TestClient, store: Store):
    tracks = tuple(
        Track(
            speaker=speaker,
            offset_s=0,
            original=put_blob(store, f"{speaker}'s wav".encode(), "audio/wav"),
            working=put_blob(store, f"{speaker}'s flac".encode(), "audio/flac"),
        )
        for speaker in ("Ann", "Ben")
    )
    mixed = put_blob(store, b"mixed", "audio/flac")
    keep(store, title="Talk", original=mixed, working=mixed, tracks=tracks)

    second = door.get(AUDIO, params={"rendition": "original", "track": 2})

    assert second.content == b"Ben's wav"
    assert second.headers["content-disposition"] == 'attachment; filename="Talk-r1-track2.wav"'
    assert door.get(AUDIO, params={"rendition": "working", "track": 1}).content == b"Ann's flac"
    assert "has 2 tracks" in door.get(AUDIO, params={"rendition": "working", "track": 3}).json()["detail"]
    assert door.get(AUDIO, params={"track": 1}).status_code == 404


# ---- what is missing says how to get it ------------------------------------------------------------------------------


def test_a_recording_of_an_earlier_version_has_its_original_only(door: TestClient, store: Store):
    audio = put_blob(store, b"flac", "audio/flac")
    keep(store, original=audio, working=audio)

    for path in (AUDIO, PEAKS):
        answer = door.get(path)
        assert answer.status_code == 404 and "came with an earlier version" in answer.json()["detail"]
    assert door.get(AUDIO, params={"rendition": "original"}).content == b"flac"


def test_a_collected_working_copy_says_how_to_make_it_again(door: TestClient, store: Store, recording: Recording):
    assert recording.working is not None
    store.delete(recording.working.key)

    answer = door.get(AUDIO, params={"rendition": "working"})

    assert answer.status_code == 404 and "collected" in answer.json()["detail"]
    assert door.head(AUDIO, params={"rendition": "working"}).status_code == 404
    assert door.get(AUDIO).status_code == 200


def test_a_published_transcript_has_no_audio(door: TestClient, store: Store):
    keep(store, original=put_blob(store, b"WEBVTT", "text/vtt"))

    for rendition in ("web", "original", "working"):
        answer = door.get(AUDIO, params={"rendition": rendition})
        assert answer.status_code == 404 and "has no audio" in answer.json()["detail"]


def test_only_who_may_view_the_show_hears_it(door: TestClient, tokens: dict[str, dict[str, str]], recording: Recording):
    assert door.get(AUDIO, headers=tokens["other"]).status_code == 403
    assert door.get(AUDIO, headers={"Authorization": ""}).status_code == 401
    assert door.get(AUDIO.replace("r1", "r2")).status_code == 404
    assert door.get(AUDIO, params={"rendition": "loud"}).status_code == 422
