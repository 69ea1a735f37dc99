"""An AI episode as people read it: chapters, recited words cut out of their turns, notes."""

from __future__ import annotations

import pytest

from services.studio.library import Library
from services.studio.pages.conversation import Piece, Source, parts_of, pieces_of, recited_recordings
from shared.schemas import RecitedSpan, Recording
from tests.fakes import MemoryStore
from tests.studio.a_show import put_show
from tests.studio.pages.an_episode import an_episode, turns_of


def span(first: int, last: int, turn: int = 1, recording: str = "spoken", start_s: float | None = 60) -> RecitedSpan:
    return RecitedSpan(turn=turn, first_word=first, last_word=last, recording=recording, start_s=start_s)


@pytest.fixture
def recordings() -> dict[str, Recording]:
    """`spoken` can be played in a browser, `published` has no audio."""
    store = MemoryStore()
    put_show(store)
    found = {one.id: one for one in Library(store).recordings("lamp")}
    found["spoken"] = found["spoken"].model_copy(update={"web": found["spoken"].original})
    return found


def texts(pieces: list[Piece]) -> list[tuple[str, bool]]:
    return [(piece.text, piece.source is not None) for piece in pieces]


def test_recited_words_are_cut_out_and_nothing_is_lost(recordings):
    text = "  One two\n three,  four five "

    found = list(pieces_of(text, [span(1, 3)], recordings))

    assert texts(found) == [("  One ", False), ("two\n three,", True), ("  four five ", False)]
    assert "".join(piece.text for piece in found) == text


def test_spans_that_overlap_or_reach_too_far_keep_every_word_once(recordings):
    text = "a b c d e f"

    found = list(pieces_of(text, [span(3, 99), span(0, 4), span(1, 2), span(7, 9)], recordings))

    assert texts(found) == [("a b c d", True), (" ", False), ("e f", True)]


def test_a_source_can_be_played_only_where_there_is_sound_and_a_second(recordings):
    def source(**facts) -> Source | None:
        return next(pieces_of("a b", [span(0, 2, **facts)], recordings)).source

    heard = source()
    assert heard is not None and heard.from_s == 59.5 and heard.to_s is not None and heard.to_s > 60.5
    early = source(start_s=0.2)
    assert early is not None and early.from_s == 0
    assert source(start_s=None) == Source("spoken", "Ann on spoken lamps")
    assert source(recording="published") == Source("published", "Bob on published lamps")
    assert source(recording="erased") == Source("erased", "")


def test_turns_stand_in_their_chapters_in_order():
    turns = [
        turn.model_copy(update={"chapter": title})
        for turn, title in zip(
            turns_of(["Hello?", "Hi.", "And?", "Well.", "So?"]), ["", "A", "A", "B", "A"], strict=True
        )
    ]

    parts = parts_of(an_episode(turns), {})

    assert [(part.title, [said.index for said in part.turns]) for part in parts] == [
        ("", [0]), ("A", [1, 2]), ("B", [3]), ("A", [4])
    ]  # fmt: skip
    assert [said.name for said in parts[1].turns] == ["Orla Finch", "Mara Quill"]


def test_notes_say_what_is_odd_about_a_turn():
    turns = list(turns_of(["Hello?", "Hi.", "And?"]))
    turns[0] = turns[0].model_copy(update={"written_by": "ann"})
    turns[1] = turns[1].model_copy(update={"closed": False, "attempts": 5, "rejected": ("loops", "loops", "recites")})

    (part,) = parts_of(an_episode(turns), {})

    assert [said.notes for said in part.turns] == [
        ("written by ann",), ("breaks off", "the least bad of 5 attempts: loops; recites"), ()
    ]  # fmt: skip


def test_an_episode_that_nobody_looked_into_recites_nothing():
    assert recited_recordings(an_episode(turns_of(["Hello?"]), recited=None)) == set()
