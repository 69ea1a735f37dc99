"""How full packs are, and how fast training is. `make bench-trainer`; on a GPU: `python -m tests.bench_trainer gpu`.

    python -m tests.bench_trainer cpu [--max-length 4096] [--layers 2]
    python -m tests.bench_trainer gpu [--length 8192] [--steps 3]
    python -m tests.bench_trainer memory
    python -m tests.bench_trainer whole --tokenizer DIR [--left-gb 45]

Run by the trainer's own Python. `cpu`: a made-up show of interviews becomes examples of up to max_length tokens; how
many tokens of its packs are talk, and how many are learnt. Then real steps on some, with the base model's shapes and
fewer layers, beside the recipe of the first attempt: one example a row, padded to max_length, no packing. Tokens of
padding count on neither side.

`gpu`: LoRA on random weights of Mistral-7B's shape (no download; speed does not depend on what a model has learnt),
full packs of one example, and of four. Operations are 4 N per token for the N weights that are multiplied with, as
their gradients are not computed (forward 2 N, backward through them 2 N), 6 N where activations are computed again; and
those of causal attention: 6 L S H per token, 8 with computing again, for L layers of width H and examples of S tokens.
They are compared with what a bf16 matrix product reaches on the same card in the same run.

`memory`: peak memory and speed of rows of 4,096 to 32,768 tokens, of the same model whole and in 4 bits, beside what
services/trainer/sizes.py expects: the presets rest on it.

`whole`: a whole run of the trainer's engine on the same shape, judgements included, on a GPU most of whose memory is
somebody else's: it goes on with leaner settings when a row is too long. DIR is a folder of the packaged base model, for
its tokenizer.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, PreTrainedTokenizerFast

from services.trainer.course import course_of, leaner
from services.trainer.dataset import Frame, Source, build_examples, encode
from services.trainer.engine import TrainingEngine, attention, load_base, sft_trainer
from services.trainer.packing import IGNORED, filling, pack
from services.trainer.plan import Course, Plan
from services.trainer.settings import Settings
from services.trainer.sizes import lora_parameters, shapes_of, training_gb
from shared.errors import OutOfMemoryError
from shared.models import Base, name_folder, read_base
from shared.render import renderer_for
from shared.schemas import Example, HostMethod, Role, TrainOptions, TrainRequest, Turn

LEAST_FILL = 0.95
TALK = "so what did you learn when they told you that nobody would come back to see it again"
Rows = list[dict[str, list[int]]]

MISTRAL_7B = {
    "vocab_size": 32768, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 32768, "rope_theta": 1e6,
    "sliding_window": None,
}  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Print JSON; 1 if packs are not full enough."""
    options = argparse.ArgumentParser("tests.bench_trainer", description=__doc__)
    kinds = options.add_subparsers(dest="kind", required=True)
    cpu = kinds.add_parser("cpu")
    cpu.add_argument("--max-length", type=int, default=4096)
    cpu.add_argument("--layers", type=int, default=2)
    cpu.add_argument("--recordings", type=int, default=120)
    gpu = kinds.add_parser("gpu")
    gpu.add_argument("--length", type=int, default=8192)
    gpu.add_argument("--steps", type=int, default=3)
    kinds.add_parser("memory")
    whole = kinds.add_parser("whole")
    whole.add_argument("--tokenizer", type=Path, required=True)
    whole.add_argument("--left-gb", type=float, default=45.0)
    asked = options.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-trainer-") as folder:
        if asked.kind == "gpu":
            print(json.dumps(on_gpu(asked.length, asked.steps, Path(folder))))
            return 0
        if asked.kind == "memory":
            print(json.dumps(memory_table(Path(folder))))
            return 0
        if asked.kind == "whole":
            print(json.dumps(whole_run(asked.tokenizer, asked.left_gb, Path(folder))))
            return 0
        found = on_cpu(asked.max_length, asked.layers, asked.recordings, Path(folder))
    print(json.dumps(found))
    return 0 if found["fill"] >= LEAST_FILL and found["examples"] >= 200 else 1


# ---- without a GPU ---------------------------------------------------------------------------------------------------


