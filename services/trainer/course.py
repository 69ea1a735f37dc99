"""What a run will do, settled before it starts: steps, pace, and how the device's memory is used. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from services.trainer.packing import fitted
from services.trainer.plan import Course, Device
from services.trainer.presets import way_of
from services.trainer.sizes import shapes_of
from shared.schemas import TrainRequest

EXAMPLES_PER_STEP = 2
CHECKPOINTS, MOST_BETWEEN = 4, 50
SMALL, SMALL_RATE, RATE = 1_000_000_000, 1e-3, 2e-4
QUESTIONS = {"cpu": (4, 40), "cuda": (16, 128)}  # prompts per checkpoint, tokens of each answer


def course_of(
    request: TrainRequest, sizes: Sequence[int], max_length: int, device: Device, config: Mapping[str, Any]
) -> Course:
    """The course of a run over training examples of these sizes in tokens.

    raises   BadInputError when the device has no room for it, naming what would fit
    """
    way = way_of(device, config, max_length, request)
    rows = len(fitted(sizes, max_length)) if request.packing else len(sizes)
    gpus = min(request.gpus or device.count, device.count)
    per_step = request.examples_per_step or max(EXAMPLES_PER_STEP, gpus)
    processes = max(count for count in range(1, gpus + 1) if per_step % count == 0)
    steps = request.steps or max(1, math.ceil(request.epochs * rows / per_step))
    shapes = shapes_of(config)
    small = shapes is None or shapes.parameters < SMALL
    questions, answer_tokens = QUESTIONS[device.kind]
    return Course(
        steps=steps,
        steps_per_epoch=rows / per_step,
        examples_per_step=per_step,
        checkpoint_every=request.checkpoint_every or max(1, min(math.ceil(steps / CHECKPOINTS), MOST_BETWEEN)),
        learning_rate=request.learning_rate or (SMALL_RATE if small else RATE),
        processes=processes,
        quantised=way.quantised,
        recompute=way.recompute,
        row_tokens=max_length,
        questions=questions,
        answer_tokens=answer_tokens,
    )


def leaner(course: Course, device: Device, sizes: Sequence[int]) -> tuple[Course, str] | None:
    """The same course with less memory, and in words what is saved; None where nothing is left to save.

    Steps, examples and what is learnt from them stay as they are. (In rows of other lengths packs differ, so a step
    may see other examples; nothing is seen more often.)
    """
    longest = max(sizes)
    if not course.recompute:
        return course.model_copy(update={"recompute": True}), "activations are computed again instead of kept"
    if device.kind == "cuda" and not course.quantised:
        return course.model_copy(update={"quantised": True}), "the base model is held in 4 bits"
    if course.row_tokens > longest:
        return course.model_copy(update={"row_tokens": longest}), f"rows hold {longest} tokens at most"
    return None
