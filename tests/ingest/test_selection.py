"""What of a source would come: filters, what is known, what was erased, what failed before."""

from __future__ import annotations

from datetime import date

import pytest

from services.ingest import selection
from services.ingest.catalogue import Catalogue, Item
from shared.subscriptions import Filters, Subscription


def item(name: str, day: int = 1, *, minutes: float | None = 60, title: str = "") -> Item:
    return Item(
        identity=name,
        url=f"https://example.org/{name}.mp3?token=secret",
        title=title or name,
        published_on=date(2026, 3, day),
        duration_s=minutes * 60 if minutes is not None else None,
    )


def subscription(**filters: object) -> Subscription:
    return Subscription(
        id="s1", show="lamp", address="https://example.org/feed", filters=Filters.model_validate(filters)
    )


def states(items: list[Item], filters: dict[str, object] | None = None, **known: object) -> dict[str, str]:
    """Title -> state, or why it was left out."""
    facts: dict = {"known": {}, "erased": (), "hopeless": {}, "max_duration_s": 8 * 3600.0} | known
    choices = selection.choose(Catalogue(kind="site", items=tuple(items)), subscription(**(filters or {})), **facts)
    return {choice.found.title: choice.found.why or choice.found.state for choice in choices}


def test_all_is_new_at_first_and_an_item_that_is_listed_twice_comes_once():
    assert states([item("a"), item("b"), item("a")]) == {"a": "new", "b": "new"}


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"title_pattern": "interview"}, "the title does not match"),
        ({"after": "2026-03-02"}, "published too early"),
        ({"before": "2026-02-28"}, "published too late"),
        ({"min_minutes": 61}, "too short"),
    ],
)
def test_each_filter_says_why_it_leaves_something_out(filters: dict[str, object], why: str):
    assert states([item("a")], filters) == {"a": why}


def test_filters_on_dates_leave_out_what_has_none_but_a_length_that_is_not_told_passes():
    undated = item("a", minutes=None).model_copy(update={"published_on": None})

    assert states([undated], {"after": "2026-01-01"}) == {"a": "its date is not known"}
    assert states([undated], {"min_minutes": 30}) == {"a": "new"}


def test_the_newest_are_counted_among_those_that_the_other_filters_let_through():
    found = states(
        [item("a", 9), item("talk b", 8), item("c", 7), item("talk d", 6), item("talk e", 5)],
        {"title_pattern": "TALK", "newest": 2},
    )

    assert [name for name, state in found.items() if state == "new"] == ["talk b", "talk d"]


def test_what_is_known_counts_among_the_newest_so_that_a_refresh_brings_no_older_ones():
    known = {selection.id_of(item("a"), "site", "s1"): "rec-a"}

    found = states([item("a", 9), item("b", 8), item("c", 7)], {"newest": 2}, known=known)

    assert found == {"a": "known", "b": "new", "c": "not among the newest 2"}


def test_what_was_erased_does_not_come_back_and_loses_its_title():
    known = {selection.id_of(item("a"), "site", "s1"): "rec-a"}

    assert states([item("a")], known=known, erased=["rec-a"]) == {"": "erased"}, "nobody is to read of it here"


def test_what_was_no_use_the_last_time_is_not_fetched_again():
    found = states([item("a")], hopeless={selection.id_of(item("a"), "site", "s1"): "no audio"})

    assert found == {"a": "it failed the last time"}


def test_a_feeds_names_are_its_own_and_a_sites_are_the_sites():
    one = item("1")

    assert selection.id_of(one, "feed", "s1") != selection.id_of(one, "feed", "s2")
    assert selection.id_of(one, "site", "s1") == selection.id_of(one, "site", "s2")


def test_sizes_are_estimated_from_the_duration_and_no_address_is_told():
    catalogue = Catalogue(kind="feed", title="Lamp", items=(item("a"), item("b", minutes=None)))
    choices = selection.choose(catalogue, subscription(), {}, (), {}, 8 * 3600.0)

    result = selection.summary(catalogue, choices, subscription(), dry_run=True)

    assert (result.new, result.hours, result.bytes) == (2, 1.0, 3600 * 16_000)
    assert "secret" not in result.model_dump_json()
