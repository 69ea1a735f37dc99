from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.errors import BadInputError, NotAllowedError, NoTokenError
from shared.tokens import Access, TokenBook, new_token


def test_a_token_is_stored_hashed_and_found_by_its_secret(tmp_path: Path):
    book = TokenBook(tmp_path / "tokens.json")
    secret, token = new_token("ann", "editor")
    book.add(token)

    assert secret not in (tmp_path / "tokens.json").read_text()
    assert book.find(f"Bearer {secret}").name == "ann"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic abc"])
def test_anything_else_is_refused_with_what_to_send(tmp_path: Path, header: str | None):
    with pytest.raises(NoTokenError, match=r"Bearer TOKEN|DIARY_TOKEN"):
        TokenBook(tmp_path / "tokens.json").find(header)


def test_a_new_token_under_a_name_replaces_the_old_one(tmp_path: Path):
    book = TokenBook(tmp_path / "tokens.json")
    old, token = new_token("ann", "editor")
    book.add(token)
    new, token = new_token("ann", "viewer")
    book.add(token)

    assert book.find(f"Bearer {new}").role == "viewer"
    with pytest.raises(NoTokenError):
        book.find(f"Bearer {old}")


def test_roles_and_shows_are_limits(tmp_path: Path):
    _, viewer = new_token("vi", "viewer")
    _, scoped = new_token("one", "admin", show="lamplight")

    with pytest.raises(NotAllowedError, match="needs editor"):
        viewer.demand(Access.EDITOR)
    with pytest.raises(NotAllowedError, match="'lamplight' only"):
        scoped.demand(Access.VIEWER, "otherland")
    scoped.demand(Access.ADMIN, "lamplight")


def test_a_damaged_file_is_named(tmp_path: Path):
    path = tmp_path / "tokens.json"
    path.write_text("{")

    with pytest.raises(BadInputError, match=r"tokens\.json is damaged"):
        TokenBook(path).find("Bearer x")


def test_tokens_that_are_added_at_the_same_time_are_all_kept(tmp_path: Path):
    book = TokenBook(tmp_path / "tokens.json")
    names = [f"n{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: book.add(new_token(name, "viewer")[1]), names))

    assert {token.name for token in TokenBook(tmp_path / "tokens.json").all()} == set(names)
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600


def test_a_token_is_gone_at_once_also_where_the_clock_of_files_stood_still(tmp_path: Path):
    path = tmp_path / "tokens.json"
    book = TokenBook(path)
    secret, token = new_token("ann", "viewer")
    book.add(token)
    book.find(f"Bearer {secret}")
    before = path.stat().st_mtime_ns
    book.remove("ann")
    os.utime(path, ns=(before, before))

    with pytest.raises(NoTokenError):
        book.find(f"Bearer {secret}")
