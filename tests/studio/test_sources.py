"""Subscriptions over HTTP: what is kept, what is refused, and that secrets stay where they lie."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from services.studio.sources import sources_door
from shared import keys
from shared.schemas import Show
from shared.store import create_manifest, load
from shared.subscriptions import LastRefresh, RefreshResult, SourceSecret, Subscription
from tests.fakes import MemoryStore
from tests.studio.a_door import door_of

FEED = "https://example.org/feed.xml"
PLACE = "/v1/shows/lamp/sources"
SECRETS = ("hunter2", "hunter%2F2", "s3cr3t-t0ken")


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    create_manifest(store, keys.show("lamp"), Show(slug="lamp", title="The Lamplight Hour", host="Mara Quill"))
    return store


@pytest.fixture
def door(tmp_path: Path, store: MemoryStore):
    return door_of(tmp_path, store, sources_door(store))


def test_a_source_is_added_once_and_its_filters_follow_the_last_word(door, store: MemoryStore):
    client, people = door
    body = {"address": FEED, "kind": "feed", "filters": {"title_pattern": "with .* Ash", "newest": 5}}

    first = client.post(PLACE, json=body, headers=people["ed"])
    again = client.post(PLACE, json={"address": f" {FEED} "}, headers=people["mel"])
    changed = client.post(PLACE, json={"address": FEED, "filters": {"min_minutes": 20}}, headers=people["ed"])

    assert [reply.status_code for reply in (first, again, changed)] == [201, 200, 200]
    assert again.json() == first.json() and first.json()["added_by"] == "ed"
    assert first.headers["location"] == f"{PLACE}/{first.json()['id']}"
    assert changed.json()["kind"] == "feed" and changed.json()["filters"]["title_pattern"] is None
    assert len(store.list(keys.sources("lamp"))) == 1 and store.list("secrets/") == []
    assert client.get(PLACE, headers=people["vi"]).json()[0]["filters"]["min_minutes"] == 20


@pytest.mark.parametrize(
    ("body", "shown", "full"),
    [
        (
            {"address": "https://example.org/feed", "username": "mara", "password": "hunter/2"},
            "https://***@example.org/feed",
            "https://mara:hunter%2F2@example.org/feed",
        ),
        (
            {"address": "https://mara:hunter2@example.org/feed"},
            "https://***@example.org/feed",
            "https://mara:hunter2@example.org/feed",
        ),
        (
            {"address": "https://example.org/feed?show=9&auth=s3cr3t-t0ken"},
            "https://example.org/feed?show=9&auth=***",
            "https://example.org/feed?show=9&auth=s3cr3t-t0ken",
        ),
    ],
)
def test_secrets_lie_apart_and_are_told_nowhere(door, store: MemoryStore, caplog, body, shown, full):
    client, people = door
    caplog.set_level(logging.DEBUG)

    added = client.post(PLACE, json=body, headers=people["ed"])
    told = [added, client.get(PLACE, headers=people["ed"]), client.get(added.headers["location"], headers=people["vi"])]

    assert added.json()["address"] == shown and added.json()["private"] is True
    secret = load(store, keys.source_secret("lamp", added.json()["id"]), SourceSecret)
    assert secret.address == full
    public = (
        "".join(reply.text for reply in told) + caplog.text + store.get(store.list("shows/lamp/sources/")[0]).decode()
    )
    assert not [text for text in SECRETS if text in public]


def test_two_private_feeds_that_look_the_same_are_two_sources(door, store: MemoryStore):
    client, people = door

    ids = {
        client.post(PLACE, json={"address": f"{FEED}?auth={token}"}, headers=people["ed"]).json()["id"]
        for token in ("one-token", "two-token", "one-token")
    }

    assert len(ids) == 2 and all(len(name) == 11 for name in ids)


def test_a_harmless_address_is_kept_as_it_was_written(door):
    client, people = door
    address = "https://example.org/?q=a+b&c=%7E"

    added = client.post(PLACE, json={"address": address}, headers=people["ed"]).json()

    assert added["address"] == address and not added["private"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"address": "file:///etc/passwd"}, "only http and https"),
        ({"address": "ftp://mara:hunter2@example.org/a"}, "only http and https"),
        ({"address": "https:///feed"}, "names no host"),
        ({"address": "https://example.org:x/feed?auth=s3cr3t-t0ken"}, "not a valid URL"),
        ({"address": "https://exa mple.org/feed"}, "spaces"),
        ({"address": "https://mara:hunter2@example.org/feed", "username": "mara"}, "once"),
        ({"address": FEED, "password": "hunter2"}, "both"),
        ({"address": FEED, "filters": {"title_pattern": "with (Ash"}}, "no regular expression"),
        ({"address": FEED, "filters": {"title_pattern": "a" * 301}}, "300"),
        ({"address": FEED, "filters": {"after": "2030-02-01", "before": "2030-01-01"}}, "leave no day"),
        ({"address": FEED, "filters": {"newest": 0}}, "newest"),
        ({"address": "../other", "kind": "folder"}, "no folder below INGEST_FOLDER"),
        ({"address": "a/../../b", "kind": "folder"}, "no folder below INGEST_FOLDER"),
        ({"address": "/srv/talks", "kind": "folder"}, "no folder below INGEST_FOLDER"),
        ({"address": "a\\..\\b", "kind": "folder"}, "no folder below INGEST_FOLDER"),
        ({"address": "talks", "kind": "folder", "username": "mara"}, "no user"),
    ],
)
def test_what_cannot_work_is_refused_with_a_reason_and_without_secrets(door, store: MemoryStore, body, why):
    client, people = door

    reply = client.post(PLACE, json=body, headers=people["ed"])

    assert reply.status_code == 422 and why in reply.json()["detail"]
    assert not [text for text in SECRETS if text in reply.text]
    assert store.list("shows/lamp/sources/") == store.list("secrets/") == []


def test_a_folder_is_named_by_its_path_below_the_operators(door):
    client, people = door

    added = [
        client.post(PLACE, json={"address": path, "kind": "folder"}, headers=people["ed"]).json()
        for path in ("talks/2030", "talks//2030/")
    ]

    assert added[0]["id"] == added[1]["id"] and added[1]["address"] == "talks/2030"


def test_the_last_refresh_is_told_with_its_source(door, store: MemoryStore):
    client, people = door
    name = client.post(PLACE, json={"address": FEED}, headers=people["ed"]).json()["id"]
    before = client.get(f"{PLACE}/{name}", headers=people["vi"]).json()
    result = RefreshResult(
        source=name, title="Lamp", dry_run=False, found=3, new=2, known=1, erased=0, left_out={}, hours=1.5, bytes=9
    )
    create_manifest(store, keys.refresh("lamp", name), LastRefresh(result=result, etag='"abc"'))

    told = client.get(f"{PLACE}/{name}", headers=people["vi"]).json()

    assert before["last_refresh"] is None and before["refreshed_at"] is None
    assert told["last_refresh"]["new"] == 2 and told["refreshed_at"] and "abc" not in json.dumps(told)


def test_one_filter_is_changed_and_the_others_stay(door, store: MemoryStore):
    client, people = door
    body = {"address": FEED, "filters": {"title_pattern": "Ash", "newest": 5, "after": "2030-01-01"}}
    place = client.post(PLACE, json=body, headers=people["ed"]).headers["location"]

    changed = client.patch(place, json={"filters": {"newest": None, "min_minutes": 10}}, headers=people["ed"])
    refused = client.patch(place, json={"filters": {"before": "2029-01-01"}}, headers=people["ed"])

    kept = {name: value for name, value in changed.json()["filters"].items() if value is not None}
    assert kept == {"title_pattern": "Ash", "after": "2030-01-01", "min_minutes": 10}
    assert refused.status_code == 422 and "leave no day" in refused.json()["detail"]
    assert load(store, store.list("shows/lamp/sources/")[0], Subscription).filters.before is None


def test_a_removed_source_leaves_nothing_but_its_recordings(door, store: MemoryStore):
    client, people = door
    place = client.post(PLACE, json={"address": f"{FEED}?token=abcd"}, headers=people["ed"]).headers["location"]
    store.create(keys.refresh("lamp", place.rsplit("/", 1)[1]), b"{}")
    store.create(keys.recording("lamp", "r1"), b"{}")

    removed = client.delete(place, headers=people["ed"])
    again = client.delete(place, headers=people["ed"])

    assert (removed.status_code, again.status_code) == (204, 404)
    assert store.list("") == [keys.recording("lamp", "r1"), keys.show("lamp")]


def test_who_may_do_what(door):
    client, people = door
    place = client.post(PLACE, json={"address": FEED}, headers=people["ed"]).headers["location"]

    assert client.post(PLACE, json={"address": FEED}, headers=people["vi"]).status_code == 403
    assert client.post(PLACE, json={"address": FEED}, headers=people["one"]).status_code == 403
    assert client.get(PLACE, headers=people["one"]).status_code == 403
    assert client.get(PLACE, headers=people["vi"]).status_code == 200
    assert client.patch(place, json={"filters": {}}, headers=people["vi"]).status_code == 403
    assert client.delete(place, headers=people["vi"]).status_code == 403
    assert client.get("/v1/shows/nowhere/sources", headers=people["ed"]).status_code == 404
    assert client.get(f"{PLACE}/s0000000000", headers=people["ed"]).status_code == 404


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)*b", "(a?b?){30}c", r"(.*)\1", "a?" * 30 + "a" * 30, ".*x.*x.*x.*y"]
)
def test_a_pattern_that_may_take_for_ever_is_refused(door, store: MemoryStore, pattern: str):
    client, people = door

    reply = client.post(PLACE, json={"address": FEED, "filters": {"title_pattern": pattern}}, headers=people["ed"])

    assert reply.status_code == 422 and "may take for ever" in reply.json()["detail"]
    assert store.list(keys.sources("lamp")) == []


@pytest.mark.parametrize(
    "pattern", ["with .* Ash", r"^ep(isode)? ?\d+", "(Ash|Birch)", r"[^*+]{2,9} \(live\)*", "(?:a|b) .*? c"]
)
def test_patterns_that_people_use_are_taken(door, pattern: str):
    client, people = door

    reply = client.post(PLACE, json={"address": FEED, "filters": {"title_pattern": pattern}}, headers=people["ed"])

    assert reply.status_code == 201, reply.text


def test_an_address_that_is_too_long_with_its_secrets_hidden_is_refused(door, store: MemoryStore):
    client, people = door

    reply = client.post(PLACE, json={"address": f"{FEED}?token=a&q=" + "ä" * 500}, headers=people["ed"])

    assert reply.status_code == 422 and "longer than 2000" in reply.json()["detail"]
    assert store.list("s") == [keys.show("lamp")]


def test_an_unknown_source_is_said_to_be_one(door):
    client, people = door

    replies = [
        client.get(f"{PLACE}/s1", headers=people["vi"]),
        client.patch(f"{PLACE}/s1", json={"filters": {}}, headers=people["ed"]),
        client.delete(f"{PLACE}/s1", headers=people["ed"]),
    ]

    assert [reply.status_code for reply in replies] == [404] * 3
    assert all("there is no source 's1' in lamp" in reply.json()["detail"] for reply in replies)
