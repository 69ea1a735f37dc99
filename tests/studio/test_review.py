"""The review queue, the glossary, and what people say of repeated spans: doors over one small show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.studio.classifying import repeats_door
from services.studio.glances import Glances, doubtful_turns
from services.studio.glossary import glossary_door
from services.studio.library import Library
from services.studio.review import AROUND_S, DECIDING_S, review_door
from shared import classifications, keys
from shared.corrections import Cluster, Place, Repeats
from shared.schemas import Transcript, TranscriptState
from shared.store import point
from tests.fakes import MemoryStore
from tests.studio.a_door import Headers, door_of
from tests.transcription.conftest import add_recording, store
from tests.transcription.talks import put, transcript

__all__ = ["store"]  # a fixture

SPOKEN = ("this hour is brought to you by lamp oil",)


class Desk:
    """Somebody at studio's doors: `ed` edits, `vi` looks, `one` edits another show."""

    def __init__(self, tmp_path: Path, store: MemoryStore) -> None:
        self.client, self.people = door_of(
            tmp_path,
            store,
            review_door(Library(store), Glances(store)),
            glossary_door(store),
            repeats_door(store),
        )

    def ask(self, method: str, path: str, who: str = "ed", **options: Any) -> Any:
        headers: Headers = self.people[who]
        return self.client.request(method, f"/v1/shows/demo/{path}", headers=headers, **options)


@pytest.fixture
def desk(tmp_path: Path, store: MemoryStore) -> Desk:
    return Desk(tmp_path, store)


def doubtful(recording: str, doubts: dict[int, float], revision: str = "rev1") -> Transcript:
    talk = transcript(doubtful=tuple(doubts))
    turns = tuple(turn.model_copy(update={"doubt": doubts.get(place, 0.0)}) for place, turn in enumerate(talk.turns))
    return talk.model_copy(update={"id": revision, "recording": recording, "turns": turns})


# ---- review ----------------------------------------------------------------------------------------------------------


def test_the_queue_holds_all_recordings_worst_turn_first_with_the_minutes_left(desk: Desk, store: MemoryStore):
    add_recording(store, recording_id="rec2")
    put(store, doubtful("rec1", {0: 0.4, 2: 0.9}))
    put(store, doubtful("rec2", {1: 0.6}))

    found = desk.ask("GET", "review", who="vi").json()

    assert [(item["recording"], item["turn"], item["doubt"]) for item in found["items"]] == [
        ("rec1", "t3", 0.9),
        ("rec2", "t2", 0.6),
        ("rec1", "t1", 0.4),
    ]
    assert found["items"][0]["reasons"] == ["shorter than 1 s"] and found["items"][0]["title"] == "One"
    assert (found["turns"], found["recordings"]) == (3, {"rec1": 2, "rec2": 1})
    said_s = 3.0 + 0.5 + 4.0
    assert found["minutes_left"] == pytest.approx((said_s + 3 * (AROUND_S + DECIDING_S)) / 60, abs=0.05)


def test_the_queue_follows_the_current_revision(desk: Desk, store: MemoryStore):
    put(store, doubtful("rec1", {0: 0.4}))
    before = desk.ask("GET", "review").json()

    put(store, doubtful("rec1", {}, revision="rev2"))

    assert (before["turns"], desk.ask("GET", "review").json()["turns"]) == (1, 0)


def test_a_short_answer_still_counts_all(desk: Desk, store: MemoryStore):
    put(store, doubtful("rec1", {0: 0.4, 1: 0.5, 2: 0.9}))

    found = desk.ask("GET", "review", params={"limit": 1}).json()

    assert (len(found["items"]), found["turns"]) == (1, 3)


def test_nothing_of_an_approved_transcript_is_doubtful():
    approved = doubtful("rec1", {0: 0.9}).model_copy(update={"state": TranscriptState.APPROVED})

    assert doubtful_turns(approved, "One") == ()


def test_a_recording_without_a_transcript_says_so_only_where_it_is_named(desk: Desk, store: MemoryStore):
    everything, named = desk.ask("GET", "review"), desk.ask("GET", "review", params={"recording": "rec1"})

    assert (everything.status_code, everything.json()["turns"]) == (200, 0)
    assert named.status_code == 404


def test_nobody_sees_the_queue_of_a_show_that_is_not_theirs(desk: Desk):
    assert desk.ask("GET", "review", who="one").status_code == 403


# ---- glossary --------------------------------------------------------------------------------------------------------


def test_terms_are_set_as_a_whole_without_doubles(desk: Desk):
    empty = desk.ask("GET", "glossary").json()
    given = desk.ask("PUT", "glossary", json={"terms": ["Quill", "Lamplight", "Quill"]}).json()

    assert empty["terms"] == []
    assert (given["terms"], given["by"]) == (["Quill", "Lamplight"], "ed")
    assert desk.ask("GET", "glossary", who="vi").json() == given


@pytest.mark.parametrize("terms", [["x"] * 501, [""], ["x" * 5000]])
def test_terms_that_are_none_are_refused(desk: Desk, terms: list[str]):
    assert desk.ask("PUT", "glossary", json={"terms": terms}).status_code == 422
    assert desk.ask("GET", "glossary").json()["terms"] == []


def test_a_viewer_sets_no_terms(desk: Desk):
    assert desk.ask("PUT", "glossary", who="vi", json={"terms": ["Quill"]}).status_code == 403


# ---- repeated spans --------------------------------------------------------------------------------------------------


@pytest.fixture
def searched(store: MemoryStore) -> None:
    place = Place(recording="rec1", transcript="rev1", first_word=0, last_word=8, start_s=0.0, end_s=4.0)
    cluster = Cluster(
        id="c1", text=SPOKEN[0], words=8, guess="advert", places=(place, place), grams=("a", "b", "c", "d")
    )
    found = Repeats(show="demo", transcripts={"rec1": "rev1"}, clusters=(cluster,))
    point(store, keys.repeats("demo"), found.model_dump_json().encode())


def test_before_anybody_looked_the_list_says_how_to(desk: Desk):
    answer = desk.ask("GET", "repeats")

    assert answer.status_code == 404 and "diary repeats find demo" in answer.json()["detail"]


@pytest.mark.usefixtures("searched")
def test_a_guess_is_no_answer_and_a_persons_word_is(desk: Desk, store: MemoryStore):
    guessed = desk.ask("GET", "repeats").json()["clusters"][0]
    told = desk.ask("PUT", "repeats/c1", json={"kind": "greeting"}).json()

    assert (guessed["guess"], guessed["kind"]) == ("advert", None)
    assert told["kind"] == "greeting"
    [stored] = classifications.read(store, "demo")
    assert stored.by == "ed" and SPOKEN[0] not in stored.model_dump_json()


@pytest.mark.usefixtures("searched")
def test_that_word_can_be_taken_back(desk: Desk, store: MemoryStore):
    desk.ask("PUT", "repeats/c1", json={"kind": "keep"})

    back = desk.ask("DELETE", "repeats/c1").json()

    assert back["kind"] is None and classifications.read(store, "demo") == ()


@pytest.mark.usefixtures("searched")
def test_an_unknown_span_and_an_unknown_kind_are_refused(desk: Desk):
    assert desk.ask("PUT", "repeats/c9", json={"kind": "keep"}).status_code == 404
    assert desk.ask("PUT", "repeats/c1", json={"kind": "song"}).status_code == 422
    assert desk.ask("PUT", "repeats/c1", who="vi", json={"kind": "keep"}).status_code == 403
