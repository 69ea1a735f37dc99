from __future__ import annotations

from typing import Any

import pytest

from services.studio.glances import Glance, Seen, glance_of
from services.studio.pages.recording_rows import left_out_words, rows_of, standing_of
from shared.schemas import HostMethod, Role, TranscriptState
from tests.fakes import MemoryStore
from tests.studio.pages.a_talk import advert, put_recording, put_transcript

KNOWN = (Role.HOST, Role.GUEST)


def glance(roles: Any = KNOWN, **facts: Any) -> Glance:
    return glance_of(put_transcript(MemoryStore(), "r1", roles, HostMethod.SET, **facts))


@pytest.mark.parametrize(
    ("seen", "told", "mark"),
    [
        (None, "not transcribed", "look"),
        (glance((Role.UNKNOWN, Role.UNKNOWN), doubtful=2), "host unknown", "look"),
        (glance(doubtful=2), "2 doubtful turns", "look"),
        (glance(), "heard, nothing doubtful", "ok"),
        (glance(state=TranscriptState.REVIEWED), "reviewed", "ok"),
        (glance(state=TranscriptState.APPROVED, doubtful=2), "approved", "ok"),
    ],
)
def test_how_far_a_transcript_is(seen: Glance | None, told: str, mark: str):
    standing = standing_of(put_recording(MemoryStore(), "r1", b"sound"), seen)

    assert (standing.told, standing.mark) == (told, mark)


def test_a_transcript_that_is_being_read_is_not_said_to_be_missing():
    recording = put_recording(MemoryStore(), "r1", b"sound")

    assert standing_of(recording, None, unread=3).told == "being read"
    assert standing_of(put_recording(MemoryStore(), "r2"), None).told == "no transcript and no audio"


def test_the_newest_come_first_and_those_without_a_date_last():
    store = MemoryStore()
    dates = {"a": "2030-01-01", "b": None, "c": "2031-01-01", "d": None, "e": "2030-01-01"}
    recordings = [put_recording(store, name, title=f"{name} talk", published_on=day) for name, day in dates.items()]

    rows = rows_of(reversed(recordings), Seen(glances=()))

    assert [row.recording.id for row in rows] == ["c", "a", "e", "b", "d"]


def test_what_is_left_out_is_summed_with_its_reasons_in_order():
    spans = (advert(100, 160), advert(0, 30, reason="intro"), advert(300, 330))

    assert left_out_words(spans) == "2 min: intro, advert"
    assert left_out_words(()) == ""


def test_a_row_is_found_by_whatever_stands_in_it():
    guess = {"name": "Ash Lane", "confidence": 0.4, "found_in": "title"}
    recording = put_recording(
        MemoryStore(),
        "r1",
        b"s",
        title="Night SHIPS",
        excluded_spans=(advert(0, 9),),
        guest_guess=guess,
        warnings=("quiet",),
    )
    [row] = rows_of([recording], Seen(glances=(glance(doubtful=1),)))

    assert row.guessed
    for word in ("night ships", "ash lane", "2030-01-02", "1 doubtful turn", "advert", "warning"):
        assert word in row.find
