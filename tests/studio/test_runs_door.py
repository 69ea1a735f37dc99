"""Training runs over HTTP, also while they are under way: what a page draws curves from."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.studio.doors.runs import figures_of, order_of, runs_door
from services.studio.library import Library
from shared import keys
from tests.fakes import MemoryStore
from tests.studio.a_dataset import points, put_dataset, put_run
from tests.studio.a_door import door_of
from tests.studio.a_show import put_show

PLACE = "/v1/shows/lamp/runs"


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_dataset(store)
    return store


@pytest.fixture
def door(tmp_path: Path, store: MemoryStore):
    return door_of(tmp_path, store, runs_door(store))


def test_a_run_under_way_has_the_figures_up_to_its_newest_checkpoint(door, store: MemoryStore):
    client, people = door
    put_run(store, 1, points(3.0, None, 2.0, None, 2.2))

    [told] = client.get(PLACE, headers=people["vi"]).json()
    run = client.get(f"{PLACE}/1", headers=people["vi"]).json()

    assert (told["number"], told["dataset"], told["job"], told["step"]) == (1, "d9", "order1", 4)
    assert (told["eval_loss"], told["best_eval_loss"], told["best_step"]) == (2.2, 2.0, 2)
    assert told["adapter"] is None and told["steps"] is None
    assert {name: run[name] for name in told} == told
    assert [point["step"] for point in run["metrics"]] == [0, 1, 2, 3, 4] and run["checkpoints"] == [2, 4]
    assert run["request"]["epochs"] == 3.0 and run["metrics"][2]["judged"]["guests"][0]["guest"] == "Bob"


def test_a_run_that_is_over_has_the_figures_of_its_adapter_and_says_what_was_kept(door, store: MemoryStore):
    client, people = door
    put_run(store, 1, points(3.0, None, 2.0, None, 2.2), kept=2)
    for key in store.list(keys.checkpoints("lamp", 1)):
        store.delete(key)

    run = client.get(f"{PLACE}/1", headers=people["vi"]).json()

    assert (run["adapter"], run["steps"], run["step"], run["checkpoints"]) == ("lamp.r1.c2", 4, 4, [])
    assert len(run["metrics"]) == 5


def test_a_run_that_has_only_begun_has_no_figures(door, store: MemoryStore):
    client, people = door
    put_run(store, 1, ())

    [told] = client.get(PLACE, headers=people["vi"]).json()

    assert (told["step"], told["eval_loss"], told["best_eval_loss"], told["best_step"]) == (0, None, None, None)


def test_before_training_the_loss_is_that_of_the_base_model_and_is_not_the_best(door, store: MemoryStore):
    client, people = door
    put_run(store, 1, points(1.5, None, 2.0))

    [told] = client.get(PLACE, headers=people["vi"]).json()

    assert (told["best_eval_loss"], told["best_step"]) == (2.0, 2)


def test_runs_are_in_order_of_their_numbers_and_none_is_taken_for_another(door, store: MemoryStore):
    client, people = door
    for number in (10, 1, 2):
        put_run(store, number, points(3.0, 2.0 + number), kept=1 if number == 10 else None)

    told = client.get(PLACE, headers=people["vi"]).json()

    assert [(run["number"], run["adapter"], run["eval_loss"]) for run in told] == [
        (1, None, 3.0),
        (2, None, 4.0),
        (10, "lamp.r10.c1", 12.0),
    ]


def test_a_checkpoint_that_goes_while_it_is_read_leaves_the_one_before():
    class Pruning(MemoryStore):
        """Where the newest checkpoint goes as soon as it was listed."""

        def list(self, prefix: str) -> list[str]:
            found = super().list(prefix)
            if "checkpoints" in prefix:
                self.delete(found[-1])
            return found

    store = Pruning()
    put_run(store, 1, points(3.0, 2.5, 2.0))

    assert figures_of(Library(store), "lamp", 1).step == 1


def test_runs_of_an_earlier_version_are_read(tmp_path: Path):
    store = MemoryStore()
    put_show(store)
    client, people = door_of(tmp_path, store, runs_door(store))

    [told] = client.get(PLACE, headers=people["vi"]).json()

    assert (told["number"], told["steps"], told["adapter"], told["claimed_at"]) == (1, 4, "lamp.r1.c4", None)


def test_only_who_may_read_the_show_sees_its_runs(door, store: MemoryStore):
    client, people = door
    put_run(store, 1, ())

    for path in (PLACE, f"{PLACE}/1"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=people["one"]).status_code == 403
    assert client.get(f"{PLACE}/2", headers=people["vi"]).status_code == 404
    assert client.get(f"{PLACE}/-1", headers=people["vi"]).status_code == 404
    assert client.get("/v1/shows/nowhere/runs", headers=people["vi"]).status_code == 404


@pytest.mark.parametrize(
    ("job", "order"),
    [("o.train.0", "o"), ("my.key.1.train.0", "my.key.1"), ("0f3a", "0f3a"), ("p1.train.0", "p1")],
)
def test_a_services_job_tells_the_order_it_belongs_to(job: str, order: str):
    assert order_of(job) == order
