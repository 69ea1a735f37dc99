"""Tokens in a browser: the secret that is shown once, and who may not see the page at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.tokens import TokenBook, new_token
from tests.fakes import MemoryStore, ScriptedCrew
from tests.studio.a_dataset import put_dataset
from tests.studio.a_door import serving, studio_of


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[tuple[str, str]]:
    store = MemoryStore()
    put_dataset(store)
    app, secret = studio_of(tmp_path, store, ScriptedCrew())
    with serving(app) as url:
        yield url, secret


def status(url: str, secret: str) -> int:
    return httpx.get(f"{url}/v1/shows/lamp", headers={"Authorization": f"Bearer {secret}"}).status_code


def test_a_token_is_given_out_shown_once_and_revoked(studio: tuple[str, str], visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/tokens")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("Whose it is").fill("nia")
    page.get_by_label("Editor").check()
    page.get_by_role("combobox").select_option("lamp")
    page.get_by_role("button", name="Give it out").click()
    page.get_by_text("It is shown this once").wait_for()
    given = page.get_by_label("Token", exact=True).input_value()
    here.look("tokens")

    assert status(url, given) == 200
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == given

    page.get_by_role("link", name="I have kept it").click()
    row = page.locator("tr", has_text="nia")
    row.wait_for()
    page.wait_for_load_state()
    assert given not in page.content()
    assert "editor" in row.inner_text() and "lamp" in row.inner_text() and "given out here" in row.inner_text()
    page.once("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Revoke").click()
    row.wait_for(state="detached")
    assert status(url, given) == 401


def test_a_name_that_is_taken_says_so_and_keeps_what_was_typed(studio: tuple[str, str], visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url, "phone", "dark")
    page = here.sign_in(secret, "/tokens")
    page.get_by_label("Whose it is").fill("ann")
    page.get_by_role("button", name="Give it out").click()
    page.get_by_text("choose another name").wait_for()
    here.look("tokens-phone")
    here.errors.clear()  # the browser tells of the answer 409

    assert page.get_by_label("Whose it is").input_value() == "ann"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("role", "show"), [("editor", None), ("admin", "lamp")])
def test_it_is_for_admins_of_every_show_alone(studio: tuple[str, str], tmp_path: Path, role: Any, show: str | None):
    url, _ = studio
    secret, token = new_token("nia", role, show)
    TokenBook(tmp_path / "tokens.json").add(token)
    with httpx.Client(base_url=url, follow_redirects=True) as client:
        home = client.post("/login", data={"token": secret, "next": "/"})

        assert home.status_code == 200 and 'href="/tokens"' not in home.text
        assert client.get("/tokens").status_code == 403
