"""The story of a collection: mark what may go, look again, remove what still may. A dry run only marks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from services.studio.care import retention
from services.studio.care.holdings import WORKING, Holdings, keep_absences, show_of, survey
from services.studio.care.retention import BROKEN_OFF, Mark, Rules
from shared import keys
from shared.jobs import JobContext
from shared.schemas import Absences, Record, Slug, now
from shared.store import Store

COLLECT = "collect"
MARKED_AT_ONCE = 20_000
SHOWN = 500
CLOCK_STEP = timedelta(seconds=2)  # a store may tell the time of one object to the second, of a list to the millisecond


class CollectionRequest(Record):
    """What may go of one show, or of all. `dry_run` false removes it."""

    show: Slug | None = None
    dry_run: bool = True


class Group(Record):
    kind: str
    show: str | None
    why: str
    objects: int
    bytes: int


class CollectionResult(Record):
    """What went, or would go: `groups` sums it up, `first` lists some of it; `waiting` goes at a later collection."""

    dry_run: bool
    objects: int
    bytes: int
    groups: tuple[Group, ...]
    waiting: tuple[Group, ...]
    first: tuple[Mark, ...]


class Marks(Record):
    marks: tuple[Mark, ...]


def run(request: CollectionRequest, *, job: JobContext, store: Store, rules: Rules) -> CollectionResult:
    """Mark, then remove what is still unneeded by then. A repeat goes on with the same marks, and finds fewer left."""
    memo = job.step("mark", lambda: Marks(marks=tuple(mark(request, job, store, rules))).model_dump(mode="json"))
    marks = Marks.model_validate(memo).marks
    going = [found for found in marks if not found.waits]
    if not request.dry_run:
        spared = set(job.step("sweep", lambda: sweep(going, request, job, store, rules)))
        going = [found for found in going if found.key not in spared]
    return CollectionResult(
        dry_run=request.dry_run,
        objects=len(going),
        bytes=sum(found.bytes for found in going),
        groups=grouped(going),
        waiting=grouped([found for found in marks if found.waits]),
        first=tuple(going[:SHOWN]),
    )


def mark(request: CollectionRequest, job: JobContext, store: Store, rules: Rules) -> list[Mark]:
    return retention.plan(store, look(job, store), rules, now(), request.show)[:MARKED_AT_ONCE]


def look(job: JobContext, store: Store) -> Holdings:
    def told(done: int, total: int) -> None:
        job.check()
        job.progress("reading manifests", done, total, "manifests")

    return survey(store, told)


def sweep(going: Sequence[Mark], request: CollectionRequest, job: JobContext, store: Store, rules: Rules) -> list[str]:
    """Remove what was marked and still may go; returns the keys that somebody came to need meanwhile."""
    holdings = look(job, store)
    still = {found.key for found in retention.plan(store, holdings, rules, now(), request.show) if not found.waits}
    remember_absences(store, holdings, [found.key for found in going if found.kind == WORKING and found.key in still])
    total, done, spared = sum(found.bytes for found in going), 0, []
    for found in going:
        job.check()
        job.progress("removing", done, total, "bytes")
        if found.kind == BROKEN_OFF:
            store.drop_broken_off(found.key)
        elif found.key in still and unchanged(store, holdings, found.key):
            store.delete(found.key)
        elif found.key in holdings.objects:
            spared.append(found.key)
        done += found.bytes
    return spared


def unchanged(store: Store, holdings: Holdings, key: str) -> bool:
    """Whether nobody wrote a blob since we looked: who needs an old one again sends it again (`put_blob`)."""
    if not key.startswith(keys.BLOBS):
        return True
    there = store.stat(key)
    return there is not None and there.modified <= holdings.objects[key].modified + CLOCK_STEP


def remember_absences(store: Store, holdings: Holdings, working_copies: Sequence[str]) -> None:
    """Write down what goes although manifests name it, so that nobody takes it for damage."""
    by_show: dict[str, set[str]] = defaultdict(set)
    for holder, named in holdings.named.items():
        if show := show_of(holder):
            by_show[show] |= {blob.key for blob in named} & set(working_copies)
    for show, missing in by_show.items():
        if missing:
            keep_absences(store, Absences(show=show, why="collected", keys=tuple(sorted(missing))))


def grouped(marks: Sequence[Mark]) -> tuple[Group, ...]:
    """Sums by kind, show and reason, the largest first."""
    groups: dict[tuple[str, str | None, str], list[int]] = defaultdict(list)
    for found in marks:
        groups[found.kind, found.show, found.why].append(found.bytes)
    made = [
        Group(kind=kind, show=show, why=why, objects=len(sizes), bytes=sum(sizes))
        for (kind, show, why), sizes in groups.items()
    ]
    return tuple(sorted(made, key=lambda group: (-group.bytes, group.kind, group.show or "", group.why)))
