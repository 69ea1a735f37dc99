from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services.studio.doors.tokens import tokens_door
from shared.tokens import TokenBook
from tests.fakes import MemoryStore
from tests.studio.a_door import Headers, app_of
from tests.studio.a_show import put_show


@pytest.fixture
def door(tmp_path: Path) -> tuple[TestClient, dict[str, Headers]]:
    store = MemoryStore()
    put_show(store, "lamp")
    book = TokenBook(tmp_path / "tokens.json", tmp_path / "own.json")
    app, secrets = app_of(tmp_path, store, [tokens_door(store, book)])
    app.state.tokens = book
    return TestClient(app), {name: {"Authorization": f"Bearer {secret}"} for name, secret in secrets.items()}


def test_a_token_that_is_given_out_works_until_it_is_revoked(door):
    client, people = door
    given = client.post("/v1/tokens", json={"name": "nia", "role": "admin"}, headers=people["ann"])

    assert given.status_code == 201
    own = {"Authorization": f"Bearer {given.json()['secret']}"}
    assert client.get("/v1/tokens", headers=own).status_code == 200
    assert client.delete("/v1/tokens/nia", headers=people["ann"]).status_code == 204
    assert client.get("/v1/tokens", headers=own).status_code == 401


def test_the_list_tells_no_secret_and_what_can_be_revoked(door):
    client, people = door
    secret = client.post("/v1/tokens", json={"name": "nia"}, headers=people["ann"]).json()["secret"]
    listed = client.get("/v1/tokens", headers=people["ann"])

    assert secret not in listed.text
    assert "sha256" not in listed.text
    assert {one["name"]: one["removable"] for one in listed.json()} == {
        "ann": False, "ed": False, "mel": False, "vi": False, "one": False, "nia": True,
    }  # fmt: skip


@pytest.mark.parametrize("who", ["ed", "vi", "one"])
def test_only_admins_may(door, who: str):
    client, people = door

    assert client.get("/v1/tokens", headers=people[who]).status_code == 403
    assert client.post("/v1/tokens", json={"name": "nia"}, headers=people[who]).status_code == 403
    assert client.delete("/v1/tokens/vi", headers=people[who]).status_code == 403


def test_an_admin_of_one_show_may_not(door):
    client, people = door
    wanted = {"name": "lamplighter", "role": "admin", "show": "lamp"}
    secret = client.post("/v1/tokens", json=wanted, headers=people["ann"]).json()["secret"]

    answer = client.post("/v1/tokens", json={"name": "x"}, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("wanted", "status", "told"),
    [
        ({"name": "vi"}, 409, "choose another name"),
        ({"name": "nia", "show": "none"}, 404, "no show 'none'"),
        ({"name": "n a"}, 422, "name"),
        ({"name": "nia", "role": "king"}, 422, "role"),
    ],
)
def test_what_cannot_be_given_says_why(door, wanted: dict[str, str], status: int, told: str):
    client, people = door
    answer = client.post("/v1/tokens", json=wanted, headers=people["ann"])

    assert answer.status_code == status
    assert told in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [("none", 404, "no token"), ("ann", 409, "the token you use now"), ("vi", 409, "operator's tokens file")],
)
def test_what_cannot_be_revoked_says_why(door, name: str, status: int, told: str):
    client, people = door
    answer = client.delete(f"/v1/tokens/{name}", headers=people["ann"])

    assert answer.status_code == status
    assert told in answer.json()["detail"]


def test_of_two_who_give_out_one_name_at_once_one_is_told_that_it_is_taken(door):
    client, people = door
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: client.post("/v1/tokens", json={"name": "nia"}, headers=people["ann"]), range(8))
        )

    given = [answer.json()["secret"] for answer in answers if answer.status_code == 201]
    assert len(given) == 1 and {answer.status_code for answer in answers} == {201, 409}
    assert client.get("/v1/tokens", headers={"Authorization": f"Bearer {given[0]}"}).status_code == 403
