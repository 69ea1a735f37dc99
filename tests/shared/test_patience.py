from __future__ import annotations

from shared.errors import BadInputError, EngineFailedError, StoreUnavailableError
from shared.patience import ENGINE_ATTEMPTS, LONGEST_PAUSE_S, Patience


def test_what_cannot_get_better_is_not_tried_again():
    assert not Patience().bears(BadInputError("no"))


def test_an_engine_that_keeps_dying_is_given_up_and_a_store_is_waited_for():
    engine, store = Patience(), Patience()

    assert [engine.bears(EngineFailedError("died")) for _ in range(ENGINE_ATTEMPTS)] == [True, True, False]
    assert all(store.bears(StoreUnavailableError("away")) for _ in range(20))


def test_patience_ends_ten_minutes_after_the_first_trouble_not_after_the_start():
    tired = Patience(first_trouble=-10_000.0)

    assert not tired.bears(StoreUnavailableError("away"))
    assert Patience().bears(StoreUnavailableError("away"))


def test_pauses_grow_up_to_a_limit():
    pauses = [Patience(tries=tries).pause_s for tries in range(8)]

    assert pauses == sorted(pauses) and pauses[-1] == LONGEST_PAUSE_S
