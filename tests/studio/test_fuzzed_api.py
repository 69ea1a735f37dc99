"""Every route is asked what its schema allows, and what it does not: no answer is a server's error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from services.studio.api_examples import SHOW
from services.studio.crew import HttpCrew
from tests.fakes import MemoryStore
from tests.studio.a_door import serving, studio_of
from tests.studio.a_show import put_show
from tests.studio.test_roles import ROWS, Row

AWAY = {"type": "about:blank", "title": "NotFound", "status": 404, "detail": "not here"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Studio's URL and an admin's token; the other services know of nothing."""
    folder: Path = tmp_path_factory.mktemp("studio")
    store = MemoryStore()
    put_show(store, SHOW)
    urls = dict.fromkeys(("ingest", "transcription", "trainer", "inference"), "http://service")
    crew = HttpCrew(urls, "x", transport=httpx.MockTransport(lambda request: httpx.Response(404, json=AWAY)))
    app, secret = studio_of(folder, store, crew)
    with serving(app) as url:
        yield url, secret


@pytest.fixture(scope="module")
def api(door: tuple[str, str]) -> Any:
    return schemathesis.openapi.from_url(f"{door[0]}/openapi.json")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_answer_is_a_servers_error(api: Any, door: tuple[str, str], row: Row):
    @given(case=api[row.path][row.method].as_strategy())
    @settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def ask(case: Any) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {door[1]}"}, timeout=20)
        assert answer.status_code < 500, f"{case.method} {case.formatted_path}: {answer.text[:300]}"

    ask()
