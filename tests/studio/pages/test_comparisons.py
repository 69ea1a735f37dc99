"""Comparisons in a browser: ordered, watched, and read side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.studio.comparisons import ComparisonRequest
from shared import keys
from tests.fakes import MemoryStore
from tests.studio.a_door import serving, studio_of
from tests.studio.a_show import put_show
from tests.studio.pages.an_episode import HOSTILE, an_episode, put_episode, said, turns_of
from tests.studio.test_comparing import FIRST, SECOND, WritingCrew, compare, put_adapter

PLACE = "/shows/lamp/comparisons"


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    put_adapter(store, SECOND, eval_loss_after=1.5)
    return store


@pytest.fixture
def studio(tmp_path: Path, store: MemoryStore) -> Iterator[tuple[str, str]]:
    app, secret = studio_of(tmp_path, store, WritingCrew(store, fails=("base",)))
    with serving(app) as url:
        yield url, secret


def test_several_models_write_one_brief_and_stand_side_by_side(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore
):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, PLACE)
    assert page.get_by_text("Nothing was compared yet.").is_visible()
    here.look("comparisons-empty")
    page.get_by_role("link", name="Compare trained models").click()
    page.wait_for_url(f"{url}{PLACE}/new")
    page.get_by_label(f"{FIRST}, held-out loss").check()
    page.get_by_label("Guest", exact=False).first.fill("Orla Finch")
    here.look("comparison-new")
    page.get_by_role("button", name="Have them write it").click()

    page.get_by_role("heading", name="Orla Finch, by 3 writers").wait_for()
    page.get_by_role("heading", name="Texts, turn by turn").wait_for(timeout=60_000)
    page.wait_for_load_state()
    assert page.get_by_text("the canary of base failed").is_visible(), "one that fails is named, the others stay"
    assert page.get_by_role("row", name="words").first.get_by_role("cell").count() == 4
    assert page.locator(".exchange").count() == 2
    here.open(PLACE)
    assert page.get_by_role("link", name="Orla Finch").is_visible()
    here.look("comparisons")


def test_fewer_than_two_writers_are_refused_on_the_form(studio: tuple[str, str], visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/new?adapter=base")
    page.get_by_label("Guest", exact=False).first.fill("Orla")
    page.get_by_role("button", name="Have them write it").click()

    page.get_by_role("alert").filter(has_text="at least 2").wait_for()
    here.errors.clear()  # the browser counts the refusal itself as an error


def test_texts_are_aligned_by_turn_and_hostile_ones_are_text(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore
):
    url, secret = studio
    put_episode(store, an_episode(turns_of([said(12, 1), HOSTILE, said(9, 3)]), id="e7"))
    put_episode(store, an_episode(turns_of([said(14, 4), said(40, 5)]), id="e8", adapter=None, fine_tuned=False))
    here = visit(url, "phone", "dark")
    here.sign_in(secret, PLACE)
    page = here.open("/shows/lamp/side-by-side?episode=e7&episode=e8")

    rows = page.locator(".exchange")
    assert rows.count() == 3
    assert rows.nth(1).locator(".uttered").first.text_content() == HOSTILE
    assert rows.nth(1).locator(".uttered").nth(1).text_content() == said(40, 5)
    assert rows.nth(2).locator(".uttered").count() == 1
    assert page.locator("main script, main img").count() == 0
    here.look("side-by-side-phone-dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_one_episode_alone_cannot_be_compared(studio: tuple[str, str], visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/side-by-side?episode=e1")

    assert page.get_by_text("tick 2 to 6 episodes").is_visible()
    here.errors.clear()


def test_an_episode_that_was_deleted_since_leaves_its_column(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore, tmp_path: Path
):
    url, secret = studio
    request = ComparisonRequest(show="lamp", guest="Orla", adapters=(FIRST, SECOND))
    made = compare(store, tmp_path, request)
    store.delete(keys.episode("lamp", f"e-{FIRST}"))
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/{made.comparison}")

    assert page.get_by_text("this episode is not stored any more").is_visible()
    assert page.locator(".exchange").count() == 2
    here.look("comparison")


def test_a_comparison_that_never_was_is_said_so(studio: tuple[str, str], visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/c404")

    assert page.get_by_text("lamp has no comparison c404").is_visible()
    here.errors.clear()
