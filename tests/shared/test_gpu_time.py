"""GPU seconds: divided among those that an engine works for, and counted over a day."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.gpu_time import HOUR_S, Ledger, Meter, Spent, charged_to, free_again_at, spend


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeAccounts:
    """What each show was charged."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def of(self, show: str) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(charged_to(partial(self._charge, show)))
        return stack

    def _charge(self, show: str, seconds: float) -> None:
        self.seconds[show] += seconds


def test_work_alone_is_charged_whole_and_work_together_is_divided():
    clock, accounts = FakeClock(), FakeAccounts()
    meter = Meter(1, clock)

    with accounts.of("lamp"), meter.working():
        clock.now += 10
        with accounts.of("doac"), meter.working():
            clock.now += 6
        clock.now += 1
    clock.now += 50

    assert accounts.seconds == {"lamp": 14, "doac": 3}


def test_two_jobs_of_a_show_count_once():
    clock, accounts = FakeClock(), FakeAccounts()
    meter = Meter(1, clock)

    with accounts.of("lamp"), meter.working(), accounts.of("lamp"), meter.working():
        clock.now += 8

    assert accounts.seconds == {"lamp": 8}


def test_long_work_is_charged_while_it_is_under_way_and_each_gpu_counts():
    clock, accounts = FakeClock(), FakeAccounts()
    meter = Meter(2, clock)

    with accounts.of("lamp"), meter.working():
        clock.now += 3
        meter.settle()
        assert accounts.seconds == {"lamp": 6}
        clock.now += 1

    assert accounts.seconds == {"lamp": 8}


def test_a_cpu_charges_nothing_and_work_outside_of_jobs_is_charged_to_nobody():
    clock, accounts = FakeClock(), FakeAccounts()

    with accounts.of("lamp"), Meter(0, clock).working():
        clock.now += 5
    with Meter(1, clock).working():
        clock.now += 5
    spend(7.0)

    assert accounts.seconds == {}


def test_work_of_others_is_charged_to_the_job_of_the_thread():
    accounts = FakeAccounts()

    with accounts.of("lamp"):
        spend(12.5)

    assert accounts.seconds == {"lamp": 12.5}


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 100)), max_size=40))
def test_no_second_is_charged_twice_and_none_is_lost(changes: list[tuple[int, float]]):
    clock, accounts = FakeClock(), FakeAccounts()
    meter = Meter(1, clock)
    at_work: dict[int, ExitStack] = {}
    busy_s = 0.0
    for which, passed_s in changes:
        if which in at_work:
            at_work.pop(which).close()
        else:
            with accounts.of(f"show{which}"):
                at_work[which] = ExitStack()
                at_work[which].enter_context(meter.working())
        clock.now += passed_s
        busy_s += passed_s if at_work else 0.0
    for stack in at_work.values():
        stack.close()

    assert sum(accounts.seconds.values()) == pytest.approx(busy_s)


def test_a_ledger_gives_each_second_once():
    ledger = Ledger()
    ledger.add("lamp", 2.0)
    ledger.add("lamp", 3.0)

    assert (ledger.take(), ledger.take()) == ({"lamp": 5.0}, {})


NOW = 1000.5 * HOUR_S


@pytest.mark.parametrize(
    ("spent", "free_at_hour"),
    [
        ([], None),
        ([Spent(1000, 7199)], None),
        ([Spent(1000, 7200)], 1024),
        ([Spent(976, 90000)], None),
        ([Spent(977, 3600), Spent(1000, 3600)], 1001),
        ([Spent(990, 3600), Spent(980, 1800), Spent(999, 3000)], 1004),
        ([Spent(980, 100), Spent(990, 7200), Spent(999, 100)], 1014),
    ],
    ids=[
        "nothing yet",
        "just below",
        "all in this hour",
        "a day ago",
        "the oldest hour leaves next",
        "in any order",
        "the second oldest must leave too",
    ],
)
def test_a_quota_is_free_again_when_enough_hours_have_left_the_day(spent: list[Spent], free_at_hour: int | None):
    free_at = free_again_at(spent, 2 * HOUR_S, NOW)

    assert free_at == (None if free_at_hour is None else free_at_hour * HOUR_S)
