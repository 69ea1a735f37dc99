"""Each role can do exactly what the table in docs/api.md says: every row is tried with every token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fastapi.testclient import TestClient

from services.studio.api_examples import BODIES, JOB, SHOW, operations
from services.studio.crew import HttpCrew
from services.studio.machine.local import ROOT
from shared.tokens import Access, Role, TokenBook, new_token
from tests.fakes import MemoryStore
from tests.studio.a_door import studio_of
from tests.studio.a_show import put_show

TABLE = (ROOT / "docs" / "api.md").read_text()
NOBODY = "nobody in particular"
ROW = re.compile(rf"^\| `([A-Z]+) (/\S*)` \| ({NOBODY}|viewer|editor|admin)( of every show)? \|", re.MULTILINE)
PEOPLE: dict[str, tuple[Role, str | None]] = {
    "viewer": ("viewer", None),
    "editor": ("editor", None),
    "admin": ("admin", None),
    "show's admin": ("admin", SHOW),
    "other show's admin": ("admin", "otherland"),
}


class Row(NamedTuple):
    method: str
    path: str
    needs: str
    of_every_show: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


ROWS = [Row(method, path, needs, bool(every)) for method, path, needs, every in ROW.findall(TABLE)]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """Studio with a show and a job of it; no other service answers."""
    folder: Path = tmp_path_factory.mktemp("studio")
    store = MemoryStore()
    put_show(store, SHOW)
    put_show(store, "otherland")
    away = dict.fromkeys(("ingest", "transcription", "trainer", "inference"), "http://127.0.0.1:9")
    app, ann = studio_of(folder, store, HttpCrew(away, "x"))
    book, secrets = TokenBook(folder / "tokens.json"), {"ann": ann}
    for name, (role, show) in PEOPLE.items():
        secrets[name], token = new_token(name.replace(" ", "-").replace("'", ""), role, show)
        book.add(token)
    with TestClient(app, raise_server_exceptions=False) as client:
        app.state.readiness.problem = None
        headers = {"Authorization": f"Bearer {ann}", "Idempotency-Key": JOB}
        assert client.post("/v1/repeats", json={"show": SHOW}, headers=headers).status_code == 202
        yield client, secrets


def ask(door: tuple[TestClient, dict[str, str]], row: Row, who: str | None) -> int:
    client, secrets = door
    headers = {"Authorization": f"Bearer {secrets[who]}"} if who else {}
    body = {"json": BODIES[row.name]} if row.name in BODIES else {}
    operation = next(one for one in operations(client.app.openapi()) if one.name == row.name)  # type: ignore[attr-defined]
    path = operation.example_path + operation.example_query
    with client.stream(row.method, path, headers=headers, **body) as answer:
        return answer.status_code


def test_the_table_names_every_route_and_no_other(door: tuple[TestClient, dict[str, str]]):
    schema: dict[str, Any] = door[0].app.openapi()  # type: ignore[attr-defined]
    routes = {one.name for one in operations(schema) if one.method != "OPTIONS"}

    assert {row.name for row in ROWS} == routes
    assert len(ROWS) == len(routes)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_role_can_do_what_the_table_says_and_no_more(door: tuple[TestClient, dict[str, str]], row: Row):
    if row.needs == NOBODY:
        assert ask(door, row, None) not in (401, 403)
        return
    assert ask(door, row, None) == 401
    for role in ("viewer", "editor", "admin"):
        refused = ask(door, row, role) == 403
        assert refused == (Access[role.upper()] < Access[row.needs.upper()]), f"{role} is refused: {refused}"


@pytest.mark.parametrize("row", [row for row in ROWS if row.needs != NOBODY], ids=lambda row: row.name)
def test_a_token_of_one_show_works_there_alone(door: tuple[TestClient, dict[str, str]], row: Row):
    names_a_show = "{show}" in row.path or "{job_id}" in row.path or "show" in BODIES.get(row.name, {})

    assert (ask(door, row, "show's admin") == 403) == row.of_every_show
    if names_a_show:
        assert ask(door, row, "other show's admin") == 403
