"""Runs and their resumable checkpoints in the store: claim a number, keep a checkpoint, find the newest."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

from shared import keys
from shared.errors import ConflictError
from shared.schemas import Blob, MetricPoint, Record, Slug, TrainRequest
from shared.store import Store, create_manifest, fetch_blob, load, put_blob

WEIGHTS = "adapter_model.safetensors"
# Written by the libraries into every checkpoint, and not needed to go on.
NOT_KEPT = ("training_args.bin", "README.md", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


class Run(Record):
    """Who a run number belongs to."""

    schema_version: Literal[1] = 1
    number: int
    job: str
    request: TrainRequest


class Checkpoint(Record):
    """State of a run after a step: adapter, optimizer, scheduler, random numbers, and the figures up to here.

    For the trainer alone; others read the adapter, which is safetensors only.
    """

    schema_version: Literal[1] = 1
    show: Slug
    run: int
    step: int
    job: str
    dataset: str
    files: dict[str, Blob]
    metrics: tuple[MetricPoint, ...]


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
        if create_manifest(store, keys.run(request.show, number), Run(number=number, job=job_id, request=request)):
            return number
    raise AssertionError("numbers do not end")


def keep_checkpoint(store: Store, folder: Path, checkpoint: Checkpoint) -> Checkpoint:
    """Store a checkpoint's files, then its manifest; the first of two of one step stands."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in NOT_KEPT)
    files = {path.name: put_blob(store, path, "application/octet-stream") for path in paths}
    checkpoint = checkpoint.model_copy(update={"files": files})
    create_manifest(store, keys.checkpoint(checkpoint.show, checkpoint.run, checkpoint.step), checkpoint)
    return checkpoint


def newest_checkpoint(store: Store, show: str, run: int) -> Checkpoint | None:
    found = store.list(keys.checkpoints(show, run))
    return load(store, found[-1], Checkpoint) if found else None


def fetch_checkpoint(store: Store, checkpoint: Checkpoint, work_dir: Path) -> Path:
    """Bring a checkpoint into `work_dir/resume/checkpoint-STEP`, each file checked."""
    folder = work_dir / "resume" / f"checkpoint-{checkpoint.step}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, blob in checkpoint.files.items():
        fetch_blob(store, blob, folder / name)
    return folder
