"""The story of an erasure: nothing of a recording stays but a tombstone, and what was made from it says so.

Every step may be repeated, after a kill too: what is needed to go on is read from the recording's manifest, which goes
last. The tombstone comes first; from then on ingest refuses the same content.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from pydantic import Field

from services.studio.care import traces
from services.studio.care.holdings import folder_of, keep_absences, read_manifest
from services.studio.care.memories import Memories, busy
from services.studio.care.traces import Traces
from services.studio.care.withdrawal import (
    metrics_jsonl,
    model_card,
    withdrawn,
    withdrawn_adapter,
    withdrawn_dataset,
    withdrawn_refresh,
)
from shared import keys
from shared.errors import ConflictError
from shared.forgetting import RememberedJob
from shared.jobs import JobContext
from shared.schemas import Absences, Adapter, Dataset, Episode, QuestionSheet, Record, Slug, Tombstone, Voiceprint, now
from shared.store import Store, load, point, put_blob, revise
from shared.subscriptions import LastRefresh
from shared.voiceprints import without

WAIT_S = 1.0
NAMED_AT_MOST = 5
CARD, METRICS = "README.md", "metrics.jsonl"
OTHERS = "another show"


Written = TypeVar("Written", Episode, QuestionSheet)


class EraseRequest(Record):
    show: Slug
    recording: str
    reason: str = Field(default="", max_length=300, description="why, for the tombstone; without names of people")


class Going(Record):
    key: str
    bytes: int


class Held(Record):
    """A blob that stays, since other manifests name it: those of the show, and whether another show has it."""

    key: str
    by: tuple[str, ...]


class Erasure(Record):
    """What an erasure would do.

    going        objects that go
    marked       datasets, adapters and episodes that get `source_withdrawn`; datasets lose their examples
    held         files of the recording that stay, for others
    jobs         ended jobs that are forgotten; an order is forgotten as a whole, also what it says of other recordings
    in_the_way   unfinished jobs that must end, or be cancelled, before
    """

    show: str
    recording: str
    title: str
    bytes: int
    going: tuple[Going, ...]
    marked: tuple[str, ...]
    held: tuple[Held, ...]
    jobs: tuple[RememberedJob, ...]
    in_the_way: tuple[RememberedJob, ...]


class EraseResult(Record):
    """What an erasure did: ids and sums, nothing of what was erased."""

    recording: str
    objects: int
    bytes: int
    marked: tuple[str, ...]
    jobs: dict[str, int] = Field(description="forgotten jobs by service")


# ---- preview ---------------------------------------------------------------------------------------------------------


def preview(store: Store, memories: Memories, show: str, recording: str) -> Erasure:
    """raises   NotFoundError for an unknown recording; ServiceUnavailableError while a service is away"""
    found = traces.read(store, show, recording)
    items = traces.items_of(store, show, recording)
    remembered = memories.carry_out(found.forgetting(dry_run=True, items=items))
    going, named = found.going, dict.fromkeys(blob.key for blob in found.own)
    return Erasure(
        show=show,
        recording=recording,
        title=found.as_edited.title,
        bytes=sum(found.objects[key] for key in going),
        going=tuple(Going(key=key, bytes=found.objects[key]) for key in going),
        marked=found.made,
        held=tuple(Held(key=key, by=_holders(show, found.held[key])) for key in named if key in found.held),
        jobs=tuple(job for answer in remembered for job in answer.ended),
        in_the_way=tuple(busy(found, remembered)),
    )


def _holders(show: str, manifests: Sequence[str]) -> tuple[str, ...]:
    """Those of the show by name; who may erase here need not know what other shows have."""
    own = [key for key in manifests if key.startswith(f"shows/{show}/")]
    return (*own, *([OTHERS] if len(own) < len(manifests) else ()))


def demand_idle(store: Store, memories: Memories, request: EraseRequest) -> None:
    """raises ConflictError, naming the jobs, if one that is not finished works with the recording"""
    found = traces.read(store, request.show, request.recording)
    jobs = busy(found, memories.carry_out(found.forgetting(dry_run=True)))
    if jobs:
        named = ", ".join(f"{job.kind} {job.id} ({job.service})" for job in jobs[:NAMED_AT_MOST])
        more = f" and {len(jobs) - NAMED_AT_MOST} more" if len(jobs) > NAMED_AT_MOST else ""
        raise ConflictError(
            f"recording {request.recording} is being worked with: {named}{more}; wait for them or cancel them with "
            "`diary jobs cancel`, then erase it"
        )


# ---- the job ---------------------------------------------------------------------------------------------------------


def run(request: EraseRequest, *, job: JobContext, store: Store, memories: Memories) -> EraseResult:
    """Erase a recording. No step keeps more than ids and sums: this job is not forgotten."""
    show, recording = request.show, request.recording
    job.step("look for work on it", lambda: demand_idle(store, memories, request))
    head = job.step("put up the tombstone", lambda: put_tombstone(store, request, job))
    job.step("wait for work on it", lambda: wait_until_idle(store, memories, request, job))
    marked = job.step("mark what was made from it", lambda: withdraw(store, request, job))
    forgotten = job.step("forget its jobs", lambda: forget(store, memories, request, job))
    went = job.step("remove it", lambda: remove(store, show, recording, job))
    job.step("look again", lambda: sweep(store, show, recording))
    return EraseResult(
        recording=recording,
        objects=head["objects"] + marked["objects"] + went["objects"],
        bytes=head["bytes"] + marked["bytes"] + went["bytes"],
        marked=tuple(marked["keys"]),
        jobs=forgotten,
    )


def put_tombstone(store: Store, request: EraseRequest, job: JobContext) -> dict[str, int]:
    """From here on nobody brings it in again; without its head no new dataset takes its transcript."""
    found = traces.read(store, request.show, request.recording)
    write_tombstone(store, request, job, found.made)
    head = keys.transcript_head(request.show, request.recording)
    store.delete(head)
    return {"objects": int(head in found.objects), "bytes": found.objects.get(head, 0)}


def write_tombstone(store: Store, request: EraseRequest, job: JobContext, made: Sequence[str]) -> None:
    tombstone = Tombstone(recording=request.recording, by=job.actor, reason=request.reason, descendants=tuple(made))
    point(store, keys.tombstone(request.show, request.recording), tombstone.model_dump_json().encode())


def wait_until_idle(store: Store, memories: Memories, request: EraseRequest, job: JobContext) -> None:
    """Wait for jobs that came between our look and the tombstone."""
    while True:
        found = traces.read(store, request.show, request.recording)
        jobs = busy(found, memories.carry_out(found.forgetting(dry_run=True)))
        if not jobs:
            return
        job.progress("waiting", 0, len(jobs), "jobs", note=f"for {jobs[0].kind} {jobs[0].id}")
        _pause(job)


def _pause(job: JobContext) -> None:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        job.check()
        time.sleep(0.1)


def forget(store: Store, memories: Memories, request: EraseRequest, job: JobContext) -> dict[str, int]:
    job.progress("forgetting its jobs")
    found = traces.read(store, request.show, request.recording)
    items = traces.items_of(store, request.show, request.recording)
    answers = memories.carry_out(found.forgetting(dry_run=False, items=items))
    return {answer.service: len(answer.ended) for answer in answers}


# ---- what was made from it -------------------------------------------------------------------------------------------


def withdraw(store: Store, request: EraseRequest, job: JobContext) -> dict[str, Any]:
    """Mark what was made from it; take its words and names out: examples, checkpoints, model cards."""
    found = traces.read(store, request.show, request.recording)
    bytes_before, going = found.objects, []
    for done, key in enumerate(found.made):
        job.check()
        job.progress("marking what was made from it", done, len(found.made), "artifacts")
        folder = folder_of(key)
        if folder == "datasets":
            going += withdraw_dataset(store, key, request, [blob.key for blob in found.blobs[key]])
        elif folder == "adapters":
            withdraw_adapter(store, key, request, found.needed)
        elif key.endswith("/questions.json"):
            revise(store, key, QuestionSheet, lambda known: withdrawn_episode(known, request.recording))
        else:
            revise(store, key, Episode, lambda known: withdrawn_episode(known, request.recording))
    for key in found.checkpoints:
        going += [blob.key for blob in found.blobs[key]] + [key]
    for key in going:
        store.delete(key)
    write_tombstone(store, request, job, found.made)
    gone = [key for key in dict.fromkeys(going) if key in bytes_before]
    return {"keys": list(found.made), "objects": len(gone), "bytes": sum(bytes_before[key] for key in gone)}


def withdraw_dataset(store: Store, key: str, request: EraseRequest, examples: list[str]) -> list[str]:
    """Its examples go; before, it is written down that they are missing on purpose."""
    others = traces.guests_of_others(store, request.show, read_manifest(store, key), request.recording)
    if examples:
        keep_absences(
            store, Absences(schema_version=2, show=request.show, why="withdrawn", keys=tuple(sorted(examples)))
        )
    revise(store, key, Dataset, lambda known: withdrawn_dataset(known, request.recording, others))
    return examples


def withdraw_adapter(store: Store, key: str, request: EraseRequest, needed: Collection[str]) -> None:
    """Its weights stay; its model card and figures, which name guests, are written anew from the manifest.

    needed   blobs that something else names too: of the old files these stay
    """
    dataset = keys.dataset(request.show, read_manifest(store, key)["dataset"])
    manifest = read_manifest(store, dataset) if store.exists(dataset) else {}
    others = traces.guests_of_others(store, request.show, manifest, request.recording)

    def change(known: Adapter) -> Adapter:
        marked = withdrawn_adapter(known, request.recording, others)
        written = {CARD: (model_card(marked), "text/markdown"), METRICS: (metrics_jsonl(marked), "application/jsonl")}
        files = {
            name: put_blob(store, text.encode(), media_type)
            for name, (text, media_type) in written.items()
            if name in known.files
        }
        for name, blob in files.items():
            if known.files[name].key not in (blob.key, *needed):
                store.delete(known.files[name].key)  # before it is named no more: a repeat would not find it
        return marked.model_copy(update={"files": {**known.files, **files}})

    revise(store, key, Adapter, change)


def withdrawn_episode(known: Written, recording: str) -> Written:
    return known.model_copy(update={"source_withdrawn": withdrawn(known.source_withdrawn, recording)})


# ---- the recording itself --------------------------------------------------------------------------------------------


def remove(store: Store, show: str, recording: str, job: JobContext) -> dict[str, int]:
    """Delete all of it, its manifest last: as long as that is there, a repeat knows what to look for."""
    if not store.exists(keys.recording(show, recording)):
        return {"objects": 0, "bytes": 0}  # we were killed after the last deletion
    found = traces.read(store, show, recording)
    own = {blob.key for blob in found.blobs[found.key]}
    drop_broken_off(store, own)
    clear_absences(store, show, own)
    clear_refreshes(store, found)
    unlearn(store, show, recording)
    going = found.going
    for done, key in enumerate(going):
        job.check()
        job.progress("removing", done, len(going), "objects")
        store.delete(key)
    return {"objects": len(going), "bytes": sum(found.objects[key] for key in going)}


def drop_broken_off(store: Store, blobs: set[str]) -> None:
    """Parts of writes of its audio that never ended."""
    for name in store.broken_off(now()):
        if name.partition("@")[2] in blobs:
            store.drop_broken_off(name)


def clear_absences(store: Store, show: str, blobs: set[str]) -> None:
    """Nothing names what was left out or collected of it any more."""
    for key in store.list(keys.absences(show)):
        absences = load(store, key, Absences)
        left = tuple(missing for missing in absences.keys if missing not in blobs)
        if len(left) < len(absences.keys):
            if left:
                keep_absences(store, absences.model_copy(update={"keys": left}))
            store.delete(key)


def clear_refreshes(store: Store, found: Traces) -> None:
    """What the last refresh of each source said of it."""
    titles = {found.recording.title, found.as_edited.title}
    told = found.recording.metadata.get("title")
    titles |= {told} if isinstance(told, str) else set()
    items = traces.items_of(store, found.recording.show, found.recording.id)
    for key in store.list(keys.refreshes(found.recording.show)):
        revise(store, key, LastRefresh, lambda known: withdrawn_refresh(known, found.recording.id, titles, items))


def unlearn(store: Store, show: str, recording: str) -> None:
    """Take what it taught out of the voiceprints that others taught too."""
    for key, left in traces.taught(store, show, recording).items():
        if left is not None:
            revise(store, key, Voiceprint, lambda known: without(known, recording) or known)


def sweep(store: Store, show: str, recording: str) -> None:
    """What somebody wrote of it while it went: without its manifest nobody starts anew."""
    unlearn(store, show, recording)
    voiceprints = traces.taught(store, show, recording)
    repeats = traces.repeats_with(store, show, recording)
    for key in (*store.list(keys.transcripts(show, recording)), keys.edits(show, recording), *voiceprints, *repeats):
        store.delete(key)
