"""The trainer's two stories: transcripts -> dataset, dataset -> adapter. Both are safe to repeat at any point."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.trainer.base import demand_fit, demand_same_base
from services.trainer.card import metrics_jsonl, model_card, warnings_of
from services.trainer.checkpoints import (
    adapter_of_run,
    best_checkpoint,
    claim_run,
    drop_old,
    fetch_checkpoint,
    keep_checkpoint,
    newest_checkpoint,
)
from services.trainer.choice import best_point
from services.trainer.course import course_of, leaner
from services.trainer.dataset import Built, Frame, Source, build_examples, split
from services.trainer.plan import TARGET_MODULES, Course, Device, Engine, Plan, Trained
from services.trainer.presets import default_length, estimate
from services.trainer.report import duration, report_of
from services.trainer.sizes import work_bytes
from services.trainer.sources import guests_kept_out_before, read_sources
from shared import keys
from shared.errors import BadInputError, LeaseYieldedError, OutOfMemoryError, StoreUnavailableError
from shared.jobs import JobContext
from shared.models import Base, languages_of
from shared.patience import Patience
from shared.render import renderer_for
from shared.schemas import (
    Adapter,
    Blob,
    Checkpoint,
    Dataset,
    DatasetRequest,
    DatasetResult,
    Estimate,
    Example,
    Lineage,
    MadeFrom,
    MetricPoint,
    Show,
    TrainOptions,
    TrainRequest,
    TrainResult,
)
from shared.space import demand_space
from shared.store import Store, create_manifest, fetch_blob, load, made_from, put_blob
from shared.version import VERSION

EXAMPLE_FORMAT = 3  # raised when the same transcripts would give other examples


# ---- transcripts -> dataset ------------------------------------------------------------------------------------------


def build(request: DatasetRequest, *, job: JobContext, store: Store, engine: Engine) -> DatasetResult:
    """Freeze transcripts of a show into examples; the same transcripts and wishes give the same dataset."""
    show = load(store, keys.show(request.show), Show)
    base = engine.base(job)
    frame = frame_of(request, show, base, engine.device())
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
        built, sources, guests_of(kept_out), frame.max_length, cost(engine, base, frame, train), show.slug
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
    length = request.max_length or default_length(device, config_of(base), base.context, TrainOptions())
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


def cost(engine: Engine, base: Base, frame: Frame, train: Sequence[Example]) -> Estimate | None:
    """What training on these examples would take here, with the usual settings."""
    tokens = sum(example.tokens for example in train)
    try:
        return estimate(engine.device(), config_of(base), frame.max_length, TrainOptions(), tokens)
    except BadInputError:  # it would not fit, which is for whoever trains to hear: elsewhere it may
        return None


def config_of(base: Base) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
    return config


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
    """Train from the newest checkpoint of this job's run, or from the start; the best checkpoint becomes an adapter."""
    show = load(store, keys.show(request.show), Show)
    dataset = load(store, keys.dataset(request.show, request.dataset), Dataset)
    demand_its_sources(dataset)
    base = engine.base(job)
    demand_same_base(dataset, base)
    parent = parent_of(request, dataset, base, store)
    run = claim_run(store, request, job.id)
    adapter = adapter_of_run(store, request.show, run)
    if adapter is None:
        finished = train_to_the_end(Order(request, run, show, dataset, base, parent), job, store, engine)
        adapter = keep_adapter(finished, job, store)
    return TrainResult(
        adapter=adapter.name,
        key=keys.adapter(request.show, adapter.name),
        eval_loss_before=adapter.eval_loss_before,
        eval_loss_after=adapter.eval_loss_after,
        step=adapter.step,
        recited=adapter.judged.recited if adapter.judged else None,
        warnings=adapter.warnings,
    )


@dataclass(frozen=True)
class Order:
    """What is trained, and on what."""

    request: TrainRequest
    run: int
    show: Show
    dataset: Dataset
    base: Base
    parent: Adapter | None


@dataclass(frozen=True)
class Finished:
    """A run that is over: what came of it, and what had to be made leaner on the way."""

    order: Order
    course: Course
    trained: Trained
    savings: tuple[str, ...]


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


