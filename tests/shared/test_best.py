from __future__ import annotations

from shared.best import best_of
from tests.fakes import MemoryStore
from tests.inference.conftest import add_adapter


def test_the_lowest_held_out_loss_is_best_and_one_that_recites_only_where_all_do():
    store = MemoryStore()
    high, low = add_adapter(store, "lamp.r1.c8", loss=2.0), add_adapter(store, "lamp.r1.c16", loss=1.5)
    reciting = add_adapter(store, "lamp.r2.c8", loss=0.5, recited=0.9)
    worse = add_adapter(store, "lamp.r2.c16", loss=0.6, recited=0.9)

    assert best_of([high, reciting, low]) == low
    assert best_of([worse, reciting]) == reciting
    assert best_of([]) is None


def test_of_equals_the_first_by_name_is_best_in_whatever_order_they_come():
    store = MemoryStore()
    one, two = add_adapter(store, "lamp.r1.c8"), add_adapter(store, "lamp.r2.c8")

    assert best_of([one, two]) == best_of([two, one]) == one
