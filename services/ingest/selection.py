"""Which items of a source would come: what is known, what was erased, what the filters leave out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from services.ingest.catalogue import Catalogue, Item
from services.ingest.source import AUDIO_BYTES_PER_S
from shared import keys
from shared.patterns import quick_pattern
from shared.schemas import Record
from shared.subscriptions import FailedItem, Filters, FoundItem, RefreshResult, Subscription

SHOWN = 200


class Choice(Record):
    """An item, and what is to become of it."""

    item: Item
    found: FoundItem

    def erased(self) -> Choice:
        """The same of a recording that was erased: nobody is to read of it any more."""
        return self.model_copy(update={"found": self.found.model_copy(update={"state": "erased", "title": ""})})


def choose(
    catalogue: Catalogue,
    subscription: Subscription,
    known: Mapping[str, str],
    erased: Iterable[str],
    hopeless: Mapping[str, str],
    max_duration_s: float,
) -> list[Choice]:
    """A word about every item, in the catalogue's order, each identity once.

    known      item id -> its recording
    erased     recordings
    hopeless   item id -> what was wrong with it the last time
    """
    gone, filters = frozenset(erased), subscription.filters
    choices: dict[str, Choice] = {}
    wanted = 0
    for item in catalogue.items:
        found = describe(item, id_of(item, catalogue.kind, subscription.id))
        if found.id in choices:
            continue
        recording = known.get(found.id)
        if recording is not None:
            change = {"state": "known", "recording": recording}
            if recording in gone:
                change = {"state": "erased", "recording": recording, "title": ""}  # nobody is to read of it here
        elif why := _left_out(item, filters, max_duration_s):
            change = {"state": "left out", "why": why}
        elif found.id in hopeless:
            change = {"state": "left out", "why": "it failed the last time"}
        else:
            change = {}
        if change.get("state") != "left out":
            wanted += 1
            if filters.newest is not None and wanted > filters.newest and recording is None:
                change = {"state": "left out", "why": f"not among the newest {filters.newest}"}
        choices[found.id] = Choice(item=item, found=found.model_copy(update=change))
    return list(choices.values())


def describe(item: Item, item_id: str) -> FoundItem:
    """An item as people may see it; lengths are estimated where the source does not tell them."""
    return FoundItem(
        id=item_id,
        title=item.title,
        published_on=item.published_on,
        duration_s=item.duration_s,
        bytes=item.bytes or (round(item.duration_s * AUDIO_BYTES_PER_S) if item.duration_s else None),
    )


def id_of(item: Item, kind: str, source_id: str) -> str:
    """The same item of a site is known in every list of that site; what a feed calls its item, only that feed knows."""
    return keys.item_id(f"{source_id} {item.identity}" if kind == "feed" else item.identity)


def _left_out(item: Item, filters: Filters, max_duration_s: float) -> str:
    day, pattern = item.published_on, filters.title_pattern
    dated = filters.after is not None or filters.before is not None
    shortest_s = (filters.min_minutes or 0.0) * 60
    rules: tuple[tuple[bool, str], ...] = (
        (pattern is not None and not quick_pattern(pattern).search(item.title), "the title does not match"),
        (dated and day is None, "its date is not known"),
        (bool(filters.after and day and day < filters.after), "published too early"),
        (bool(filters.before and day and day > filters.before), "published too late"),
        (item.duration_s is not None and item.duration_s < shortest_s, "too short"),
        ((item.duration_s or 0.0) > max_duration_s, "longer than INGEST_MAX_DURATION_S"),
    )
    return next((why for broken, why in rules if broken), "")


def summary(
    catalogue: Catalogue,
    choices: Sequence[Choice],
    subscription: Subscription,
    *,
    dry_run: bool,
    recordings: Sequence[str] = (),
    failed: Sequence[FailedItem] = (),
) -> RefreshResult:
    states = Counter(choice.found.state for choice in choices)
    new = [choice.found for choice in choices if choice.found.state == "new"]
    rank: Callable[[Choice], bool] = lambda choice: choice.found.state != "new"  # noqa: E731
    return RefreshResult(
        source=subscription.id,
        title=catalogue.title,
        dry_run=dry_run,
        found=len(choices),
        new=states["new"],
        known=states["known"],
        erased=states["erased"],
        left_out=dict(Counter(choice.found.why for choice in choices if choice.found.state == "left out")),
        hours=round(sum(found.duration_s or 0.0 for found in new) / 3600, 2),
        bytes=sum(found.bytes or 0 for found in new),
        recordings=tuple(recordings),
        failed=tuple(failed),
        first=tuple(choice.found for choice in sorted(choices, key=rank)[:SHOWN]),
        warnings=catalogue.warnings,
    )
