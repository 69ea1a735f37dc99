"""AI episodes in a browser: ordered, read as they grow, looked over, changed; and what they say is only ever text."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.studio.crew import remote_job_id
from services.studio.library import Library
from shared import keys
from shared.jobs import JobContext
from shared.schemas import (
    EpisodeRequest,
    PlannedQuestion,
    QuestionChapter,
    QuestionSheet,
    RecitedSpan,
    Recording,
    RevisionRequest,
)
from shared.store import create_manifest, load
from tests.fakes import MemoryStore, ScriptedCrew
from tests.kit import until
from tests.studio.a_door import serving, studio_of
from tests.studio.a_show import put_audio, put_show
from tests.studio.pages.an_episode import HOSTILE, an_episode, put_episode, said, turns_of

PLACE = "/shows/lamp/episodes"
LONG_S = 60.0


class PacedCrew(ScriptedCrew):
    """Its inference writes as many turns as a test lets it, then the episode: `go` says how many turns there may be."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._store = store
        self.texts = [f"Turn {index}: {said(30, index)}" for index in range(8)]
        self.may_write, self.may_end = threading.Semaphore(0), threading.Event()

    def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
        plans = isinstance(request, EpisodeRequest) and (request.review_plan or request.write == "questions")
        if service != "inference" or path == "/v1/renderings" or plans:
            return super().ask(job, step, service, path, request, result_type)
        self.asked.append((step, [request]))
        name = keys.episode_id(remote_job_id(job.id, step))
        self._write(job, name)
        facts: dict[str, Any] = {"id": name, "words": request.words if isinstance(request, EpisodeRequest) else None}
        if isinstance(request, RevisionRequest):
            facts |= {"revises": request.episode, "changes": "turn 1 by a person"}
        put_episode(self._store, an_episode(turns_of(self.texts), **facts))
        answer = {"episode": name, "key": keys.episode("lamp", name), "words": 9, "turns": 8, "canary": True}
        return result_type.model_validate(answer)

    def _write(self, job: JobContext, name: str) -> None:
        for turn in turns_of(self.texts):
            self._wait(job, self.may_write)
            self._store.objects[keys.episode_turn("lamp", name, turn.index)] = turn.model_dump_json().encode()
            job.progress("writing", done=turn.index + 1, total=8, unit="turns")
        while not self.may_end.wait(0.05):
            job.check()

    def _wait(self, job: JobContext, gate: threading.Semaphore) -> None:
        while not gate.acquire(timeout=0.05):
            job.check()

    def turns(self, count: int) -> None:
        for _ in range(count):
            self.may_write.release()

    def all(self) -> None:
        self.turns(8)
        self.may_end.set()


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    return store


@pytest.fixture
def crew(store: MemoryStore) -> PacedCrew:
    return PacedCrew(store)


@pytest.fixture
def studio(tmp_path: Path, store: MemoryStore, crew: PacedCrew) -> Iterator[tuple[str, str]]:
    """URL and an admin's secret."""
    app, secret = studio_of(tmp_path, store, crew)
    with serving(app) as url:
        yield url, secret


def make_playable(store: MemoryStore) -> None:
    """Give the spoken recording a sound for browsers."""
    key = keys.recording("lamp", "spoken")
    known = load(store, key, Recording)
    store.objects[key] = known.model_copy(update={"web": known.original}).model_dump_json().encode()


