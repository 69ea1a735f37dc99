"""Correcting shows and recordings over HTTP; what was found when a recording came stays on record."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.studio.doors.facts import GivenChanges as Changes
from services.studio.doors.facts import edit_recording, facts_door
from shared import keys, recordings
from shared.errors import ArtifactMissingError
from shared.schemas import ExcludedSpan, Recording, RecordingEdits, Show
from shared.store import load, revise
from tests.fakes import MemoryStore
from tests.studio.a_door import door_of
from tests.studio.a_show import put_show

PLACE = "/v1/shows/lamp/recordings/spoken"
TRAILER = ExcludedSpan(start_s=0, end_s=42.5, reason="trailer", found_by="chapters", detail="Coming up")


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    recording = load(store, keys.recording("lamp", "spoken"), Recording)
    with_spans = recording.model_copy(update={"duration_s": 600.0, "excluded_spans": (TRAILER,)})
    store.objects[keys.recording("lamp", "spoken")] = with_spans.model_dump_json().encode()
    return store


@pytest.fixture
def door(tmp_path: Path, store: MemoryStore):
    return door_of(tmp_path, store, facts_door(store))


def test_changes_add_up_and_the_recording_itself_stays(door, store: MemoryStore):
    client, people = door
    manifest = store.get(keys.recording("lamp", "spoken"))

    first = client.patch(PLACE, json={"guest": "Ann Ash"}, headers=people["ed"])
    second = client.patch(PLACE, json={"title": " Of cups "}, headers=people["mel"])

    assert first.status_code == 200 and first.json()["guest"] == "Ann Ash"
    assert (second.json()["guest"], second.json()["title"]) == ("Ann Ash", "Of cups")
    assert recordings.read(store, "lamp", "spoken").title == "Of cups"
    edits = load(store, keys.edits("lamp", "spoken"), RecordingEdits)
    assert (edits.by, edits.excluded_spans) == ("mel", None)
    assert store.get(keys.recording("lamp", "spoken")) == manifest


def test_spans_are_sorted_and_new_ones_are_the_persons_word(door, store: MemoryStore):
    client, people = door
    advert = {"start_s": 300, "end_s": 330, "reason": "advert", "found_by": "sponsorblock"}
    intro = {"start_s": 42.5, "end_s": 60, "reason": "intro"}

    told = client.patch(
        PLACE, json={"excluded_spans": [advert, TRAILER.model_dump(), intro]}, headers=people["ed"]
    ).json()["excluded_spans"]
    emptied = client.patch(PLACE, json={"excluded_spans": []}, headers=people["ed"])

    assert [(span["start_s"], span["found_by"]) for span in told] == [
        (0, "chapters"),
        (42.5, "person"),
        (300, "person"),
    ]
    assert emptied.json()["excluded_spans"] == []


@pytest.mark.parametrize(
    ("start_s", "end_s", "why"),
    [(10, 10, "after it starts"), (20, 10, "after it starts"), (590, 601, "600.000 s"), (-1, 5, "greater than")],
)
def test_spans_that_cannot_be_are_refused(door, store: MemoryStore, start_s: float, end_s: float, why: str):
    client, people = door

    span = {"start_s": start_s, "end_s": end_s, "reason": "advert"}
    reply = client.patch(PLACE, json={"excluded_spans": [span]}, headers=people["ed"])

    assert reply.status_code == 422 and why in reply.json()["detail"]
    assert not store.exists(keys.edits("lamp", "spoken"))


def test_a_published_transcript_has_no_length_to_leave_anything_out_of(door):
    client, people = door
    span = {"start_s": 0, "end_s": 1, "reason": "advert"}

    reply = client.patch("/v1/shows/lamp/recordings/published", json={"excluded_spans": [span]}, headers=people["ed"])

    assert reply.status_code == 422 and "no known length" in reply.json()["detail"]


def test_no_edits_are_left_of_a_recording_that_is_erased_meanwhile(store: MemoryStore):
    class ErasingStore(MemoryStore):
        def create(self, key: str, data: bytes) -> bool:
            self.delete(keys.recording("lamp", "spoken"))
            return super().create(key, data)

    erasing = ErasingStore(store.objects)

    with pytest.raises(ArtifactMissingError):
        edit_recording(erasing, "lamp", "spoken", Changes(guest="Ann Ash"), "ed")

    assert erasing.list("shows/lamp/edits/") == []


def test_facts_of_a_guest_are_kept_beside_the_recording_until_they_are_cleared(door, store: MemoryStore):
    client, people = door
    before = client.patch(PLACE, json={"guest": "Ann Ash"}, headers=people["ed"]).json()

    told = client.patch(PLACE, json={"facts": [" Ann bakes\nbread. ", "Ann was a pilot."]}, headers=people["ed"])
    client.patch(PLACE, json={"title": "Of cups"}, headers=people["ed"])
    kept = recordings.facts_of(store, "lamp", "spoken")
    read = client.get(f"{PLACE}/facts", headers=people["vi"])
    client.patch(PLACE, json={"facts": []}, headers=people["ed"])

    assert told.json() == before, "a recording has no facts of its own"
    assert kept == ("Ann bakes bread.", "Ann was a pilot.") and read.json() == list(kept)
    assert recordings.facts_of(store, "lamp", "spoken") == () == recordings.facts_of(store, "lamp", "published")
    assert client.get(f"{PLACE}/facts", headers=people["one"]).status_code == 403
    assert client.get(f"{PLACE}x/facts", headers=people["vi"]).status_code == 404


@pytest.mark.parametrize("facts", [["x" * 301], ["Ann bakes."] * 21, [" "], "Ann bakes."])
def test_facts_that_no_header_has_room_for_are_refused(door, store: MemoryStore, facts: object):
    client, people = door

    assert client.patch(PLACE, json={"facts": facts}, headers=people["ed"]).status_code == 422
    assert not store.exists(keys.edits("lamp", "spoken"))


def test_facts_of_a_show_are_corrected_one_by_one(door, store: MemoryStore):
    client, people = door

    told = client.patch("/v1/shows/lamp", json={"rights": "own", "speakers": 3}, headers=people["ed"])
    wrong = client.patch("/v1/shows/lamp", json={"language": "English"}, headers=people["ed"])
    renamed = client.patch("/v1/shows/lamp", json={"slug": "other"}, headers=people["ed"])

    show = load(store, keys.show("lamp"), Show)
    assert told.json() == show.model_dump(mode="json")
    assert (show.rights, show.speakers, show.title) == ("own", 3, "The Lamplight Hour")
    assert (wrong.status_code, renamed.status_code) == (422, 422)


def test_a_change_that_lost_a_race_is_made_again_on_what_the_other_wrote(store: MemoryStore):
    key, others = keys.show("lamp"), ["Ruth", "Sam"]

    def with_speakers(show: Show) -> Show:
        if others:
            store.objects[key] = show.model_copy(update={"host": others.pop(0)}).model_dump_json().encode()
        return show.model_copy(update={"speakers": 4})

    changed = revise(store, key, Show, with_speakers)

    assert (changed.host, changed.speakers) == ("Sam", 4) and load(store, key, Show) == changed


def test_who_may_correct_what(door):
    client, people = door

    for path in ("/v1/shows/lamp", PLACE):
        assert client.patch(path, json={}, headers=people["vi"]).status_code == 403
        assert client.patch(path, json={}, headers=people["one"]).status_code == 403
        assert client.patch(path, json={}, headers=people["ed"]).status_code == 200
    assert client.patch("/v1/shows/nowhere", json={"host": "Ann"}, headers=people["ed"]).status_code == 404
    assert client.patch(f"{PLACE}x", json={"guest": "Ann"}, headers=people["ed"]).status_code == 404
