"""The player of the pages: only a part is played, one at a time, and a second press stops it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.studio.crew import HttpCrew
from tests.fakes import MemoryStore
from tests.studio.a_door import serving, studio_of
from tests.studio.pages.a_talk import advert, put_lamp, put_recording, tone

PRESSED = "button.play[aria-pressed=true]"
# What the player tells, of which part, and how many buttons are pressed then.
WRITE_DOWN = f"""() => {{
  window.told = [];
  for (const name of ['player:begun', 'player:ended']) document.addEventListener(name, ({{ target }}) =>
    told.push([name, target.dataset.from, document.querySelectorAll('{PRESSED}').length]));
}}"""


def test_a_part_is_played_to_its_end_one_at_a_time(tmp_path: Path, visit: Any):
    store = MemoryStore()
    put_lamp(store)
    put_recording(store, "r1", tone(), excluded_spans=(advert(2, 3), advert(10, 29, reason="outro")))
    app, secret = studio_of(tmp_path, store, HttpCrew({}, ""))
    with serving(app) as url:
        here = visit(url)
        page = here.sign_in(secret, "/shows/lamp/recordings/r1")
        short, long = page.locator("button.play").all()
        page.evaluate(WRITE_DOWN)

        long.click()
        page.wait_for_selector(PRESSED)
        short.click()

        page.wait_for_function("() => told.length === 4")
        assert page.evaluate("told") == [
            ["player:begun", "10.00", 1], ["player:ended", "10.00", 0],
            ["player:begun", "2.00", 1], ["player:ended", "2.00", 0],
        ]  # fmt: skip
        long.click()
        page.wait_for_selector(PRESSED)
        long.click()
        assert page.locator(PRESSED).count() == 0


def test_a_sound_that_is_not_stored_says_so(tmp_path: Path, visit: Any):
    store = MemoryStore()
    put_lamp(store)
    recording = put_recording(store, "r1", tone(), excluded_spans=(advert(2, 3),))
    store.delete(recording.original.key)
    app, secret = studio_of(tmp_path, store, HttpCrew({}, ""))
    with serving(app) as url:
        here = visit(url)
        page = here.sign_in(secret, "/shows/lamp/recordings/r1")

        page.locator("button.play").click()
        page.get_by_text("its sound is not stored here any more").wait_for()

        assert page.locator(PRESSED).count() == 0
        assert [error for error in here.errors if "404" not in error] == []
        here.errors.clear()