def a_faulty_one(store: MemoryStore) -> None:
    """`e7`: recites, has adverts, an empty turn, a fact of the brief, chapters, and hostile text."""
    texts = [f"{said(8 + index % 5, index)} And why?" if index % 2 == 0 else said(60, index) for index in range(16)]
    texts[3] = f"{HOSTILE} {texts[3]}"
    texts[7] += " It is brought to you by our sponsor."
    texts[10] = "..."
    turns = [
        turn.model_copy(update={"chapter": ("The first lamp", HOSTILE[:60])[turn.index // 8]})
        for turn in turns_of(texts)
    ]
    turns[5] = turns[5].model_copy(update={"attempts": 6, "rejected": ("it recites",)})
    recited = (RecitedSpan(turn=5, first_word=4, last_word=18, recording="spoken", start_s=12.0),)
    brief = {"guest_is": "real_without_consent", "facts": ("She mends <b>kettles</b>.",)}
    put_episode(store, an_episode(turns, recited, words=700, brief=brief))


# ---- the list --------------------------------------------------------------------------------------------------------


def test_an_empty_list_says_what_to_do_next(studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore):
    url, secret = studio
    store.delete(keys.episode("lamp", "e1"))
    here = visit(url)

    page = here.sign_in(secret, PLACE)

    assert page.get_by_text("None is written yet.").is_visible()
    here.look("episodes-empty")
    page.get_by_role("link", name="Write a 10-minute sample").first.click()
    page.wait_for_url(f"{url}{PLACE}/new")
    assert page.get_by_label("Minutes of talk").input_value() == "10"


def test_the_list_tells_who_wrote_what_and_how_good_it_is(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore
):
    url, secret = studio
    a_faulty_one(store)
    put_episode(store, an_episode(turns_of(["Hello?", "Hi."]), id="e8", adapter=None, fine_tuned=False, guest=HOSTILE))
    here = visit(url, "phone", "dark")

    page = here.sign_in(secret, PLACE)

    rows = page.locator("tbody tr")
    assert rows.count() == 3
    assert rows.filter(has_text="not usable").get_by_text("fine-tuned", exact=True).is_visible()
    assert rows.filter(has_text="not fine-tuned").get_by_role("link", name=HOSTILE.replace("\u2028", " ")).is_visible()
    here.look("episodes-phone-dark")
    page.get_by_label("Compare Orla Finch, e7").check()
    page.get_by_label("Compare Orla, e1").check()
    page.get_by_role("button", name="Read them side by side").click()
    page.wait_for_url("**/side-by-side?*")
    assert page.locator(".exchange").count() == 16


# ---- ordering --------------------------------------------------------------------------------------------------------


def test_an_order_goes_from_the_form_to_the_conversation_as_it_grows_and_to_its_report(
    studio: tuple[str, str], visit: Callable[..., Any], crew: PacedCrew
):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/new")
    page.get_by_label("Guest", exact=False).first.fill("Orla Finch")
    page.get_by_label("What they talk about").fill("the last lamp")
    page.get_by_label("A real person, who agreed").check()
    assert page.get_by_label("Where the consent").is_visible()
    page.get_by_label("A real person, who was not asked").check()
    assert page.get_by_label("Where the consent").is_hidden()
    assert page.get_by_text("Orla Finch never said any of this").is_visible()
    here.look("episode-new")
    page.get_by_role("button", name="Order it").click()

    page.wait_for_url("**/episodes/e*")
    page.get_by_text("Writing takes").wait_for()
    crew.turns(3)
    page.get_by_text("Turn 2:").wait_for()
    assert page.locator(".utterance").count() == 3 and page.locator("#count").text_content() == "3 turns"
    page.locator("progress").wait_for()
    here.look("episode-growing")
    crew.all()
    page.get_by_role("link", name="Read it with its report").click()
    page.get_by_role("heading", name="Report").wait_for()
    [(step, [asked])] = crew.asked
    assert (step, asked.guest, asked.minutes, asked.guest_is) == ("write", "Orla Finch", 10, "real_without_consent")
    assert asked.adapter == "lamp.r1.c4", "the best one, by name"


def test_words_take_the_place_of_minutes_and_a_consent_is_sent_where_it_is_given(
    studio: tuple[str, str], visit: Callable[..., Any], crew: PacedCrew
):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/new?guest=Ann")
    page.get_by_label("A real person, who agreed").check()
    page.get_by_label("Where the consent").fill("letter of 4 May")
    page.get_by_label("Facts about the guest").fill("She hums.\n\n She bakes. ")
    page.get_by_text("Length in words").click()
    page.get_by_label("Words, instead").fill("400")
    page.get_by_label("Written by").select_option("base")
    page.get_by_role("button", name="Order it").click()

    page.wait_for_url("**/episodes/e*")
    until(lambda: crew.asked, "the order is carried out", LONG_S)
    [(_, [asked])] = crew.asked
    assert (asked.words, asked.minutes, asked.consent) == (400, None, "letter of 4 May")
    assert (asked.facts, asked.adapter) == (("She hums.", "She bakes."), "base")
    crew.all()


def test_a_refused_order_says_why_on_the_form(studio: tuple[str, str], visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/new?guest=Ann")
    page.locator("select[name=adapter]").evaluate("one => one.options[0].value = 'lamp.r9.c9'")
    page.get_by_role("button", name="Order it").click()

    page.get_by_role("alert").filter(has_text="has no adapter lamp.r9.c9").wait_for()
    here.errors.clear()  # the browser counts the refusal itself as an error


def test_a_plan_is_looked_over_changed_and_sent(studio: tuple[str, str], visit: Callable[..., Any], crew: PacedCrew):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/new?guest=Ann")
    page.get_by_label("Let me edit the plan").check()
    page.get_by_role("button", name="Order it").click()

    page.get_by_role("heading", name="Look over the plan").wait_for()
    assert page.get_by_label("Title").input_value() == "Lamps"
    page.get_by_label("What is talked about").fill("the first lamp\n\nthe second lamp")
    page.get_by_role("button", name="Add a chapter").click()
    page.get_by_label("Title").last.fill("Oil")
    page.get_by_role("button", name="Up").last.click()
    here.look("episode-plan")
    page.get_by_role("button", name="Write it").click()

    until(lambda: len(crew.asked) == 2, "the plan is sent", LONG_S)
    asked = crew.asked[1][1][0]
    assert not asked.review_plan
    assert [(chapter.title, chapter.beats) for chapter in asked.plan] == [
        ("Oil", ()), ("Lamps", ("the first lamp", "the second lamp"))
    ]  # fmt: skip
    page.wait_for_url("**/episodes/e*")
    crew.all()


def test_an_episode_is_stopped_from_its_page_and_what_was_written_stays(
    studio: tuple[str, str], visit: Callable[..., Any], crew: PacedCrew
):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/new?guest=Ann")
    page.get_by_role("button", name="Order it").click()
    page.wait_for_url("**/episodes/e*")
    crew.turns(1)
    page.get_by_text("Turn 0:").wait_for()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Stop").click()

    page.get_by_role("heading", name="that broke off").wait_for()
    page.get_by_text("Turn 0:").wait_for()
    here.open(PLACE)
    assert page.get_by_role("heading", name="Broke off").is_visible()


def test_who_reads_further_up_is_not_moved(studio: tuple[str, str], visit: Callable[..., Any], crew: PacedCrew):
    url, secret = studio
    crew.texts = [f"Turn {index}: {said(250, index)}" for index in range(8)]
    here = visit(url, "phone")
    page = here.sign_in(secret, f"{PLACE}/new?guest=Ann")
    page.get_by_role("button", name="Order it").click()
    page.wait_for_url("**/episodes/e*")
    crew.turns(1)
    page.get_by_text("Turn 0:").wait_for()
    page.get_by_text("Writing takes").wait_for()  # above the turns, which this moves down
    page.locator("progress").wait_for()
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    crew.turns(3)
    page.get_by_text("Turn 3:").wait_for()
    end = page.locator("#turn-3").evaluate("one => one.getBoundingClientRect().bottom - innerHeight")
    assert end < 1, "who is at the end goes along"

    page.evaluate("scrollTo(0, 0)")
    crew.turns(1)
    page.get_by_text("Turn 4:").wait_for()
    assert page.evaluate("scrollY") == 0
    crew.all()
    page.get_by_role("link", name="Read it with its report").wait_for()


def test_hostile_text_is_text_while_it_is_written_too(
    studio: tuple[str, str], visit: Callable[..., Any], crew: PacedCrew
):
    url, secret = studio
    crew.texts[0] = crew.texts[1] = HOSTILE
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/new")
    page.get_by_label("Guest", exact=False).first.fill(HOSTILE.replace("\u2028", ""))
    page.get_by_role("button", name="Order it").click()
    page.wait_for_url("**/episodes/e*")
    crew.turns(2)

    page.locator("#turn-1").wait_for()
    assert page.locator("#turn-0 .uttered").text_content() == HOSTILE
    page.reload()
    assert page.locator("#turn-1 .uttered").text_content() == HOSTILE
    assert page.locator("main img, .utterance script").count() == 0
    crew.all()


# ---- a finished one --------------------------------------------------------------------------------------------------


def test_a_finished_episode_shows_its_mark_its_verdict_and_leads_to_its_faults(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore
):
    url, secret = studio
    a_faulty_one(store)
    make_playable(store)
    here = visit(url)

    page = here.sign_in(secret, f"{PLACE}/e7")

    mark = page.locator(".mark")
    assert "AI-generated fiction." in mark.inner_text() and "Orla Finch never said any of this" in mark.inner_text()
    assert page.locator("#report ~ p strong").first.inner_text().startswith("not usable: ")
    page.locator(".findings li", has_text="recites").get_by_role("link", name="turn 5").click()
    page.wait_for_url("**#turn-5")
    recited = page.locator("#turn-5 mark").inner_text()
    assert len(recited.split()) == 14
    button = page.locator("#turn-5 button.play")
    assert button.get_attribute("data-audio") == "/v1/shows/lamp/recordings/spoken/audio"
    assert button.get_attribute("data-from") == "11.5"
    assert page.locator("#turn-5").get_by_text("the least bad of 6 attempts").is_visible()
    assert page.locator("#turn-3 .uttered").text_content().startswith(HOSTILE)
    assert page.locator("main img, main script:not([type])").count() == 0
    assert page.get_by_text("It is not spoken").is_visible()
    assert page.get_by_role("button", name="Speak it").count() == 0
    page.get_by_text("All figures").click()
    page.get_by_text("By quarter of the episode").click()
    assert page.get_by_role("img", name="Host's share of the words by quarter").is_visible()
    page.get_by_text("What it was made from").click()
    page.get_by_role("link", name="Ann on spoken lamps").last.wait_for()
    here.look("episode")


def test_it_reads_well_on_a_phone_in_the_dark(studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore):
    url, secret = studio
    a_faulty_one(store)
    here = visit(url, "phone", "dark")

    page = here.sign_in(secret, f"{PLACE}/e7")
    page.get_by_role("button", name="Turn 3:").click()

    here.look("episode-phone-dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out"


def test_a_turn_that_is_edited_makes_another_episode(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore, crew: PacedCrew
):
    url, secret = studio
    a_faulty_one(store)
    crew.all()
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/e7")
    page.get_by_role("button", name="Turn 2:").click()
    field = page.get_by_label("What this turn says instead")
    assert field.input_value() == load(store, keys.episode("lamp", "e7"), type(an_episode(()))).turns[2].text
    field.fill("And what did the wind say?")
    page.locator("form[data-do=replace]").get_by_label("is written again").check()
    here.look("episode-turn-tools")
    page.get_by_role("button", name="Save as a new version").click()

    page.wait_for_url(lambda address: not address.endswith("e7"))
    page.get_by_role("link", name="Read it with its report").or_(page.get_by_role("heading", name="Report")).wait_for(
        timeout=LONG_S * 1000
    )
    [(step, [asked])] = crew.asked
    assert (step, asked.episode, asked.rest) == ("revise", "e7", "rewrite")
    assert [(one.index, one.text) for one in asked.replace] == [(2, "And what did the wind say?")]
    page.reload()
    assert page.get_by_role("link", name="e7").is_visible(), "it says what it is a version of"
    here.open(f"{PLACE}/e7")
    assert page.get_by_role("link", name="turn 1 by a person").is_visible(), "and that one names its version"


def test_turns_are_written_again_and_an_episode_is_extended(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore, crew: PacedCrew
):
    url, secret = studio
    a_faulty_one(store)
    crew.turns(16)
    crew.may_end.set()
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/e7")
    page.get_by_role("button", name="Turn 4:").click()
    page.get_by_label("Write again, from this turn to turn").fill("6")
    page.get_by_role("button", name="Write again, as a new version").click()
    page.wait_for_url(lambda address: not address.endswith("e7"))
    until(lambda: len(crew.asked) == 1, "it is carried out", LONG_S)
    here.open(f"{PLACE}/e7")
    page.get_by_label("Extend to full length").fill("75")
    page.get_by_role("button", name="Extend it").click()
    page.wait_for_url(lambda address: not address.endswith("e7"))

    until(lambda: len(crew.asked) == 2, "so is that", LONG_S)
    again, longer = (request for _, [request] in crew.asked)
    assert (again.regenerate, again.rest, again.replace) == ((4, 6), "keep", ())
    assert (longer.minutes, longer.regenerate) == (75, None)


def test_the_nearest_training_passages_come_on_demand(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore
):
    url, secret = studio
    put_episode(store, an_episode(turns_of(["Hello?", "Hi."]), id="e8", adapter=None, fine_tuned=False))
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/e8")
    page.get_by_role("button", name="Turn 1:").click()
    page.get_by_role("button", name="Nearest in the training").click()

    page.get_by_text("it has learnt from no recording of the show").wait_for()


def test_a_near_passage_is_text_and_can_be_played_where_it_is_said(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore
):
    url, secret = studio
    said_there = {"recording": "spoken", "title": HOSTILE, "guest": "Ann", "role": "guest", "passage": HOSTILE}
    found = {
        "reason": "", "passages": [
            {**said_there, "score": 9.25, "start_s": 60.5, "end_s": 64, "has_audio": True},
            {**said_there, "score": 3, "start_s": 1, "end_s": 2, "has_audio": False},
        ],
    }  # fmt: skip
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/e1")
    page.route("**/v1/shows/lamp/episodes/e1/turns/1/nearest", lambda route: route.fulfill(json=found))
    page.get_by_role("button", name="Turn 1:").click()
    page.get_by_role("button", name="Nearest in the training").click()

    near = page.locator(".near li")
    near.first.wait_for()
    assert near.first.locator("p").first.text_content() == HOSTILE and page.locator(".near img").count() == 0
    button = near.first.get_by_role("button", name="Play it there")
    assert (button.get_attribute("data-from"), button.get_attribute("data-to")) == ("60.5", "64")
    assert near.last.get_by_role("button").count() == 0, "there is nothing to be played"


def test_it_is_spoken_on_demand_and_its_chapters_can_be_heard(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore, crew: PacedCrew
):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/e1")
    with page.expect_navigation():
        page.get_by_role("button", name="Speak it").click()
    page.get_by_role("button", name="Speak it").wait_for(timeout=LONG_S * 1000)
    assert crew.asked[0][1][0].episode == "e1"

    put_audio(store)
    here.open(f"{PLACE}/e1")

    assert page.locator("audio#audio").get_attribute("src") == "/v1/shows/lamp/episodes/e1/audio"
    page.get_by_text("Chapters").click()
    assert page.get_by_role("button", name="0:00 AI-generated: notice").is_visible()
    assert page.get_by_role("link", name="mp3").is_visible()
    page.get_by_role("button", name="Turn 1:").click()
    assert page.get_by_role("button", name="Listen from here").is_visible()
    here.look("episode-spoken")


def test_every_form_can_be_taken_away(studio: tuple[str, str], visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, f"{PLACE}/e1")

    for form in ("json", "md", "txt", "vtt", "inst", "html"):
        with page.expect_download() as told:
            page.get_by_role("link", name=form, exact=True).click()
        assert told.value.suggested_filename.startswith("lamp-e1.")


def test_an_episode_that_is_finished_while_its_page_is_made_is_shown_whole(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    """Looked for, it was not there yet; then neither its job nor its turns tell of it any more."""
    url, secret = studio
    looks = iter([False])
    monkeypatch.setattr(Library, "has_episode", lambda *_: next(looks, True))
    here = visit(url)

    page = here.sign_in(secret, f"{PLACE}/e1")

    assert page.get_by_role("heading", name="Report").is_visible()


# ---- questions -------------------------------------------------------------------------------------------------------


def a_sheet(store: MemoryStore) -> QuestionSheet:
    known = an_episode(turns_of(["Hello?"]))
    sheet = QuestionSheet(
        id="q1", show="lamp", guest="Orla Finch", host="Mara Quill", brief=known.brief, adapter=None,
        label="tiny, not fine-tuned", base_model="tests/tiny", base_revision="r" * 40, lineage=known.lineage,
        chapters=(
            QuestionChapter(
                title="The first lamp", start_min=0, end_min=12.4,
                questions=(PlannedQuestion(about="oil", question=HOSTILE, follow_ups=("Why oil?",)),),
            ),
        ),
    )  # fmt: skip
    create_manifest(store, keys.questions("lamp", "q1"), sheet)
    return sheet


def test_a_sheet_of_questions_is_read_and_taken_away(
    studio: tuple[str, str], visit: Callable[..., Any], store: MemoryStore
):
    url, secret = studio
    a_sheet(store)
    here = visit(url, "phone")
    page = here.sign_in(secret, PLACE)
    page.get_by_role("link", name="Orla Finch").last.click()

    page.wait_for_url(f"{url}/shows/lamp/questions/q1")
    assert page.get_by_text("0 to 12 min").is_visible() and page.get_by_text("Why oil?").is_visible()
    assert HOSTILE in (page.locator(".utterance .uttered").text_content() or "")
    here.look("questions")
    with page.expect_download() as told:
        page.get_by_role("link", name="Download as Markdown").click()
    assert told.value.suggested_filename == "lamp-q1-questions.md"
    here.open(f"{PLACE}/q1")
    assert page.url.endswith("/questions/q1"), "an episode that is a sheet leads there"
