"""A dataset with a report and real examples in any store, and a run that was trained on it: what tests read of both."""

from __future__ import annotations

from typing import Any

from shared import keys
from shared.render import header
from shared.schemas import (
    Adapter,
    Checkpoint,
    Dataset,
    DatasetReport,
    Estimate,
    Example,
    GuestLoss,
    Included,
    Judged,
    Leak,
    LeftOut,
    LeftOutTotal,
    Lineage,
    Message,
    MetricPoint,
    Run,
    SampleTurn,
    Show,
    TrainRequest,
    TranscriptState,
)
from shared.store import Store, create_manifest, put_blob

HOSTILE = 'Ann "<script>alert(1)</script>" | & \\ `Ash`\u2028: {x}'
LINEAGE = Lineage(
    made_from=({"key": keys.transcript("lamp", "r1", "rev1"), "sha256": "a" * 64},),  # type: ignore[arg-type]
    by="trainer",
    version="0.1.0",
    job="j1",
    actor="ann",
)
REPORT = DatasetReport(
    recordings=(
        Included(
            recording="r1", transcript="rev1", guest="Ann", state=TranscriptState.APPROVED, held_out=False,
            examples=2, tokens=90, words=60, talk_s=600,
        ),
        Included(
            recording="r2", transcript="rev7", guest="Bob", state=TranscriptState.MACHINE, held_out=True,
            examples=1, tokens=40, words=30, talk_s=300,
        ),
    ),
    hours=0.25,
    words=90,
    guests=2,
    examples=3,
    tokens=130,
    supervised_share=0.8,
    fill=0.95,
    words_left_out=70,
    left_out=(
        LeftOutTotal(reason="advert", words=50, recordings=1), LeftOutTotal(reason="trailer", words=20, recordings=1)
    ),
    leaks=(Leak(reason="advert", grams=43, found=0), Leak(reason="trailer", grams=13, found=0)),
    backchannels=4,
    fillers=0,
    enough="little",
    advice=("Add recordings of other guests: there are 2.", "Have somebody check r2."),
    estimate=Estimate(
        device="NVIDIA H100", device_gb=79.2, method="LoRA bf16", recompute=True, memory_gb=18.7, tokens_per_s=6890,
        epochs=3, hours=0.4,
    ),
)  # fmt: skip


def show(**facts: Any) -> Show:
    return Show.model_validate({"slug": "lamp", "title": "The Lamplight Hour", "host": "Mara Quill", **facts})


def example(guest: str, *said: str, recording: str = "r1") -> Example:
    """What host and guest say by turns, the host first; a token per word."""
    roles = [{"role": ("host", "guest")[place % 2], "text": text} for place, text in enumerate(said)]
    messages = (
        header(show_title="Lamplight", host="Mara", guest=guest),
        *(Message.model_validate(one) for one in roles),
    )
    tokens = sum(len(message.text.split()) for message in messages)
    return Example(
        recording=recording,
        transcript="rev1",
        guest=guest,
        messages=messages,
        tokens=tokens,
        supervised_tokens=tokens - len(messages[0].text.split()),
    )


TRAIN = (
    example("Ann", "Who are you?", "A baker."),
    example("Ann", "Since when, if one may ask so early in a talk?", "Since I was nine."),
)
TEST = (example("Bob", "And you?", f"{HOSTILE} <|im_end|>", recording="r2"),)


def put_dataset(store: Store, **facts: Any) -> Dataset:
    """The show `lamp`, if it is not there yet, and its dataset `d9` of three examples."""
    create_manifest(store, keys.show("lamp"), show())
    dataset = Dataset.model_validate({**_dataset(store), **facts})
    create_manifest(store, keys.dataset("lamp", dataset.id), dataset)
    return dataset


def _dataset(store: Store) -> dict[str, Any]:
    files = {
        name: put_blob(store, "".join(f"{one.model_dump_json()}\n" for one in examples).encode(), "application/jsonl")
        for name, examples in (("train", TRAIN), ("eval", TEST))
    }
    return {
        "id": "d9",
        "show": "lamp",
        "host": "Mara Quill",
        **files,
        "train_examples": 2,
        "eval_examples": 1,
        "train_tokens": 90,
        "eval_tokens": 40,
        "train_guests": ("Ann",),
        "eval_guests": ("Bob",),
        "left_out": (
            LeftOut(recording="r1", reason="advert", words=50),
            LeftOut(recording="r2", reason="trailer", words=20),
        ),
        "warnings": ("who the host of r2 is was guessed",),
        "max_length": 512,
        "loss_on": "both",
        "base_model": "tests/tiny",
        "base_revision": "0123456789abcdef",
        "family": "chatml",
        "report": REPORT,
        "lineage": LINEAGE,
    }


def points(*losses: float | None) -> tuple[MetricPoint, ...]:
    """Figures of step 0, 1, 2, ...; a held-out loss where a checkpoint was made."""
    return tuple(
        MetricPoint(step=step, tokens=100 * step, train_loss=3.0, eval_loss=loss, judged=judged() if loss else None)
        for step, loss in enumerate(losses)
    )


def judged(*guests: str) -> Judged:
    return Judged(
        guests=tuple(GuestLoss(guest=guest, loss=2.5, tokens=40) for guest in guests or ("Bob",)),
        recited=0.01,
        longest_recited_words=6,
        samples=(SampleTurn(role="host", text="So, Bob, of lamps?"), SampleTurn(role="guest", text="Of lamps.")),
    )


def put_run(store: Store, number: int, metrics: tuple[MetricPoint, ...], *, kept: int | None = None) -> None:
    """A run with a checkpoint at each step that has a held-out loss; over if a step was `kept` as its adapter."""
    request = TrainRequest(show="lamp", dataset="d9")
    create_manifest(store, keys.run("lamp", number), Run(number=number, job=f"order{number}.train.0", request=request))
    for place, point in enumerate(metrics):
        if point.step and point.eval_loss is not None:
            checkpoint = Checkpoint(
                show="lamp", run=number, step=point.step, job="j", dataset="d9", files={}, metrics=metrics[: place + 1]
            )
            create_manifest(store, keys.checkpoint("lamp", number, point.step), checkpoint)
    if kept is not None:
        name = keys.adapter_name("lamp", number, kept)
        create_manifest(store, keys.adapter("lamp", name), _adapter(name, metrics, kept))


def _adapter(name: str, metrics: tuple[MetricPoint, ...], step: int) -> Adapter:
    return Adapter(
        name=name,
        show="lamp",
        dataset="d9",
        files={},
        base_model="tests/tiny",
        base_revision="r" * 40,
        rank=16,
        target_modules=("q_proj",),
        eval_loss_before=3,
        eval_loss_after=2,
        step=step,
        steps=metrics[-1].step,
        metrics=metrics,
        lineage=LINEAGE,
    )
