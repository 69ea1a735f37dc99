"""Every page, over a show whose every text attacks: nothing that others wrote becomes more than text, and none of it
makes a page wider than a phone. And a request that changes something is refused without the session's word."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from selectolax.lexbor import LexborHTMLParser, LexborNode

from services.studio.api_examples import operations
from services.studio.app import create_app
from services.studio.pages.gate import LOGIN, SAFE
from services.studio.settings import Settings
from shared.guests import guest_id
from shared.tokens import Role, TokenBook, new_token
from tests.fakes import MemoryStore
from tests.kit import until
from tests.studio.a_door import serving
from tests.studio.pages.a_hostile_show import (
    ACTOR,
    ATTACK,
    SHOWS_UP,
    SOURCES,
    HostileCrew,
    comparing,
    growing,
    hostile,
    hostile_logs,
    hostile_statuses,
    orders,
    put_hostile_show,
    put_what_grows,
)
from tests.studio.pages.conftest import SIZES, have_all_read

PEOPLE: dict[str, Role] = {"ann": "admin", "vi": "viewer"}
# Pages that nothing leads to, or only in a state that passes; crawling finds all others.
UNLINKED = (
    "/login",
    "/shows/lamp/episodes/new?like=e1",
    "/shows/lamp/comparisons/new?like=e1",
    "/shows/lamp/side-by-side?episode=e0&episode=e1",
    f"/shows/lamp/comparisons/{comparing()}",
    f"/shows/lamp/episodes/{growing('grows-order')}",
    f"/shows/lamp/episodes/{growing('broke-order')}",
    f"/shows/lamp/episodes/{growing('plan-order')}",
    "/shows/lamp/recordings/r1/turns?since=rev1",
    *(f"/shows/lamp/host?recording={name}" for name in ("r1", "r3")),
    *(f"/shows/lamp/sources/{name}" for name in SOURCES),
    *(f"/jobs/{name}" for name in orders()),
    *(f"/jobs/{name}/log" for name in orders()),
)


@dataclass
class Door:
    """Studio over the hostile show, behind a socket, with jobs that wait, failed and are done."""

    url: str
    app: FastAPI
    store: MemoryStore
    secrets: dict[str, str]

    @contextmanager
    def signed_in(self, name: str) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.url, timeout=20) as client:
            assert client.post("/login", data={"token": self.secrets[name], "next": "/"}).status_code == 303
            yield client

    def signed_tokens(self) -> list[str]:
        return [token.sha256 for token in self.app.state.tokens.all()]

    def order(self, name: str, path: str, body: dict[str, Any], state: str) -> None:
        headers = {
            "Authorization": f"Bearer {self.secrets['ann']}",
            "Idempotency-Key": name,
            "X-Diary-On-Behalf-Of": ACTOR,
        }
        answer = httpx.post(self.url + path, json=body, headers=headers)
        assert answer.status_code == 202, answer.text[:500]

        def is_there() -> bool:
            job = httpx.get(f"{self.url}/v1/jobs/{name}", headers=headers).json()
            return bool(job["state"] == state and (job["progress"] or state != "running"))

        until(is_there, f"{name} is {state}")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    settings = Settings(
        state_dir=folder / "state", work_dir=folder / "work", tokens_file=folder / "tokens.json", collect_every_h=0
    )
    secrets, book = {}, TokenBook(settings.tokens_file)
    for name, role in PEOPLE.items():
        secrets[name], token = new_token(name, role)
        book.add(token)
    book.add(new_token(hostile("Token.name"), "viewer", "lamp")[1])
    store = MemoryStore()
    put_hostile_show(store)
    put_what_grows(store)
    app = create_app(store, HostileCrew(), settings, statuses=hostile_statuses, ask_logs=hostile_logs)
    with serving(app) as url:
        have_all_read(url, secrets["ann"])
        found = Door(url, app, store, secrets)
        for name, (path, body, state) in orders().items():
            found.order(name, path, body, state)
        yield found


# ---- the pages -------------------------------------------------------------------------------------------------------


def routes_of(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """All routes, those of included routers too."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        if (included := getattr(route, "original_router", None)) is not None:
            yield from routes_of(included.routes)


