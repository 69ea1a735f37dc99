"""How full packs are, and how fast training is. `make bench-trainer`; on a GPU: `python -m tests.bench_trainer gpu`.

    python -m tests.bench_trainer cpu [--max-length 4096] [--layers 2]
    python -m tests.bench_trainer gpu [--length 8192] [--steps 3]

Run by the trainer's own Python. `cpu`: a made-up show of interviews becomes examples of up to max_length tokens; how
many tokens of its packs are talk, and how many are learnt. Then real steps on some, with the base model's shapes and
fewer layers, beside the recipe of the first attempt: one example a row, padded to max_length, no packing. Tokens of
padding count on neither side.

`gpu`: LoRA on random weights of Mistral-7B's shape (no download; speed does not depend on what a model has learnt),
full packs of one example, and of four. Operations are 4 N per token for the N weights that are multiplied with, as
their gradients are not computed (forward 2 N, backward through them 2 N), 6 N where activations are computed again; and
those of causal attention: 6 L S H per token, 8 with computing again, for L layers of width H and examples of S tokens.
They are compared with what a bf16 matrix product reaches on the same card in the same run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, PreTrainedTokenizerFast

from services.trainer.engine import attention, sft_trainer
from services.trainer.packing import IGNORED, filling, pack
from shared.schemas import HostMethod, Role, TrainOptions, Turn

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
    asked = options.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-trainer-") as folder:
        if asked.kind == "gpu":
            print(json.dumps(on_gpu(asked.length, asked.steps, Path(folder))))
            return 0
        found = on_cpu(asked.max_length, asked.layers, asked.recordings, Path(folder))
    print(json.dumps(found))
    return 0 if found["fill"] >= LEAST_FILL and found["examples"] >= 200 else 1


# ---- without a GPU ---------------------------------------------------------------------------------------------------


def on_cpu(max_length: int, layers: int, recordings: int, folder: Path) -> dict[str, Any]:
    from services.studio.local import BASE_MODEL

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
    """Examples of interviews of 8 to 60 minutes, so that the last piece of each is short."""
    from services.trainer.dataset import Frame, Source, build_examples, encode
    from shared.render import renderer_for

    random = np.random.default_rng(7)
    renderer = renderer_for(base)
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
    built = build_examples(sources, Frame("A Made-up Show", "Ann Host", max_length, "both"), renderer)
    return encode(built.examples, renderer, max_length, "both")


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
    request = TrainOptions(steps=len(rows), examples_per_step=1)
    layers, words = list(range(config.num_hidden_layers)), tokenizer(config.vocab_size)
    return step_s(sft_trainer(request, model, words, rows, rows, layers, folder, cuda=False), warm_up=1)


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
    request = TrainOptions(steps=steps + 1, examples_per_step=1, learning_rate=1e-4, lora_rank=16)
    layers = list(range(config.num_hidden_layers))
    torch.cuda.reset_peak_memory_stats()
    row: dict[str, Any] = {"examples_per_pack": examples, "recompute": recompute}
    try:
        trainer = sft_trainer(
            request, model, tokenizer(config.vocab_size), packs, packs[:1], layers, folder / "run",
            cuda=True, recompute=recompute,
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
