"""What there is to hear of an episode: over HTTP, in exports and imports, and what erasures and collections leave."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from services.studio.care import erasure
from services.studio.care.erasure import EraseRequest
from services.studio.care.exports import take_stock
from services.studio.care.holdings import survey
from services.studio.care.lineage import damage, walk
from services.studio.care.memories import Memories
from services.studio.care.retention import Rules, plan
from services.studio.care.storage import usage
from services.studio.doors.episodes import episodes_door
from services.studio.library import Library
from shared import keys
from shared.errors import BadInputError
from shared.renderings import EpisodeAudio, SpokenTurns
from shared.schemas import now
from shared.store import load
from tests.fakes import FakeJob, MemoryStore
from tests.studio.a_door import door_of
from tests.studio.a_show import put_audio, put_show
from tests.studio.test_exports import exported
from tests.studio.test_imports import bring

PLACE = "/v1/shows/lamp/episodes/e1/audio"
MP3 = b"mp3 of e1 " * 100 + b"lamp"
SPOKEN, AUDIO = keys.episode_spoken("lamp", "e1"), keys.episode_audio("lamp", "e1")


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    put_audio(store)
    return store


@pytest.fixture
def door(tmp_path: Path, store: MemoryStore):
    return door_of(tmp_path, store, episodes_door(Library(store), store))


def heard(store: MemoryStore) -> set[str]:
    """Keys of the blobs that an episode's sound consists of."""
    sounds = load(store, SPOKEN, SpokenTurns).sounds.values()
    return {sound.blob.key for sound in sounds if sound.blob} | {load(store, AUDIO, EpisodeAudio).mp3.key}


# ---- over HTTP -------------------------------------------------------------------------------------------------------


def test_a_player_gets_the_whole_or_a_range_and_asks_again_whether_it_changed(door, store: MemoryStore):
    client, people = door

    whole = client.get(PLACE, headers=people["vi"])
    part = client.get(PLACE, headers={**people["vi"], "Range": "bytes=10-19"})
    same = client.get(PLACE, headers={**people["vi"], "If-None-Match": whole.headers["etag"]})
    put_audio(store, mp3=b"another take")
    changed = client.get(PLACE, headers={**people["vi"], "If-None-Match": whole.headers["etag"]})

    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, MP3, "audio/mpeg")
    assert whole.headers["cache-control"] == "private, no-cache" and "content-disposition" not in whole.headers
    assert (part.status_code, part.content) == (206, MP3[10:20])
    assert same.status_code == 304
    assert (changed.status_code, changed.content) == (200, b"another takelamp")


def test_it_is_saved_under_a_name_that_tells_nobodys_name(door):
    client, people = door

    saved = client.get(PLACE, params={"download": True}, headers=people["vi"])

    assert saved.headers["content-disposition"] == 'attachment; filename="lamp-e1.mp3"'


def test_chapters_turns_and_voices_can_be_read(door):
    client, people = door

    told = client.get("/v1/shows/lamp/episodes/e1/rendering", headers=people["vi"]).json()

    assert told["ai_generated"] is True and told["voices"] == {"host": "heart", "guest": "heart-low"}
    assert told["turns"][1] == {"turn": 1, "start_s": 5.5, "end_s": 7.5}


def test_before_it_is_spoken_the_answer_says_how_it_will_be(door, store: MemoryStore):
    client, people = door
    store.delete(AUDIO)

    reply = client.get(PLACE, headers=people["vi"])

    assert reply.status_code == 404 and "diary episodes render" in reply.json()["detail"]


def test_only_who_may_read_the_show_hears_it(door):
    client, people = door

    assert client.get(PLACE).status_code == 401
    assert client.get(PLACE, headers=people["one"]).status_code == 403
    assert client.get(PLACE.replace("e1", "e2"), headers=people["vi"]).status_code == 404


# ---- data care -------------------------------------------------------------------------------------------------------


def test_an_episode_moves_with_its_sound(store: MemoryStore, tmp_path: Path):
    there = MemoryStore()

    bring(exported(store), there, tmp_path)

    assert there.objects == store.objects and heard(there) <= there.objects.keys()
    assert damage(walk(there, AUDIO)) == []


def test_an_export_of_text_leaves_sound_out_and_says_so(store: MemoryStore, tmp_path: Path):
    there = MemoryStore()

    stock = take_stock(store, "lamp", "text")
    bring(exported(store, "text"), there, tmp_path)

    assert heard(store) <= {entry.key for entry in stock.export.left_out}
    assert there.exists(AUDIO) and not heard(there) & there.objects.keys()
    assert damage(walk(there, AUDIO)) == []
    client, people = door_of(tmp_path / "door", there, episodes_door(Library(there), there))
    reply = client.get(PLACE, headers=people["vi"])
    assert reply.status_code == 404 and "speak it again" in reply.json()["detail"]


def test_an_episode_that_was_spoken_again_here_stays_as_it_is_when_an_older_export_comes(
    store: MemoryStore, tmp_path: Path
):
    older = exported(store)
    put_audio(store, mp3=b"another take")
    newer = store.get(AUDIO)

    bring(older, store, tmp_path)

    assert store.get(AUDIO) == newer


def test_what_a_pointer_named_when_the_export_began_is_what_goes(store: MemoryStore, tmp_path: Path):
    stock = take_stock(store, "lamp", "all")
    before = heard(store)
    put_audio(store, mp3=b"another take")

    named = {entry.key for entry in stock.export.entries}

    assert before <= named and hashlib.sha256(stock.pointers[AUDIO]).hexdigest() in {
        entry.sha256 for entry in stock.export.entries
    }


def test_a_damaged_manifest_of_sound_is_refused(store: MemoryStore, tmp_path: Path):
    store.objects[AUDIO] = store.objects[AUDIO].replace(b'"duration_s":8.0', b'"duration_s":"long"')

    with pytest.raises(BadInputError, match="is not a valid EpisodeAudio"):
        bring(exported(store), MemoryStore(), tmp_path)


def test_an_erased_recording_marks_the_episode_and_leaves_it_to_be_heard(store: MemoryStore, tmp_path: Path):
    erasure.run(
        EraseRequest(show="lamp", recording="spoken", reason="asked for"),
        job=FakeJob(tmp_path),
        store=store,
        memories=Memories(lambda forgetting: []),
    )

    assert Library(store).episode("lamp", "e1").source_withdrawn == ("spoken",)
    assert heard(store) <= store.objects.keys()
    assert damage(walk(store, AUDIO)) == []


def test_sound_is_kept_as_long_as_it_is_named_and_an_earlier_take_goes(store: MemoryStore):
    earlier = load(store, AUDIO, EpisodeAudio).mp3.key
    put_audio(store, mp3=b"another take")
    store.grow_old(hours=24 * 400)

    going = {mark.key for mark in plan(store, survey(store), Rules(working=timedelta(days=7)), now())}

    assert earlier in going and not going & heard(store)


def test_storage_counts_it_as_the_episodes(store: MemoryStore):
    (show,) = usage(survey(store)).shows
    held = {kind.kind: kind.bytes for kind in show.kinds}

    assert held["episodes"] > sum(len(store.objects[key]) for key in heard(store))
