"""Guests' facts: what a request may ask for, dates, and finding a sheet by any spelling of the name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared import keys
from shared.guests import (
    MOST_CHARACTERS,
    Fact,
    GuestRequest,
    GuestSheet,
    checked_date,
    fact_sheet,
    guest_id,
    without_invisible,
)
from shared.schemas import Lineage
from shared.service import MAX_BODY_BYTES
from shared.store import create_manifest
from tests.fakes import MemoryStore


@pytest.mark.parametrize(
    ("given", "trouble"),
    [
        ({}, "give exactly one of text and url"),
        ({"text": "Orla ran.", "url": "https://example.org/"}, "give exactly one of text and url"),
        ({"text": ""}, "the text is empty"),
        ({"text": " \n\t\u200b\x00"}, "the text is empty"),
        ({"text": "x" * (MOST_CHARACTERS + 1)}, "at most 200000 characters"),
    ],
)
def test_a_request_without_one_source_is_refused(given: dict[str, str], trouble: str):
    with pytest.raises(ValidationError, match=trouble):
        GuestRequest.model_validate({"show": "lamp", "name": "Orla Finch", **given})


@pytest.mark.parametrize(
    ("name", "trouble"),
    [
        ("Orla\x00Finch", "control characters"),
        ("Orla\nFinch", "control characters"),
        ("\u200b\u200d", "no letters"),
        ("12 !", "no letters"),
        ("", "at least 1 character"),
    ],
)
def test_a_name_that_nobody_could_look_for_is_refused(name: str, trouble: str):
    with pytest.raises(ValidationError, match=trouble):
        GuestRequest(show="lamp", name=name, text="Orla ran.")


def test_the_longest_text_fits_into_a_request():
    request = GuestRequest(show="lamp", name="Orla", text="\U0001f56f" * MOST_CHARACTERS)

    assert len(request.model_dump_json().encode()) < MAX_BODY_BYTES


def test_invisible_characters_go_and_line_breaks_stay():
    assert without_invisible("a\u200bb\u202ec\u00ad\x07d\r\ne\u2028f\tg\ufeff") == "abc d\ne\nf g"


@pytest.mark.parametrize("date", ["1998", "1998-05", "1998-05-04", "2000-02-29"])
def test_a_date_has_the_precision_that_is_known(date: str):
    assert checked_date(date) == date and Fact(text="She ran.", date=date).date == date


@pytest.mark.parametrize(
    "date", ["98", "1998-5", "1998-13", "1998-02-30", "May 1998", "1998-05-04T10:00", "0000", "١٩٩٨"]
)
def test_what_is_no_date_is_refused_and_the_forms_are_named(date: str):
    with pytest.raises(ValidationError, match="write 1998, 1998-05 or 1998-05-04"):
        Fact(text="She ran.", date=date)


@pytest.mark.parametrize("name", ["Orla Finch", "orla  FINCH ", "Orla\u200b Finch", "Orla\u00a0Finch"])
def test_a_sheet_is_found_by_any_spelling_of_the_name(name: str):
    store = MemoryStore()
    known = GuestSheet(
        id=guest_id("Orla Finch"),
        show="lamp",
        name="Orla Finch",
        facts=(Fact(text="She ran."),),
        changed_by="ann",
        lineage=Lineage(by="studio", version="0", job="j1", actor="ann"),
    )
    create_manifest(store, keys.guest("lamp", known.id), known)

    assert fact_sheet(store, "lamp", name) == known
    assert fact_sheet(store, "lamp", "Tom Finch") is None and fact_sheet(store, "other", name) is None


def test_composed_and_decomposed_accents_are_one_name():
    assert guest_id("Jos\u00e9 Lamp") == guest_id("Jose\u0301 Lamp") != guest_id("Jose Lamp")


def test_the_key_of_a_sheet_is_studios_and_belongs_to_its_show():
    key = keys.guest("lamp", guest_id("Orla Finch"))

    assert keys.writer(key) == "studio" and "diary guests add" in keys.advice(key)
    assert keys.is_content_of(key, "lamp") and not keys.is_content_of(key, "other")
