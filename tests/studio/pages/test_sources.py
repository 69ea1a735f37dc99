"""Bringing recordings in from a browser: a source is looked at before it is fetched, files are sent piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared import keys
from shared.errors import SourceUnavailableError
from shared.schemas import Recording
from shared.store import load
from shared.subscriptions import Subscription
from shared.tokens import TokenBook, new_token
from tests.fakes import FeedingCrew, HesitantStore
from tests.kit import until
from tests.studio.a_door import serving, studio_of
from tests.studio.pages.a_talk import put_lamp, put_recording

MIB = 1024 * 1024
FEED = "https://example.org/feed.xml"
REFRESH = {
    "title": "Lamplight <feed>", "found": 9, "new": 2, "known": 5, "erased": 0, "left_out": {"shorter than 20 min": 2},
    "hours": 1.5, "bytes": 90_000_000,
    "first": [
        {"id": "i1", "title": "Talk <b>one</b>", "published_on": "2030-01-02", "duration_s": 3000, "bytes": 50_000_000},
        {"id": "i2", "title": "Talk two", "duration_s": 2400, "bytes": 40_000_000},
        {"id": "i3", "title": "Old talk", "state": "known"},
    ],
}  # fmt: skip


class Feeds(FeedingCrew):
    """Its source can be away."""

    away = False

    def _answer(self, path: str, request: Any) -> dict[str, Any]:
        if path == "/v1/refreshes" and self.away:
            raise SourceUnavailableError("the site does not answer; try again later")
        answer = super()._answer(path, request)
        return (
            answer if path != "/v1/refreshes" or request.dry_run else {**answer, "recordings": ["a", "b"], "first": []}
        )


@pytest.fixture
def store() -> HesitantStore:
    store = HesitantStore(slow_from=8 * MIB)
    store.may_go_on.set()
    put_lamp(store)
    return store


@pytest.fixture
def crew(store: HesitantStore) -> Feeds:
    return Feeds(store, dict(REFRESH))


@pytest.fixture
def studio(tmp_path: Path, store: HesitantStore, crew: Feeds) -> Iterator[tuple[str, str]]:
    app, secret = studio_of(tmp_path, store, crew)
    with serving(app) as url:
        yield url, secret


def brought(store: HesitantStore) -> dict[str | None, Recording]:
    found = [load(store, key, Recording) for key in store.list(keys.recordings("lamp"))]
    return {one.title: one for one in found}


def the_source(store: HesitantStore) -> Subscription:
    [key] = store.list(keys.sources("lamp"))
    return load(store, key, Subscription)


# ---- sources ---------------------------------------------------------------------------------------------------------


def test_a_source_is_looked_at_before_anything_is_fetched(studio, store: HesitantStore, crew: Feeds, visit):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/sources")
    assert page.get_by_text("Private study only").is_visible()
    here.look("sources-empty")

    page.get_by_label("Address").fill(FEED)
    page.get_by_text("Only some of it").click()
    page.get_by_label("At least so many minutes").fill("20")
    page.get_by_role("button", name="See what would come").click()
    page.get_by_role("heading", name="2 recordings would come").wait_for()
    here.look("source-preview")

    assert the_source(store).filters.min_minutes == 20
    assert [request.dry_run for _, [request] in crew.asked] == [True]
    for told in ("2 recordings, 1 h 30 min", "90 MB to fetch", "nothing of this show was transcribed here",
                 "5 are here already", "2 left out: shorter than 20 min", "Talk <b>one</b>"):  # fmt: skip
        assert page.get_by_text(told).first.is_visible(), told
    assert page.get_by_text("Old talk").count() == 0

    page.get_by_role("button", name="Bring 2 recordings in").click()
    page.get_by_role("heading", name="2 recordings came in").wait_for()
    assert [request.dry_run for _, [request] in crew.asked] == [True, False]


def test_other_filters_are_set_and_taken_away_and_it_is_looked_at_again(studio, store, crew: Feeds, visit):
    url, secret = studio
    page = visit(url).sign_in(secret, "/shows/lamp/sources")
    page.get_by_label("Address").fill(FEED)
    page.get_by_text("Only some of it").click()
    page.get_by_label("Only the newest").fill("5")
    page.get_by_role("button", name="See what would come").click()
    page.get_by_role("heading", name="would come").wait_for()
    page.wait_for_load_state()

    page.get_by_label("Only the newest").fill("")
    page.get_by_label("Title contains").fill("ships")
    page.get_by_role("button", name="Set these and look again").click()

    until(lambda: len(crew.asked) == 2, "it is looked at again")
    filters = the_source(store).filters
    assert (filters.newest, filters.title_pattern) == (None, "ships")


def test_a_source_that_does_not_answer_is_kept_and_says_why(studio, store: HesitantStore, crew: Feeds, visit):
    crew.away = True
    url, secret = studio
    page = visit(url).sign_in(secret, "/shows/lamp/sources")
    page.get_by_label("Address").fill(FEED)
    page.get_by_role("button", name="See what would come").click()
    page.wait_for_url("**/sources/s*")

    page.get_by_text("the site does not answer").first.wait_for()
    page.goto(f"{url}/shows/lamp/sources")
    assert page.get_by_text("Never refreshed").is_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Stop").first.click()


def test_a_wrong_address_is_refused_beside_the_form(studio, visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/sources")
    page.get_by_label("Address").fill("ftp://example.org/x")
    page.get_by_role("button", name="See what would come").click()

    page.locator("form [role=alert]").first.wait_for()
    here.errors.clear()  # the browser tells of the refusal too


# ---- files -----------------------------------------------------------------------------------------------------------


def files(page: Any, *named: tuple[str, bytes]) -> None:
    given = [{"name": name, "mimeType": "audio/mpeg", "buffer": data} for name, data in named]
    page.locator("#files").set_input_files(given)


def test_several_files_become_recordings_and_a_bad_one_says_why(studio, store: HesitantStore, crew: Feeds, visit):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/sources")
    files(page, ("one.mp3", b"one " * 900), ("broken.mp3", b"bad " * 900), ("two.mp3", b"two " * 900))
    first = page.locator("#rows li").first
    first.get_by_label("Title").fill("The first talk")
    first.get_by_label("Guest", exact=True).fill("Ash Lane")
    page.get_by_role("button", name="Send 3 files").click()

    page.get_by_text("this is no sound; choose another file").wait_for()
    until(lambda: set(brought(store)) == {"The first talk", "two.mp3"}, "two of three came")
    assert brought(store)["The first talk"].guest == "Ash Lane"
    first.get_by_role("link", name="Open the recording").wait_for()
    here.look("sources-sent")
    page.get_by_role("button", name="Send it again").click()
    until(lambda: len(crew.asked) == 4, "the bad one is sent again")
    page.get_by_text("this is no sound; choose another file").wait_for()
    first.get_by_role("link", name="Open the recording").click()
    page.wait_for_url("**/recordings/*")


def test_a_large_file_goes_on_after_a_pause_and_after_the_page_was_closed(studio, store, visit, tmp_path: Path):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/sources")
    page.on("dialog", lambda dialog: dialog.accept())
    data = bytes(range(256)) * (20 * MIB // 256)
    long = tmp_path / "long.mp3"
    long.write_bytes(data)
    store.may_go_on.clear()
    page.locator("#files").set_input_files(long)
    page.get_by_role("button", name="Send 1 file").click()
    until(store.waiting.is_set, "the second piece is on its way")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("button", name="Go on", exact=True).wait_for()
    here.look("sources-paused")
    page.reload()
    store.may_go_on.set()

    page.locator("#files").set_input_files(long)
    page.get_by_role("button", name="Send 1 file").click()
    page.get_by_role("link", name="Open the recording").wait_for(timeout=60_000)

    assert store.get(brought(store)["long.mp3"].original.key) == data
    assert len([key for key in store.list(keys.UPLOADS) if key.endswith("upload.json")]) == 0
    here.errors.clear()  # a request that the pause broke off


def test_a_file_that_is_refused_can_be_tried_again(studio, store: HesitantStore, visit):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/sources")
    problem = '{"status": 507, "detail": "the disk is full; make room, then try again"}'
    page.route(
        "**/v1/recordings", lambda route: route.fulfill(status=507, content_type="application/json", body=problem)
    )
    files(page, ("one.mp3", b"one " * 900))
    page.get_by_role("button", name="Send 1 file").click()
    page.get_by_text("the disk is full").wait_for()
    assert brought(store) == {}

    page.unroute("**/v1/recordings")
    page.get_by_role("button", name="Try again").click()
    until(lambda: set(brought(store)) == {"one.mp3"}, "it came")
    here.errors.clear()  # the browser tells of the refusal too


def test_files_of_one_speaker_each_are_one_order(studio, crew: Feeds, visit: Callable[..., Any]):
    url, secret = studio
    here = visit(url, "phone", "dark")
    page = here.sign_in(secret, "/shows/lamp/sources")
    files(page, ("mara.wav", b"mara " * 900), ("ash.wav", b"ash " * 900))
    page.get_by_label("one recording, a file per speaker").check()
    page.locator("#whole-title").fill("Both of them")
    for number, (name, role) in enumerate((("Mara", "host"), ("Ash", "guest"))):
        row = page.locator("#rows li").nth(number)
        row.get_by_label("Speaker").fill(name)
        row.get_by_label("Role").select_option(role)
    here.look("sources-tracks-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Send 2 files").click()

    until(lambda: crew.asked, "one recording is ordered")
    [(_, [request])] = crew.asked
    assert request.title == "Both of them"
    assert [(one.speaker, one.role, one.filename) for one in request.tracks] == [
        ("Mara", "host", "mara.wav"), ("Ash", "guest", "ash.wav"),
    ]  # fmt: skip
    page.get_by_role("link", name="Open the recording").wait_for()


def test_a_viewer_sees_sources_and_no_way_to_change_them(tmp_path: Path, store: HesitantStore, crew: Feeds, visit):
    put_recording(store, "r1")
    crew.answers["/v1/voiceprints/lamp"] = (200, [])
    app, _ = studio_of(tmp_path, store, crew)
    secret, token = new_token("vi", "viewer")
    TokenBook(tmp_path / "tokens.json").add(token)
    with serving(app) as url:
        page = visit(url).sign_in(secret, "/shows/lamp/sources")

        assert page.get_by_text("Your token may only look").is_visible()
        for path in ("sources", "recordings", "recordings/r1", "repeats", "host"):
            page.goto(f"{url}/shows/lamp/{path}")
            assert page.locator("main [data-api]").count() == 0, path
            page.wait_for_load_state("networkidle")
