"""The gate from outside: who is let in by a cookie, what a forged request meets, what browsers are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services.studio.crew import HttpCrew
from shared.tokens import TokenBook, new_token
from tests.fakes import MemoryStore
from tests.studio.a_door import studio_of
from tests.studio.a_show import put_show

SHOW = {"slug": "new", "title": "New", "host": "Mara"}


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    store = MemoryStore()
    put_show(store, "lamp")
    app, secret = studio_of(tmp_path, store, HttpCrew({}, ""))
    app.state.readiness.problem = None
    app.state.secret, app.state.book = secret, TokenBook(tmp_path / "tokens.json")
    return TestClient(app, base_url="http://127.0.0.1")


def sign_in(client: TestClient) -> str:
    """The word that the pages' forms bring."""
    answer = client.post("/login", data={"token": client.app.state.secret, "next": "/"})  # type: ignore[attr-defined]
    assert answer.status_code == 200
    return answer.text.split('name="csrf" content="')[1].split('"')[0]


def test_without_a_sign_in_a_page_leads_to_the_form_and_back(client: TestClient):
    answer = client.get("/shows/lamp?a=b", follow_redirects=False)

    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fshows%2Flamp%3Fa%3Db"


def test_the_cookie_is_out_of_scripts_reach_and_of_this_site_alone(client: TestClient):
    answer = client.post("/login", data={"token": client.app.state.secret}, follow_redirects=False)  # type: ignore[attr-defined]
    cookie = answer.headers["set-cookie"].lower()

    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie
    safe = client.post(
        "/login",
        data={"token": client.app.state.secret},  # type: ignore[attr-defined]
        headers={"X-Forwarded-Proto": "https"},
        follow_redirects=False,
    )
    assert "secure" in safe.headers["set-cookie"].lower()


def test_a_wrong_token_says_so_on_the_form(client: TestClient):
    answer = client.post("/login", data={"token": "diary_no", "next": "/jobs"})

    assert answer.status_code == 401
    assert "not known here" in answer.text
    assert 'value="/jobs"' in answer.text


def test_a_cookie_opens_the_api_to_the_pages_scripts(client: TestClient):
    assert client.get("/v1/shows").status_code == 401
    sign_in(client)

    assert [show["slug"] for show in client.get("/v1/shows").json()] == ["lamp"]


def test_a_change_needs_the_word_beside_the_cookie(client: TestClient):
    word = sign_in(client)

    assert client.post("/v1/shows", json=SHOW).status_code == 403
    assert client.post("/v1/shows", json=SHOW, headers={"X-CSRF-Token": "guess"}).status_code == 403
    assert client.post("/v1/shows", json=SHOW, headers={"X-CSRF-Token": word}).status_code == 201


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_change_from_another_sites_page_is_refused_also_with_the_word(client: TestClient, site: str):
    word = sign_in(client)
    headers = {"X-CSRF-Token": word, "Sec-Fetch-Site": site}

    assert client.post("/v1/shows", json=SHOW, headers=headers).status_code == 403
    assert client.post("/login", data={"token": "x"}, headers={"Sec-Fetch-Site": site}).status_code == 403


def test_a_bearer_token_needs_no_word_and_wins_over_the_cookie(client: TestClient):
    sign_in(client)
    secret, token = new_token("vi", "viewer")
    client.app.state.book.add(token)  # type: ignore[attr-defined]

    answer = client.post("/v1/shows", json=SHOW, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 403
    assert "needs editor" in answer.json()["detail"]


def test_signing_out_needs_the_word_and_ends_the_session(client: TestClient):
    word = sign_in(client)

    assert client.post("/logout").status_code == 403
    assert client.post("/logout", headers={"X-CSRF-Token": word}).status_code == 204
    assert client.get("/", follow_redirects=False).status_code == 303


def test_pages_run_no_script_but_ours_and_files_none_at_all(client: TestClient):
    sign_in(client)
    page = client.get("/").headers["content-security-policy"]
    file = client.get("/v1/shows").headers["content-security-policy"]

    assert "script-src 'self';" in page
    assert "unsafe" not in page
    assert "frame-ancestors 'none'" in page
    assert "sandbox" in file
    assert "script-src" not in file
    assert client.get("/").headers["x-content-type-options"] == "nosniff"
    assert client.get("/").headers["cache-control"] == "no-store"


def test_files_of_ours_may_be_kept_when_their_content_is_named(client: TestClient):
    sign_in(client)
    sheet = client.get("/").text.split('href="/static/site.css')[1].split('"')[0]

    assert "immutable" in client.get(f"/static/site.css{sheet}").headers["cache-control"]
    assert client.get("/static/site.css").headers["cache-control"] == "no-cache"
    assert client.get("/static/../frame.py").status_code == 404


def test_what_is_missing_is_told_as_a_page_here_and_as_a_problem_at_the_api(client: TestClient):
    sign_in(client)

    assert "<h1>Not here</h1>" in client.get("/shows/none").text
    assert client.get("/v1/shows/none").headers["content-type"] == "application/problem+json"
    assert client.get("/nowhere").status_code == 404


def test_a_token_of_one_show_sees_that_show_alone(client: TestClient):
    secret, token = new_token("one", "editor", "otherland")
    client.app.state.book.add(token)  # type: ignore[attr-defined]
    client.post("/login", data={"token": secret})

    assert "Lamplight" not in client.get("/").text
    assert client.get("/shows/lamp").status_code == 403


@pytest.mark.parametrize("other", ['settings={"a": 1, "b": 2}', "_xsrf=2|x; note=a b", "broken"])
def test_cookies_of_other_programs_of_this_host_keep_nobody_out(client: TestClient, other: str):
    sign_in(client)
    own = client.cookies["diary_session"]
    client.cookies.clear()

    assert client.get("/v1/shows", headers={"Cookie": f"{other}; diary_session={own}"}).status_code == 200