def page_routes(app: FastAPI) -> list[APIRoute]:
    """Those of pages and their parts: none of them stands in the API's description."""
    return [one for one in routes_of(app.routes) if "GET" in (one.methods or ()) and not one.include_in_schema]


def route_at(routes: Iterable[APIRoute], address: str) -> APIRoute | None:
    return next((one for one in routes if one.path_regex.match(urlsplit(address).path)), None)


@dataclass
class Page:
    """What one address answered: everything of it that is HTML, templates opened."""

    address: str
    answer: httpx.Response
    tree: LexborHTMLParser = field(init=False)
    text: str = field(init=False)

    def __post_init__(self) -> None:
        html = self.answer.text.replace("<template", "<div").replace("</template>", "</div>")
        self.tree = LexborHTMLParser(html)
        shown = LexborHTMLParser(html)
        for script in shown.css("script"):
            script.decompose()
        values = " ".join(node.attributes.get("value") or "" for node in shown.css("input, option"))
        self.text = "\n".join([shown.body.text(separator="\n") if shown.body else "", values])

    @property
    def is_export(self) -> bool:
        """Files that we export are pages of their own, with their style inside, and may run nothing (see gate.py)."""
        return urlsplit(self.address).path.startswith("/v1/")

    def links(self) -> Iterator[str]:
        for node in self.tree.css("[href], [hx-get], [data-audio]"):
            for name in ("href", "hx-get", "data-audio"):
                if link := node.attributes.get(name):
                    yield urljoin(self.address, link).split("#")[0]


@dataclass
class Crawled:
    """The pages that were found, by address, and what answered with an error."""

    pages: dict[str, Page] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)


def crawl(client: httpx.Client, begin: Iterable[str]) -> Crawled:
    """All pages that links lead to from some. Other files are only asked for."""
    found = Crawled()
    waiting, seen = list(begin), set(begin)
    while waiting:
        address = waiting.pop()
        answer = client.get(address)
        links: Iterable[str] = ()
        if answer.status_code >= 400:
            told = re.findall(r'class="problem"[^>]*>([^<]*)', answer.text) or [answer.text[:200]]
            found.dead.append(f"{answer.status_code} at {address}: {told[0]}")
        elif answer.has_redirect_location:
            links = [urljoin(address, answer.headers["location"])]
        elif answer.headers["content-type"].startswith("text/html"):
            found.pages[address] = Page(address, answer)
            links = found.pages[address].links()
        new = {link for link in links if link.startswith("/") and not link.startswith("/static/")} - seen
        seen |= new
        waiting += sorted(new)
    return found


@pytest.fixture(scope="module", params=PEOPLE)
def crawled(request: pytest.FixtureRequest, door: Door) -> Crawled:
    with door.signed_in(request.param) as client:
        return crawl(client, ["/", *UNLINKED])


@pytest.fixture
def pages(crawled: Crawled) -> dict[str, Page]:
    return crawled.pages


# ---- what is wrong with a page ---------------------------------------------------------------------------------------

ADDRESSES = {
    "href", "src", "action", "formaction", "poster", "xlink:href", "srcset", "data", "ping", "background", "cite",
    "hx-get", "data-audio", "data-events", "data-run", "data-job", "data-then", "data-leave-out", "data-erase",
    "data-filters",
}  # fmt: skip
HTMX = {"hx-get", "hx-trigger", "hx-target", "hx-swap", "hx-select", "hx-select-oob", "hx-sync"}
FORBIDDEN = (
    "iframe, frame, object, embed, base, applet, portal, meta[http-equiv], link:not([rel=icon], [rel=stylesheet])"
)
ORDER = re.compile(r"(POST|PUT|PATCH|DELETE) (/\S*)")
PLAIN = re.compile(r"[\w.:-]*")


