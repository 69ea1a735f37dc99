"""What a device has room for: length of examples, 4 bits or not, and how long it would take. Pure.

Judged from shapes and typical speeds before anything is loaded; a run that needs more all the same is made leaner while
it goes (course.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.trainer.plan import Device
from services.trainer.sizes import Shapes, lora_parameters, shapes_of, training_gb
from shared.errors import BadInputError
from shared.schemas import Estimate, TrainOptions

CPU_LENGTH = 512
LENGTHS_BY_GB = ((40.0, 32_768), (20.0, 16_384), (0.0, 4_096))  # from so much memory on, so many tokens
LENGTHS = (32_768, 16_384, 8_192, 4_096, 2_048, 1_024, 512)
SPARE = 0.08  # share of a device's memory that is left alone
SPARE_GB = 0.7  # the CUDA context

# What a product of large bf16 matrices reaches, in TFLOP/s: measured on the H200, of the others four fifths of what
# their makers say without sparsity.
TFLOPS = (
    ("B200", 1800.0), ("H200", 780.0), ("H100", 700.0), ("A100", 250.0), ("L40S", 290.0), ("RTX 6000", 290.0),
    ("4090", 130.0), ("5090", 170.0), ("3090", 57.0), ("A6000", 120.0), ("A40", 120.0), ("A10", 100.0), ("L4", 97.0),
    ("T4", 20.0),
)  # fmt: skip
UNKNOWN_TFLOPS = 80.0
CPU_TFLOPS = 0.15
SHARE = 0.43  # of it that training reaches, measured
NF4_SHARE = 0.7  # of that with 4 bits


@dataclass(frozen=True)
class Way:
    """How the base model is held and trained with."""

    quantised: bool
    recompute: bool


WAYS = (Way(False, False), Way(False, True), Way(True, True))  # fastest first


def default_length(device: Device, config: Mapping[str, Any], context: int, options: TrainOptions) -> int:
    """Tokens per example that fit a device, and that the base model can read."""
    if device.kind == "cpu":
        return min(CPU_LENGTH, context)
    by_memory = next(length for least_gb, length in LENGTHS_BY_GB if device.memory_gb >= least_gb)
    wanted = min(by_memory, context)
    return next((length for length in LENGTHS if length <= wanted and _way(device, config, length, options)), wanted)


def way_of(device: Device, config: Mapping[str, Any], length: int, options: TrainOptions) -> Way:
    """The fastest way that fits.

    raises   BadInputError when none does, naming what would
    """
    way = _way(device, config, length, options)
    if way is not None:
        return way
    shapes = shapes_of(config)
    assert shapes is not None
    asked = [one for one in WAYS if _is_asked(one, device, options)]
    least_gb = min(memory_gb(one, device, shapes, config, length, options) for one in asked)
    fitting = next((other for other in LENGTHS if other < length and _way(device, config, other, options)), None)
    if fitting is not None:
        fix = f"examples of up to {fitting} tokens would fit: `diary datasets build --max-length {fitting}`"
    elif options.quantisation == "none" and device.kind == "cuda":
        fix = "let it be held in 4 bits: --quantisation auto"
    else:
        fix = "choose a smaller base model (TRAINER_BASE_MODEL), or a larger GPU"
    raise BadInputError(
        f"training this base model on examples of {length} tokens takes about {least_gb:.0f} GB, and {device.name} has "
        f"{device.memory_gb:.0f}; {fix}"
    )


def estimate(
    device: Device, config: Mapping[str, Any], length: int, options: TrainOptions, tokens: int
) -> Estimate | None:
    """Memory and hours of training on so many tokens; None when the config does not tell the model's shapes.

    raises   BadInputError like `way_of`
    """
    shapes = shapes_of(config)
    if shapes is None:
        return None
    way = way_of(device, config, length, options)
    speed = tokens_per_s(way, device, shapes, length, options)
    kept = "LoRA bf16" if device.kind == "cuda" else "LoRA fp32"
    return Estimate(
        device=device.name,
        device_gb=round(device.memory_gb, 1),
        method="QLoRA nf4" if way.quantised else kept,
        recompute=way.recompute,
        memory_gb=round(memory_gb(way, device, shapes, config, length, options), 1),
        tokens_per_s=float(f"{speed:.2g}"),
        epochs=options.epochs,
        hours=float(f"{tokens * options.epochs / speed / 3600:.2g}"),
    )


def memory_gb(
    way: Way, device: Device, shapes: Shapes, config: Mapping[str, Any], length: int, options: TrainOptions
) -> float:
    adapted = _adapted(device, shapes, options)
    return training_gb(
        shapes,
        lora_parameters(config, options.lora_rank, adapted) or 0,
        length,
        weight_bytes=2 if device.kind == "cuda" else 4,
        quantised=way.quantised,
        recompute=way.recompute,
        adapted=adapted,
    )


def tokens_per_s(way: Way, device: Device, shapes: Shapes, length: int, options: TrainOptions) -> float:
    """4 N operations a token, 6 N where activations are computed again, and attention's; see docs/training.md."""
    if device.kind == "cpu":
        tflops = CPU_TFLOPS
    else:
        tflops = next((speed for name, speed in TFLOPS if name in device.name), UNKNOWN_TFLOPS)
        tflops *= SHARE * (NF4_SHARE if way.quantised else 1.0) * (options.gpus or device.count)
    backward = (2 + 2 * way.recompute) * _adapted(device, shapes, options) / shapes.layers
    attention = shapes.layers * length * shapes.queries
    return tflops * 1e12 / ((2 + backward) * (shapes.linear + shapes.embedding / 2) + (2 + 2 * backward) * attention)


def _adapted(device: Device, shapes: Shapes, options: TrainOptions) -> int:
    """How many layers are adapted: the backward pass goes through them."""
    return min(shapes.layers, options.last_layers or device.last_layers or shapes.layers)


def _way(device: Device, config: Mapping[str, Any], length: int, options: TrainOptions) -> Way | None:
    shapes = shapes_of(config)
    if shapes is None:  # nobody knows: try, and be made leaner
        return Way(options.quantisation == "nf4", device.kind == "cuda")
    room_gb = device.memory_gb * (1 - SPARE) - (SPARE_GB if device.kind == "cuda" else 0)
    fitting = (
        way
        for way in WAYS
        if _is_asked(way, device, options) and memory_gb(way, device, shapes, config, length, options) <= room_gb
    )
    return next(fitting, None)


def _is_asked(way: Way, device: Device, options: TrainOptions) -> bool:
    """4 bits on a CPU are slower and save what is there in plenty: only for who wants them."""
    if options.quantisation == "auto":
        return not way.quantised or device.kind == "cuda"
    return way.quantised == (options.quantisation == "nf4")
