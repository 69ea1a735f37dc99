"""The story of a refresh: ask a source what it has, and bring what is new, one after the other."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.ingest import folders, keeping, selection
from services.ingest.bringing import Engine, bring_file, bring_item, download_folder
from services.ingest.catalogue import Catalogue, Item
from services.ingest.job import demand_show
from services.ingest.place import Place
from services.ingest.selection import Choice
from services.ingest.settings import Settings
from shared import keys
from shared.errors import (
    ArtifactMissingError,
    BadAudioError,
    BadInputError,
    ConflictError,
    DiaryError,
    EngineFailedError,
    NoSpaceError,
    NotFoundError,
    SourceUnavailableError,
    TooSlowError,
)
from shared.jobs import JobContext
from shared.patience import Patience
from shared.schemas import Recording, Show, Source, now
from shared.store import Store, create_manifest, load, point
from shared.subscriptions import (
    FailedItem,
    KnownItem,
    LastRefresh,
    RefreshRequest,
    RefreshResult,
    SourceSecret,
    Subscription,
)

OF_THE_ITEM = (BadInputError, ConflictError, SourceUnavailableError, EngineFailedError, NoSpaceError)
"""What may be wrong with one item while the others are fine."""
OF_ALL = (SourceUnavailableError, EngineFailedError, NoSpaceError, TooSlowError)
"""What is not the item's own fault when it happens several times in a row."""
SETTLED = (BadAudioError, TooSlowError, ConflictError)
"""What another try does not change."""
TRIES = 3
TROUBLES_IN_A_ROW = 5
"""Items of a site that may fail one after the other before the rest is left for the next time."""
LONGEST_WAIT_S = 300.0
NOT_TRIED = "{} more were not tried: too many failed in a row; refresh again later"


@dataclass(frozen=True)
class Round:
    """One refresh of one source."""

    request: RefreshRequest
    subscription: Subscription
    show: Show
    job: JobContext
    store: Store
    engine: Engine
    settings: Settings


def refresh(
    request: RefreshRequest, *, job: JobContext, store: Store, engine: Engine, settings: Settings
) -> RefreshResult:
    """Ask a source what it has, and bring what is new, one after the other; one that fails never stops the rest.

    Each item that became a recording leaves a marker in the store, written last: a refresh that was killed goes on
    with what has none, and the next refresh brings nothing twice.
    """
    show = demand_show(store, request.show)
    this = Round(request, _subscription(store, request), show, job, store, engine, settings)
    last = _last(this)
    catalogue = _look(this, last)
    if catalogue.unchanged and last is not None:
        return _nothing_new(this, last)
    known = _known(this, catalogue)
    choices = _choose(this, catalogue, known, last)
    if request.dry_run:
        return selection.summary(catalogue, choices, this.subscription, dry_run=True)
    new = _untried_first([choice for choice in choices if choice.found.state == "new"], last)
    failed, untried = _bring_all(this, new)
    failed += _still_hopeless(last, choices)
    markers = {**known, **_new_markers(this, new)}
    made = _made_by(this, choices, markers)
    choices = _without_erased(this, choices, markers)
    job.progress("writing down how it went")
    result = selection.summary(catalogue, choices, this.subscription, dry_run=False, recordings=made, failed=failed)
    if untried:
        result = result.model_copy(update={"warnings": (*result.warnings, NOT_TRIED.format(untried))})
    _write_down(this, catalogue, result)
    return result


def _subscription(store: Store, request: RefreshRequest) -> Subscription:
    try:
        return load(store, keys.source(request.show, request.source), Subscription)
    except ArtifactMissingError as error:
        advice = f"`diary sources list {request.show}` names those that exist"
        raise NotFoundError(f"there is no source {request.source!r} in {request.show}; {advice}") from error


def _last(this: Round) -> LastRefresh | None:
    try:
        return load(this.store, keys.refresh(this.show.slug, this.subscription.id), LastRefresh)
    except ArtifactMissingError:
        return None