def complaints(page: Page) -> Iterator[str]:
    """All that text of others may have become."""
    nonce = re.search(r"nonce-([\w-]+)", page.answer.headers["content-security-policy"])
    for node in page.tree.css(FORBIDDEN):
        yield f"an element that we never write: {node.html[:120] if node.html else node.tag}"
    for node in page.tree.css("script"):
        yield from _of_script(node)
    for node in page.tree.css("style"):
        if not page.is_export and (nonce is None or node.attributes.get("nonce") != nonce.group(1)):
            yield f"a style without our nonce: {node.text()[:120]}"
    for node in page.tree.css("*"):
        for name, value in node.attributes.items():
            if complaint := _of_attribute(node, name.lower(), value or ""):
                yield f"<{node.tag} {name}={(value or '')[:120]!r}>: {complaint}"


def _of_script(node: LexborNode) -> Iterator[str]:
    if node.attributes.get("type") == "application/json" and "src" not in node.attributes:
        try:
            json.loads(node.text())
        except ValueError as error:
            yield f"an island of data that ends too early: {error} {node.text()[:120]}"
    elif not (node.attributes.get("src") or "").startswith("/static/") or node.text().strip():
        yield f"a script that is not ours: {(node.html or '')[:120]}"


def _of_attribute(node: LexborNode, name: str, value: str) -> str:
    if name.startswith("on") or name == "style" or name == "srcdoc":
        return "an attribute that runs or styles"
    if name.startswith(("hx-", "data-hx-")) and name not in HTMX:
        return "an attribute that htmx goes by, and that we never write"
    if name in ("id", "name") and not PLAIN.fullmatch(value):
        return "a name that others chose"
    if name == "data-api":
        order = ORDER.fullmatch(value)
        return "" if order and is_own(order.group(2)) else "an order to somewhere else"
    if name in ADDRESSES and not is_own(value) and not (name == "data-then" and value == "stay"):
        is_outside = node.tag == "a" and urlsplit(value).scheme in ("http", "https")
        is_kept_apart = "noopener" in (node.attributes.get("rel") or "")
        return "" if is_outside and is_kept_apart else "an address that is not ours"
    return ""


def is_own(address: str) -> bool:
    """Whether a browser stays here with it, and where it seems to lead: no segment goes back."""
    parts = urlsplit(address)
    if not address or address.startswith(("#", "?")):
        return True
    plain = address.isprintable() and "\\" not in address and not parts.scheme and not parts.netloc
    back = any(unquote(segment) in (".", "..") for segment in parts.path.split("/"))
    return plain and address.startswith("/") and not back


def test_every_page_that_studio_has_is_looked_at(door: Door, pages: dict[str, Page]):
    routes = page_routes(door.app)
    with door.signed_in("ann") as client:
        parts = {address for address in UNLINKED if "/turns" in address and client.get(address).is_success}
    looked_at = {route.path for address in (*pages, *parts) if (route := route_at(routes, address))}
    for_admins = set() if "/tokens" in pages else {"/tokens"}

    assert len(routes) > 35
    assert {route.path for route in routes} - looked_at == for_admins


def test_every_link_leads_somewhere(crawled: Crawled):
    assert crawled.dead == []


def test_what_others_wrote_is_text_on_every_page(pages: dict[str, Page]):
    told = [f"{address}: {complaint}" for address, page in pages.items() for complaint in complaints(page)]

    assert told == [], "\n".join(told[:50])


@pytest.mark.parametrize("crawled", ["ann"], indirect=True)
def test_what_others_wrote_is_shown_as_they_wrote_it(pages: dict[str, Page]):
    """Else the test before would pass over pages that show nothing."""
    shown = " ".join(page.text for page in pages.values())
    marks = {re.split(r"[^\w.]", before[-60:])[-1] for before in shown.split(SHOWS_UP)}

    missing = set(SHOWN) - marks
    assert not missing, sorted(missing)
    assert ATTACK in shown
    assert not re.findall(r"&(?:lt|gt|quot|amp|#\d+);", shown), "something is escaped twice"


