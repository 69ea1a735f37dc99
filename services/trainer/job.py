"""The trainer's two stories: transcripts -> dataset, dataset -> adapter. Both are safe to repeat at any point."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.trainer.base import demand_same_base
from services.trainer.card import eval_losses, metrics_jsonl, model_card
from services.trainer.checkpoints import Checkpoint, claim_run, fetch_checkpoint, keep_checkpoint, newest_checkpoint
from services.trainer.dataset import Built, Frame, Source, build_examples, split
from services.trainer.plan import TARGET_MODULES, Engine, Plan, Trained
from services.trainer.sizes import work_bytes
from services.trainer.sources import guests_kept_out_before, read_sources
from shared import keys
from shared.errors import BadInputError, LeaseYieldedError
from shared.jobs import JobContext
from shared.models import Base
from shared.render import renderer_for
from shared.schemas import (
    Adapter,
    Blob,
    Dataset,
    DatasetRequest,
    DatasetResult,
    Example,
    Lineage,
    MadeFrom,
    MetricPoint,
    Show,
    TrainRequest,
    TrainResult,
)
from shared.space import demand_space
from shared.store import Store, create_manifest, fetch_blob, load, made_from, put_blob
from shared.version import VERSION

EXAMPLE_FORMAT = 2  # raised when the same transcripts would give other examples


# ---- transcripts -> dataset ------------------------------------------------------------------------------------------


def build(request: DatasetRequest, *, job: JobContext, store: Store, engine: Engine) -> DatasetResult:
    """Freeze the current transcripts of a show into examples; the same transcripts and wishes give the same dataset."""
    show = load(store, keys.show(request.show), Show)
    base = engine.base(job)
    if request.max_length > base.context:
        raise BadInputError(
            f"max_length {request.max_length} is more than {base.name} can read ({base.context} tokens)"
        )
    sources = read_sources(request, job, store)
    frame = Frame(show.title, show.host, request.max_length, request.loss_on)
    built = build_examples(sources, frame, renderer_for(base.folder))
    demand_examples(built, sources, show)
    train, kept_out = split(built.examples, request.eval_guests, guests_kept_out_before(store, request.show))
    job.check()

    dataset_id = identify(request, show, base, sources, guests_of(kept_out))
    dataset = Dataset(
        id=dataset_id,
        show=show.slug,
        host=show.host,
        train=put_blob(store, jsonl(train), "application/jsonl"),
        eval=put_blob(store, jsonl(kept_out), "application/jsonl"),
        train_examples=len(train),
        eval_examples=len(kept_out),
        train_tokens=sum(example.tokens for example in train),
        eval_tokens=sum(example.tokens for example in kept_out),
        train_guests=guests_of(train),
        eval_guests=guests_of(kept_out),
        left_out=tuple(built.left_out),
        warnings=tuple(built.warnings),
        max_length=request.max_length,
        loss_on=request.loss_on,
        base_model=base.name,
        base_revision=base.revision,
        lineage=lineage(
            job,
            request,
            {"base": base.label},
            made_from(store, *keys_of(sources, show.slug)),
            {"repeated": {one.cluster: one.why for source in sources for one in source.repeated}},
        ),
    )
    key = keys.dataset(show.slug, dataset_id)
    create_manifest(store, key, dataset)
    return DatasetResult(dataset=dataset_id, key=key, tokens=dataset.tokens, examples=len(built.examples))


def demand_examples(built: Built, sources: Sequence[Source], show: Show) -> None:
    """Say clearly why nothing, or not enough, can be learnt from."""
    if not built.examples:
        reasons = "; ".join(sorted({left.reason for left in built.left_out})) or "nothing is said in them"
        raise BadInputError(f"none of the {len(sources)} transcript(s) of {show.slug} can be trained on: {reasons}")
    if len({example.recording for example in built.examples}) == 1:
        raise BadInputError(
            f"only one recording of {show.slug} can be trained on; a dataset needs two at least, with different "
            "guests: one to learn from and one to judge by"
        )


def identify(
    request: DatasetRequest, show: Show, base: Base, sources: Sequence[Source], kept_out: Sequence[str]
) -> str:
    inputs = {
        "format": EXAMPLE_FORMAT,
        "wishes": request.model_dump(mode="json", exclude={"recordings"}),
        "show": [show.title, show.host],
        "base": base.label,
        "sources": [_named(source) for source in sources],
        "kept_out": list(kept_out),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]


def _named(source: Source) -> list[str | None]:
    """All of a source that decides its examples; what people said of repeated spans among it."""
    spans = [span.model_dump_json() for span in source.excluded_spans]
    repeated = [f"{one.first_word}-{one.last_word} {one.why}" for one in source.repeated]
    return [source.recording, source.transcript, source.title, source.guest, *spans, *repeated]


def keys_of(sources: Sequence[Source], show: str) -> list[str]:
    return [keys.transcript(show, source.recording, source.transcript) for source in sources]


def guests_of(examples: Sequence[Example]) -> tuple[str, ...]:
    return tuple(sorted({example.guest for example in examples}))


def jsonl(examples: Sequence[Example]) -> bytes:
    return "".join(f"{example.model_dump_json()}\n" for example in examples).encode()


# ---- dataset -> adapter ----------------------------------------------------------------------------------------------


def train(request: TrainRequest, *, job: JobContext, store: Store, engine: Engine) -> TrainResult:
    """Train an adapter from the newest checkpoint of this job's run, or from the start, to the last step."""
    show = load(store, keys.show(request.show), Show)
    dataset = load(store, keys.dataset(request.show, request.dataset), Dataset)
    demand_its_sources(dataset)
    base = engine.base(job)
    demand_same_base(dataset, base)
    run = claim_run(store, request, job.id)
    name = keys.adapter_name(request.show, run, request.steps)
    key = keys.adapter(request.show, name)
    if not store.exists(key):
        trained = train_to_the_end(request, run, dataset, base, job=job, store=store, engine=engine)
        files = keep_files(name, trained, show, dataset, request, store)
        sources = made_from(store, keys.dataset(request.show, dataset.id))
        create_manifest(store, key, adapter_of(name, files, trained, dataset, request, job, sources))
    adapter = load(store, key, Adapter)
    return TrainResult(
        adapter=name, key=key, eval_loss_before=adapter.eval_loss_before, eval_loss_after=adapter.eval_loss_after
    )


