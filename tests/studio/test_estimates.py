"""What an order for an episode comes to before anybody works on it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.studio.estimates import estimate, settled
from shared import keys
from shared.schemas import Episode, EpisodeRequest
from shared.store import load
from tests.fakes import MemoryStore
from tests.inference.an_interview import SPOKEN, add_talk
from tests.inference.conftest import LINEAGE, add_adapter
from tests.studio.a_show import put_show

BRIEF = EpisodeRequest(show="lamp", guest="Theo Vance")
PACE = sum(len(text.split()) for _, text in SPOKEN)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_best_is_settled_by_its_name_when_the_episode_is_ordered(store):
    add_adapter(store, "lamp.r1.c8", loss=2.0)
    add_adapter(store, "lamp.r1.c16", loss=1.5)

    assert settled(BRIEF, store) == BRIEF.model_copy(update={"adapter": "lamp.r1.c16"})


def test_best_is_of_those_for_the_base_model_that_was_trained_last(store):
    """A lower loss on another base model says nothing: the figures cannot be compared."""
    older, newer, newest = (
        add_adapter(store, name, loss=loss)
        for name, loss in (("lamp.r1.c8", 0.5), ("lamp.r2.c8", 1.5), ("lamp.r3.c8", 2.0))
    )
    again = {"lineage": LINEAGE.model_copy(update={"made_at": LINEAGE.made_at + timedelta(days=1)})}
    for adapter, changes in ((older, {"base_revision": "f" * 40}), (newer, {}), (newest, again)):
        key = keys.adapter("lamp", adapter.name)
        store.objects[key] = adapter.model_copy(update=changes).model_dump_json().encode()

    assert settled(BRIEF, store).adapter == "lamp.r2.c8"


def test_without_adapters_best_is_the_base_model(store):
    assert settled(BRIEF, store).adapter == "base"


@pytest.mark.parametrize("adapter", ["base", "lamp.r1.c8", "lamp.r9.c9"])
def test_what_is_named_stays(store, adapter):
    add_adapter(store, "lamp.r1.c8")
    add_adapter(store, "lamp.r1.c16", loss=0.1)

    order = BRIEF.model_copy(update={"adapter": adapter})

    assert settled(order, store) is order


def test_words_follow_from_minutes_at_the_shows_pace_and_minutes_from_words(store):
    add_talk(store, "rec1", SPOKEN, duration_s=60.0)

    of_minutes = estimate(BRIEF.model_copy(update={"minutes": 10.0}), store)
    of_words = estimate(BRIEF.model_copy(update={"words": 10 * PACE}), store)

    assert (of_minutes.words, of_minutes.minutes) == (10 * PACE, 10.0)
    assert (of_words.words, of_words.minutes) == (10 * PACE, 10.0)
    assert of_words.tokens > of_words.words


def test_a_brief_without_a_length_is_as_long_as_a_real_episode(store):
    add_talk(store, "rec1", SPOKEN, duration_s=60.0)

    assert (estimate(BRIEF, store).words, estimate(BRIEF, store).minutes) == (PACE, 1.0)


def test_a_show_with_nothing_to_go_by_has_usual_figures_and_no_seconds(store):
    found = estimate(BRIEF.model_copy(update={"adapter": "base"}), store)

    assert (found.adapter, found.words, found.minutes, found.seconds) == ("base", 400, 2.7, None)


def test_seconds_are_at_the_speed_of_what_was_written_last(store):
    key = put_show(store)
    plain = load(store, key, Episode)
    assert estimate(BRIEF.model_copy(update={"words": 1000}), store).seconds is None, "that one does not say its speed"
    for name, at, speed in (("e2", "2026-05-01", 20.0), ("e3", "2026-03-01", 10.0), ("e4", "2026-06-01", 0)):
        lineage = plain.lineage.model_dump() | {"parameters": {"tokens_per_s": speed}, "made_at": f"{at}T00:00:00Z"}
        episode = Episode.model_validate(plain.model_dump() | {"id": name, "lineage": lineage})
        store.create(keys.episode("lamp", name), episode.model_dump_json().encode())

    found = estimate(BRIEF.model_copy(update={"words": 1000}), store)

    assert found.seconds == round(found.tokens / 20.0)