def _look(this: Round, last: LastRefresh | None) -> Catalogue:
    """What the source has; one that has not changed since all of it came is not read again."""
    subscription = this.subscription
    this.job.progress("asking the source")
    if subscription.kind == "folder":
        return folders.look(this.settings.folder, subscription.address, this.settings.max_items)
    settled = last is not None and not this.request.dry_run and not this.request.retry
    settled = settled and last is not None and last.filters == subscription.filters and not last.result.failed
    settled = settled and last is not None and last.limits == _limits(this)
    known = {"etag": last.etag, "modified": last.modified} if settled and last is not None else {}
    return this.engine.look(_address(this), subscription.kind, this.job.work_dir, this.job, **known)


def _limits(this: Round) -> str:
    """What the operator's limits leave out comes when they are raised."""
    return f"{this.settings.max_items} items, {this.settings.max_duration_s:g} s"


def _address(this: Round) -> str:
    if not this.subscription.private:
        return this.subscription.address
    key = keys.source_secret(this.show.slug, this.subscription.id)
    try:
        return load(this.store, key, SourceSecret).address
    except ArtifactMissingError as error:
        raise NotFoundError(
            f"the secret part of the source's address is not stored here; {keys.advice(key)}"
        ) from error


def _nothing_new(this: Round, last: LastRefresh) -> RefreshResult:
    """The result for a feed that is as it was; a job that was killed after its last write still names what it made."""
    made = tuple(name for name in last.result.recordings if _is_ours(this, name))
    known = last.result.known + last.result.new
    result = last.result.model_copy(
        update={"new": 0, "known": known, "hours": 0.0, "bytes": 0, "recordings": made, "failed": ()}
    )
    _write_last(this, last.model_copy(update={"result": result, "at": now()}))
    return result


def _is_ours(this: Round, recording: str) -> bool:
    key = keys.recording(this.show.slug, recording)
    return this.store.exists(key) and load(this.store, key, Recording).lineage.job == this.job.id


def _known(this: Round, catalogue: Catalogue) -> dict[str, KnownItem]:
    """The markers of all items that became a recording, by item id."""
    ids = {selection.id_of(item, catalogue.kind, this.subscription.id) for item in catalogue.items}
    stored = [key for key in this.store.list(keys.items(this.show.slug)) if _name(key) in ids]
    known = {}
    for done, key in enumerate(stored):
        this.job.check()
        this.job.progress("looking up what is known", done, len(stored), "items")
        known[_name(key)] = load(this.store, key, KnownItem)
    return known


def _choose(
    this: Round, catalogue: Catalogue, known: Mapping[str, KnownItem], last: LastRefresh | None
) -> list[Choice]:
    hopeless = {} if this.request.retry or last is None else _hopeless(last)
    longest_s = this.settings.max_duration_s
    became = {name: marker.recording for name, marker in known.items()}
    return selection.choose(catalogue, this.subscription, became, _erased(this), hopeless, longest_s)


def _erased(this: Round) -> frozenset[str]:
    return frozenset(_name(key) for key in this.store.list(keys.tombstones(this.show.slug)))


def _name(key: str) -> str:
    return key.rsplit("/", 1)[1].removesuffix(".json")


def _hopeless(last: LastRefresh) -> dict[str, str]:
    return {failed.id: failed.problem for failed in last.result.failed if not failed.again}


def _still_hopeless(last: LastRefresh | None, choices: list[Choice]) -> list[FailedItem]:
    """What failed before and was not tried again is still said."""
    skipped = {choice.found.id for choice in choices if choice.found.state == "left out"}
    return [failed for failed in last.result.failed if failed.id in skipped and not failed.again] if last else []


def _new_markers(this: Round, new: list[Choice]) -> dict[str, KnownItem]:
    """The markers that new items have by now."""
    found = {}
    for choice in new:
        key = keys.item(this.show.slug, choice.found.id)
        if this.store.exists(key):
            found[choice.found.id] = load(this.store, key, KnownItem)
    return found


def _made_by(this: Round, choices: list[Choice], markers: Mapping[str, KnownItem]) -> list[str]:
    """Recordings that this very job made, also before it was killed and taken up again."""
    own = (markers[choice.found.id] for choice in choices if choice.found.id in markers)
    made = dict.fromkeys(marker.recording for marker in own if marker.job == this.job.id)
    return [name for name in made if this.store.exists(keys.recording(this.show.slug, name))]


def _without_erased(this: Round, choices: list[Choice], markers: Mapping[str, KnownItem]) -> list[Choice]:
    """What was erased while we worked is not named any more."""
    gone = _erased(this)
    lost = {name for name, marker in markers.items() if marker.recording in gone}
    return [choice.erased() if choice.found.id in lost else choice for choice in choices]


