"""What may go from the store, and why: marks from keys, manifests and ages; nothing is removed here.

Checkpoints and working copies go by rules of an operator. A blob goes when no manifest names it and it is older than
the grace of shared/store.py: a manifest is written after its blobs, so a younger one may still be asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from datetime import datetime, timedelta

from services.studio.care.holdings import (
    PROBES,
    UNREFERENCED,
    UPLOADS,
    WORKING,
    Holdings,
    folder_of,
    kind_of_blob,
    show_of,
)
from shared import keys
from shared.schemas import Record
from shared.store import GRACE, Store

PROBES_KEPT = timedelta(days=1)
BROKEN_OFF = "parts of broken writes"


class Rules(Record):
    """How long things are kept that are not needed any more.

    grace         of blobs that no manifest names
    finished      checkpoints of a run whose adapter is stored
    abandoned     checkpoints of a run that made no further one, and that nobody resumed, for so long
    working       16 kHz copies of recordings that have a transcript; None: for ever
    uploads       files that were uploaded, and no job has taken over
    """

    grace: timedelta = GRACE
    finished: timedelta = timedelta(0)
    abandoned: timedelta = timedelta(days=30)
    working: timedelta | None = None
    uploads: timedelta = timedelta(hours=72)


class Mark(Record):
    """One object that may go; `waits` when it is too young to go now."""

    key: str
    bytes: int
    kind: str
    show: str | None
    why: str
    waits: bool = False


def plan(store: Store, holdings: Holdings, rules: Rules, now: datetime, show: str | None = None) -> list[Mark]:
    """All that may go, of one show or of all, manifests before the blobs that only they name.

    What belongs to no show (uploads, blobs that nobody names) goes only with all shows.
    """
    going = {mark.key: mark for mark in _checkpoints(holdings, rules, now)}
    marks = [
        *going.values(),
        *_working_copies(holdings, rules, now),
        *_blobs(holdings, going, rules, now),
        *_uploads(holdings, rules, now),
        *_probes(holdings, now),
        *_broken_off(store, rules, now),
    ]
    return [mark for mark in marks if show in (None, mark.show)]


def _mark(holdings: Holdings, key: str, kind: str, show: str | None, why: str, *, waits: bool = False) -> Mark:
    return Mark(key=key, bytes=holdings.objects[key].bytes, kind=kind, show=show, why=why, waits=waits)


# ---- checkpoints: optimizer state, for resuming a run ---------------------------------------------------------------


def _checkpoints(holdings: Holdings, rules: Rules, now: datetime) -> Iterator[Mark]:
    """Manifests of checkpoints that no job will resume from."""
    for (show, run), found in _by_run(holdings).items():
        adapter = _adapter_of(holdings, show, run)
        claim = keys.run(show, run)  # written again by each job that goes on with the run
        alive = [*found, claim] if claim in holdings.objects else found
        newest = max(holdings.objects[key].modified for key in alive)
        if adapter and now - holdings.objects[adapter].modified >= rules.finished:
            why = f"run {run} is finished: its adapter is stored"
        elif now - newest >= rules.abandoned:
            why = f"run {run} made no checkpoint for {_span(rules.abandoned)}"
        else:
            continue
        for key in found:
            yield _mark(holdings, key, "checkpoints", show, why)


def _by_run(holdings: Holdings) -> dict[tuple[str, int], list[str]]:
    """Keys of checkpoints by show and run."""
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    for key in holdings.objects:
        if (show := show_of(key)) is not None and folder_of(key) == "checkpoints":
            found[show, int(key.split("/")[3])].append(key)
    return found


def _adapter_of(holdings: Holdings, show: str, run: int) -> str | None:
    """Key of the adapter that ends a run, if it is stored; which step was kept, its name says."""
    prefix = keys.adapters_of_run(show, run)
    return next((key for key in holdings.objects if key.startswith(prefix)), None)


# ---- working copies -------------------------------------------------------------------------------------------------


def _working_copies(holdings: Holdings, rules: Rules, now: datetime) -> Iterator[Mark]:
    """Old working copies of recordings with a transcript; one that anything else names stays."""
    if rules.working is None:
        return
    transcribed = {tuple(key.split("/")[1:4:2]) for key in holdings.objects if key.endswith("/head")}
    for blob, holders in _holders(holdings).items():
        if blob not in holdings.objects or any(kind != WORKING for _, kind in holders):
            continue
        recordings = [(show_of(holder) or "", _recording_of(holder)) for holder, _ in holders]
        newest = max(holdings.objects[key].modified for key in (blob, *(holder for holder, _ in holders)))
        if now - newest >= max(rules.working, rules.grace) and transcribed.issuperset(recordings):
            why = f"transcribed, and older than {_span(rules.working)}; it can be made again from the original"
            yield _mark(holdings, blob, WORKING, recordings[0][0], why)


def _holders(holdings: Holdings) -> dict[str, list[tuple[str, str]]]:
    """Blob -> the manifests that name it, and as what."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for holder, named in holdings.named.items():
        for blob in named:
            kind = kind_of_blob(holder, blob) if show_of(holder) else UPLOADS
            found[blob.key].append((holder, kind))
    return found