def on_cpu(max_length: int, layers: int, recordings: int, folder: Path) -> dict[str, Any]:
    from services.studio.machine.local import BASE_MODEL

    rows = made_up_rows(BASE_MODEL, max_length, recordings)
    packs = pack(rows, max_length)
    packed = filling(packs, max_length)
    alone = filling([one for row in rows for one in pack([row], max_length)], max_length)
    config = LlamaConfig.from_pretrained(BASE_MODEL, num_hidden_layers=layers)
    own_s = row_s(config, packs[:3], folder / "ours")
    padded_s = row_s(config, padded_rows(rows[:3], max_length), folder / "padded")
    speed, padded_speed = packed.tokens / packed.packs / own_s, alone.tokens / alone.packs / padded_s
    return {
        "max_length": max_length,
        "examples": packed.examples,
        "packs": packed.packs,
        "fill": round(packed.fill, 4),
        "fill_without_packing": round(alone.fill, 4),
        "supervised_share": round(packed.supervised_share, 4),
        "layers": layers,
        "tokens_per_s": round(speed, 1),
        "tokens_per_s_padded": round(padded_speed, 1),
        "ratio": round(speed / padded_speed, 3),
    }


def made_up_rows(base: Path, max_length: int, recordings: int) -> Rows:
    return encode(made_up_examples(base, max_length, recordings), renderer_for(base), max_length, "both")


def made_up_examples(base: Path, max_length: int, recordings: int) -> list[Example]:
    """Examples of interviews of 8 to 60 minutes, so that the last piece of each is short."""
    random = np.random.default_rng(7)
    words = np.array(TALK.split())
    sources = []
    for number in range(recordings):
        turns: list[Turn] = []
        left = int(random.integers(1200, 9000))
        while left > 0:
            for speaker, role, mean in (("S1", Role.HOST, 25), ("S2", Role.GUEST, 95)):
                length = max(1, int(random.lognormal(np.log(mean), 0.8)))
                left -= length
                text = " ".join(random.choice(words, length))
                turns.append(Turn(speaker=speaker, role=role, start_s=0, end_s=1, text=text))
        sources.append(Source(f"r{number}", "rev", f"Talk {number}", f"Guest {number}", HostMethod.SET, tuple(turns)))
    frame = Frame("A Made-up Show", "Ann Host", max_length, "both")
    return build_examples(sources, frame, renderer_for(base)).examples


def padded_rows(rows: Rows, max_length: int) -> Rows:
    """One example a row, filled up with tokens that nobody learns."""
    return [
        {
            "input_ids": row["input_ids"] + [0] * (max_length - len(row["input_ids"])),
            "labels": row["labels"] + [IGNORED] * (max_length - len(row["labels"])),
        }
        for row in rows
    ]


def row_s(config: Any, rows: Rows, folder: Path) -> float:
    """Seconds of a step over one row; the first one warms up."""
    torch.set_num_threads(2)
    way = attention(config.to_dict(), cuda=False) if "seq_lengths" in rows[0] else "sdpa"
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=way)
    request = TrainOptions()
    layers, words = list(range(config.num_hidden_layers)), tokenizer(config.vocab_size)
    course = course_for(rows, len(rows), recompute=False)
    return step_s(sft_trainer(request, course, model, words, rows, layers, folder, cuda=False), warm_up=1)


def course_for(rows: Rows, steps: int, *, recompute: bool, quantised: bool = False) -> Course:
    """A row a step, and no checkpoint."""
    return Course(
        steps=steps,
        steps_per_epoch=len(rows),
        examples_per_step=1,
        checkpoint_every=steps,
        learning_rate=1e-4,
        processes=1,
        quantised=quantised,
        recompute=recompute,
        row_tokens=max(len(row["input_ids"]) for row in rows),
        questions=0,
        answer_tokens=0,
    )


# ---- on a GPU --------------------------------------------------------------------------------------------------------


def on_gpu(length: int, steps: int, folder: Path) -> dict[str, Any]:
    config = MistralConfig(**MISTRAL_7B)
    reached = matmul_flops()
    way = attention(config.to_dict(), cuda=True)
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation=way)
    weights = sum(one.numel() for one in model.parameters()) - model.get_input_embeddings().weight.numel()
    rows = []
    for examples in (1, 4):
        for recompute in (True, False):
            rows.append(gpu_row(model, weights, length, examples, steps, reached, folder, recompute=recompute))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    import peft
    import transformers
    import trl

    return {
        "device": torch.cuda.get_device_name(),
        "versions": {module.__name__: module.__version__ for module in (torch, transformers, trl, peft)},
        "matmul_tflops": round(reached / 1e12),
        "weights": weights,
        "length": length,
        "attention": way,
        "rows": rows,
    }


