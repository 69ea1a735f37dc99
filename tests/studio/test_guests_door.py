"""Guests' fact sheets over HTTP: who may, what is answered, what is refused and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.studio.care.memories import Memories
from services.studio.doors.guests import guest_sheets, guests_door
from shared import keys
from shared.guests import Fact, GuestSheet, guest_id
from shared.schemas import Lineage
from shared.store import create_manifest
from tests.fakes import MemoryStore, ScriptedCrew
from tests.studio.a_door import app_of, door_of
from tests.studio.a_show import put_show

PLACE = "/v1/shows/lamp/guests"
FACT = Fact(text="She makes lamps.", sentence="She makes lamps.", source="text", by="source")


def put_sheet(store: MemoryStore, name: str = "Orla Finch", *facts: Fact) -> GuestSheet:
    sheet = GuestSheet(
        id=guest_id(name),
        show="lamp",
        name=name,
        facts=facts or (FACT,),
        changed_by="ann",
        lineage=Lineage(by="studio", version="0", job="j1", actor="ann"),
    )
    create_manifest(store, keys.guest("lamp", sheet.id), sheet)
    return sheet


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    return store


@pytest.fixture
def door(tmp_path: Path, store: MemoryStore):
    return door_of(tmp_path, store, guests_door(store, Memories(lambda forgetting: [])))


def test_sheets_are_listed_by_name_and_found_by_name_or_id(door, store: MemoryStore):
    client, people = door
    orla, ann = put_sheet(store), put_sheet(store, "ann ash")

    listed = client.get(PLACE, headers=people["vi"]).json()
    by_name = client.get(f"{PLACE}/ORLA%20finch", headers=people["vi"]).json()

    assert [sheet["name"] for sheet in listed] == ["ann ash", "Orla Finch"]
    assert GuestSheet.model_validate(by_name) == orla
    assert client.get(f"{PLACE}/{ann.id}", headers=people["vi"]).json()["name"] == "ann ash"


def test_a_change_is_the_editors_and_the_next_must_know_of_it(door, store: MemoryStore):
    client, people = door
    sheet = client.get(f"{PLACE}/{put_sheet(store).id}", headers=people["ed"]).json()
    facts = [*sheet["facts"], {"text": "  She\u200b hums. ", "date": "1998"}]

    changed = client.put(f"{PLACE}/orla finch", json={"revision": 1, "facts": facts}, headers=people["ed"])
    late = client.put(f"{PLACE}/orla finch", json={"revision": 1, "facts": []}, headers=people["mel"])

    assert changed.status_code == 200 and changed.json()["revision"] == 2 and changed.json()["changed_by"] == "ed"
    assert [(fact["text"], fact["by"]) for fact in changed.json()["facts"]] == [
        ("She makes lamps.", "source"),
        ("She hums.", "person"),
    ]
    assert late.status_code == 409 and "ed changed the facts about Orla Finch" in late.json()["detail"]
    assert late.json()["changes"][0]["revision"] == 2
    assert client.get(f"{PLACE}/orla finch", headers=people["vi"]).json() == changed.json()


def test_a_removed_sheet_is_gone(door, store: MemoryStore):
    client, people = door
    put_sheet(store)

    assert client.delete(f"{PLACE}/Orla Finch", headers=people["ed"]).status_code == 204
    gone = client.get(f"{PLACE}/Orla Finch", headers=people["ed"])
    assert gone.status_code == 404 and "diary guests add" in gone.json()["detail"]
    assert client.delete(f"{PLACE}/Orla Finch", headers=people["ed"]).status_code == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"facts": []}, "revision"),
        ({"revision": 1, "facts": [{"text": " \u200b"}]}, "a fact is empty"),
        ({"revision": 1, "facts": [{"text": "x" * 301}]}, "at most 300 characters"),
        ({"revision": 1, "facts": [{"text": "She ran.", "date": "May 1998"}]}, "write 1998, 1998-05 or 1998-05-04"),
        ({"revision": 1, "facts": [{"text": "She ran."}] * 201}, "at most 200 items"),
    ],
)
def test_facts_that_cannot_be_are_refused(door, store: MemoryStore, body: dict[str, Any], words: str):
    client, people = door
    put_sheet(store)

    answer = client.put(f"{PLACE}/Orla Finch", json=body, headers=people["ed"])

    assert answer.status_code == 422 and words in answer.json()["detail"]


def test_only_editors_of_the_show_change_sheets_and_only_its_people_read_them(door, store: MemoryStore):
    client, people = door
    put_sheet(store)
    body = {"revision": 1, "facts": []}

    assert client.put(f"{PLACE}/Orla Finch", json=body, headers=people["vi"]).status_code == 403
    assert client.delete(f"{PLACE}/Orla Finch", headers=people["vi"]).status_code == 403
    assert client.get(PLACE, headers=people["one"]).status_code == 403
    assert client.get(PLACE).status_code == 401
    assert client.get("/v1/shows/nowhere/guests", headers=people["vi"]).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"show": "lamp", "name": "Orla"}, 422, "give exactly one of text and url"),
        ({"show": "lamp", "name": "Orla", "text": "a", "url": "https://example.org/"}, 422, "give exactly one of"),
        ({"show": "lamp", "name": "Orla", "text": " "}, 422, "the text is empty"),
        ({"show": "lamp", "name": "Or\u0007la", "text": "She ran."}, 422, "control characters"),
        ({"show": "lamp", "name": "Orla", "url": "ftp://example.org/"}, 422, "only http and https"),
        ({"show": "nowhere", "name": "Orla", "text": "She ran."}, 404, "there is no show 'nowhere'"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused_at_the_door(
    tmp_path: Path, store: MemoryStore, body: dict[str, Any], status: int, words: str
):
    app, secrets = app_of(tmp_path, store, [], [guest_sheets(store, ScriptedCrew())])
    app.state.readiness.problem = None

    answer = TestClient(app).post("/v1/guests", json=body, headers={"Authorization": f"Bearer {secrets['ed']}"})

    assert answer.status_code == status and words in answer.json()["detail"]
