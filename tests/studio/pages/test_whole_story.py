"""The whole story in a browser, as a newcomer goes it: from a file to an AI episode that is taken away. Services, store
and jobs are real, engines are scripted; a picture of each page is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.studio.machine.local import Stack
from tests import kit
from tests.conftest import free_port_base
from tests.kit import until
from tests.studio.pages.a_talk import tone
from tests.studio.pages.conftest import Visit

pytestmark = [pytest.mark.s3, pytest.mark.timeout(400)]

SHOW = "/shows/lamplight"
GUESTS = ("Ann Ash", "Bob Birch", "Cleo Cedar")
PATIENCE_MS = 30_000


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    live = {"FAKE_VLLM_TURN_S": "0.5"}  # an episode still grows when its page is there
    stack = kit.scripted_stack(tmp_path_factory.mktemp("pages"), free_port_base(), live, step_s=0.02)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def test_from_a_file_to_an_ai_episode(stack: Stack, visit: Callable[..., Visit], tmp_path: Path):
    here = visit(stack.url("studio"))
    page = here.sign_in(stack.admin_token())
    page.set_default_timeout(PATIENCE_MS)

    add_the_show(here)
    send_files(here, tmp_path)
    transcribe(here)
    say_who_the_host_is(here)
    correct_by_keyboard(here)
    look_for_repeats(here)
    build_a_dataset(here)
    train(here)
    write_an_episode(here)
    read_its_report(here)
    take_it_away(here, tmp_path)
    look_around(here)


def add_the_show(here: Visit) -> None:
    here.look("story-01-shows")
    page = here.page
    page.get_by_label("Title").fill("The Lamplight Hour")
    page.get_by_label("Host").fill("Mara Quill")
    page.get_by_label("Short name").fill("lamplight")
    page.get_by_label("It is my own show").check()
    page.get_by_role("button", name="Add the show").click()
    page.wait_for_url(f"**{SHOW}")
    here.look("story-02-empty-show")


def send_files(here: Visit, folder: Path) -> None:
    """One that was recorded, three that were published as transcripts."""
    page = here.page
    page.get_by_role("link", name="Add recordings").click()
    sound = folder / "dan-date.wav"
    sound.write_bytes(tone(60))
    texts = []
    for guest in GUESTS:
        texts.append(folder / f"{guest}.txt")
        texts[-1].write_text(f"title: With {guest}\nguest: {guest}\n\n{kit.talk(guest)}")
    page.locator("#files").set_input_files([str(sound), *map(str, texts)])
    here.look("story-03-files")
    page.get_by_role("button", name="Send 4 files").click()
    wait_for_count(page, "#rows .state.done", len(GUESTS) + 1)
    here.look("story-04-sent")


def transcribe(here: Visit) -> None:
    page = here.open(SHOW)
    here.look("story-05-in")
    next_button(page, "Transcribe 1 recording").click()
    page.wait_for_selector("text=Next: Say who the host is")
    here.look("story-06-transcribed")
    here.open(f"{SHOW}/recordings")
    here.look("story-07-recordings")


def say_who_the_host_is(here: Visit) -> None:
    page = here.open(f"{SHOW}/host")
    page.get_by_role("button", name=re.compile("Listen")).first.click()
    here.look("story-08-host")
    page.get_by_role("button", name=re.compile("This is the host.*S1")).first.click()
    page.wait_for_selector("text=The host is known in all")


def correct_by_keyboard(here: Visit) -> None:
    """Five turns go to the other speaker and back: ten corrections, each one key; then somebody answers for it all."""
    page = here.open(f"{SHOW}/recordings")
    page.get_by_role("link", name=re.compile("dan", re.IGNORECASE)).first.click()
    page.get_by_role("link", name="Read and correct it").click()
    page.wait_for_selector("html[data-ready]")
    page.get_by_label("plays by itself").uncheck()
    before = speakers(page)
    for _ in range(2):
        page.locator("#turns > li").nth(0).click(position={"x": 5, "y": 5})
        for _ in range(5):
            page.keyboard.press("s")
    page.wait_for_selector("#state[data-saved=saved]")
    assert speakers(page) == before
    here.look("story-09-review")
    page.keyboard.press("a")
    page.wait_for_selector("#state[data-saved=saved]")
    recording = page.url.removesuffix("/review").removeprefix(here.url)
    history = page.request.get(f"{here.url}/v1{recording.replace('recordings', 'transcripts')}/history").json()
    assert sum("to S" in one["summary"] for one in history) == 10
    assert history[0]["state"] == "approved"
    here.open(recording)
    here.look("story-10-recording")


def speakers(page: Any) -> list[str]:
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('#turns > [data-speaker]')].map((one) => one.dataset.speaker)"
    )
    return found


def look_for_repeats(here: Visit) -> None:
    page = here.open(SHOW)
    next_button(page, "Look for adverts and greetings").click()
    page.wait_for_selector("text=Next: Build a dataset")
    here.open(f"{SHOW}/repeats")
    here.look("story-11-repeats")


def build_a_dataset(here: Visit) -> None:
    page = here.open(SHOW)
    next_button(page, "Build a dataset").click()
    page.wait_for_selector("text=Next: Train a model")
    page.get_by_role("link", name="Train a model").click()
    page.wait_for_selector("text=Is it enough?")
    page.wait_for_load_state("networkidle")
    here.look("story-12-dataset")


def train(here: Visit) -> None:
    page = here.page
    page.get_by_text("More options").click()
    page.locator("[name=steps]").fill("6")
    page.locator("[name=checkpoint_every]").fill("2")
    page.get_by_role("button", name="Train a model").click()
    page.wait_for_selector(".job .state.done")
    here.look("story-13-job")
    here.open(f"{SHOW}/runs/1")
    page.wait_for_selector("canvas")
    here.look("story-14-run")


def write_an_episode(here: Visit) -> None:
    page = here.open(f"{SHOW}/episodes/new")
    page.locator("[name=guest]").fill("Orla Finnegan")
    page.get_by_text("Length in words").click()
    page.locator("[name=words]").fill("60")
    here.look("story-15-order")
    page.get_by_role("button", name="Order it").click()
    page.wait_for_selector("text=is being written")
    page.wait_for_selector("#turns .utterance")
    here.look("story-16-written-live")
    page.get_by_role("link", name="Read it with its report").click()
    page.wait_for_selector("h1:has-text('Orla Finnegan')")
    page.wait_for_load_state()


def read_its_report(here: Visit) -> None:
    page = here.page
    assert "AI-generated" in page.inner_text("main")
    assert "Orla Finnegan" in page.inner_text("h1")
    here.look("story-17-episode")


def take_it_away(here: Visit, folder: Path) -> None:
    page = here.page
    with page.expect_download() as coming:
        page.get_by_role("link", name="md", exact=True).click()
    coming.value.save_as(folder / "episode.md")
    written = (folder / "episode.md").read_text()

    assert "AI-generated" in written
    assert "lamplight.r1.c" in written


def look_around(here: Visit) -> None:
    for path, name in (
        (f"{SHOW}/sources", "sources"),
        (f"{SHOW}/review", "queue"),
        (f"{SHOW}/datasets", "datasets"),
        (f"{SHOW}/runs", "runs"),
        (f"{SHOW}/episodes", "episodes"),
        (f"{SHOW}/comparisons", "comparisons"),
        ("/jobs", "jobs"),
        ("/status", "status"),
        ("/tokens", "tokens"),
        ("/docs", "api"),
        (SHOW, "show"),
    ):
        here.open(path)
        here.page.wait_for_load_state("networkidle")
        here.look(f"story-18-{name}")


def next_button(page: Any, name: str) -> Any:
    return page.get_by_role("region", name="Next").get_by_role("button", name=name)


def wait_for_count(page: Any, selector: str, count: int) -> None:
    until(lambda: page.locator(selector).count() == count, f"{count} of {selector}", 60)
