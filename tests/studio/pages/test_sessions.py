from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.studio.pages.login import own_place
from services.studio.pages.sessions import Sessions
from shared.errors import NoTokenError
from shared.tokens import TokenBook, new_token

NOON = datetime(2031, 5, 1, 12, tzinfo=UTC)


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def book(tmp_path: Path) -> TokenBook:
    return TokenBook(tmp_path / "tokens.json")


def give(book: TokenBook, name: str = "ann") -> str:
    secret, token = new_token(name, "editor", "lamp")
    book.add(token)
    return secret


def test_a_cookie_stands_for_its_token_until_it_ends(book: TokenBook):
    clock = Clock()
    sessions = Sessions(book, b"key", timedelta(hours=1), clock)
    cookie = sessions.open(give(book))

    seat = sessions.find(cookie)
    assert seat is not None
    assert (seat.token.name, seat.token.role, seat.token.show) == ("ann", "editor", "lamp")
    clock.now = NOON + timedelta(minutes=61)
    assert sessions.find(cookie) is None


def test_a_cookie_holds_no_secret(book: TokenBook):
    secret = give(book)

    assert secret not in Sessions(book, b"key", timedelta(hours=1)).open(secret)


def test_a_revoked_token_and_one_that_is_given_anew_end_their_sessions(book: TokenBook):
    sessions = Sessions(book, b"key", timedelta(hours=1))
    cookie = sessions.open(give(book))

    give(book)
    assert sessions.find(cookie) is None
    again = sessions.open(give(book, "bob"))
    book.remove("bob")
    assert sessions.find(again) is None


@pytest.mark.parametrize("broken", [None, "", ".", "a.b", "\u00e9.\u00e9", "e30=.0"])
def test_what_is_no_cookie_of_ours_is_nobody(book: TokenBook, broken: str | None):
    assert Sessions(book, b"key", timedelta(hours=1)).find(broken) is None


def test_a_changed_cookie_and_one_of_another_studio_are_nobody(book: TokenBook):
    sessions = Sessions(book, b"key", timedelta(hours=1))
    cookie = sessions.open(give(book))

    assert sessions.find("A" + cookie) is None
    assert Sessions(book, b"other", timedelta(hours=1)).find(cookie) is None


def test_two_sign_ins_have_words_of_their_own(book: TokenBook):
    sessions = Sessions(book, b"key", timedelta(hours=1))
    secret = give(book)
    seats = [sessions.find(sessions.open(secret)) for _ in range(2)]

    assert seats[0] is not None
    assert seats[1] is not None
    assert seats[0].csrf != seats[1].csrf


def test_an_unknown_secret_opens_nothing(book: TokenBook):
    with pytest.raises(NoTokenError):
        Sessions(book, b"key", timedelta(hours=1)).open("diary_guess")


@pytest.mark.parametrize("wanted", ["/shows/lamp", "/jobs?show=lamp", "/"])
def test_after_signing_in_one_is_where_one_wanted_to_be(wanted: str):
    assert own_place(wanted) == wanted


@pytest.mark.parametrize(
    "wanted", ["", "//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a\nb", "/a\\b"]
)
def test_nobody_is_sent_to_another_site(wanted: str):
    assert own_place(wanted) == "/"
