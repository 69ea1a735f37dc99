"""What all pages share: errors told where they belong, and forms that do nothing before our script is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services.studio.crew import HttpCrew
from services.studio.pages.frame import HERE
from shared.errors import NoTokenError
from tests.fakes import MemoryStore
from tests.studio.a_door import studio_of
from tests.studio.a_show import put_show

PART = {"HX-Request": "true"}


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    store = MemoryStore()
    put_show(store, "lamp")
    app, secret = studio_of(tmp_path, store, HttpCrew({}, ""))

    @app.get("/toy")
    def toy() -> None:
        raise NoTokenError("transcription does not know this token")

    client = TestClient(app, base_url="http://127.0.0.1")
    assert client.post("/login", data={"token": secret}).status_code == 200
    return client


def test_a_query_that_is_none_is_told_on_a_page_and_at_the_api_as_a_problem(client: TestClient):
    page, told = client.get("/jobs?page=0"), client.get("/v1/jobs?limit=0")

    assert page.status_code == 422 and page.headers["content-type"].startswith("text/html")
    assert "page: Input should be greater" in page.text
    assert told.status_code == 422 and told.headers["content-type"] == "application/problem+json"


def test_a_part_of_a_page_that_is_not_there_says_why_in_its_place(client: TestClient):
    answer = client.get("/shows/none/sources", headers=PART)

    assert answer.status_code == 404
    assert answer.text.startswith('<p class="problem"') and "none" in answer.text


def test_a_part_that_asks_after_the_session_has_ended_sends_its_page_to_sign_in_and_back(client: TestClient):
    client.cookies.clear()
    answer = client.get("/status/services", headers=PART | {"HX-Current-URL": "http://127.0.0.1/jobs?state=done"})

    assert answer.status_code == 401 and answer.headers["hx-redirect"] == "/login?next=%2Fjobs%3Fstate%3Ddone"


def test_a_service_that_does_not_know_our_token_sends_nobody_to_sign_in(client: TestClient):
    for headers in ({}, PART):
        answer = client.get("/toy", headers=headers, follow_redirects=False)

        assert answer.status_code == 401 and "hx-redirect" not in answer.headers
        assert "transcription does not know" in answer.text


def test_a_form_that_is_sent_before_our_script_is_there_puts_no_field_into_the_address():
    forms = [
        (page.name, form)
        for page in sorted((HERE / "templates").glob("*.html"))
        for form in re.findall(r"<form\b[^>]*>", page.read_text())
    ]
    plain = ("/login", "/jobs", "/side-by-side", "{{ page }}")  # those that a browser sends by itself

    assert len(forms) > 20
    for page, form in forms:
        assert 'method="dialog"' in form or any(f'{place}"' in form for place in plain), (page, form)
