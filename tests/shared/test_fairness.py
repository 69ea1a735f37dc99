"""Fair order between shows: what a tag is, and what holds however jobs come and go."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.fairness import Line, next_tag


@dataclass
class Queue:
    """The queue of a service, as the workflow library serves it: lowest tag first, then the oldest."""

    workers: int = 1
    waiting: list[tuple[int, int, str]] = field(default_factory=list)
    running: list[tuple[int, int, str]] = field(default_factory=list)
    newest: dict[str, int] = field(default_factory=dict)
    started: list[tuple[int, str]] = field(default_factory=list)
    number: int = 0

    def submit(self, show: str) -> int:
        own = [tag for tag, _, whose in self.waiting + self.running if whose == show]
        line = Line(
            lowest_queued=min((tag for tag, _, _ in self.waiting), default=None),
            highest_running=max((tag for tag, _, _ in self.running), default=None),
            own_highest=max(own, default=None),
            own_newest=self.newest.get(show),
            own_unfinished=len(own),
        )
        self.number += 1
        self.newest[show] = next_tag(line)
        self.waiting.append((self.newest[show], self.number, show))
        return self.number

    def start_one(self) -> None:
        if self.waiting and len(self.running) < self.workers:
            job = min(self.waiting)
            self.waiting.remove(job)
            self.running.append(job)
            self.started.append((job[1], job[2]))

    def end_one(self, which: int) -> None:
        if self.running:
            self.running.pop(which % len(self.running))

    def drain(self) -> None:
        while self.waiting:
            self.end_one(0)
            self.start_one()

    def started_before(self, number: int, *, since: int) -> list[str]:
        """Whose jobs started before a job did, from the start number `since` on."""
        place = [one for one, _ in self.started].index(number)
        return [show for _, show in self.started[since:place]]


def test_five_hundred_jobs_of_a_show_delay_anothers_first_by_one():
    queue = Queue()
    for _ in range(500):
        queue.submit("long")
    for _ in range(20):
        queue.start_one()
        queue.end_one(0)

    served = len(queue.started)
    first = queue.submit("short")
    second = queue.submit("short")
    queue.drain()

    assert queue.started_before(first, since=served) == ["long"]
    assert queue.started_before(second, since=served) == ["long", "short", "long"]


@pytest.mark.parametrize(
    ("line", "tag"),
    [
        (Line(None, None, None, None, 0), 1),
        (Line(None, None, None, 900, 0), 2),
        (Line(41, 40, None, None, 0), 41),
        (Line(41, 40, 540, 540, 500), 541),
        (Line(None, 40, 40, 40, 1), 41),
        (Line(41, 40, None, 41, 0), 42),
        (Line(41, 40, None, 7, 0), 41),
        (Line(41, 40, 0, 0, 1), 41),
    ],
    ids=[
        "nothing is there",
        "after a rest, the rounds begin again",
        "a new show is in the round that is served",
        "behind its own",
        "behind its own that runs",
        "it has just had its turn",
        "its turn was long ago",
        "its job was queued before there were tags",
    ],
)
def test_the_tag_of_a_new_job(line: Line, tag: int):
    assert next_tag(line) == tag


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(0, 3)),
        st.tuples(st.just("burst"), st.integers(0, 3)),
        st.tuples(st.just("start"), st.just(0)),
        st.tuples(st.just("end"), st.integers(0, 2)),
    ),
    max_size=80,
)


@given(events=EVENTS, workers=st.integers(1, 3))
def test_however_jobs_come_and_go_a_show_keeps_its_order_and_waits_for_one_job_of_each_other(events, workers: int):
    queue = Queue(workers)
    firsts: list[tuple[int, int, str]] = []
    for event, which in events:
        show = f"show{which}"
        if event in ("submit", "burst"):
            others_only = all(whose != show for _, _, whose in queue.waiting + queue.running)
            served, rested = len(queue.started), queue.newest.get(show) is None
            number = queue.submit(show)
            if others_only and rested:
                firsts.append((number, served, show))
            for _ in range(9 if event == "burst" else 0):
                queue.submit(show)
        elif event == "start":
            queue.start_one()
        else:
            queue.end_one(which)
    queue.drain()

    for show in queue.newest:
        own = [number for number, whose in queue.started if whose == show]
        assert own == sorted(own)
    for number, served, show in firsts:
        before = queue.started_before(number, since=served)
        assert all(before.count(other) <= 1 for other in {*before} - {show}), (show, before)


@given(rounds=st.lists(st.integers(0, 2), max_size=60))
def test_shows_that_order_one_job_after_the_other_do_not_keep_a_queued_one_waiting(rounds: list[int]):
    queue = Queue()
    for _ in range(30):
        queue.submit("waits")
    for which in rounds:
        queue.submit(f"quick{which}")
        queue.start_one()
        queue.end_one(0)
    served = len(queue.started)

    shares = [sum(show == name for _, show in queue.started) for name in ("waits", "quick0", "quick1", "quick2")]

    assert served == 0 or shares[0] + 1 >= max(shares[1:])
