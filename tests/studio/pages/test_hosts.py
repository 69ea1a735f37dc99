"""Which is the host? Listening and answering in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.studio.crew import HttpCrew
from services.studio.glances import Glance, glance_of
from services.studio.pages.hosts import to_ask
from shared.schemas import HostMethod, Role
from tests.fakes import MemoryStore, ScriptedCrew
from tests.kit import until
from tests.studio.a_door import serving, studio_of
from tests.studio.pages.a_talk import put_lamp, put_recording, put_transcript, tone
from tests.studio.pages.conftest import have_all_read

KNOWN = (Role.HOST, Role.GUEST)
VOICE = {"name": None, "role": "host", "model": "ge2e", "speech_s": 90, "recordings": ["r1"], "since": "2030-01-01"}


def glance(name: str, roles: Any, method: HostMethod, speech_s: float = 20) -> Glance:
    seen = glance_of(put_transcript(MemoryStore(), name, roles, method))
    return seen.model_copy(update={"speech_s": speech_s})


def test_the_unknown_are_asked_first_then_the_guessed_and_the_sure_never():
    unknown = (Role.UNKNOWN, Role.UNKNOWN)
    glances = [
        glance("sure", KNOWN, HostMethod.SET),
        glance("guessed", KNOWN, HostMethod.GUESSED),
        glance("short", unknown, HostMethod.UNKNOWN, 10),
        glance("long", unknown, HostMethod.UNKNOWN, 90),
        glance("heard", KNOWN, HostMethod.VOICEPRINT),
    ]

    assert to_ask(glances) == ["long", "short", "guessed"]


@pytest.fixture
def crew() -> ScriptedCrew:
    crew = ScriptedCrew()
    crew.answers["/v1/voiceprints/lamp"] = (200, [VOICE])
    return crew


@pytest.fixture
def studio(tmp_path: Path, crew: ScriptedCrew) -> Iterator[tuple[str, str]]:
    store = MemoryStore()
    put_lamp(store)
    sound = tone()
    for name in ("r1", "r2"):
        put_recording(store, name, sound)
        put_transcript(store, name)
    put_recording(store, "r3")
    put_transcript(store, "r3", KNOWN, HostMethod.NAMED)
    app, secret = studio_of(tmp_path, store, crew)
    with serving(app) as url:
        have_all_read(url, secret)
        yield url, secret


def test_somebody_listens_and_says_who_it_is_and_then_the_others_are_recognised(studio, crew, visit):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/host")
    page.get_by_text("Taught by 1 recording").wait_for()
    here.look("host")
    assert page.get_by_text("In 2 transcripts nobody is known as the host").is_visible()

    page.get_by_role("button", name="Listen to S1").first.click()
    page.wait_for_selector("button.play[aria-pressed=true]")
    page.get_by_role("button", name=re.compile("This is the host.*S1")).first.click()
    page.get_by_text("The host's voice is known now").wait_for()
    page.wait_for_load_state()
    [(_, [request])] = crew.asked
    assert (request.show, request.speaker) == ("lamp", "S1")

    page.get_by_role("button", name="Recognise Mara Quill in the others").click()
    until(lambda: [step for step, _ in crew.asked] == ["host", "recognise"], "the others are recognised")


def test_any_transcript_can_be_asked_of_also_one_without_audio(studio, visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url, "phone", "dark")
    page = here.sign_in(secret, "/shows/lamp/host")
    page.get_by_label("Ask of one recording").select_option("r3")
    page.get_by_role("button", name="Show its voices").click()
    page.wait_for_url("**/host?recording=r3")

    assert page.get_by_text("It has no audio, so only the words can tell.").is_visible()
    assert page.locator("button.play").count() == 0
    page.get_by_text("Taught by 1 recording").wait_for()
    here.look("host-phone")


def test_a_voice_is_forgotten(studio, crew: ScriptedCrew, visit: Callable[..., Any]):
    url, secret = studio
    page = visit(url).sign_in(secret, "/shows/lamp/host")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Forget this voice").click()

    until(lambda: ("ann", "DELETE", "/v1/voiceprints/lamp", None) in crew.at_once, "transcription is asked to forget")


def test_a_co_host_whose_name_has_slashes_is_forgotten_and_nobody_else(
    studio, crew: ScriptedCrew, visit: Callable[..., Any]
):
    url, secret = studio
    name = "../../../tokens/ann"
    crew.answers["/v1/voiceprints/lamp"] = (200, [{**VOICE, "name": name, "role": "co-host"}])
    crew.answers[f"/v1/voiceprints/lamp/{name}"] = (200, {})
    page = visit(url).sign_in(secret, "/shows/lamp/host")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Forget this voice").click()

    until(lambda: ("ann", "DELETE", f"/v1/voiceprints/lamp/{name}", None) in crew.at_once, "transcription is asked")


def test_without_transcription_the_questions_stand(tmp_path: Path, visit: Callable[..., Any]):
    store = MemoryStore()
    put_lamp(store)
    put_recording(store, "r1", tone())
    put_transcript(store, "r1")
    app, secret = studio_of(tmp_path, store, HttpCrew({"transcription": "http://127.0.0.1:9"}, ""))
    with serving(app) as url:
        have_all_read(url, secret)
        page = visit(url).sign_in(secret, "/shows/lamp/host")

        page.locator("[role=status] .problem").wait_for()
        assert page.get_by_role("button", name="This is the host").count() == 2
