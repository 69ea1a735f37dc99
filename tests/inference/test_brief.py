"""What a brief leaves open, as the show's real episodes and the guest's fact sheet settle it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from services.inference import brief
from services.inference import job as story
from services.inference.means import Means
from services.inference.settings import Settings
from shared import keys
from shared.guests import Fact, GuestSheet, guest_id
from shared.schemas import (
    Commission,
    Episode,
    EpisodeRequest,
    ExcludedSpan,
    HostMethod,
    Role,
    Speaker,
    Transcript,
    Turn,
)
from shared.store import create_manifest, load, point
from tests.fakes import FakeJob, MemoryStore, ScriptedVllmEngine
from tests.inference.an_interview import ANSWER, OPENING, QUESTION, add_recording, add_talk, erase
from tests.inference.conftest import LINEAGE, SHOW


def add_real(store: MemoryStore, recording: str, words: int, seconds: float | None) -> None:
    """A real episode of so many words."""
    said = Turn(speaker="S1", role=Role.HOST, start_s=0, end_s=1, text="word " * words)
    transcript = Transcript(
        id="t", recording=recording, show=SHOW.slug, kind="machine", speakers=(Speaker(label="S1", role=Role.HOST),),
        host_method=HostMethod.SET, turns=(said,), duration_s=seconds, lineage=LINEAGE,
    )  # fmt: skip
    create_manifest(store, keys.transcript(SHOW.slug, recording, "t"), transcript)
    point(store, keys.transcript_head(SHOW.slug, recording), b"t")


@pytest.mark.parametrize("wish", [{"minutes": 0}, {"minutes": 10_000}, {"words": 5}, {"words": 9_000, "minutes": 10}])
def test_lengths_that_cannot_be_are_refused(wish):
    with pytest.raises(ValidationError):
        EpisodeRequest(show="lamp", guest="Theo", **wish)


def test_show_and_guest_are_enough(store, renderer, job, settings):
    for number, words in enumerate((90, 120, 300)):
        add_real(store, f"rec{number}", words, 60.0)

    result = story.run(
        EpisodeRequest(show=SHOW.slug, guest="Theo"),
        job=job, store=store, engine=ScriptedVllmEngine(renderer), settings=settings,
    )  # fmt: skip

    episode = load(store, result.key, Episode)
    assert episode.brief.words == 120 and 108 <= episode.report.words <= 132
    assert episode.turns[0].target_words == 120


def test_an_episode_that_is_begun_keeps_its_length(store, renderer, job, settings, tmp_path):
    add_real(store, "rec1", 120, 60.0)
    request = EpisodeRequest(show=SHOW.slug, guest="Theo")
    engine = ScriptedVllmEngine(renderer)

    def die(number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    engine.before = die
    with pytest.raises(KeyboardInterrupt):
        story.run(request, job=job, store=store, engine=engine, settings=settings)
    add_real(store, "rec2", 3_000, 60.0)

    again = FakeJob(tmp_path, job.id)
    result = story.run(request, job=again, store=store, engine=ScriptedVllmEngine(renderer), settings=settings)

    assert load(store, result.key, Episode).brief.words == 120


# ---- facts, and how the show talks -----------------------------------------------------------------------------------


def add_sheet(store: MemoryStore, *facts: tuple[str, str | None]) -> None:
    sheet = GuestSheet(
        id=guest_id("Theo"), show=SHOW.slug, name="Theo", changed_by="ann", lineage=LINEAGE,
        facts=tuple(Fact(text=text, date=date) for text, date in facts),
    )  # fmt: skip
    create_manifest(store, keys.guest(SHOW.slug, guest_id("Theo")), sheet)


def settle(store: MemoryStore, room: int = 1000, **more: Any) -> Commission:
    """With a token for each letter."""
    order = EpisodeRequest(show=SHOW.slug, guest="Theo", **more)
    counting: Any = SimpleNamespace(renderer=SimpleNamespace(count=len))
    means = Means(FakeJob(Path("unused")), store, counting, Settings(max_model_len=4 * room))
    return brief.settled(order, "e1", more.get("adapter", "base"), (), means)


def test_what_the_brief_says_of_the_guest_stands_before_the_sheet_and_nothing_comes_twice(store):
    add_sheet(store, ("Theo keeps bees", None), ("He moved to the coast", "1998-05"), ("Born in 1970", "1970"))

    facts = settle(store, facts=("He plays the horn", "Theo keeps bees")).facts

    assert facts == ("He plays the horn", "Theo keeps bees", "He moved to the coast (1998-05)", "Born in 1970")


def test_of_a_long_sheet_the_first_facts_are_used_and_those_of_the_brief_always(store):
    add_sheet(store, *((f"fact number {number}", None) for number in range(10, 60)))

    facts = settle(store, room=100, facts=("x" * 500,)).facts

    assert facts == ("x" * 500, *(f"fact number {number}" for number in range(10, 15)))


def test_only_a_model_that_has_not_learnt_the_show_is_shown_excerpts(store):
    add_talk(store, "rec1")
    add_talk(store, "rec2")

    untrained, trained = settle(store), settle(store, adapter="lamp.r1.c8")

    assert untrained.openings_of == trained.openings_of == ("rec1", "rec2")
    assert (untrained.excerpts_of, trained.excerpts_of) == (("rec1", "rec2"), ())


def test_what_is_settled_holds_no_words_of_the_recordings(store):
    add_talk(store, "rec1")

    settled = settle(store)

    assert brief.manners(store, settled).openings == (OPENING,)
    assert brief.manners(store, settled).excerpts == ((QUESTION, ANSWER),)
    assert OPENING not in settled.model_dump_json() and QUESTION not in settled.model_dump_json()


def test_what_is_excluded_from_a_recording_is_shown_nowhere(store):
    trailer = ExcludedSpan(start_s=0, end_s=20, reason="trailer", found_by="person")
    add_recording(store, "rec1", (trailer,))
    add_talk(store, "rec1")

    manners = brief.manners(store, settle(store))

    assert OPENING not in manners.openings


def test_a_recording_that_is_erased_vanishes_from_what_is_shown(store):
    add_talk(store, "rec1")
    add_talk(store, "rec2", [("host", OPENING.upper()), ("guest", ANSWER), ("host", QUESTION), ("guest", ANSWER)])
    settled = settle(store)

    erase(store, "rec1")

    assert brief.manners(store, settled).openings == (OPENING.upper(),)
    erase(store, "rec2")
    assert brief.manners(store, settled) == brief.Manners()


def test_of_two_workers_the_first_ones_word_counts(store):
    mine, theirs = settle(store, seed=1), settle(store, seed=2)
    brief.keep(store, theirs)

    assert brief.keep(store, mine) == theirs == brief.stored(store, SHOW.slug, "e1")
