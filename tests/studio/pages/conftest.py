"""A real browser in front of studio's pages: Debian's Chromium, driven by Playwright; axe-core looks for barriers."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.studio.machine.local import ROOT

AXE = ROOT / ".venvs" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
)  # fmt: skip
SERIOUS = ("serious", "critical")
PATIENCE_MS = 30_000
SIZES = {"wide": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """One Chromium for all pages. It ends with them: it holds this thread's event loop, which others want alone."""
    api = pytest.importorskip("playwright.sync_api", reason="no playwright in this environment; run `make install`")
    program = chromium()
    if program is None:
        pytest.skip("no Chromium here; install it (apt-get install chromium) or name it in CHROMIUM")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield running
        running.close()


@dataclass
class Visit:
    """A browser's page, and what it complained about.

    errors   of the console and of scripts; the fixture fails if there is one that no test took out
    """

    page: Any
    url: str
    pictures: Path
    errors: list[str] = field(default_factory=list)

    def open(self, path: str) -> Any:
        self.page.goto(self.url + path)
        return self.page

    def sign_in(self, secret: str, path: str = "/") -> Any:
        self.open(f"/login?next={path}")
        self.page.get_by_label("Token").fill(secret)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(self.url + path)
        return self.page

    def look(self, name: str) -> None:
        """Keep a picture of the page as it is, and demand that nobody is kept out of it."""
        self.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)
        assert_accessible(self.page)

    def leave(self, number: int) -> None:
        """Close the page. A picture stays of where it was, which is where a failed test has stopped."""
        with contextlib.suppress(Exception):
            self.page.screenshot(path=self.pictures / f"last-{number}.png", full_page=True, timeout=3000)
        self.page.context.close()


VISITS = pytest.StashKey[list[Visit]]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """People leave before studio closes: a page that is still asking would complain that nobody answers."""
    opened: list[Visit] = item.stash.get(VISITS, [])
    for number, one in enumerate(opened):
        one.leave(number)


@pytest.fixture
def visit(browser: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    """Open browsers at studio's URL: `visit(url)`, or on a phone, or in the dark. Pictures go to .run/pictures."""
    opened = request.node.stash.setdefault(VISITS, [])
    pictures = Path(os.environ.get("PICTURES", ROOT / ".run" / "pictures"))
    pictures.mkdir(parents=True, exist_ok=True)

    def begin(url: str, size: str = "wide", scheme: str = "light") -> Visit:
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, reduced_motion="reduce")
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        here = Visit(page, url, pictures)
        page.on("console", lambda told: here.errors.append(told.text) if told.type == "error" else None)
        page.on("pageerror", lambda error: here.errors.append(str(error)))
        opened.append(here)
        return here

    yield begin
    told = [error for one in opened for error in one.errors]
    assert told == [], f"the browser complained: {told}"


def have_all_read(url: str, secret: str, show: str = "lamp") -> None:
    """Have studio read the show's transcripts: pages wait only a moment for those that it has not read yet."""
    httpx.get(
        f"{url}/v1/shows/{show}/review", headers={"Authorization": f"Bearer {secret}"}, timeout=60
    ).raise_for_status()


def assert_accessible(page: Any) -> None:
    """No serious violation by axe-core's rules. Its preload would write styles into a page, which the page forbids."""
    if not AXE.exists():
        pytest.skip("axe-core is missing; run `make install` where npm is")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")["violations"]
    told = [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
    assert not told, "\n".join(told)
