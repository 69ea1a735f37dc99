"""The list of recordings and the page of one, in a browser before a scripted transcription."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.studio.crew import HttpCrew
from shared import keys, recordings
from shared.schemas import HostMethod, RecordingEdits, Role, TranscriptState
from tests.fakes import MemoryStore, ScriptedCrew
from tests.kit import until
from tests.studio.a_door import serving, studio_of
from tests.studio.pages.a_talk import advert, put_lamp, put_recording, put_transcript, tone
from tests.studio.pages.conftest import have_all_read

KNOWN = (Role.HOST, Role.GUEST)
HISTORY = [
    {
        "id": "rev1", "parent": None, "kind": "machine", "summary": "heard by the machine", "by": "",
        "state": "machine", "at": datetime.now(UTC).isoformat(), "current": True,
    }
]  # fmt: skip


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_lamp(store)
    sound = tone()
    put_recording(store, "r1", sound, title="The keeper of the light", excluded_spans=(advert(2, 4), advert(20, 25)))
    put_transcript(store, "r1", KNOWN, HostMethod.SET, doubtful=2)
    put_recording(store, "r2", sound, title="A <b>baker</b> at four", guest="Bo Reed", warnings=("It is very quiet.",))
    put_transcript(store, "r2")
    put_recording(store, "r3", sound, title="Ferries", guest=None)
    put_recording(store, "r4", title="Published words")
    put_transcript(store, "r4", KNOWN, HostMethod.NAMED, state=TranscriptState.APPROVED)
    return store


@pytest.fixture
def crew() -> ScriptedCrew:
    crew = ScriptedCrew()
    crew.answers["/v1/history/lamp/r1"] = (200, HISTORY)
    return crew


@pytest.fixture
def studio(tmp_path: Path, store: MemoryStore, crew: ScriptedCrew) -> Iterator[tuple[str, str]]:
    app, secret = studio_of(tmp_path, store, crew)
    with serving(app) as url:
        have_all_read(url, secret)
        yield url, secret


def test_the_list_is_filtered_as_somebody_types(studio, visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/recordings")
    here.look("recordings")
    assert page.locator("#recordings tbody tr:visible").count() == 4

    page.get_by_label("Find").fill("HOST unknown baker")
    assert page.locator("#recordings tbody tr:visible").count() == 1
    assert page.get_by_text("1 of 4").is_visible()
    page.get_by_role("link", name="A <b>baker</b> at four").click()
    page.get_by_role("heading", level=1, name="A <b>baker</b> at four", exact=True).wait_for()
    page.get_by_text("It is very quiet.").wait_for()


def test_the_list_on_a_phone_in_the_dark(studio, visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url, "phone", "dark")
    page = here.sign_in(secret, "/shows/lamp/recordings")

    here.look("recordings-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_an_empty_show_says_what_to_do(tmp_path: Path, visit: Callable[..., Any]):
    store = MemoryStore()
    put_lamp(store)
    app, secret = studio_of(tmp_path, store, HttpCrew({}, ""))
    with serving(app) as url:
        page = visit(url).sign_in(secret, "/shows/lamp/recordings")
        page.get_by_role("link", name="Add recordings").click()
        page.wait_for_url("**/shows/lamp/sources")


def test_one_is_corrected_and_a_part_is_left_out_and_taken_in_again(studio, store: MemoryStore, visit):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/recordings/r1")
    here.look("recording")
    page.get_by_role("link", name="Read and correct it").click()
    page.wait_for_url("**/recordings/r1/review")
    page.goto(f"{url}/shows/lamp/recordings/r1")

    page.get_by_label("Guest", exact=True).fill("Ash B. Lane")
    page.get_by_label("Facts of the guest").fill("She keeps a lighthouse.\n\nShe counts ships.")
    with page.expect_navigation():  # it is loaded again
        page.get_by_role("button", name="Keep").click()
    assert recordings.read(store, "lamp", "r1").guest == "Ash B. Lane"
    assert recordings.facts_of(store, "lamp", "r1") == ("She keeps a lighthouse.", "She counts ships.")

    page.goto(f"{url}/shows/lamp/recordings/r1")
    page.get_by_text("Leave out another part").click()
    page.get_by_label("From").fill("0:08.5")
    page.get_by_label("To", exact=True).fill("0:12")
    page.get_by_label("Because it is").select_option("trailer")
    with page.expect_navigation():
        page.get_by_role("button", name="Leave it out").click()
    page.get_by_role("button", name="the trailer").wait_for()
    spans = recordings.read(store, "lamp", "r1").excluded_spans
    assert [(one.start_s, one.end_s, one.found_by) for one in spans] == [
        (2, 4, "sponsorblock"), (8.5, 12, "person"), (20, 25, "sponsorblock"),
    ]  # fmt: skip

    page.get_by_role("button", name="Take in again from 0:02").click()
    until(lambda: len(recordings.read(store, "lamp", "r1").excluded_spans) == 2, "one less is left out")
    assert [one.start_s for one in recordings.read(store, "lamp", "r1").excluded_spans] == [8.5, 20]


def test_a_span_that_cannot_be_is_refused_beside_its_form(studio, visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/recordings/r1")
    page.get_by_text("Leave out another part").click()
    page.get_by_label("From").fill("0:12")
    page.get_by_label("To", exact=True).fill("0:10")
    page.get_by_role("button", name="Leave it out").click()

    page.get_by_text("it must end after it starts").wait_for()
    here.errors.clear()  # the browser tells of the refusal too


def test_its_history_is_asked_of_transcription(studio, visit: Callable[..., Any]):
    url, secret = studio
    page = visit(url).sign_in(secret, "/shows/lamp/recordings/r1")
    page.get_by_text("Its history").click()

    page.get_by_text("heard by the machine").wait_for()


def test_without_transcription_the_page_stands_and_says_so(tmp_path: Path, store: MemoryStore, visit):
    app, secret = studio_of(tmp_path, store, HttpCrew({"transcription": "http://127.0.0.1:9"}, ""))
    with serving(app) as url:
        page = visit(url).sign_in(secret, "/shows/lamp/recordings/r1")
        page.get_by_text("Its history").click()

        page.locator(".later .problem").wait_for()


def test_it_is_transcribed_again_and_the_job_is_shown(studio, crew: ScriptedCrew, visit: Callable[..., Any]):
    url, secret = studio
    page = visit(url).sign_in(secret, "/shows/lamp/recordings/r1")
    page.get_by_text("Transcribe it again").click()
    page.get_by_label("How many people talk").fill("3")
    page.get_by_role("button", name="Transcribe again").click()
    page.wait_for_url("**/recordings/r1?job=*")

    until(lambda: crew.asked, "transcription is asked")
    [(_, [request])] = crew.asked
    assert (request.recording, request.speakers, request.language) == ("r1", 3, None)


def test_an_admin_sees_what_erasing_removes_before_it_is_done(studio, store: MemoryStore, visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/recordings/r1")
    page.get_by_text("Erase it for good").click()
    page.get_by_text("objects would go").wait_for()
    here.look("recording-erase")
    assert store.exists(keys.recording("lamp", "r1"))

    page.get_by_label("I know that this cannot be taken back").check()
    page.get_by_role("button", name="Erase this recording").click()
    page.wait_for_url("**/jobs/*")
    until(lambda: not store.exists(keys.recording("lamp", "r1")), "it is erased")
    here.errors.clear()  # the page of a job may not be there yet


class CountingStore(MemoryStore):
    """A store that counts what is read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def read(self, key: str) -> tuple[bytes, str]:
        self.reads += 1
        return super().read(key)


def test_500_recordings_are_read_once_and_only_what_changed_again(tmp_path: Path):
    store = CountingStore()
    put_lamp(store)
    for number in range(500):
        put_recording(store, f"r{number:03}", title=f"Talk {number}", excluded_spans=(advert(2, 4),))
        put_transcript(store, f"r{number:03}", KNOWN, HostMethod.SET)
    app, secret = studio_of(tmp_path, store, HttpCrew({}, ""))
    app.state.readiness.problem = None
    client = TestClient(app, base_url="http://127.0.0.1")
    client.post("/login", data={"token": secret})

    def look() -> str:
        return client.get("/shows/lamp/recordings").text

    until(lambda: "being read" not in look(), "all transcripts are read")
    before, begun = store.reads, time.monotonic()
    assert look().count("data-find") == 500
    print(f"500 recordings in {time.monotonic() - begun:.3f} s")
    assert store.reads - before <= 3  # the show itself

    edits = RecordingEdits(by="ann", title="Another title")
    store.create(keys.edits("lamp", "r007"), edits.model_dump_json().encode())
    assert "Another title" in look()
