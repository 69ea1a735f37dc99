"""How much work the review is: key presses for each turn, and how much of a recording somebody has to hear."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes import MemoryStore
from tests.studio.a_door import serving, studio_of
from tests.studio.pages.a_review import SHOW, CorrectingCrew, Line, current_talk, put_reviewed_show, put_talk
from tests.studio.pages.conftest import Visit
from tests.studio.pages.replaying import replay

TURNS, DOUBTFUL_EVERY = 96, 12


def lines() -> list[Line]:
    """A talk of ten minutes; every twelfth turn is doubtful, and of these every second is given to the wrong one."""
    said = ("S2", "light " * 12, 0.0), ("S1", "light " * 12, 0.0)
    return [("S2", "yes indeed", 0.5) if n % DOUBTFUL_EVERY == 3 else said[n % 2] for n in range(TURNS)]


@pytest.fixture
def place(tmp_path: Path, visit: Callable[..., Visit]) -> Iterator[tuple[MemoryStore, Visit, str]]:
    store = MemoryStore()
    put_reviewed_show(store)
    put_talk(store, "lamps", lines())
    app, secret = studio_of(tmp_path, store, CorrectingCrew(store))
    with serving(app) as url:
        yield store, visit(url), secret


@pytest.mark.parametrize("by", ["turn", "stretch"])
def test_a_doubtful_turn_takes_three_keys_and_a_tenth_of_the_sound_at_most(
    place: tuple[MemoryStore, Visit, str], by: str
):
    store, here, secret = place
    doubtful = [turn for turn in current_talk(store, "lamps").turns if turn.needs_review]
    truth = {turn.id: "S1" if n % 2 else turn.speaker for n, turn in enumerate(doubtful)}
    wanted = {turn.id if by == "turn" else (turn.start_s, turn.end_s): truth[turn.id] for turn in doubtful}
    page = here.sign_in(secret, f"/shows/{SHOW}/recordings/lamps/review")
    page.wait_for_selector("html[data-ready]")

    found = replay(page, wanted, rate=6)  # what is played until the page sees that a turn is over counts too

    print(found)
    assert (found.decided, found.corrected) == (len(doubtful), len(doubtful) // 2)
    assert found.most_keys <= 3
    assert found.keys_per_turn <= 3
    assert 0 < found.listened_share <= 0.10
    after = {turn.id: turn for turn in current_talk(store, "lamps").turns}
    assert {name: after[name].speaker for name in truth} == truth
    assert not any(turn.needs_review for turn in after.values())
