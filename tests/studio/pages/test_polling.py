"""Parts of pages that ask for themselves anew, in a browser: who reads or types in one is not disturbed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.studio.app import create_app
from services.studio.settings import Settings
from shared.tokens import TokenBook, new_token
from tests.fakes import MemoryStore, ScriptedCrew
from tests.kit import until
from tests.studio.a_dataset import put_dataset
from tests.studio.a_door import serving


class SlowCrew(ScriptedCrew):
    """Tells a first stage, then goes on step by step, and ends when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.step, self.goes_on, self.stage = 0, threading.Event(), "reading"

    def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
        while not self.goes_on.wait(0.05):
            job.check()
            self.step += 1
            job.progress(self.stage, self.step, 100_000, "steps")
        return super().ask(job, step, service, path, request, result_type)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[tuple[str, str, SlowCrew]]:
    settings = Settings(
        state_dir=tmp_path / "state", work_dir=tmp_path / "work", tokens_file=tmp_path / "tokens.json",
        collect_every_h=0,
    )  # fmt: skip
    secret, token = new_token("ann", "admin")
    TokenBook(settings.tokens_file).add(token)
    store, crew = MemoryStore(), SlowCrew()
    put_dataset(store)
    with serving(create_app(store, crew, settings)) as url:
        yield url, secret, crew
        crew.goes_on.set()


def order(url: str, secret: str) -> str:
    answer = httpx.post(f"{url}/v1/datasets", json={"show": "lamp"}, headers={"Authorization": f"Bearer {secret}"})
    return str(answer.json()["id"])


def wait_for_another(card: Any) -> None:
    first = card.inner_text()
    until(lambda: card.inner_text() != first, "the card is drawn anew")


def test_a_card_that_is_drawn_each_second_keeps_the_focus_and_tells_a_screen_reader_only_news(
    studio, visit: Callable[..., Any]
):
    url, secret, crew = studio
    page = visit(url).sign_in(secret, f"/jobs/{order(url, secret)}")
    card, told = page.locator(".job"), page.locator("#changed")
    card.get_by_text("reading").wait_for()
    page.evaluate(
        """window.told = []; new MutationObserver(() => told.push(document.getElementById('changed').textContent))
           .observe(document.getElementById('changed'), {childList: true})"""
    )
    page.get_by_role("button", name="Stop").focus()
    wait_for_another(card)

    assert page.evaluate("document.activeElement.textContent") == "Stop"
    assert card.locator("[role=status], [aria-live]").count() == 0
    assert page.evaluate("told") == []
    crew.stage = "counting"
    card.get_by_text("counting").wait_for()
    until(lambda: "counting" in told.inner_text(), "the news is told")
    assert page.evaluate("told") == ["Build a dataset: running, counting"]


def test_what_is_wrong_with_a_button_in_a_card_outlives_the_card(studio, visit: Callable[..., Any]):
    url, secret, _ = studio
    here = visit(url)
    page = here.sign_in(secret, f"/jobs/{order(url, secret)}")
    page.on("dialog", lambda dialog: dialog.accept())
    card = page.locator(".job")
    card.get_by_text("reading").wait_for()
    page.evaluate("document.querySelector('meta[name=csrf]').content = 'older'")
    held: list[Any] = []
    page.route("**/v1/jobs/*", lambda route: held.append(route))
    page.get_by_role("button", name="Stop").click()
    until(lambda: page.wait_for_timeout(50) is None and held, "it is asked to stop")
    wait_for_another(card)
    held[0].continue_()
    page.get_by_text("older than your sign-in").wait_for()
    here.errors.clear()  # the browser tells of the refusal too
    wait_for_another(card)

    assert page.get_by_text("older than your sign-in").is_visible()


def test_a_button_that_is_held_down_while_its_card_would_be_drawn_anew_is_clicked(studio, visit: Callable[..., Any]):
    url, secret, _ = studio
    page = visit(url).sign_in(secret, f"/jobs/{order(url, secret)}")
    asked: list[str] = []

    def refuse(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", refuse)
    card = page.locator(".job")
    card.get_by_text("reading").wait_for()
    page.get_by_role("button", name="Stop").hover()
    page.mouse.down()
    for _ in range(2):
        with page.expect_response("**/card?**"):
            pass
    page.mouse.up()

    until(lambda: page.wait_for_timeout(50) is None and asked, "it is asked whether to stop the job")
    wait_for_another(card)


def test_a_job_that_is_done_leads_nobody_away_from_what_they_type(studio, visit: Callable[..., Any]):
    url, secret, crew = studio
    order(url, secret)
    page = visit(url).sign_in(secret, "/shows/lamp/datasets")
    page.locator(".job").get_by_text("reading").wait_for()
    page.get_by_label("Guests kept out of training").fill("3")
    crew.goes_on.set()
    page.locator(".job .state.done").wait_for()

    assert page.get_by_label("Guests kept out of training").input_value() == "3"
    assert page.locator("#changed").inner_text() == "Build a dataset: done"


def test_nothing_is_asked_while_nobody_looks(studio, visit: Callable[..., Any]):
    url, secret, _ = studio
    page = visit(url).sign_in(secret, f"/jobs/{order(url, secret)}")
    page.locator(".job").get_by_text("reading").wait_for()
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.away ?? true})")
    page.wait_for_timeout(200)  # what was asked before comes in
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert asked == []
    page.evaluate("window.away = false")
    until(lambda: page.wait_for_timeout(50) is None and asked, "it asks again")


def test_a_double_click_is_one_order(studio, visit: Callable[..., Any]):
    url, secret, _ = studio
    page = visit(url).sign_in(secret, "/shows/lamp/datasets")
    orders: list[str] = []
    page.on("request", lambda request: orders.append(request.url) if request.method == "POST" else None)
    page.evaluate(
        """const button = [...document.querySelectorAll('form button')].at(-1);
           document.addEventListener('api:done', () => setTimeout(() => button.click()), {once: true});
           button.click()"""
    )
    page.wait_for_url("**/jobs/*")

    assert orders == [f"{url}/v1/datasets"]


def test_a_part_that_cannot_be_had_says_why(studio, visit: Callable[..., Any]):
    url, secret, _ = studio
    here = visit(url)
    page = here.sign_in(secret)
    page.route("**/status/services", lambda route: route.fulfill(status=503, body="<p>the store is away</p>"))
    page.goto(url + "/status")
    page.get_by_text("the store is away").wait_for()
    here.errors.clear()  # the browser tells of the answer 503

    assert page.get_by_text("Asking the services").count() == 0
