"""Names and numbers that no fact sheet has."""

from __future__ import annotations

import pytest

from shared.claims import unsourced
from shared.report import Spoken, lines, measure

KNOWN = ("Orla Finnegan was born in Galway in 1961.", "She has kept bees for thirty years.", "Mara Quill")


def found(text: str, *known: str) -> list[str]:
    return [claim.text for claim in unsourced([Spoken("guest", text)], known or KNOWN)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("So I moved to Lisbon with Ann Ash.", ["Lisbon", "Ann Ash"]),
        ("Ann Ash taught me.", ["Ann Ash"]),
        ("I studied at the University of Cork, near Dr. Wills.", ["University of Cork", "Wills"]),
        ("I love Lisbon. Lisbon is Lisbon’s own reward.", ["Lisbon"]),
        ("They said, “Never go to Lima.” So I went.", ["Lima"]),
        ("But London was cold. I had but one coat.", ["London"]),
    ],
)
def test_a_name_that_is_nowhere_is_a_claim(text: str, told: list[str]):
    assert found(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "Honestly, I left Galway.",  # the first word of a sentence is no name; the second is known
        "I told Mara so. And Finnegan's is a common name.",
        "I'm glad. It was a Tuesday in May, God knows, and I said OK.",
        "Bees sting. I met the Queen, and every queen is alike.",  # written small elsewhere
        "He asked: Why not? They said, “Never again.”",
    ],
)
def test_what_is_known_or_only_looks_like_a_name_is_none(text: str):
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("In 1984 we had 250 hives.", ["1984", "250"]),
        ("It was nineteen eighty-four.", ["nineteen eighty-four"]),
        ("We sold three hundred and fifty jars, for 1,200.50 in all.", ["three hundred and fifty", "1,200.50"]),
    ],
)
def test_a_number_that_is_nowhere_is_a_claim(text: str, told: list[str]):
    assert found(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "In nineteen sixty-one, or 1961: 30 years, thirty years.",
        "I have two or three, ten at most, and 7 of them swarm.",
        "I told you a hundred times, a thousand times.",
    ],
)
def test_known_numbers_in_any_spelling_small_ones_and_ways_of_speaking_are_none(text: str):
    assert found(text) == []


def test_numbers_are_compared_by_value():
    assert found("two thousand and eight, twenty oh eight, nineteen oh five, 20 25", "In 2008 and 1905.", "20 25") == []


def test_a_claim_says_where_and_what_it_is_and_unknown_speakers_make_none():
    turns = [Spoken(None, "Hello from Lima."), Spoken("host", "You left Lima?"), Spoken("guest", "At 44, for Lima.")]

    (lima, age) = unsourced(turns, KNOWN)

    assert (lima.turn, lima.text, lima.kind) == (1, "Lima", "name")
    assert (age.turn, age.text, age.kind) == (2, "44", "number")


def test_the_report_names_five_and_is_never_worse_than_a_look():
    names = ["Lima", "Oslo", "Bern", "Riga", "Kyiv", "Bonn", "Graz"]
    turns = [Spoken("host", "Where to?"), Spoken("guest", f"We went to {', to '.join(names)}.")]

    report = measure(turns, facts=KNOWN)

    assert report.unsourced is not None and len(report.unsourced) == 7
    assert report.findings == (
        "names and numbers not in the fact sheet: “Lima”, “Oslo”, “Bern”, “Riga”, “Kyiv” and 2 more",
    )
    assert report.verdict == "worth a look: 7 names and numbers not in the fact sheet"
    assert measure(turns, unsourced=report.unsourced).findings == report.findings


def test_without_a_fact_sheet_it_says_that_nobody_looked():
    report = measure([Spoken("host", "Where to?"), Spoken("guest", "To Lima.")])

    assert report.unsourced is None and report.findings == ()
    assert ("claims", "not checked: no fact sheet") in [(line.label, line.value) for line in lines(report)]