def _write_down(this: Round, catalogue: Catalogue, result: RefreshResult) -> None:
    last = LastRefresh(
        result=result.model_copy(update={"first": ()}),
        filters=this.subscription.filters,
        limits=_limits(this),
        etag=catalogue.etag,
        modified=catalogue.modified,
    )
    _write_last(this, last)


def _write_last(this: Round, last: LastRefresh) -> None:
    point(this.store, keys.refresh(this.show.slug, this.subscription.id), last.model_dump_json().encode())


# ---- its new items ---------------------------------------------------------------------------------------------------


def _untried_first(new: list[Choice], last: LastRefresh | None) -> list[Choice]:
    """What failed the last time comes last: a few that always fail never keep the others from their turn."""
    failed = {item.id for item in last.result.failed} if last is not None else set()
    return sorted(new, key=lambda choice: choice.found.id in failed)


def _bring_all(this: Round, new: list[Choice]) -> tuple[list[FailedItem], int]:
    """Each new item in turn. A site that fails again and again is left alone until the next refresh.

    returns   what failed, and how many were not tried any more
    """
    failed: list[FailedItem] = []
    troubles = 0
    for number, choice in enumerate(new):
        this.job.check()
        if troubles >= TROUBLES_IN_A_ROW:
            return failed, len(new) - number
        place = Place(this.job, number, len(new), choice.found.title)
        place.progress("starting")
        try:
            _bring_patiently(this, choice, place)
            troubles = 0
        except OF_THE_ITEM as error:
            troubles = troubles + 1 if isinstance(error, OF_ALL) else 0
            troubles = TROUBLES_IN_A_ROW if _asked_s(error) > LONGEST_WAIT_S else troubles
            failed.append(_failure(choice, str(error), again=not isinstance(error, SETTLED)))
        if number + 1 < len(new):
            place.wait(this.settings.pause_s, "being polite to the site")
    return failed, 0


def _asked_s(error: DiaryError) -> float:
    """Seconds that a site asks to wait; 0 if it does not."""
    return getattr(error, "retry_after_s", None) or 0.0


def _failure(choice: Choice, problem: str, *, again: bool) -> FailedItem:
    return FailedItem(id=choice.found.id, title=choice.found.title, problem=problem, again=again)


def _bring_patiently(this: Round, choice: Choice, place: Place) -> None:
    """A site that is busy says how long to wait; without a word we wait longer each time.

    One that asks for more than LONGEST_WAIT_S is not asked again before the next refresh.
    """
    patience = Patience()
    while True:
        try:
            return _bring_one(this, choice, place)
        except (SourceUnavailableError, EngineFailedError) as error:
            asked_s = _asked_s(error)
            if not patience.bears(error) or patience.tries >= TRIES or asked_s > LONGEST_WAIT_S:
                raise
            place.wait(min(asked_s or patience.pause_s, LONGEST_WAIT_S), str(error))


def _bring_one(this: Round, choice: Choice, place: Place) -> None:
    """Until its marker is written, nobody else brings the same item; who waited for that finds the marker."""
    marker = keys.item(this.show.slug, choice.found.id)
    shutil.rmtree(place.work_dir, ignore_errors=True)  # of an earlier try
    place.work_dir.mkdir(parents=True)
    try:
        with download_folder(this.settings.downloads, choice.found.id, place) as folder:
            if not this.store.exists(marker):
                recording = _recording_of(this, choice.item, folder, place)
                create_manifest(this.store, marker, KnownItem(recording=recording, job=this.job.id))
    finally:
        shutil.rmtree(place.work_dir, ignore_errors=True)


def _recording_of(this: Round, item: Item, folder: Path, place: Place) -> str:
    """The recording that an item becomes, or would be if it had not been erased: that is not to be fetched again."""
    if this.subscription.kind == "folder":
        brought = bring_file(folders.path_of(this.settings.folder, item), f"folder:{item.url}", item.title)
    else:
        brought = bring_item(item, folder, place, this.engine)
    try:
        return keeping.keep(brought, this.show, Source(), place, this.store, this.engine).recording
    except ConflictError:
        if this.store.exists(keys.tombstone(this.show.slug, brought.recording_id)):
            return brought.recording_id
        raise
