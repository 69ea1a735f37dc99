"""The trainer's two stories: transcripts -> dataset, dataset -> adapter. Both are safe to repeat at any point."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from services.trainer.base import config_of, demand_fit, demand_same_base
from services.trainer.card import metrics_jsonl, model_card, warnings_of
from services.trainer.checkpoints import adapter_of_run, claim_run, demand_ours, take_over
from services.trainer.dataset import Built, Frame, Source, build_examples, split
from services.trainer.plan import TARGET_MODULES, Device, Engine, Trained
from services.trainer.presets import default_length, estimate
from services.trainer.report import report_of
from services.trainer.run import Finished, Order, train_to_the_end
from services.trainer.sources import guests_kept_out_before, read_sources
from shared import keys
from shared.errors import BadInputError
from shared.jobs import JobContext
from shared.models import Base, languages_of
from shared.render import renderer_for
from shared.resuming import read_run, settled
from shared.schemas import (
    Adapter,
    Blob,
    Dataset,
    DatasetRequest,
    DatasetResult,
    Estimate,
    Example,
    Lineage,
    MadeFrom,
    Show,
    TrainOptions,
    TrainRequest,
    TrainResult,
)
from shared.store import Store, create_manifest, load, made_from, put_blob
from shared.version import VERSION

EXAMPLE_FORMAT = 3  # raised when the same transcripts would give other examples


# ---- transcripts -> dataset ------------------------------------------------------------------------------------------


def build(request: DatasetRequest, *, job: JobContext, store: Store, engine: Engine) -> DatasetResult:
    """Freeze transcripts of a show into examples; the same transcripts and wishes give the same dataset."""
    show = load(store, keys.show(request.show), Show)
    base = engine.base(job)
    device = engine.device()
    frame = frame_of(request, show, base, device)
    sources = read_sources(request, job, store)
    renderer = renderer_for(base.folder)
    job.progress("writing examples")
    built = build_examples(sources, frame, renderer)
    demand_examples(built, sources, show)
    train, kept_out = split(built.examples, request.eval_guests, guests_kept_out_before(store, request.show))
    job.check()

    dataset_id = identify(request, frame, base, sources, guests_of(kept_out))
    job.progress("looking for what was left out")
    report = report_of(
        built, sources, guests_of(kept_out), frame.max_length, cost(device, base, frame, train), show.slug
    )
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
        max_length=frame.max_length,
        loss_on=request.loss_on,
        base_model=base.name,
        base_revision=base.revision,
        family=renderer.family,
        report=report,
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


def frame_of(request: DatasetRequest, show: Show, base: Base, device: Device) -> Frame:
    """What all examples have in common; their length is what the device has room for, if nobody says.

    raises   BadInputError for one that the base model cannot read
    """
    length = request.max_length or default_length(device, config_of(base.folder), base.context, TrainOptions())
    if length > base.context:
        raise BadInputError(f"max_length {length} is more than {base.name} can read ({base.context} tokens)")
    return Frame(
        show_title=show.title,
        host=show.host,
        max_length=length,
        loss_on=request.loss_on,
        min_state=request.min_state,
        max_doubt=request.max_doubt,
        drop_fillers=request.fillers == "drop",
        base=base.name,
        languages=languages_of(base.name),
    )


def cost(device: Device, base: Base, frame: Frame, train: Sequence[Example]) -> Estimate | None:
    """What training on these examples would take here, with the usual settings."""
    tokens = sum(example.tokens for example in train)
    try:
        return estimate(device, config_of(base.folder), frame.max_length, TrainOptions(), tokens)
    except BadInputError:  # it would not fit, which is for whoever trains to hear: elsewhere it may
        return None


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
    request: DatasetRequest, frame: Frame, base: Base, sources: Sequence[Source], kept_out: Sequence[str]
) -> str:
    inputs = {
        "format": EXAMPLE_FORMAT,
        "wishes": request.model_dump(mode="json", exclude={"recordings", "revisions", "max_length"}),
        "show": [frame.show_title, frame.host],
        "max_length": frame.max_length,
        "base": base.label,
        "sources": [_named(source) for source in sources],
        "kept_out": list(kept_out),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]


def _named(source: Source) -> list[str | None]:
    """All of a source that decides its examples; what people said of repeated spans among it."""
    spans = [span.model_dump_json() for span in source.excluded_spans]
    repeated = [f"{one.first_word}-{one.last_word} {one.why}" for one in source.repeated]
    return [source.recording, source.transcript, source.title, source.guest, *source.facts, *spans, *repeated]


def keys_of(sources: Sequence[Source], show: str) -> list[str]:
    return [keys.transcript(show, source.recording, source.transcript) for source in sources]


def guests_of(examples: Sequence[Example]) -> tuple[str, ...]:
    return tuple(sorted({example.guest for example in examples}))


def jsonl(examples: Sequence[Example]) -> bytes:
    return "".join(f"{example.model_dump_json()}\n" for example in examples).encode()


# ---- dataset -> adapter ----------------------------------------------------------------------------------------------


def train(request: TrainRequest, *, job: JobContext, store: Store, engine: Engine) -> TrainResult:
    """Train from the newest checkpoint of this job's run, or from the start; the best checkpoint becomes an adapter.

    The run is a new one, or the one that is to be resumed.
    """
    order = order_of(request, job, store, engine)
    adapter = adapter_of_run(store, order.request.show, order.run)
    if adapter is None:
        finished = train_to_the_end(order, job, store, engine)
        demand_ours(store, order.request.show, order.run, job.id)
        adapter = keep_adapter(finished, job, store)
    return result_of(adapter)


def order_of(request: TrainRequest, job: JobContext, store: Store, engine: Engine) -> Order:
    """What is to be trained, found fit for it; the run is this job's from now on."""
    request = with_settings(request, store)
    show = load(store, keys.show(request.show), Show)
    dataset = load(store, keys.dataset(request.show, request.dataset), Dataset)
    demand_its_sources(dataset)
    base = engine.base(job)
    demand_same_base(dataset, base)
    parent = parent_of(request, dataset, base, store)
    return Order(request, run_of(request, job, store), show, dataset, base, parent)