SHOWN = (
    "Show.title", "Show.host", "Show.about", "Recording.title", "Recording.guest", "Recording.source",
    "Recording.description", "Recording.warnings", "Chapter.title", "ExcludedSpan.detail", "Track.speaker",
    "RecordingEdits.facts", "Transcript.warnings", "Turn.text", "Turn.review_reasons", "Speaker.name", "Cluster.text",
    "RevisionSummary.summary", "RevisionSummary.reason", "RevisionSummary.by", "Subscription.address",
    "Filters.title_pattern", "RefreshResult.title", "RefreshResult.warnings", "RefreshResult.left_out",
    "FoundItem.title", "FailedItem.title", "FailedItem.problem", "GuestSheet.name", "GuestSheet.url",
    "GuestSheet.changed_by", "Dataset.warnings", "Dataset.base_model", "DatasetReport.advice", "Included.guest",
    "LeftOut.reason", "LeftOutTotal.reason", "Leak.reason", "Message.text", "Example.guest", "Estimate.device",
    "Adapter.warnings", "Adapter.target_modules", "GuestLoss.guest", "SampleTurn.text", "TrainRequest.continue_from",
    "Lineage.actor", "Lineage.version", "Episode.host", "Episode.guest", "Episode.label", "Episode.changes",
    "EpisodeTurn.text", "EpisodeTurn.speaker", "EpisodeTurn.chapter", "EpisodeTurn.written_by", "EpisodeTurn.rejected",
    "EpisodeRequest.about", "EpisodeRequest.tone", "EpisodeRequest.facts", "EpisodeRequest.consent",
    "EpisodeRequest.guest", "Report.verdict", "Claim.text", "LikelyAnswer.text", "QuestionSheet.guest",
    "QuestionSheet.host", "QuestionSheet.label", "QuestionChapter.title", "PlannedQuestion.about",
    "PlannedQuestion.question", "PlannedQuestion.follow_ups", "ComparisonRequest.guest", "ComparisonRequest.about",
    "Compared.error", "Problem.detail", "Progress.stage", "Progress.unit", "Progress.note", "log.message", "log.value",
    "ServiceLines.away", "ServiceStatus.note", "model.name", "model.note",
)  # fmt: skip


def test_what_an_address_says_is_text_too(door: Door):
    routes = page_routes(door.app)
    told = []
    with door.signed_in("ann") as client:
        for route in routes:
            for address in reflecting(route):
                answer = client.get(address, follow_redirects=True)
                assert answer.status_code < 500, f"{address}: {answer.text[:300]}"
                if answer.headers["content-type"].startswith("text/html"):
                    told += [f"{address}: {one}" for one in complaints(Page(address, answer))]

    assert told == [], "\n".join(told[:20])


def reflecting(route: APIRoute) -> Iterator[str]:
    """A page's address with an attack for each name in its path, and for each of its questions."""
    known = {"show": "lamp", "recording": "r1", "guest": "nobody", "number": "1", "job_id": "plan-order", "name": "e1"}
    attack = hostile("address", 200)
    for one in route.dependant.path_params:
        yield filled(route.path, {**known, one.name: quote(attack, safe="")})
    for one in route.dependant.query_params:
        for value in (attack, "javascript:window.hacked=1", "//evil.example", "../../tokens"):
            yield f"{filled(route.path, known)}?{urlencode({one.alias: value})}"


def filled(path: str, names: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda found: names.get(found.group(1), "e1"), path)


# ---- in a browser ----------------------------------------------------------------------------------------------------

