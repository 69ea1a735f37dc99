"""Fact sheets in a browser: made, put right, used in an order, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.studio.guests import read
from shared import keys
from shared.guests import Fact, GuestFacts, GuestSheet, guest_id
from shared.store import create_manifest
from tests.fakes import MemoryStore, ScriptedCrew
from tests.studio.a_door import serving, studio_of
from tests.studio.a_show import put_show
from tests.studio.pages.an_episode import HOSTILE, an_episode, turns_of

PLACE = "/shows/lamp/guests"
NAME = "Orla Finch"
SENTENCE = "Orla Finch mended kettles in 1998."


class ReadingCrew(ScriptedCrew):
    """Its ingest finds one sentence in every source."""

    def _answer(self, path: str, request: Any) -> dict[str, Any]:
        if path != "/v1/guests":
            return super()._answer(path, request)
        fact = Fact(text=SENTENCE, date="1998", sentence=SENTENCE, source="text", by="source")
        found = GuestFacts(show="lamp", guest=guest_id(request.name), name=request.name, facts=(fact,), sentences=1)
        return found.model_dump(mode="json")


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    return store


@pytest.fixture
def studio(tmp_path: Path, store: MemoryStore) -> Iterator[tuple[str, str]]:
    app, secret = studio_of(tmp_path, store, ReadingCrew())
    with serving(app) as url:
        yield url, secret


def put_sheet(store: MemoryStore, *facts: Fact) -> None:
    sheet = GuestSheet(
        id=guest_id(NAME), show="lamp", name=NAME, facts=facts, changed_by="ann",
        lineage=an_episode(turns_of(["Hello?"])).lineage,
    )  # fmt: skip
    create_manifest(store, keys.guest("lamp", sheet.id), sheet)


def test_a_sheet_is_made_from_a_text_and_put_right(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore
):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, PLACE)
    assert page.get_by_text("There is none yet.").is_visible()
    page.get_by_label("Guest", exact=False).first.fill(NAME)
    page.get_by_label("or a text about").fill(SENTENCE)
    with page.expect_navigation():
        page.get_by_role("button", name="Find the facts").click()
    page.get_by_role("link", name=NAME).or_(page.get_by_role("heading", name="Facts about")).first.wait_for()
    page.locator(".job").wait_for(state="detached")  # while it is there, it may lead on at any moment
    here.open(f"{PLACE}/{guest_id(NAME)}")

    assert page.locator("q").inner_text() == SENTENCE
    page.get_by_label("Date").fill("1999")
    page.get_by_role("button", name="Add a fact").click()
    page.get_by_label("Fact", exact=True).last.fill("She keeps bees.")
    here.look("guest")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    sheet = read(store, "lamp", NAME)
    assert [(fact.text, fact.date, fact.by) for fact in sheet.facts] == [
        (SENTENCE, "1999", "person"), ("She keeps bees.", None, "person")
    ]  # fmt: skip
    assert sheet.facts[0].sentence == SENTENCE, "a date that is put right keeps the sentence it is from"


def test_who_saves_onto_an_older_revision_is_told_who_was_faster(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore
):
    url, secret = studio
    put_sheet(store, Fact(text="She hums."))
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/{guest_id(NAME)}")
    key = keys.guest("lamp", guest_id(NAME))
    changed = read(store, "lamp", NAME).model_copy(update={"revision": 2, "changed_by": "mel"})
    store.objects[key] = changed.model_dump_json().encode()
    page.get_by_label("Fact", exact=True).fill("She sings.")
    page.get_by_role("button", name="Save").click()

    page.get_by_role("alert").filter(has_text="mel changed the facts").wait_for()
    assert page.get_by_label("Fact", exact=True).input_value() == "She sings.", "nothing that was typed is lost"
    here.errors.clear()  # the browser counts the refusal itself as an error


def test_hostile_facts_are_text_and_can_be_removed(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore
):
    url, secret = studio
    put_sheet(store, Fact(text="She hums."), Fact(text=HOSTILE, sentence=HOSTILE, source="text", by="source"))
    here = visit(url, "phone", "dark")
    page = here.sign_in(secret, f"{PLACE}/{guest_id(NAME)}")

    assert page.get_by_label("Fact", exact=True).last.input_value().startswith("<script>alert(1)")
    assert page.locator("main img").count() == 0
    here.look("guest-phone-dark")
    page.get_by_role("button", name="Remove", exact=True).last.click()
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    assert [fact.text for fact in read(store, "lamp", NAME).facts] == ["She hums."]


def test_the_order_says_that_the_guest_has_a_sheet(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore
):
    url, secret = studio
    put_sheet(store, Fact(text="She hums."), Fact(text="She bakes."))
    here = visit(url)
    page = here.sign_in(secret, PLACE)
    here.look("guests")
    page.get_by_role("link", name="Write an AI episode with this guest").click()

    page.get_by_text("There is a fact sheet:").wait_for()
    assert page.get_by_role("link", name="2 facts").get_attribute("href") == f"{PLACE}/{guest_id(NAME)}"
    page.get_by_label("Guest", exact=False).first.fill("  orla   FINCH ")
    assert page.get_by_text("There is a fact sheet:").is_visible()
    page.get_by_label("Guest", exact=False).first.fill("Somebody else")
    assert page.get_by_text("It may be anybody").is_visible()