def gpu_row(
    model: Any, weights: int, length: int, examples: int, steps: int, reached: float, folder: Path, *, recompute: bool
) -> dict[str, Any]:
    config = model.config
    random = np.random.default_rng(7)
    each = length // examples
    tokens = [
        [int(token) for token in random.integers(3, config.vocab_size, each)] for _ in range(examples * (steps + 2))
    ]
    packs = pack([{"input_ids": one, "labels": one} for one in tokens], length)
    course = course_for(packs, steps + 1, recompute=recompute)
    layers = list(range(config.num_hidden_layers))
    torch.cuda.reset_peak_memory_stats()
    row: dict[str, Any] = {"examples_per_pack": examples, "recompute": recompute}
    try:
        trainer = sft_trainer(
            TrainOptions(), course, model, tokenizer(config.vocab_size), packs, layers, folder / "run", cuda=True,
        )  # fmt: skip
        seconds = step_s(trainer, warm_up=1)
    except torch.cuda.OutOfMemoryError:
        return {**row, "out_of_memory": True}
    finally:
        peel(model)
    again = 1 if recompute else 0
    attention_ops = (6 + 2 * again) * config.num_hidden_layers * each * config.hidden_size
    operations = (4 + 2 * again) * weights + attention_ops
    return {
        **row,
        "tokens_per_s": round(length / seconds),
        "peak_gb": round(torch.cuda.max_memory_allocated() / 2**30, 1),
        "gflop_per_token": round(operations / 1e9, 1),
        "share_of_matmul": round(length / seconds * operations / reached, 3),
    }


MEMORY_ROWS = (
    (True, True, 4_096), (True, True, 16_384), (True, True, 32_768), (False, True, 8_192), (False, True, 16_384),
    (False, True, 32_768), (False, False, 8_192),
)  # fmt: skip


def memory_table(folder: Path) -> dict[str, Any]:
    """Rows of (quantised, recompute, tokens)."""
    config = MistralConfig(**MISTRAL_7B)
    with torch.device("cuda"):
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder / "model")
    torch.cuda.empty_cache()
    rows = []
    for quantised, recompute, length in MEMORY_ROWS:
        rows.append(memory_row(folder, length, quantised=quantised, recompute=recompute))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return {"device": torch.cuda.get_device_name(), "rows": rows}


def memory_row(folder: Path, length: int, *, quantised: bool, recompute: bool) -> dict[str, Any]:
    config = MistralConfig(**MISTRAL_7B)
    tokens = np.random.default_rng(7).integers(3, config.vocab_size, (3, length)).tolist()
    packs = pack([{"input_ids": one, "labels": one} for one in tokens], length)
    layers = list(range(config.num_hidden_layers))
    course = course_for(packs, 3, recompute=recompute, quantised=quantised)
    torch.cuda.reset_peak_memory_stats()
    model = load_base(folder / "model", quantised=quantised, cuda=True)
    words = tokenizer(config.vocab_size)
    trainer = sft_trainer(TrainOptions(), course, model, words, packs, layers, folder / "run", cuda=True)
    seconds = step_s(trainer, warm_up=1)
    shapes, adapter = shapes_of(MISTRAL_7B), lora_parameters(MISTRAL_7B, 16)
    assert shapes is not None and adapter is not None
    expected = training_gb(
        shapes, adapter, length, weight_bytes=2, quantised=quantised, recompute=recompute, adapted=shapes.layers
    )
    found = {
        "quantised": quantised,
        "recompute": recompute,
        "tokens": length,
        "tokens_per_s": round(length / seconds),
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 1),
        "expected_gb": round(expected, 1),
    }
    del model, trainer
    gc.collect()
    torch.cuda.empty_cache()
    return found


class Quiet:
    """A job that nobody watches."""

    trace_id = "0" * 32

    def check(self) -> None:
        pass

    def progress(self, stage: str, *figures: Any, **more: Any) -> None:
        if more.get("figures"):
            print(stage, *figures, json.dumps(more["figures"]), file=sys.stderr, flush=True)


WHOLE_LENGTH = 8192
FEW_QUESTIONS = {"questions": 4, "answer_tokens": 32}