def demand_its_sources(dataset: Dataset) -> None:
    """raises BadInputError for a dataset whose examples went with a recording that was erased"""
    if dataset.source_withdrawn:
        raise BadInputError(
            f"dataset {dataset.id} cannot be trained on any more: {len(dataset.source_withdrawn)} of its recordings "
            f"were erased, and its examples with them; build a new one with `diary datasets build {dataset.show}`"
        )


def train_to_the_end(
    request: TrainRequest, run: int, dataset: Dataset, base: Base, *, job: JobContext, store: Store, engine: Engine
) -> Trained:
    """Run the engine, keep each checkpoint in the store; give the GPU to whoever waits for it, and go on afterwards."""
    demand_room(request, dataset, base, job)
    train_file = fetch_blob(store, dataset.train, job.work_dir / "train.jsonl")
    eval_file = fetch_blob(store, dataset.eval, job.work_dir / "eval.jsonl")

    def keep(folder: Path, step: int, metrics: Sequence[MetricPoint]) -> None:
        job.progress("storing checkpoint", step, request.steps, "steps")
        checkpoint = Checkpoint(
            show=request.show,
            run=run,
            step=step,
            job=job.id,
            dataset=dataset.id,
            files={},
            metrics=tuple(metrics),
        )
        keep_checkpoint(store, folder, checkpoint)
        for other in folder.parent.glob("checkpoint-*"):
            if int(other.name.removeprefix("checkpoint-")) < step:  # the engine may be ahead of us
                shutil.rmtree(other)

    while True:
        newest = newest_checkpoint(store, request.show, run)
        plan = Plan(
            request=request,
            base=base,
            max_length=dataset.max_length,
            loss_on=dataset.loss_on,
            train=train_file,
            eval=eval_file,
            work=job.work_dir,
            resume=fetch_checkpoint(store, newest, job.work_dir) if newest else None,
            metrics=newest.metrics if newest else (),
        )
        try:
            return engine.train(plan, job, keep)
        except LeaseYieldedError as yielded:
            job.progress("waiting for the GPU", note=str(yielded))


def demand_room(request: TrainRequest, dataset: Dataset, base: Base, job: JobContext) -> None:
    """Refuse a run whose checkpoints the work folder has no room for. raises NoSpaceError"""
    config = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
    checkpoints = work_bytes(config, request.lora_rank, request.last_layers) or 0
    needed = checkpoints + dataset.train.bytes + dataset.eval.bytes
    what = f"the checkpoints of a rank {request.lora_rank} adapter of {base.name}"
    demand_space(job.work_dir, needed, what, setting="TRAINER_WORK_DIR")


def keep_files(
    name: str, trained: Trained, show: Show, dataset: Dataset, request: TrainRequest, store: Store
) -> dict[str, Blob]:
    """A Hugging Face PEFT folder; weights are safetensors and nothing else."""
    card = model_card(name, show, dataset, request, trained.metrics)
    return {
        "adapter_model.safetensors": put_blob(
            store, trained.folder / "adapter_model.safetensors", "application/octet-stream"
        ),
        "adapter_config.json": put_blob(store, trained.folder / "adapter_config.json", "application/json"),
        "README.md": put_blob(store, card.encode(), "text/markdown"),
        "metrics.jsonl": put_blob(store, metrics_jsonl(trained.metrics).encode(), "application/jsonl"),
        "loss.png": put_blob(store, trained.folder / "loss.png", "image/png"),
    }


def adapter_of(
    name: str,
    files: dict[str, Blob],
    trained: Trained,
    dataset: Dataset,
    request: TrainRequest,
    job: JobContext,
    sources: tuple[MadeFrom, ...],
) -> Adapter:
    before, after = eval_losses(trained.metrics)
    models = {"base": f"{dataset.base_model}@{dataset.base_revision}", **trained.versions}
    return Adapter(
        name=name,
        show=request.show,
        dataset=dataset.id,
        files=files,
        base_model=dataset.base_model,
        base_revision=dataset.base_revision,
        rank=request.lora_rank,
        target_modules=TARGET_MODULES,
        eval_loss_before=before,
        eval_loss_after=after,
        metrics=trained.metrics,
        lineage=lineage(job, request, models, sources, trained.parameters),
    )


# ---- both ------------------------------------------------------------------------------------------------------------


def lineage(
    job: JobContext,
    request: DatasetRequest | TrainRequest,
    models: dict[str, str],
    sources: tuple[MadeFrom, ...],
    more: Mapping[str, Any] | None = None,
) -> Lineage:
    return Lineage(
        made_from=sources,
        by="trainer",
        version=VERSION,
        job=job.id,
        actor=job.actor,
        parameters={**request.model_dump(mode="json"), **(more or {})},
        models=models,
    )