def result_of(adapter: Adapter) -> TrainResult:
    return TrainResult(
        adapter=adapter.name,
        key=keys.adapter(adapter.show, adapter.name),
        eval_loss_before=adapter.eval_loss_before,
        eval_loss_after=adapter.eval_loss_after,
        step=adapter.step,
        recited=adapter.judged.recited if adapter.judged else None,
        warnings=adapter.warnings,
    )


def run_of(request: TrainRequest, job: JobContext, store: Store) -> int:
    """Number of the run that this job works on, now its own."""
    if request.resume is None:
        return claim_run(store, request, job.id)
    return take_over(store, request, request.resume, job)


def with_settings(request: TrainRequest, store: Store) -> TrainRequest:
    """An order to resume a run has that run's settings; any other one is as it is."""
    return request if request.resume is None else settled(request, read_run(store, request.show, request.resume))


def parent_of(request: TrainRequest, dataset: Dataset, base: Base, store: Store) -> Adapter | None:
    """The adapter that training goes on from, if any.

    raises   BadInputError where it cannot: it is of another base model or rank, or has learnt from a guest whom this
             dataset judges by
    """
    if request.continue_from is None:
        return None
    parent = load(store, keys.adapter(request.show, request.continue_from), Adapter)
    learnt = load(store, keys.dataset(request.show, parent.dataset), Dataset)
    demand_fit(parent, learnt, request, dataset, base)
    return parent


def demand_its_sources(dataset: Dataset) -> None:
    """raises BadInputError for a dataset whose examples went with a recording that was erased"""
    if dataset.source_withdrawn:
        raise BadInputError(
            f"dataset {dataset.id} cannot be trained on any more: {len(dataset.source_withdrawn)} of its recordings "
            f"were erased, and its examples with them; build a new one with `diary datasets build {dataset.show}`"
        )


def keep_adapter(finished: Finished, job: JobContext, store: Store) -> Adapter:
    """The best checkpoint of a run under its own name, for good."""
    order, trained = finished.order, finished.trained
    request, dataset = order.request, order.dataset
    name = keys.adapter_name(request.show, order.run, trained.step)
    key = keys.adapter(request.show, name)
    parents = [keys.adapter(request.show, order.parent.name)] if order.parent else []
    more = {**trained.parameters, **finished.course.model_dump(), "made_leaner": list(finished.savings)}
    models = {"base": f"{dataset.base_model}@{dataset.base_revision}", **trained.versions}
    first, kept = trained.metrics[0], next(point for point in trained.metrics if point.step == trained.step)
    assert first.eval_loss is not None and kept.eval_loss is not None
    sources = made_from(store, keys.dataset(request.show, dataset.id), *parents)
    adapter = Adapter(
        name=name,
        show=request.show,
        dataset=dataset.id,
        files={},
        base_model=dataset.base_model,
        base_revision=dataset.base_revision,
        rank=request.lora_rank,
        target_modules=TARGET_MODULES,
        eval_loss_before=first.eval_loss,
        eval_loss_after=kept.eval_loss,
        step=trained.step,
        steps=trained.metrics[-1].step,
        metrics=trained.metrics,
        base_judged=first.judged,
        parent=order.parent.name if order.parent else None,
        warnings=tuple(warnings_of(trained.metrics, kept, request)),
        lineage=lineage(job, request, models, sources, more),
    )
    card = model_card(adapter, order.show, dataset)
    create_manifest(store, key, adapter.model_copy(update={"files": keep_files(card, trained, store)}))
    return load(store, key, Adapter)


def keep_files(card: str, trained: Trained, store: Store) -> dict[str, Blob]:
    """A Hugging Face PEFT folder; weights are safetensors and nothing else."""
    return {
        "adapter_model.safetensors": put_blob(
            store, trained.folder / "adapter_model.safetensors", "application/octet-stream"
        ),
        "adapter_config.json": put_blob(store, trained.folder / "adapter_config.json", "application/json"),
        "README.md": put_blob(store, card.encode(), "text/markdown"),
        "metrics.jsonl": put_blob(store, metrics_jsonl(trained.metrics).encode(), "application/jsonl"),
        "loss.png": put_blob(store, trained.folder / "loss.png", "image/png"),
    }


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
