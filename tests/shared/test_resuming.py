"""Which settings a training run goes on with, and what speaks against going on."""

from __future__ import annotations

import pytest

from shared import keys
from shared.errors import BadInputError, ConflictError, NotFoundError
from shared.resuming import demand_resumable, read_run, settled
from shared.schemas import Run, TrainRequest
from tests.fakes import MemoryStore
from tests.studio.a_dataset import points, put_dataset, put_run

BEGUN = TrainRequest(show="lamp", dataset="d9", steps=8, lora_rank=8, epochs=2, continue_from="lamp.r1.c4", patience=2)
RUN = Run(number=3, job="j1", request=BEGUN)


def order(**wishes) -> TrainRequest:
    return TrainRequest(show="lamp", dataset="d9", resume=3, **wishes)


def test_an_order_that_says_nothing_goes_on_with_all_settings_of_the_run():
    assert settled(order(), RUN) == BEGUN.model_copy(update={"resume": 3})


def test_settling_twice_changes_nothing():
    once = settled(order(steps=9, patience=0), RUN)

    assert settled(once, RUN) == once
    assert settled(once, RUN.model_copy(update={"request": once})) == once


def test_more_steps_may_be_made_and_what_does_not_change_what_is_learnt_may_be_other():
    wanted = settled(order(steps=12, epochs=4, patience=0, quantisation="nf4", keep_last=1, checkpoint_every=2), RUN)

    assert (wanted.steps, wanted.epochs, wanted.patience, wanted.quantisation) == (12, 4, 0, "nf4")
    assert (wanted.keep_last, wanted.checkpoint_every, wanted.lora_rank) == (1, 2, 8)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"lora_rank": 16}, "order it with lora_rank 8, not 16"),
        ({"continue_from": None}, r"order it with continue_from lamp\.r1\.c4, not None"),
        ({"seed": 7}, "order it with seed 42, not 7"),
        ({"steps": 7}, "begun for 8 steps; it may be given more, not 7"),
        ({"steps": None}, "begun for 8 steps; it may be given more, not none"),
        ({"epochs": 1.5}, "begun for 2 epochs; it may be given more, not 1.5"),
    ],
)
def test_a_setting_that_cannot_change_on_the_way_is_refused_with_what_it_was(wish: dict, said: str):
    with pytest.raises(BadInputError, match=said):
        settled(order(**wish), RUN)


def test_another_dataset_is_refused():
    with pytest.raises(BadInputError, match="order it with dataset d9, not d10"):
        settled(TrainRequest(show="lamp", dataset="d10", resume=3), RUN)


@pytest.fixture
def store() -> MemoryStore:
    """A show whose run 1 was stopped at step 4."""
    store = MemoryStore()
    put_dataset(store)
    put_run(store, 1, points(3.0, None, 2.0, None, 2.2))
    return store


def test_a_stopped_run_with_a_checkpoint_can_go_on(store: MemoryStore):
    demand_resumable(store, "lamp", read_run(store, "lamp", 1), steps=4)


def test_a_number_that_nobody_claimed_is_told_with_where_the_others_are(store: MemoryStore):
    with pytest.raises(NotFoundError, match="show lamp has no run 7; `diary runs list lamp`"):
        read_run(store, "lamp", 7)


def test_a_finished_run_names_its_adapter_to_continue_from(store: MemoryStore):
    put_run(store, 2, points(3.0, None, 2.0), kept=2)

    with pytest.raises(ConflictError, match=r"run 2 of lamp is finished; .*`continue_from` its adapter lamp\.r2\.c2"):
        demand_resumable(store, "lamp", read_run(store, "lamp", 2))


def test_a_run_whose_checkpoints_went_says_so(store: MemoryStore):
    for key in store.list(keys.checkpoints("lamp", 1)):
        store.delete(key)

    with pytest.raises(BadInputError, match=r"no checkpoint to go on from: .*collected.*train anew"):
        demand_resumable(store, "lamp", read_run(store, "lamp", 1))


def test_a_run_of_a_withdrawn_dataset_says_so():
    store = MemoryStore()
    put_dataset(store, source_withdrawn=("r1",))
    put_run(store, 1, points(3.0, None, 2.0))

    with pytest.raises(BadInputError, match=r"its dataset d9 was erased, .*`diary datasets build lamp`"):
        demand_resumable(store, "lamp", read_run(store, "lamp", 1))


def test_fewer_steps_than_were_made_are_refused(store: MemoryStore):
    with pytest.raises(BadInputError, match=r"has made 4 steps; .*, not 3"):
        demand_resumable(store, "lamp", read_run(store, "lamp", 1), steps=3)
