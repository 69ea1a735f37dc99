"""`diary sources` against studio's real doors, before a scripted crew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared import keys
from shared.schemas import Show
from shared.store import create_manifest, load
from shared.subscriptions import LastRefresh, RefreshResult, SourceSecret
from tests.fakes import FeedingCrew, MemoryStore
from tests.studio.a_door import Desk, serving, studio_of
from tests.studio.test_cli import as_json

FEED = "https://example.org/feed.xml"
FOUND: dict[str, Any] = {
    "title": "The Lamplight Hour",
    "found": 5,
    "new": 2,
    "known": 1,
    "erased": 0,
    "left_out": {"title": 2},
    "hours": 2.25,
    "bytes": 120_000_000,
    "first": [
        {"id": "i1", "title": "With Ann Ash", "published_on": "2030-01-02", "duration_s": 4000, "bytes": 60_000_000},
        {"id": "i2", "title": "With Bob Birch", "state": "known"},
    ],
    "warnings": ["the feed tells no lengths"],
}

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    store = MemoryStore()
    create_manifest(store, keys.show("lamp"), Show(slug="lamp", title="The Lamplight Hour", host="Mara Quill"))
    create_manifest(store, keys.show("other"), Show(slug="other", title="Other", host="Mara Quill"))
    return store


@pytest.fixture(scope="module")
def crew(store: MemoryStore) -> FeedingCrew:
    return FeedingCrew(store, dict(FOUND))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, store: MemoryStore, crew: FeedingCrew) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("desk")
    app, token = studio_of(folder, store, crew)
    with serving(app) as url:
        yield Desk(url, token, folder / "state-home")


def test_adding_tells_what_would_come_and_how_to_fetch_it(desk: Desk, crew: FeedingCrew):
    said = desk.diary(
        "sources", "add", "lamp", FEED, "--kind", "feed", "--title-pattern", "With", "--min-minutes", "20"
    )

    words = " ".join(said.stdout.split())
    assert said.returncode == 0, said.stderr
    assert "5 found, 2 would come (2.2 h, 120.0 MB), 1 known, 2 left out (title 2)" in words
    assert "With Ann Ash" in words and "Bob" not in words and "tells no lengths" in said.stderr
    [source] = as_json(desk.diary("sources", "list", "lamp", "--json"))
    assert f"to fetch: diary sources refresh lamp {source['id']}" in words
    assert source["filters"]["title_pattern"] == "With" and source["filters"]["min_minutes"] == 20
    assert crew.asked[-1][1][0].dry_run


def test_a_private_feed_is_added_without_its_password_on_the_command_line(desk: Desk, store: MemoryStore):
    told = desk.diary(
        "sources", "add", "other", FEED, "--username", "mara", "--password-stdin", "--json", stdin="hunter2\n"
    )
    token = desk.diary("sources", "add", "other", "-", "--json", stdin=f"{FEED}?auth=s3cr3t\n")

    source = as_json(told)["source"]
    assert source["private"] and source["address"] == "https://***@example.org/feed.xml"
    secret = load(store, keys.source_secret("other", source["id"]), SourceSecret)
    assert secret.address == "https://mara:hunter2@example.org/feed.xml"
    assert as_json(token)["source"]["address"] == f"{FEED}?auth=***"
    assert not [text for text in ("hunter2", "s3cr3t") if text in told.stdout + told.stderr + token.stdout]


def test_a_refresh_says_what_came_and_what_to_do_about_the_rest(desk: Desk, crew: FeedingCrew):
    name = as_json(desk.diary("sources", "list", "lamp", "--json"))[0]["id"]
    crew._refresh |= {"recordings": ["r1"], "failed": []}
    fine = desk.diary("sources", "refresh", "lamp", name)
    crew._refresh |= {"failed": [{"id": "i3", "title": "Gone", "problem": "404; ask its owner", "again": False}]}

    said = desk.diary("sources", "refresh", "lamp", name, "--retry")
    told = desk.diary("sources", "refresh", "lamp", "--json")

    words = " ".join(said.stdout.split())
    assert fine.returncode == 0 and "5 found, 2 new, 1 came, 1 known" in " ".join(fine.stdout.split())
    assert said.returncode == told.returncode == 1
    assert "1 came, 1 failed, 1 known" in words and "404; ask its owner" in words and "only with --retry" in words
    assert crew.asked[-2][1][0].retry and not crew.asked[-1][1][0].retry
    crew._refresh |= {"failed": []}


def test_the_list_tells_the_last_refresh_and_a_removed_source_is_gone(desk: Desk, store: MemoryStore):
    name = as_json(desk.diary("sources", "list", "lamp", "--json"))[0]["id"]
    result = RefreshResult.model_validate({**FOUND, "source": name, "dry_run": False})
    create_manifest(store, keys.refresh("lamp", name), LastRefresh(result=result))

    listed = desk.diary("sources", "list", "lamp")
    previewed = desk.diary("sources", "preview", "lamp", name)
    removed = as_json(desk.diary("sources", "remove", "lamp", name, "--json"))
    again = desk.diary("sources", "remove", "lamp", name)

    assert "2 new, 1 known, 0 failed" in listed.stdout and "title_pattern With" in listed.stdout
    assert "2 would come" in previewed.stdout
    assert removed["removed"] and as_json(desk.diary("sources", "list", "lamp", "--json")) == []
    assert again.returncode == 1 and "diary sources list lamp" in again.stderr


def test_bad_filters_are_explained(desk: Desk):
    said = desk.diary("sources", "add", "lamp", FEED, "--title-pattern", "with (Ash")
    nothing = desk.diary("sources", "refresh", "lamp")

    assert said.returncode == 1 and "no regular expression" in said.stderr
    assert nothing.returncode == 0 and "no sources yet" in nothing.stdout