def train_to_the_end(order: Order, job: JobContext, store: Store, engine: Engine) -> Finished:
    """Run the engine, keep each checkpoint in the store; give the GPU to whoever waits for it and go on afterwards,
    with leaner settings where the memory does not do."""
    request, dataset, device = order.request, order.dataset, engine.device()
    demand_room(order, device, job)
    train_file = fetch_blob(store, dataset.train, job.work_dir / "train.jsonl")
    eval_file = fetch_blob(store, dataset.eval, job.work_dir / "eval.jsonl")
    sizes = example_sizes(train_file)
    course = course_of(request, sizes, dataset.max_length, device, config_of(order.base))
    job.progress("preparing", note=outlook(course, request, device, order.base, sum(sizes)))
    keep = Keeper(order, course, job, store)
    savings: list[str] = []

    while True:
        newest = newest_checkpoint(store, request.show, order.run)
        best = best_checkpoint(store, newest, request.memorisation_limit) if newest else None
        plan = Plan(
            request=request,
            course=course,
            base=order.base,
            max_length=dataset.max_length,
            loss_on=dataset.loss_on,
            train=train_file,
            eval=eval_file,
            work=job.work_dir,
            tensorboard=engine.tensorboard / f"{request.show}.r{order.run}",
            resume=fetch_checkpoint(store, newest, job.work_dir) if newest else None,
            best=fetch_checkpoint(store, best, job.work_dir) if best else None,
            parent=fetch_parent(store, order.parent, job.work_dir) if order.parent else None,
            metrics=newest.metrics if newest else (),
        )
        try:
            return Finished(order, course, engine.train(plan, job, keep), tuple(savings))
        except LeaseYieldedError as yielded:
            job.progress("waiting for the GPU", note=str(yielded))
        except OutOfMemoryError as full:
            course, saved = lean(course, device, sizes, full)
            savings.append(saved)
            job.progress("going on with less memory", note=f"{full}; from now on {saved}")


class Keeper:
    """Stores each checkpoint as it is made, waits for a store that is away, and tidies up behind itself."""

    def __init__(self, order: Order, course: Course, job: JobContext, store: Store) -> None:
        self._order, self._course, self._job, self._store = order, course, job, store

    def __call__(self, folder: Path, step: int, metrics: Sequence[MetricPoint]) -> None:
        request, run = self._order.request, self._order.run
        self._job.progress("storing checkpoint", step, self._course.steps, "steps")
        checkpoint = Checkpoint(
            show=request.show,
            run=run,
            step=step,
            job=self._job.id,
            dataset=request.dataset,
            files={},
            metrics=tuple(metrics),
        )
        self._patiently(lambda: keep_checkpoint(self._store, folder, checkpoint))
        self._patiently(lambda: drop_old(self._store, request.show, run, metrics, request))
        best = best_point(metrics, request.memorisation_limit)
        for other in folder.parent.glob("checkpoint-*"):
            number = int(other.name.removeprefix("checkpoint-"))
            if number < step and (best is None or number != best.step):  # the engine may be ahead of us
                shutil.rmtree(other)

    def _patiently(self, work: Callable[[], object]) -> None:
        """Training goes on meanwhile, and no step of it is lost; raises StoreUnavailableError when patience ends."""
        patience = Patience()
        while True:
            try:
                work()
                return
            except StoreUnavailableError as error:
                if not patience.bears(error):
                    raise
                self._job.check()
                self._job.progress("waiting for the object store", note=str(error))
                time.sleep(patience.pause_s)


def lean(course: Course, device: Device, sizes: Sequence[int], full: OutOfMemoryError) -> tuple[Course, str]:
    """Settings that take less memory, and what they save. raises BadInputError when there are none"""
    found = leaner(course, device, sizes)
    if found is None:
        raise BadInputError(
            f"{full}, and nothing is left to save. Build the dataset again with examples half as long "
            f"(`diary datasets build --max-length {max(128, max(sizes) // 2)}`), or choose a smaller base model"
        ) from full
    return found


def outlook(course: Course, request: TrainRequest, device: Device, base: Base, tokens: int) -> str:
    """What is about to happen, for a person."""
    wished = request.model_copy(update={"epochs": course.steps / course.steps_per_epoch})
    expected = estimate(device, config_of(base), course.row_tokens, wished, tokens)
    amount = f"{course.steps} steps, {course.steps / course.steps_per_epoch:.1f} epochs"
    if expected is None:
        return amount
    return (
        f"{amount}; about {duration(expected.hours)} and {expected.memory_gb:.1f} of {device.memory_gb:.0f} GB on "
        f"{device.name} ({expected.method}): an estimate"
    )


def example_sizes(train_file: Path) -> list[int]:
    """Tokens of each training example."""
    with train_file.open(encoding="utf-8") as lines:
        return [Example.model_validate_json(line).tokens for line in lines]


def fetch_parent(store: Store, parent: Adapter, work_dir: Path) -> Path:
    folder = work_dir / "parent"
    folder.mkdir(exist_ok=True)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        fetch_blob(store, parent.files[name], folder / name)
    return folder


def demand_room(order: Order, device: Device, job: JobContext) -> None:
    """Refuse a run whose checkpoints the work folder has no room for. raises NoSpaceError"""
    request, dataset, base = order.request, order.dataset, order.base
    layers = request.last_layers or device.last_layers
    checkpoints = work_bytes(config_of(base), request.lora_rank, layers) or 0
    needed = checkpoints + dataset.train.bytes + dataset.eval.bytes
    what = f"the checkpoints of a rank {request.lora_rank} adapter of {base.name}"
    demand_space(job.work_dir, needed, what, setting="TRAINER_WORK_DIR")


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
