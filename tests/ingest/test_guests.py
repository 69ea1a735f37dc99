"""Whom a title, a description or a feed's persons name as the guest."""

from __future__ import annotations

import pytest

from services.ingest import guests
from services.ingest.guests import guess


def name_of(title: str, description: str = "", persons: tuple[str, ...] = ()) -> str | None:
    found = guess(title, description, persons, host="Mara Quill", show_title="The Lamplight Hour")
    return found.name if found else None


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Ben Marsh: Why I Bake at Three in the Morning | E176", "Ben Marsh"),
        ("The Sleep Expert: How To Sleep Better - Walter Green | E209", "Walter Green"),
        ("#12 Bread at Night with Ben Marsh", "Ben Marsh"),
        ("E45: Rosa Field", "Rosa Field"),
        ("Conor O'Brien - Why I Left", "Conor O'Brien"),
        ("Ludwig van der Berg on Trains", "Ludwig van der Berg"),
        ("The Lamplight Hour: Dr. Ines Varga", "Ines Varga"),
        ("Lamplight Experience #2000 - Duncan Tully", "Duncan Tully"),
    ],
)
def test_a_guest_named_in_the_title_is_found(title: str, name: str):
    assert name_of(title) == name


@pytest.mark.parametrize(
    "title",
    ["The Pigeon on the Big Hand", "World No.1 Sleep Expert: 10 Tips", "Our Holiday Special", "With Mara Quill", ""],
)
def test_a_title_that_names_nobody_gives_no_guest(title: str):
    assert name_of(title) is None


def test_the_feeds_own_word_is_worth_more_than_the_title():
    found = guess("Rosa Field: Roses", "", ("Mara Quill", "Ben Marsh"), host="Mara Quill")

    assert found is not None and (found.name, found.found_in) == ("Ben Marsh", "persons")


def test_a_description_is_asked_last_and_trusted_least():
    found = guess("Bread", "Tonight Mara sits down with Prof. Ben Marsh, a baker.", (), host="Mara Quill")

    assert found is not None and (found.name, found.found_in) == ("Ben Marsh", "description")
    assert guests.GOOD_ENOUGH <= found.confidence < guests.INTRODUCED


def test_the_other_speaker_of_a_published_transcript_is_the_guest():
    found = guess("Bread", "", (), host="Mara Quill", names=("Mara Quill", "Ben Marsh"))

    assert found is not None and (found.name, found.found_in) == ("Ben Marsh", "transcript")


def test_what_is_far_too_long_is_no_name():
    assert guess("Bread", "", (), host="Mara Quill", names=("Mara Quill", "Ben " + "M" * 400)) is None