def _recording_of(manifest: str) -> str:
    return manifest.rsplit("/", 1)[1].removesuffix(".json")


# ---- blobs that nobody names ----------------------------------------------------------------------------------------


def _blobs(holdings: Holdings, going: Container[str], rules: Rules, now: datetime) -> Iterator[Mark]:
    """Blobs that no manifest names, or only one that goes."""
    holders = _holders(holdings)
    for key, stored in holdings.objects.items():
        if not key.startswith(keys.BLOBS) or any(holder not in going for holder, _ in holders.get(key, ())):
            continue
        show, kind, why = _owner(holders.get(key, ()))
        young = now - stored.modified < rules.grace
        note = f"; goes once it is {_span(rules.grace)} old" if young else ""
        yield _mark(holdings, key, kind, show, why + note, waits=young)


def _owner(holders: Iterable[tuple[str, str]]) -> tuple[str | None, str, str]:
    """Show, kind and reason of a blob whose holders all go."""
    for holder, kind in holders:
        return show_of(holder), kind, "only checkpoints that go name it"
    return None, UNREFERENCED, "no manifest names it"


# ---- passing things -------------------------------------------------------------------------------------------------


def _uploads(holdings: Holdings, rules: Rules, now: datetime) -> Iterator[Mark]:
    """An upload that came in pieces goes as a whole, its facts first, once its last piece is old."""
    newest: dict[str, datetime] = {}
    for key, stored in holdings.objects.items():
        if key.startswith((keys.UPLOADS, keys.IMPORTS)):
            newest[_upload_of(key)] = max(stored.modified, newest.get(_upload_of(key), stored.modified))
    old = {upload for upload, modified in newest.items() if now - modified >= rules.uploads}
    going = [key for key in holdings.objects if _upload_of(key) in old]
    for key in sorted(going, key=lambda key: (_upload_of(key), key != keys.upload_facts(_upload_of(key)), key)):
        yield _mark(holdings, key, UPLOADS, None, f"uploaded {_span(rules.uploads)} ago and never taken over")


def _upload_of(key: str) -> str:
    """`uploads/ID` of `uploads/ID/0000000016777216`."""
    return "/".join(key.split("/")[:2])


def _probes(holdings: Holdings, now: datetime) -> Iterator[Mark]:
    for key, stored in holdings.objects.items():
        if key.startswith(keys.PROBES) and now - stored.modified >= PROBES_KEPT:
            yield _mark(holdings, key, PROBES, None, "left by a service that was killed at its start")


def _broken_off(store: Store, rules: Rules, now: datetime) -> Iterator[Mark]:
    """Parts of large files whose writer was killed; how large they are, the store does not tell."""
    why = f"a write that began {_span(rules.uploads)} ago and never ended"
    for name in store.broken_off(now - rules.uploads):
        yield Mark(key=name, bytes=0, kind=BROKEN_OFF, show=None, why=why)


def _span(time: timedelta) -> str:
    hours = time.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} h"