def whole_run(tokenizer_folder: Path, left_gb: float, folder: Path) -> dict[str, Any]:
    """Four steps of the engine's child over unpacked rows of very different lengths, with `left_gb` of the memory."""
    base = random_base(tokenizer_folder, folder / "base")
    taken = ballast(left_gb)
    examples = made_up_examples(base.folder, WHOLE_LENGTH, 12)
    train, held_out = examples[:-2], examples[-2:]
    for name, some in (("train", train), ("eval", held_out)):
        (folder / name).write_text("".join(f"{one.model_dump_json()}\n" for one in some))
    engine = TrainingEngine.from_settings(Settings(base_model=str(base.folder), log_dir=folder / "logs"), None)
    sizes, device = [one.tokens for one in train], engine.device()
    request = TrainRequest(
        show="bench", dataset="made-up", steps=4, checkpoint_every=1, examples_per_step=1, packing=False
    )
    config = json.loads((base.folder / "config.json").read_text())
    plan = Plan(
        request=request,
        course=course_of(request, sizes, WHOLE_LENGTH, device, config).model_copy(update=FEW_QUESTIONS),
        base=base,
        max_length=WHOLE_LENGTH,
        loss_on="both",
        train=folder / "train",
        eval=folder / "eval",
        work=folder,
        tensorboard=folder / "tensorboard",
    )

    def keep(checkpoint: Path, step: int, metrics: Any) -> None:
        nonlocal plan
        resume = folder / "resume" / checkpoint.name
        shutil.copytree(checkpoint, resume, dirs_exist_ok=True)
        plan = plan.model_copy(update={"resume": resume, "metrics": tuple(metrics)})

    courses = []
    while True:
        after = plan.metrics[-1].step if plan.metrics else 0
        courses.append({"after": after, "quantised": plan.course.quantised, "recompute": plan.course.recompute})
        try:
            trained = engine.train(plan, Quiet(), keep)
            break
        except OutOfMemoryError as full:
            print(full, file=sys.stderr, flush=True)
            leaned = leaner(plan.course, device, sizes)
            assert leaned is not None, "nothing is left to save"
            plan = plan.model_copy(update={"course": leaned[0]})
    del taken
    points = [point.model_dump(exclude={"judged"}, exclude_none=True) for point in trained.metrics]
    return {"device": device.name, "left_gb": left_gb, "courses": courses, "kept": trained.step, "points": points}


def ballast(left_gb: float) -> list[Any]:
    """Take a GPU's memory piece by piece until so much is left."""
    free, _ = torch.cuda.mem_get_info()
    return [torch.empty(2**30, dtype=torch.uint8, device="cuda") for _ in range(int((free - left_gb * 1e9) / 2**30))]


def random_base(tokenizer_folder: Path, folder: Path) -> Base:
    """Random weights of Mistral-7B's shape, with the packaged model's tokenizer."""
    vocabulary = {**MISTRAL_7B, "vocab_size": 49152}
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(MistralConfig(**vocabulary), dtype=torch.bfloat16)
    model.save_pretrained(folder)
    for file in tokenizer_folder.iterdir():
        if "token" in file.name or file.name == "chat_template.jinja":
            shutil.copy(file, folder)
    name_folder(folder, "random/mistral-7b-shape", "0" * 40)
    del model
    gc.collect()
    torch.cuda.empty_cache()
    return read_base(folder)


def peel(model: Any) -> None:
    """Take the adapter off again: every row begins with the bare base model."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            parent = model.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], module.get_base_layer())
    model.gradient_checkpointing_disable()
    torch.cuda.empty_cache()


def matmul_flops(size: int = 8192, times: int = 20) -> float:
    """Operations per second of a bf16 matrix product."""
    first, second = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        first @ second
    torch.cuda.synchronize()
    began = time.monotonic()
    for _ in range(times):
        first @ second
    torch.cuda.synchronize()
    return 2 * size**3 * times / (time.monotonic() - began)


# ---- both ------------------------------------------------------------------------------------------------------------


def tokenizer(vocabulary: int) -> Any:
    """Only asked for its padding token: rows hold token ids."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    words = {f"t{number}": number for number in range(min(vocabulary, 8))}
    made = Tokenizer(WordLevel(words, unk_token="t0"))
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="t0", eos_token="t1", unk_token="t0")


def step_s(trainer: Any, warm_up: int) -> float:
    """Median seconds of a step, after the first ones."""
    from transformers import TrainerCallback

    edges: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            edges.append(time.monotonic())

    trainer.add_callback(Clock())
    trainer.train()
    steps = np.diff(edges[warm_up - 1 :])
    return float(np.median(steps))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