SEEN = (
    "/", "/jobs", "/tokens", "/status", "/docs", "/shows/lamp", "/shows/lamp/recordings", "/shows/lamp/recordings/r1",
    "/shows/lamp/recordings/r3", "/shows/lamp/recordings/r1/review", "/shows/lamp/review", "/shows/lamp/host",
    "/shows/lamp/repeats", "/shows/lamp/sources", "/shows/lamp/sources/preview", "/shows/lamp/sources/brought",
    "/shows/lamp/sources/waits", "/shows/lamp/sources/fails", "/shows/lamp/datasets", "/shows/lamp/datasets/d9",
    "/shows/lamp/runs", "/shows/lamp/runs/1", "/shows/lamp/runs/2", "/shows/lamp/runs/3", "/shows/lamp/episodes",
    "/shows/lamp/episodes/new?like=e1", "/shows/lamp/episodes/e1", "/shows/lamp/episodes/e2",
    f"/shows/lamp/episodes/{growing('grows-order')}", f"/shows/lamp/episodes/{growing('broke-order')}",
    f"/shows/lamp/episodes/{growing('plan-order')}", "/shows/lamp/questions/q1", "/shows/lamp/guests",
    f"/shows/lamp/guests/{guest_id('Orla Finch')}", "/shows/lamp/comparisons", "/shows/lamp/comparisons/new?like=e1",
    "/shows/lamp/comparisons/c1", f"/shows/lamp/comparisons/{comparing()}",
    "/shows/lamp/side-by-side?episode=e0&episode=e1",
    "/jobs/replace-order", "/jobs/broke-order", "/jobs/waits-order", "/jobs/guest-order",
)  # fmt: skip
TOO_WIDE = """() => [...document.querySelectorAll('main *, header *, nav *, footer *')]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.wide'))
  .map((one) => `${one.tagName.toLowerCase()}.${one.className} ${Math.round(one.getBoundingClientRect().right)}`)
  .slice(0, 6).join(', ')"""


@pytest.mark.timeout(600)
def test_a_browser_runs_nothing_of_it_and_no_page_is_wider_than_a_phone(door: Door, visit: Callable[..., Any]):
    routes = page_routes(door.app)
    here = visit(door.url, "phone")
    page = here.sign_in(door.secrets["ann"])
    dialogs: list[str] = []

    def refuse(dialog: Any) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", refuse)
    found: list[str] = []
    for address in SEEN:
        here.open(address)
        settle(page)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        settle(page)
        if act := ACTS.get(address):
            act(page)
            settle(page)
        for size in (SIZES["wide"], SIZES["phone"]):
            page.set_viewport_size(size)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
                found.append(f"{address} is wider than {size['width']}: {page.evaluate(TOO_WIDE)}")
        found += [f"{address} ran what others wrote"] * page.evaluate("window.hacked !== undefined")
        found += [f"{address}: {error[:300]}" for error in here.errors if "status of 422" not in error]
        here.errors.clear()

    assert found == [], "\n".join(found)
    assert dialogs == []
    parts = {route.path for route in routes if route.path.endswith(PARTS)} | {"/login"}
    seen = {route.path for address in SEEN if (route := route_at(routes, address))}
    assert {route.path for route in routes} - seen - parts == set()


PARTS = ("/card", "/log", "/services", "/samples", "/history", "/voices", "/turns", "/made-from", "/estimate")
"""Of pages, which ask for them."""


def settle(page: Any) -> None:
    """Wait until scripts and parts have come; what asks anew each second is never through."""
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 30))")
    page.locator(".htmx-request:not([hx-trigger^=every])").first.wait_for(state="detached")


def on_an_episode(page: Any) -> None:
    for opener in page.locator("button.tools").all()[:2]:
        opener.click()
    page.get_by_role("button", name="Nearest in the training recordings").first.click()
    page.locator("[data-nearest] li").first.wait_for()
    page.locator(".recited-from button.play").first.click()
    page.locator("[data-seek]").first.click()


def on_a_recording(page: Any) -> None:
    page.locator("#would-go li").first.wait_for()
    page.locator(".history li").first.wait_for()
    page.locator("button.play").first.click()


