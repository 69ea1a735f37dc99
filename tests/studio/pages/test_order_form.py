"""The form for an episode: what it is filled with, and who may write."""

from __future__ import annotations

from services.studio.library import Library
from services.studio.pages.order_form import filled, known_sheets, writers_of
from shared import keys
from shared.guests import Fact, GuestSheet, guest_id
from shared.schemas import Adapter, EpisodeRequest, Lineage
from shared.store import load
from tests.fakes import MemoryStore
from tests.studio.a_show import put_show


def test_a_new_order_is_a_sample_of_ten_minutes_by_the_best():
    given = filled(guest="Orla")

    assert (given["guest"], given["minutes"], given["words"], given["adapter"]) == ("Orla", 10, "", "best")
    assert (given["guest_is"], given["facts"], given["seed"]) == ("invented", (), "")


def test_the_brief_of_an_episode_is_asked_for_again_with_one_length():
    brief = EpisodeRequest(
        show="lamp", guest="Ann", about="kettles", minutes=12.5, words=1800, facts=("She mends kettles.",),
        guest_is="consented", consent="letter of 4 May", adapter="base", seed=7,
    )  # fmt: skip

    given = filled(brief)

    assert (given["minutes"], given["words"]) == ("12.5", "")
    assert (given["consent"], given["facts"], given["seed"], given["top_p"]) == ("letter of 4 May", brief.facts, 7, "")
    assert filled(brief.model_copy(update={"minutes": None}))["words"] == 1800
    assert filled(brief, guest="Bob")["guest"] == "Bob"


def test_writers_are_named_best_first_and_best_says_who_it_is():
    store = MemoryStore()
    put_show(store)
    first = load(store, keys.adapter("lamp", "lamp.r1.c4"), Adapter)
    second = first.model_copy(update={"name": "lamp.r2.c4", "eval_loss_after": 1.5})

    found = writers_of([first, second])

    assert [one.value for one in found] == ["best", "lamp.r2.c4", "lamp.r1.c4", "base"]
    assert found[0].told == "Best: lamp.r2.c4" and "held-out loss 1.5" in found[1].told


def test_without_a_trained_model_best_says_that_the_base_model_writes():
    assert [one.value for one in writers_of([])] == ["best", "base"]
    assert "nothing is trained yet" in writers_of([])[0].told


def test_a_fact_sheet_is_told_with_its_number_of_facts_and_its_page():
    store = MemoryStore()
    put_show(store)
    lineage: Lineage = Library(store).episode("lamp", "e1").lineage
    sheet = GuestSheet(
        id=guest_id("Ann"), show="lamp", name="Ann", facts=(Fact(text="She hums."),), changed_by="ann", lineage=lineage
    )

    (known,) = known_sheets([sheet])

    assert known == {"name": "Ann", "facts": 1, "address": f"/shows/lamp/guests/{guest_id('Ann')}"}
