"""Runs and their resumable checkpoints in the store: claim a number, keep a checkpoint, find newest and best."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from services.trainer.choice import best_point
from shared import keys
from shared.errors import ConflictError
from shared.jobs import JobContext
from shared.resuming import demand_resumable, read_run, settled
from shared.schemas import Adapter, Checkpoint, MetricPoint, Run, TrainRequest, now
from shared.store import Store, create_manifest, fetch_blob, load, put_blob, revise

WEIGHTS = "adapter_model.safetensors"
# Written by the libraries into every checkpoint, and not needed to go on.
NOT_KEPT = ("training_args.bin", "README.md", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def claim_run(store: Store, request: TrainRequest, job_id: str) -> int:
    """The run number of a job: the one it claimed before, or the next free one.

    raises   ConflictError if the job claimed a run for another request
    """
    prefix = keys.run(request.show, 0).removesuffix("0.json")
    runs = sorted((load(store, key, Run) for key in store.list(prefix)), key=lambda run: run.number)
    for run in runs:
        if run.job == job_id:
            if run.request != request:
                raise ConflictError(f"job {job_id} has run {run.number} for another request; submit it as a new job")
            return run.number
    for number in itertools.count(runs[-1].number + 1 if runs else 1):
        claim = Run(number=number, job=job_id, request=request, claimed_at=now())
        if create_manifest(store, keys.run(request.show, number), claim):
            return number
    raise AssertionError("numbers do not end")


def take_over(store: Store, request: TrainRequest, number: int, job: JobContext) -> int:
    """Make a stopped run this job's, to go on with; of two jobs that want it at once, one gets it. Its number.

    raises   ConflictError if it is finished or another job works on it; BadInputError if it cannot go on
    """

    def change(known: Run) -> Run:
        if known.job == job.id:
            return known
        demand_resumable(store, request.show, known, request.steps)
        if not job.is_over(known.job):
            raise ConflictError(
                f"job {known.job} works on run {number} of {request.show} right now; follow that one, or cancel it "
                "first and resume the run then"
            )
        wanted = settled(request, known).model_copy(update={"resume": None})
        before = (*known.jobs_before, known.job)
        return known.model_copy(update={"job": job.id, "jobs_before": before, "request": wanted})

    return revise(store, keys.run(request.show, number), Run, change).number


def demand_ours(store: Store, show: str, number: int, job_id: str) -> None:
    """raises ConflictError if another job has taken the run over: this one was stopped, and has not noticed yet"""
    owner = read_run(store, show, number).job
    if owner != job_id:
        raise ConflictError(f"run {number} of {show} is job {owner}'s now; follow that one")


def adapter_of_run(store: Store, show: str, run: int) -> Adapter | None:
    """The adapter that a run has ended with."""
    found = store.list(keys.adapters_of_run(show, run))
    return load(store, found[0], Adapter) if found else None


def keep_checkpoint(store: Store, folder: Path, checkpoint: Checkpoint) -> Checkpoint:
    """Store a checkpoint's files, then its manifest; the first of two of one step stands."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in NOT_KEPT)
    files = {path.name: put_blob(store, path, "application/octet-stream") for path in paths}
    checkpoint = checkpoint.model_copy(update={"files": files})
    create_manifest(store, keys.checkpoint(checkpoint.show, checkpoint.run, checkpoint.step), checkpoint)
    return checkpoint


def drop_old(store: Store, show: str, run: int, metrics: Sequence[MetricPoint], request: TrainRequest) -> None:
    """Forget all checkpoints but the last few and the best one; their bytes go with studio's next collection."""
    found = store.list(keys.checkpoints(show, run))
    best = best_point(metrics, request.memorisation_limit)
    spared = {keys.checkpoint(show, run, best.step)} if best else set()
    for key in found[: -request.keep_last]:
        if key not in spared:
            store.delete(key)


def newest_checkpoint(store: Store, show: str, run: int) -> Checkpoint | None:
    found = store.list(keys.checkpoints(show, run))
    return load(store, found[-1], Checkpoint) if found else None


def best_checkpoint(store: Store, newest: Checkpoint, limit: float) -> Checkpoint | None:
    """The best of the newest checkpoint's run so far, by the figures that it has; None where none was judged."""
    best = best_point(newest.metrics, limit)
    return load(store, keys.checkpoint(newest.show, newest.run, best.step), Checkpoint) if best else None


def fetch_checkpoint(store: Store, checkpoint: Checkpoint, work_dir: Path) -> Path:
    """Bring a checkpoint into `work_dir/resume/checkpoint-STEP`, each file checked."""
    folder = work_dir / "resume" / f"checkpoint-{checkpoint.step}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, blob in checkpoint.files.items():
        fetch_blob(store, blob, folder / name)
    return folder
