"""Episodes beside each other, turn by turn."""

from __future__ import annotations

from services.studio.pages.alignment import aligned
from tests.studio.pages.an_episode import an_episode, turns_of


def test_turns_of_the_same_place_share_a_row_and_a_shorter_episode_ends():
    short, long = an_episode(turns_of(["A?", "B."])), an_episode(turns_of(["C?", "D.", "E?"]))

    rows = aligned([long, None, short])

    assert [[turn.text if turn else None for turn in row.turns] for row in rows] == [
        ["C?", None, "A?"], ["D.", None, "B."], ["E?", None, None]
    ]  # fmt: skip
    assert [row.place for row in rows] == [0, 1, 2]


def test_nothing_beside_nothing_has_no_rows():
    assert aligned([None, None]) == []
