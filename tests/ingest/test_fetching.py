"""The guard of all connections, and what is shown of an address."""

from __future__ import annotations

import socket

import pytest

from services.ingest import fetching
from shared import urls
from shared.errors import BadInputError


@pytest.mark.parametrize("address", ["::7f00:1", "fec0::1", "64:ff9b:1::7f00:1", "::ffff:0:7f00:1", "5f00::1"])
def test_no_way_of_writing_an_address_that_is_not_public_is_connected_to(address: str):
    with (
        fetching.guarded_connections(()),
        socket.socket(socket.AF_INET6) as connection,
        pytest.raises(BadInputError, match="inside a private network"),
    ):
        connection.connect((address, 9))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://pod.example/private/0f3c2b1a-11-22.rss", "https://pod.example/private/***"),
        ("https://pod.example/content/eyJ0IjoicCIsImMiOiIxMTIzIn0.rss", "https://pod.example/content/***"),
        ("https://pod.example/f/0123456789abcdef0123456789abcdef/a", "https://pod.example/f/***/a"),
    ],
)
def test_a_token_in_the_path_of_a_private_feed_is_not_shown(address: str, shown: str):
    assert urls.redact(address) == shown
    token = next(part for part in address.split("/") if (len(part) > 15 and "." not in part) or "rss" in part)
    assert token.partition(".")[0] not in urls.hider(address)(f"nothing at {token} or {token.partition('.')[0]}")


@pytest.mark.parametrize(
    "address",
    [
        "https://feeds.megaphone.fm/GLT1412515089",
        "https://www.youtube.com/channel/UCGq-a57w-aPwyi3pW7XLiHw",
        "https://pod.example/how_to_bake_bread_in_2024_with_ben_marsh_and_rosa_field.mp3",
        "https://pod.example/private/bread.mp3",
        "https://pod.example/shows/6166b2b5-8d2a-4c3b-9e1f-aaaabbbbcccc",
    ],
)
def test_names_in_a_path_stay(address: str):
    assert urls.redact(address) == address


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["x" * 1_000_000, "&" * 1_000_000, "?a" * 500_000, "?token=" + ":" * 1_000_000])
def test_a_text_made_to_take_for_ever_is_redacted_at_once(text: str):
    urls.redact_text(text)
