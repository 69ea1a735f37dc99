"""The queue and the editor in a real browser; corrections are carried out by transcription's real functions."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared import keys
from shared.corrections import Reassign
from shared.schemas import Recording, Role, TranscriptState
from shared.store import create_manifest, put_blob
from tests.fakes import MemoryStore
from tests.kit import until
from tests.studio.a_door import serving, studio_of
from tests.studio.pages.a_review import (
    HOSTILE,
    LINES,
    SHOW,
    CorrectingCrew,
    Line,
    correct,
    current_talk,
    put_reviewed_show,
    put_talk,
)
from tests.studio.pages.conftest import Visit, have_all_read

IN_SIGHT = """() => {
  const places = ['.reviewbar', '#turns > [aria-current]'].map((one) => document.querySelector(one));
  const [bar, turn] = places.map((one) => one.getBoundingClientRect());
  return turn.top >= bar.bottom - 1 && turn.bottom <= innerHeight + 1;
}"""
PLACE = f"/shows/{SHOW}/recordings/lamps/review"


@dataclass
class Desk:
    """A studio with one show, and how to open its pages."""

    url: str
    secret: str
    store: MemoryStore
    crew: CorrectingCrew
    visit: Callable[..., Visit]

    def editor(self, size: str = "wide", scheme: str = "light") -> tuple[Visit, Any]:
        here = self.visit(self.url, size, scheme)
        page = here.sign_in(self.secret, PLACE)
        page.wait_for_selector("html[data-ready]")
        return here, page

    def talk(self) -> Any:
        return current_talk(self.store, "lamps")

    def sent(self) -> list[str]:
        """Kinds of the edits of each request that came through."""
        return ["+".join(edit["kind"] for edit in body["edits"]) for _, _, path, body in self.crew.at_once]


@pytest.fixture
def desk(tmp_path: Path, visit: Callable[..., Visit]) -> Iterator[Desk]:
    store = MemoryStore()
    put_reviewed_show(store)
    put_talk(store, "lamps")
    crew = CorrectingCrew(store)
    app, secret = studio_of(tmp_path, store, crew)
    with serving(app) as url:
        yield Desk(url, secret, store, crew, visit)


def press(page: Any, *wanted: str) -> None:
    for key in wanted:
        page.keyboard.press(key)


def current_id(page: Any) -> str:
    found: str = page.locator("#turns > [aria-current]").get_attribute("id")
    return found.removeprefix("turn-")


def is_silent(page: Any) -> bool:
    found: bool = page.evaluate("document.getElementById('audio').paused")
    return found


def look(here: Visit, name: str) -> None:
    """A picture with all turns drawn: the page itself draws those that are in sight."""
    here.page.evaluate("document.querySelectorAll('.turn').forEach((one) => (one.style.contentVisibility = 'visible'))")
    here.look(name)


def saved(page: Any) -> None:
    page.wait_for_selector("#state[data-saved=saved]")


# ---- the queue -------------------------------------------------------------------------------------------------------


def test_the_queue_leads_to_the_recording_with_the_most_doubt_and_shows_what_is_done(desk: Desk):
    few: tuple[Line, ...] = (("S1", "Hello there.", 0.2), ("S2", "Hello to you.", 0.0))
    none: tuple[Line, ...] = (("S1", "Hello there.", 0.0), ("S2", "Hello to you.", 0.0))
    put_talk(desk.store, "few", few, title=HOSTILE)
    put_talk(desk.store, "ready", none)
    have_all_read(desk.url, desk.secret, SHOW)

    here = desk.visit(desk.url)
    page = here.sign_in(desk.secret, f"/shows/{SHOW}/review")
    here.look("review_queue")

    assert page.locator("tbody th a").all_text_contents() == ["Ann Reed on lamps", HOSTILE]
    assert page.locator("details", has_text="Waiting for approval").locator("a", has_text="ready").count() == 1
    page.get_by_role("link", name="Start with the worst").click()
    page.wait_for_url(desk.url + PLACE)
    page.wait_for_selector("html[data-ready]")
    assert current_id(page) == "t3"


def test_an_empty_queue_says_what_comes_next(desk: Desk):
    for key in [*desk.store.list(keys.transcripts(SHOW)), *desk.store.list(keys.recordings(SHOW))]:
        desk.store.delete(key)

    page = desk.visit(desk.url).sign_in(desk.secret, f"/shows/{SHOW}/review")

    page.get_by_role("link", name="Add some").click()
    page.wait_for_url(f"{desk.url}/shows/{SHOW}/sources")


# ---- correcting by keyboard ------------------------------------------------------------------------------------------


def test_ten_doubtful_turns_are_corrected_with_one_key_each(desk: Desk):
    here, page = desk.editor()
    look(here, "review_editor")
    assert page.locator("#state").get_attribute("data-doubtful") == "10"

    press(page, *"sss", "Enter", "1", "2", "1", "s", "Enter", "d")
    saved(page)

    turns = {turn.id: turn for turn in desk.talk().turns}
    given = {name: turns[name].speaker for name in ("t3", "t4", "t5", "t6", "t8", "t9", "t10", "t11", "t12", "t14")}
    assert given == {
        "t3": "S1", "t4": "S1", "t5": "S2", "t6": "S1", "t8": "S1", "t9": "S2", "t10": "S1", "t11": "S2", "t12": "S2",
        "t14": "S2",
    }  # fmt: skip
    assert page.locator("#state").get_attribute("data-doubtful") == "0"
    assert "press a to approve" in page.locator("#state").text_content()
    assert len(desk.sent()) == 10
    assert desk.talk().state is TranscriptState.REVIEWED


def test_every_kind_of_correction_has_a_key(desk: Desk):
    here, page = desk.editor()

    press(page, "ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "x")  # t5 before "nine,"
    assert current_id(page) == "t16"
    press(page, "m")
    assert current_id(page) == "t5"
    press(page, "e")
    page.locator("textarea").fill("I was ten then.")
    press(page, "Enter", "ArrowUp", "r")
    page.locator("#naming input").fill("Ann Reed-Marsh")
    press(page, "Enter")
    page.wait_for_selector("#turns >> text=Ann Reed-Marsh")
    press(page, "d", "p", "i", "0")
    until(lambda: len(desk.sent()) == 7, "all is sent")
    saved(page)

    talk = desk.talk()
    turns = {turn.id: turn for turn in talk.turns}
    assert desk.sent() == ["split", "join", "text", "rename", "exclude+settle", "include", "reassign"]
    assert turns["t5"].text == "I was ten then."
    assert "t16" not in turns
    assert "Ann Reed-Marsh" in [speaker.name for speaker in talk.speakers]
    assert talk.excluded_spans == ()
    assert "S3" in [speaker.label for speaker in talk.speakers]
    press(page, "?")
    look(here, "review_keys")
    press(page, "Escape")
    page.locator("dialog[open]").wait_for(state="detached")


def test_undo_takes_back_what_was_saved(desk: Desk):
    _, page = desk.editor()

    press(page, "s")
    saved(page)
    until(lambda: desk.talk().turns[2].speaker == "S1", "the swap is stored")
    press(page, "u")
    page.wait_for_selector("#state[data-doubtful='10'][data-saved=saved]")

    assert desk.talk().turns[2].speaker == "S2"
    assert "undone: 1 turn to S1" in page.locator("#state").text_content()


def test_several_turns_are_given_settled_and_left_out_together(desk: Desk):
    here, page = desk.editor()

    press(page, "Shift+ArrowDown", "Shift+ArrowDown")
    assert page.locator("#choices strong").text_content() == "3 turns chosen:"
    look(here, "review_chosen")
    press(page, "2")
    saved(page)  # and the heads of all turns are drawn anew, with their boxes
    page.locator("#turn-t10 input").check()
    page.locator("#turn-t11 input").check()
    page.locator("#reason").select_option("advert")
    page.get_by_role("button", name="leave out").click()
    saved(page)

    talk = desk.talk()
    assert [turn.speaker for turn in talk.turns[2:5]] == ["S2"] * 3
    [span] = talk.excluded_spans
    assert (span.start_s, span.end_s, span.reason) == (talk.turns[9].start_s, talk.turns[10].end_s, "advert")
    assert desk.sent() == ["reassign", "exclude+settle"]


def test_speakers_are_named_given_roles_and_merged_for_the_whole_recording(desk: Desk):
    here, page = desk.editor()
    page.locator("#people summary").click()
    look(here, "review_people")

    page.get_by_label("Role").nth(1).select_option("host")
    saved(page)
    page.get_by_label("Name").nth(0).fill("Ann Reed-Marsh")
    page.get_by_label("Name").nth(0).blur()
    saved(page)
    assert [(one.role, one.name) for one in desk.talk().speakers] == [
        (Role.GUEST, "Ann Reed-Marsh"),
        (Role.HOST, "Mara Quill"),
    ]
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_label("Is the same as").nth(0).select_option(index=1)
    saved(page)
    until(lambda: len(desk.talk().speakers) == 1, "both are one")


def test_approving_with_doubts_left_is_asked_once_more(desk: Desk):
    here, page = desk.editor()

    press(page, "a")
    assert "10 turns in it are still doubtful" in page.locator("#approving-told").text_content()
    press(page, "Escape")
    assert desk.talk().state is TranscriptState.MACHINE

    press(page, "a")
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    page.wait_for_selector("#state >> text=approved by ann")
    saved(page)
    assert (desk.talk().state, desk.talk().judged_by) == (TranscriptState.APPROVED, "ann")
    look(here, "review_approved")


def test_asked_twice_at_once_the_second_answer_counts(desk: Desk):
    _, page = desk.editor()

    page.evaluate("""() => {
      const press = (key) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
      const dialog = document.getElementById('approving');
      press('a');
      dialog.close('');
      press('a');
      dialog.querySelector('[value=approve]').click();
    }""")

    page.wait_for_selector("#state >> text=approved by ann")
    saved(page)
    assert desk.sent() == ["judge"]


def test_words_are_replaced_in_the_whole_show_after_a_look(desk: Desk):
    put_talk(desk.store, "oil", (("S1", "A lamp, says Ann.", 0.0), ("S2", "Yes.", 0.0)))
    here, page = desk.editor()
    page.locator("#replacing summary").click()
    page.get_by_label("Find").fill("lamp")
    page.get_by_label("Replace by").fill("lantern")
    page.get_by_role("button", name="Look first").click()
    page.get_by_role("button", name="Replace in 2 turns").wait_for()
    look(here, "review_replace")
    assert "A lamp, says Ann." in page.locator("#replace-places").text_content()
    assert current_talk(desk.store, "oil").id == "rev1"

    page.get_by_role("button", name="Replace in 2 turns").click()
    page.get_by_text("Replaced in 2 turns of 2 recordings").wait_for()
    assert current_talk(desk.store, "oil").turns[0].text == "A lantern, says Ann."
    page.locator("#turn-t4").get_by_text("lantern").wait_for()

    page.get_by_role("button", name="Take it back everywhere").click()
    page.get_by_text("Taken back in 2 recordings").wait_for()
    assert current_talk(desk.store, "oil").turns[0].text == "A lamp, says Ann."


# ---- listening -------------------------------------------------------------------------------------------------------


def test_a_turn_plays_with_two_seconds_around_it_and_its_words_light_up(desk: Desk):
    _, page = desk.editor()
    turn = desk.talk().turns[2]

    page.get_by_label("Speed").select_option("1.25")
    press(page, "Space")
    page.wait_for_function("() => document.querySelector('#turn-t3 .sounds')")  # at each frame: the turn is short
    audio = "document.getElementById('audio')"
    until(lambda: page.evaluate(f"{audio}.paused && {audio}.currentTime > 0"), "it stops by itself")

    assert turn.end_s + 1.9 <= page.evaluate(f"{audio}.currentTime") <= turn.end_s + 3
    heard = float(page.evaluate(f"{audio}.dataset.listenedS"))
    assert heard == pytest.approx(turn.end_s - turn.start_s + 4, abs=1.0)


def test_a_click_on_a_word_plays_from_there(desk: Desk):
    _, page = desk.editor()
    page.evaluate(
        """document.getElementById('audio')
           .addEventListener('play', (event) => (window.begun_s = event.target.currentTime), { once: true })"""
    )

    page.locator("#turn-t2 .said span").nth(4).click()
    begun_s = page.wait_for_function("() => window.begun_s").json_value()

    word = desk.talk().turns[1].words[4]
    assert begun_s == pytest.approx(word.start_s, abs=0.5)
    assert current_id(page) == "t2"
    press(page, "Space")
    assert is_silent(page)


def test_whether_turns_play_by_themselves_is_remembered(desk: Desk):
    _, page = desk.editor()
    press(page, "n")
    until(lambda: not is_silent(page), "it plays")

    press(page, "l")
    until(lambda: is_silent(page), "it stops")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    press(page, "n", "n")

    assert is_silent(page)
    assert not page.get_by_label("plays by itself").is_checked()


# ---- saving ----------------------------------------------------------------------------------------------------------


def test_what_is_not_saved_survives_a_reload_and_is_sent_then(desk: Desk):
    here, page = desk.editor()
    desk.crew.away = 503
    press(page, "s", "s")
    page.wait_for_selector("#state[data-saved=failing]")
    assert "2 corrections kept in this browser" in page.locator("#state").text_content()
    look(here, "review_unsaved")

    page.reload()
    page.wait_for_selector("#state[data-saved=failing]")
    assert page.locator("#state").get_attribute("data-doubtful") == "8"
    desk.crew.away = None
    saved(page)

    assert [turn.speaker for turn in desk.talk().turns[2:4]] == ["S1", "S1"]
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('diary.review/')).length") == 0
    refused = [error for error in here.errors if "503" in error]
    here.errors[:] = [error for error in here.errors if error not in refused]
    assert refused


def test_an_answer_that_was_lost_is_no_conflict_and_nothing_is_done_twice(desk: Desk):
    here, page = desk.editor()
    page.route("**/corrections", lambda route: (route.fetch(), route.abort())[0])
    press(page, "ArrowDown", "ArrowRight", "ArrowRight", "x")
    page.wait_for_selector("#state[data-saved=failing]")
    turns = len(desk.talk().turns)
    page.unroute("**/corrections")

    page.reload()
    page.wait_for_selector("html[data-ready]")
    saved(page)

    assert len(desk.talk().turns) == turns == len(LINES) + 1
    assert page.locator("#turns > li").count() == turns
    here.errors[:] = [error for error in here.errors if "ERR_FAILED" not in error]


@pytest.mark.parametrize("answer", ["theirs", "mine"])
def test_a_conflict_says_who_did_what_and_lets_one_choose(desk: Desk, answer: str):
    here, page = desk.editor()
    correct(desk.store, "lamps", Reassign(turns=("t1",), to="S2"))
    press(page, "s")
    page.wait_for_selector("#conflict:not([hidden])")
    look(here, f"review_conflict_{answer}")
    assert "mel" in page.locator("#conflict-changes").text_content()
    assert "1 turn to S2" in page.locator("#conflict-changes").text_content()

    name = "Take theirs" if answer == "theirs" else "Put mine on top"
    page.get_by_role("button", name=re.compile(name)).click()
    saved(page)
    page.wait_for_selector("#conflict", state="hidden")

    turns = desk.talk().turns
    assert turns[0].speaker == "S2"
    assert turns[2].speaker == ("S2" if answer == "theirs" else "S1")
    page.wait_for_selector("#turn-t1 .speaker >> text=2 Ann Reed")
    here.errors[:] = [error for error in here.errors if "409" not in error]


# ---- everything else -------------------------------------------------------------------------------------------------


def test_hostile_words_are_words(desk: Desk):
    put_talk(desk.store, "bad", (("S1", f"{HOSTILE} said Ann.", 0.5), ("S2", "No.", 0.0)), title=HOSTILE)
    here = desk.visit(desk.url)
    page = here.sign_in(desk.secret, f"/shows/{SHOW}/recordings/bad/review")
    page.wait_for_selector("html[data-ready]")
    press(page, "r")
    page.locator("#naming input").fill(HOSTILE)
    press(page, "Enter")
    page.locator("#turn-t1 .speaker", has_text=HOSTILE).wait_for()
    saved(page)

    assert HOSTILE in page.locator("#turn-t1 .said").text_content()
    assert HOSTILE in page.locator("#turn-t1 .speaker").text_content()
    assert page.locator("main img").count() == 0


def test_a_viewer_listens_and_corrects_nothing(desk: Desk, tmp_path: Path):
    from shared.tokens import TokenBook, new_token

    secret, token = new_token("vi", "viewer")
    TokenBook(tmp_path / "tokens.json").add(token)
    here = desk.visit(desk.url)
    page = here.sign_in(secret, PLACE)
    page.wait_for_selector("html[data-ready]")
    look(here, "review_viewer")

    press(page, "s", "Enter", "d")

    assert desk.crew.at_once == []
    assert page.get_by_role("button", name="Approve").count() == 0
    assert page.locator("#turns input").count() == 0


def test_a_published_transcript_is_corrected_without_sound(desk: Desk):
    put_talk(desk.store, "silent", sound=False)
    page = desk.visit(desk.url).sign_in(desk.secret, f"/shows/{SHOW}/recordings/silent/review")
    page.wait_for_selector("html[data-ready]")

    press(page, "s")
    saved(page)

    assert current_talk(desk.store, "silent").turns[2].speaker == "S1"
    assert page.locator("audio").count() == 0


def test_a_recording_without_a_transcript_says_what_to_do(desk: Desk):
    for key in desk.store.list(keys.transcripts(SHOW, "lamps")):
        desk.store.delete(key)

    page = desk.visit(desk.url).sign_in(desk.secret, PLACE)

    assert "transcribe this recording" in page.locator("main").text_content()


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("wide", "dark")])
def test_the_editor_fits_a_phone_and_the_dark(desk: Desk, size: str, scheme: str):
    here, page = desk.editor(size, scheme)

    look(here, f"review_editor_{size}_{scheme}")

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_two_hours_open_with_few_small_requests_and_no_sound(desk: Desk):
    put_two_hours(desk.store)
    here = desk.visit(desk.url)
    page = here.sign_in(desk.secret, f"/shows/{SHOW}/review")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(desk.url).split("?")[0]))
    page.goto(f"{desk.url}/shows/{SHOW}/recordings/long/review")
    page.wait_for_selector("html[data-ready]")

    assert page.locator("#turns > li").count() == 600
    assert page.locator("#turns .said span").count() == 19_800
    data = sorted(path for path in asked if not path.startswith("/static"))
    assert data == [
        f"/shows/{SHOW}/recordings/long/review",
        f"/shows/{SHOW}/recordings/long/turns",
        f"/v1/shows/{SHOW}/recordings/long/peaks",
    ]
    took_ms = page.evaluate("performance.getEntriesByName('review:ready')[0].startTime")
    print(f"two hours opened in {took_ms:.0f} ms")

    page.wait_for_function(IN_SIGHT)
    press(page, "s")
    page.wait_for_function(IN_SIGHT)
    saved(page)
    assert current_talk(desk.store, "long").turns[300].speaker == "S2"


def put_two_hours(store: MemoryStore) -> None:
    """600 turns of 33 words in 7200 s; the middle one is the worst. Its sound is named and never made."""
    lines: list[Line] = [
        ("S1" if n % 2 == 0 else "S2", " ".join(["word"] * 33), 0.3 * (n % 5 == 0)) for n in range(600)
    ]
    lines[300] = (lines[300][0], lines[300][1], 0.9)
    put_talk(store, "long", lines, sound=False)
    pixels = 7200 * 20
    dat = struct.pack("<iIiiIi", 2, 1, 16_000, 800, pixels, 1) + bytes([200, 60]) * pixels
    known = Recording.model_validate_json(store.get(keys.recording(SHOW, "long")))
    store.delete(keys.recording(SHOW, "long"))
    heard = {
        "working": put_blob(store, b"flac", "audio/flac"),
        "web": put_blob(store, b"mp3", "audio/mpeg"),
        "peaks": put_blob(store, dat, "application/octet-stream"),
        "duration_s": 7200.0,
    }
    create_manifest(store, keys.recording(SHOW, "long"), known.model_copy(update=heard))


def test_letters_are_no_keys_for_who_switches_them_off(desk: Desk):
    _, page = desk.editor()
    before = desk.talk().id
    page.keyboard.press("?")
    page.get_by_label("Letters and digits are keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    page.keyboard.press("2")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.keyboard.press("s")

    assert page.locator("#state").get_attribute("data-saved") == "saved"
    assert desk.talk().id == before
    page.get_by_role("button", name="swap").click()
    until(lambda: desk.talk().id != before, "the button still works")
