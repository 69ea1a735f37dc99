"""Repeated spans: listened to and classified in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.studio.classifying import read
from services.studio.crew import HttpCrew
from services.studio.pages.repeats import cards_of
from tests.fakes import MemoryStore
from tests.kit import until
from tests.studio.a_door import serving, studio_of
from tests.studio.pages.a_talk import cluster, put_lamp, put_recording, put_repeats, put_transcript, tone


def test_what_nobody_classified_comes_first_then_what_is_most_of_the_show():
    recordings = {"r1": put_recording(MemoryStore(), "r1", b"sound"), "r2": put_recording(MemoryStore(), "r2")}
    clusters = [
        cluster("known", ["r1"] * 9, kind="greeting"),
        cluster("small", ["r1", "r2"]),
        cluster("large", ["r1", "r2", "gone"]),
    ]

    cards = cards_of(clusters, recordings)

    assert [card.cluster.id for card in cards] == ["large", "small", "known"]
    assert [(one.title, bool(one.audio)) for one in cards[0].places] == [
        ("A talk called r1", True), ("A talk called r2", False), (None, False),
    ]  # fmt: skip
    assert [bool(card.left_out) for card in cards] == [True, True, False]


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_lamp(store)
    names = [f"r{number}" for number in range(8)]
    sound = tone()
    for name in names:
        put_recording(store, name, sound)
    for name in names[:2]:
        put_transcript(store, name)
    put_repeats(store, cluster("bulbs", names), cluster("wicks", names[:2], guess="greeting"))
    return store


@pytest.fixture
def studio(tmp_path: Path, store: MemoryStore) -> Iterator[tuple[str, str]]:
    app, secret = studio_of(tmp_path, store, HttpCrew({}, ""))
    with serving(app) as url:
        yield url, secret


def kinds(store: MemoryStore) -> dict[str, str | None]:
    return {one.id: one.kind for one in read(store, "lamp").clusters}


def test_one_is_heard_classified_and_taken_back(studio, store: MemoryStore, visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/repeats")
    here.look("repeats")
    card = page.locator("#c-bulbs")
    card.get_by_role("button", name="0:05 in A talk called r0").click()
    page.wait_for_selector("button.play[aria-pressed=true]")

    card.get_by_role("button", name="Advert", exact=True).click()
    page.get_by_text("1 to classify").wait_for()
    assert kinds(store) == {"bulbs": "advert", "wicks": None}
    assert card.get_by_text("stays out of training").is_visible()

    card.get_by_role("button", name="Take that back").click()
    page.get_by_text("2 to classify").wait_for()
    assert kinds(store)["bulbs"] is None


def test_on_a_phone_by_keyboard(studio, store: MemoryStore, visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url, "phone", "dark")
    page = here.sign_in(secret, "/shows/lamp/repeats")
    here.look("repeats-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.locator("#k-wicks-greeting").focus()
    page.keyboard.press("Enter")
    until(lambda: kinds(store)["wicks"] == "greeting", "it is a greeting")
    page.locator("#k-wicks-greeting[aria-pressed=true]").wait_for()
    page.wait_for_function("() => document.activeElement.id === 'k-wicks-greeting'")


def test_before_anybody_has_looked_it_says_what_to_do(tmp_path: Path, visit: Callable[..., Any]):
    store = MemoryStore()
    put_lamp(store)
    app, secret = studio_of(tmp_path, store, HttpCrew({}, ""))
    with serving(app) as url:
        page = visit(url).sign_in(secret, "/shows/lamp/repeats")

        assert page.get_by_text("It takes two transcripts at least").is_visible()
        assert page.get_by_role("button", name="Look for them").count() == 0
