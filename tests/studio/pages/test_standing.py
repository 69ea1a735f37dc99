"""What is sensible next, at each place on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.studio.glances import Glances
from services.studio.library import Library
from services.studio.pages.standing import Stand, next_step, stand_of, stations
from tests.fakes import MemoryStore
from tests.studio.a_dataset import put_dataset
from tests.studio.a_show import put_show

EMPTY = Stand(
    slug="lamp", sources=0, recordings=0, hours=0, silent=0, untranscribed=0, transcribed=0, hostless=0, guessed=0,
    doubtful=0, to_review=0, review_s=0, approved=0, unread=0, repeats=None, datasets=0, dataset=None, stale=0, runs=0,
    adapters=0, episodes=0, busy=frozenset(),
)  # fmt: skip
IN = replace(EMPTY, recordings=4, hours=2, untranscribed=4)
HEARD = replace(IN, untranscribed=0, transcribed=4, hostless=4)
KNOWN = replace(HEARD, hostless=0, doubtful=12, to_review=3, review_s=300)
LOOKED = replace(KNOWN, repeats=2)
CLASSIFIED = replace(KNOWN, repeats=0)
REVIEWED = replace(CLASSIFIED, doubtful=0, to_review=0)
BUILT = replace(CLASSIFIED, datasets=1, dataset=put_dataset(MemoryStore()))
TRAINED = replace(BUILT, adapters=1)


@pytest.mark.parametrize(
    ("stand", "title"),
    [
        (EMPTY, "Add recordings"),
        (IN, "Transcribe 4 recordings"),
        (HEARD, "Say who the host is"),
        (replace(KNOWN, guessed=1), "Say who the host is"),
        (KNOWN, "Look for adverts and greetings"),
        (LOOKED, "Classify 2 repeated spans"),
        (CLASSIFIED, "Review 12 doubtful turns"),
        (REVIEWED, "Build a dataset"),
        (BUILT, "Train a model"),
        (replace(BUILT, stale=1), "Build a dataset"),
        (TRAINED, "Write a 10-minute sample"),
        (replace(TRAINED, episodes=1), "Write an AI episode"),
    ],
)
def test_each_place_has_its_next_step(stand: Stand, title: str):
    step = next_step(stand)

    assert step is not None
    assert step.title == title
    assert bool(step.address) != bool(step.api)


@pytest.mark.parametrize(
    ("stand", "kind"),
    [
        (EMPTY, "ingest"),
        (IN, "transcribe-missing"),
        (KNOWN, "repeats"),
        (REVIEWED, "dataset"),
        (BUILT, "train"),
        (TRAINED, "write"),
    ],
)
def test_nobody_is_asked_for_what_is_being_done(stand: Stand, kind: str):
    assert next_step(replace(stand, busy=frozenset({kind}))) is None
    assert next_step(replace(stand, busy=frozenset({"guest"}))) is not None


def test_a_show_is_read_as_it_stands():
    store = MemoryStore()
    put_show(store)
    stand = stand_of(Library(store), Glances(store).of("lamp", patience_s=60), "lamp", [])

    assert (stand.recordings, stand.silent, stand.transcribed, stand.hostless) == (2, 1, 2, 2)
    assert (stand.datasets, stand.adapters, stand.episodes, stand.stale) == (1, 1, 1, 0)
    assert [station.count for station in stations(stand)] == [2, 2, 0, 1, 1, 1]