def on_a_review(page: Any) -> None:
    page.wait_for_selector("html[data-ready=yes]")
    page.locator("#speakers fieldset").first.wait_for()
    page.get_by_label("Find").fill("lamp")
    page.get_by_label("Replace by").fill("light")
    page.get_by_role("button", name="Look first").click()
    page.locator("#replace-places li").first.wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keys").click()


def on_sources(page: Any) -> None:
    name = '"><img src=x onerror=window.hacked=1>' + "W" * 150 + ".mp3"
    page.set_input_files("#files", [{"name": name, "mimeType": "audio/mpeg", "buffer": b"x"}] * 2)
    page.locator("#rows li").first.wait_for()
    page.get_by_label("Address").fill(ATTACK)
    page.get_by_role("button", name="See what would come").click()
    page.locator("form[data-look] [role=alert]").wait_for()


def on_a_brief(page: Any) -> None:
    page.locator("[name=guest]").fill(hostile("GuestSheet.name"))
    page.get_by_label("A real person, who was not asked").check()


def on_a_dataset(page: Any) -> None:
    page.locator("#samples pre").first.wait_for()


def on_a_job(page: Any) -> None:
    page.get_by_text("log.message").first.wait_for()


def on_a_host(page: Any) -> None:
    page.get_by_text("../../../tokens/vi").first.wait_for()
    page.locator("button.play").first.click()


ACTS: dict[str, Callable[[Any], None]] = {
    "/shows/lamp/episodes/e1": on_an_episode,
    "/shows/lamp/recordings/r1": on_a_recording,
    "/shows/lamp/recordings/r1/review": on_a_review,
    "/shows/lamp/sources": on_sources,
    "/shows/lamp/episodes/new?like=e1": on_a_brief,
    "/shows/lamp/datasets/d9": on_a_dataset,
    "/jobs/broke-order": on_a_job,
    "/shows/lamp/host": on_a_host,
    "/shows/lamp/repeats": lambda page: page.locator("button.play").first.click(),
    "/shows/lamp/runs/1": lambda page: page.wait_for_selector("#curves canvas"),
}


# ---- requests that others' pages send --------------------------------------------------------------------------------


def unsafe(door: Door) -> list[tuple[str, str, Any]]:
    """Every route that may change something: method, address, body. Signing in brings its own word."""
    of_api = [
        (one.method, one.example_path + one.example_query, one.body)
        for one in operations(door.app.openapi())
        if one.method not in SAFE
    ]
    of_pages = [
        (method, route.path, None)
        for route in routes_of(door.app.routes)
        for method in sorted((route.methods or set()) - set(SAFE))
        if not route.include_in_schema and route.path != LOGIN
    ]
    return of_api + of_pages


def test_no_page_of_others_can_change_anything_with_our_cookie(door: Door):
    with door.signed_in("ann") as client:
        word = client.get("/").text.split('name="csrf" content="')[1].split('"')[0]
        forged = {
            "older than your sign-in": ({}, {"X-CSRF-Token": "guess"}, {"X-CSRF-Token": ""}),
            "another site's page": (
                {"Sec-Fetch-Site": "cross-site"},
                {"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": word},
                {"Sec-Fetch-Site": "same-site", "X-CSRF-Token": word},
            ),
        }
        before = dict(door.store.objects), door.signed_tokens(), job_ids(client)
        asked = unsafe(door)
        for method, address, body in asked:
            for told, headers in ((told, one) for told, several in forged.items() for one in several):
                answer = client.request(method, address, json=body, headers=headers)
                assert answer.status_code == 403, f"{method} {address} {headers}: {answer.status_code}"
                assert told in answer.json()["detail"], f"{method} {address} {headers}: {answer.text[:200]}"

        assert (dict(door.store.objects), door.signed_tokens(), job_ids(client)) == before
        assert len(asked) > 40
        assert client.post("/v1/shows", json={}, headers={"X-CSRF-Token": word}).status_code == 422, "the word lets in"


def job_ids(client: httpx.Client) -> set[str]:
    return {job["id"] for job in client.get("/v1/jobs?limit=100").json()}
