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
import re
import resource
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from services.trainer import ranks
from services.trainer.base import config_of, make_base, packaged_gguf
from services.trainer.choice import best_point, is_stuck
from services.trainer.dataset import encode
from services.trainer.exam import Question, openings, recitation, unseen
from services.trainer.packing import pack
from services.trainer.plan import TARGET_MODULES, Course, Device, KeepCheckpoint, Plan, Trained
from services.trainer.plot import draw_losses
from services.trainer.settings import Settings, own_rank
from shared import machine
from shared.engines import Event, PipeEngine, Reporter, Watch, serve
from shared.errors import EngineRefusedError, LeaseYieldedError, NoSpaceError, OutOfMemoryError
from shared.lease import Lease
from shared.models import PACKAGED_NAME, Base, read_base
from shared.recitation import TrainingText
from shared.render import Renderer, renderer_for
from shared.schemas import Example, GuestLoss, Judged, MetricPoint, SampleTurn, TrainOptions
from shared.shelf import Shelf, Want, unpacked

log = logging.getLogger(__name__)

LOGGED_POINTS = 1000  # figures kept of a run, at most
WARM_UP = 0.03  # share of the steps
TRAINING = "training"  # how the stage of a step begins
POLL_S = 0.1
BY_EXAMPLE = "diary_by_example"
NO_SPACE = re.compile(r"no space left|os error 28|PytorchStreamWriter failed|file write failed", re.IGNORECASE)
NO_MEMORY = re.compile(r"not enough memory|can't allocate memory|out of memory", re.IGNORECASE)


# ---- near side -------------------------------------------------------------------------------------------------------


class TrainingEngine:
    """An Engine in a child process, which lives for one run: nothing else returns all of a device's memory.

    base_folder   where the base model lies, or will lie
    shelf         brings it there; None where it is there for sure
    tensorboard   folder for the curves of all runs
    elsewhere     what training runs on, where that is no device of this machine
    """

    def __init__(
        self,
        process: PipeEngine,
        base_folder: Path,
        shelf: Shelf | None,
        cpu_last_layers: int,
        device: str,
        tensorboard: Path,
        elsewhere: Device | None = None,
    ) -> None:
        self.process = process
        self.tensorboard = tensorboard
        self._base_folder = base_folder
        self._shelf = shelf
        self._cpu_last_layers = cpu_last_layers
        self._device = device
        self._elsewhere = elsewhere
        self._runs: list[_Run] = []

    @classmethod
    def from_settings(
        cls, settings: Settings, lease: Lease | None, shelf: Shelf | None = None, elsewhere: Device | None = None
    ) -> TrainingEngine:
        process = _child("training engine", settings, lease, gpus=0 if elsewhere else gpus_here(settings))
        board, layers = settings.log_dir / "tensorboard", settings.cpu_last_layers
        return cls(process, settings.base_folder, shelf, layers, settings.device, board, elsewhere)

    def base(self, job: Watch) -> Base:
        """The base model, once it is in its folder."""
        if self._shelf is not None:
            self._shelf.demand(job)
        return read_base(self._base_folder)

    def device(self) -> Device:
        """What nvidia-smi tells of the GPUs here, the smallest of several; else this machine; or what is elsewhere."""
        if self._elsewhere is not None:
            return self._elsewhere
        found = () if self._device == "cpu" else machine.gpus().found
        if found:
            memory_gb = min((gpu.memory_mib or 0) * 2**20 / 1e9 for gpu in found)
            return Device(kind="cuda", name=found[0].name, memory_gb=memory_gb, count=visible(len(found)))
        memory_gb = machine.memory_bytes() / 1e9
        return Device(kind="cpu", name="this machine's CPU", memory_gb=memory_gb, last_layers=self._cpu_last_layers)

    def train(self, plan: Plan, job: Watch, keep: KeepCheckpoint) -> Trained:
        run = _Run(job, self.process, plan)

        def on_event(event: Event) -> None:
            metrics = [MetricPoint.model_validate(point) for point in event["metrics"]]
            asked_for = run.asked and not plan.save_now.exists()
            keep(Path(event["checkpoint"]), event["step"], metrics)
            if asked_for:
                run.safe.set()
            if self.process.wanted() and not event["last"]:
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


def visible(gpus: int, chosen: str | None = None) -> int:
    """How many of a machine's GPUs its operator lets us use: CUDA_VISIBLE_DEVICES names some, or is not set."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES") if chosen is None else chosen
    return min(gpus, len([one for one in named.split(",") if one.strip()])) if named else gpus


def gpus_here(settings: Settings) -> int:
    """How many GPUs a training takes that is not ordered to take fewer."""
    return 0 if settings.device == "cpu" else visible(len(machine.gpus().found))


def packaged(settings: Settings, folder: Path) -> Want:
    """The packaged base model, unpacked by a child of its own: that needs no GPU, so it waits for none."""
    process = _child("base model", settings, None, gpus=0)

    def unpack(job: Watch) -> None:
        process.call("prepare", {"out": str(folder)}, job)
        process.stop()  # it holds a GB, and is not needed again

    return unpacked(folder, unpack)


def _child(name: str, settings: Settings, lease: Lease | None, *, gpus: int) -> PipeEngine:
    return PipeEngine(
        name,
        shlex.split(settings.engine_command) or [sys.executable, "-m", "services.trainer.engine"],
        lease=lease,
        log_file=settings.engine_log,
        environment=settings.child_environment(),
        idle_s=settings.engine_idle_s,
        gpus=gpus,
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

    def progress(self, stage: str, *amount: Any, **more: Any) -> None:
        self.stepping = self.stepping or stage.startswith(TRAINING)
        self._job.progress(stage, *amount, **more)


# ---- far side: train -------------------------------------------------------------------------------------------------


def train(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Train from the start or from `plan.resume`; a checkpoint event after every checkpoint. Returns a Trained."""
    plan = Plan.model_validate(arguments["plan"])
    if plan.course.processes == 1:
        return train_here(arguments, reporter)
    order = plan.work / "order.json"
    order.write_text(json.dumps(arguments), encoding="utf-8")
    return ranks.launch(plan.course.processes, order, reporter)


def train_here(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Train in this process, alone or as one of several that accelerate's launcher has started."""
    plan = Plan.model_validate(arguments["plan"])
    points = list(plan.metrics)
    cuda = _use_cuda(arguments["device"])
    layers = _adapted_layers(plan, None if cuda else arguments["cpu_last_layers"])
    done = points and (points[-1].step >= plan.course.steps or is_stuck(points, plan.request.patience))
    if not done:
        with _limits_named():
            _train_on(plan, points, layers, reporter, cuda=cuda)
    if own_rank() > 0:
        return {}  # the first process speaks for all
    best = best_point(points, plan.request.memorisation_limit)
    if best is None:
        raise EngineRefusedError("no checkpoint of this run was judged; train again")
    folder = _adapter_folder(plan, _checkpoint_folder(plan, best.step))
    draw_losses(points, plan.course.steps_per_epoch, best.step, folder / "loss.png")
    trained = Trained(
        folder=folder,
        step=best.step,
        metrics=tuple(points),
        versions={name: version(name) for name in ("torch", "transformers", "trl", "peft", "accelerate")},
        parameters={
            "adapted_layers": len(layers),
            "device": "cuda" if cuda else "cpu",
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        },
    )
    return trained.model_dump(mode="json")


def _train_on(plan: Plan, points: list[MetricPoint], layers: list[int], reporter: Reporter, *, cuda: bool) -> None:
    """Train to the last step, or until nothing is gained any more; `points` grows."""
    began = time.monotonic()
    reporter.progress("loading the base model")
    trainer, examiner = _make_trainer(plan, layers, reporter, cuda=cuda)
    if not points:
        with trainer.model.disable_adapter():
            points.append(examiner.judged(MetricPoint(step=0, tokens=0), "judging the base model"))
        if plan.parent:
            points.append(examiner.judged(MetricPoint(step=0, tokens=0), f"judging {plan.request.continue_from}"))
    trainer.add_callback(_diary(trainer, examiner, plan, points, reporter, began))
    trainer.train(resume_from_checkpoint=str(plan.resume) if plan.resume else None)


def _use_cuda(device: str) -> bool:
    if "WORLD_SIZE" not in os.environ:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # alone it takes one GPU: TRL refuses to share a process out
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise EngineRefusedError(
            "TRAINER_DEVICE is cuda, but no GPU can be used here; set it to cpu, or check the driver"
        )
    return device != "cpu" and torch.cuda.is_available()


@contextmanager
def _limits_named() -> Iterator[None]:
    """raises OutOfMemoryError or NoSpaceError for what the libraries say when memory, or the disk, is full"""
    import torch
    from safetensors import SafetensorError

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(f"the GPU's memory is full: {str(error).splitlines()[0]}") from error
    except (MemoryError, RuntimeError, SafetensorError) as error:
        if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
            raise OutOfMemoryError(f"the memory is full: {str(error).splitlines()[0] if str(error) else ''}") from error
        if NO_SPACE.search(str(error)):
            raise NoSpaceError("the work folder's disk is full; free some space and run the job again") from error
        raise


def _checkpoint_folder(plan: Plan, step: int) -> Path:
    """Where the checkpoint of a step lies: made in this run, or brought with the plan."""
    here = plan.work / "run" / f"checkpoint-{step}"
    brought = [folder for folder in (plan.resume, plan.best) if folder is not None and folder.name == here.name]
    found = next((folder for folder in (here, *brought) if folder.is_dir()), None)
    if found is None:
        raise EngineRefusedError(f"the checkpoint of step {step} is not here; train again")
    return found


def _adapted_layers(plan: Plan, default: int | None) -> list[int]:
    """Indices of the last layers that are asked for, of those that the parent has, or of all."""
    count = config_of(plan.base.folder)["num_hidden_layers"]
    if plan.parent:
        config = json.loads((plan.parent / "adapter_config.json").read_text(encoding="utf-8"))
        return config["layers_to_transform"] or list(range(count))
    last = plan.request.last_layers or default
    return list(range(max(0, count - last) if last else 0, count))


def _make_trainer(plan: Plan, layers: list[int], reporter: Reporter, *, cuda: bool) -> tuple[Any, _Examiner]:
    """The base model and the dataset's rows, as our renderer makes them; and who judges what is learnt."""
    from transformers import AutoTokenizer, set_seed

    request, course = plan.request, plan.course
    renderer = renderer_for(plan.base.folder)
    examples, held_out = _read_examples(plan.train), _read_examples(plan.eval)
    train_rows = encode(examples, renderer, plan.max_length, plan.loss_on)
    eval_rows = encode(held_out, renderer, plan.max_length, plan.loss_on)
    if request.packing:
        train_rows = pack(train_rows, course.row_tokens)
    set_seed(request.seed)
    model = load_base(plan.base.folder, quantised=course.quantised, cuda=cuda)
    tokenizer = AutoTokenizer.from_pretrained(plan.base.folder)
    work = plan.work / "run"
    trainer = sft_trainer(request, course, model, tokenizer, train_rows, layers, work, cuda=cuda)
    if plan.parent and not plan.resume:
        _take_over(trainer.model, plan.parent)
    return trainer, _Examiner(trainer, plan, renderer, examples, held_out, eval_rows, reporter)


def load_base(folder: Path, *, quantised: bool, cuda: bool) -> Any:
    """The base model for training: bf16 on a GPU, fp32 on a CPU, its linear maps in 4 bits (nf4) if quantised."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    kind = torch.bfloat16 if cuda else torch.float32
    four_bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=kind,
    )
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=kind,
        attn_implementation=attention(config_of(folder), cuda=cuda),
        quantization_config=four_bits if quantised else None,
        device_map={"": int(os.environ.get("LOCAL_RANK", "0"))} if quantised and cuda else None,
    )


def _take_over(model: Any, parent: Path) -> None:
    """Start from an adapter's weights. raises EngineRefusedError if they do not fit"""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    weights = load_file(parent / "adapter_model.safetensors")
    adapted = [name for name, _ in model.named_parameters() if ".lora_" in name]
    if len(weights) != len(adapted):
        raise EngineRefusedError(
            f"the adapter has {len(weights)} matrices and this run {len(adapted)}; order it with the adapter's "
            "last_layers, or train from the start"
        )
    set_peft_model_state_dict(model, weights)


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
    course: Course,
    model: Any,
    tokenizer: Any,
    rows: list[dict[str, list[int]]],
    layers: list[int],
    work: Path,
    *,
    cuda: bool,
) -> Any:
    """SFTTrainer over rows, single ones or packs, that TRL neither tokenises nor truncates."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(
        output_dir=str(work),
        max_steps=course.steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=course.examples_per_step // course.processes,
        learning_rate=course.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(course.steps * WARM_UP),
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
        gradient_checkpointing=course.recompute,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        ddp_find_unused_parameters=False,
        logging_steps=max(1, course.steps // LOGGED_POINTS),
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
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=lora,
    )


def _read_examples(path: Path) -> list[Example]:
    with path.open(encoding="utf-8") as lines:
        return [Example.model_validate_json(line) for line in lines]


class _Examiner:
    """Judges the model as it is: held-out loss by guest, what it recites, what it says next.

    Several processes share the held-out examples out; the first one asks the questions. All hear the same result.
    """

    def __init__(
        self,
        trainer: Any,
        plan: Plan,
        renderer: Renderer,
        examples: list[Example],
        held_out: list[Example],
        rows: list[dict[str, list[int]]],
        reporter: Reporter,
    ) -> None:
        self._trainer = trainer
        self._renderer = renderer
        self._reporter = reporter
        self._course, self._seed = plan.course, plan.request.seed
        self._rows = [(example.guest, row) for example, row in zip(held_out, rows, strict=True)]
        self._learnt = TrainingText(examples)
        self._openings = openings(examples, renderer, plan.course.questions)
        self._unseen = unseen(held_out, renderer)

    def judged(self, point: MetricPoint, stage: str = "judging on held-out guests") -> MetricPoint:
        """The point with all that is found out; training goes on as if nothing had been asked."""
        import torch

        model = self._trainer.model
        model.eval()
        with torch.random.fork_rng(), torch.no_grad(), self._trainer.accelerator.autocast():
            guests = self._losses(stage)
            asked = self._shared(self._ask(stage) if self._trainer.args.process_index == 0 else None)
        model.train()
        answers, samples = asked
        recited = recitation(answers, self._learnt)
        tokens = sum(guest.tokens for guest in guests)
        loss = sum(guest.loss * guest.tokens for guest in guests) / tokens
        judged = Judged(
            guests=tuple(guests),
            recited=recited.share,
            longest_recited_words=recited.longest,
            samples=tuple(SampleTurn(role=role, text=text) for role, text in samples),
        )
        return point.model_copy(update={"eval_loss": loss, "judged": judged})

    def _losses(self, stage: str) -> list[GuestLoss]:
        """Mean loss per supervised token, by guest."""
        args = self._trainer.args
        own: dict[str, tuple[float, int]] = {}
        rows = self._rows[args.process_index :: args.world_size]
        for done, (guest, row) in enumerate(rows):
            self._reporter.progress(stage, done, len(rows), "examples")
            batch = self._trainer._prepare_inputs(self._trainer.data_collator([pack([row], len(row["input_ids"]))[0]]))
            outputs = self._trainer.model(**batch, use_cache=False, fused_lm_head=True)
            loss, tokens = own.get(guest, (0.0, 0))
            own[guest] = (loss - float(outputs.log_probs.sum()), tokens + int(outputs.label_mask.sum()))
        total: dict[str, tuple[float, int]] = {}
        for part in self._gathered(own):
            for guest, (loss, tokens) in part.items():
                before = total.get(guest, (0.0, 0))
                total[guest] = (before[0] + loss, before[1] + tokens)
        return [
            GuestLoss(guest=guest, loss=loss / tokens, tokens=tokens) for guest, (loss, tokens) in sorted(total.items())
        ]

    def _ask(self, stage: str) -> tuple[list[str], list[tuple[str, str]]]:
        """Answers to the openings, the likeliest words each time; and sample turns, drawn with the run's seed."""
        import torch

        base = self._trainer.model.get_base_model()
        packed = base.config._attn_implementation
        base.set_attn_implementation("sdpa")  # the questions differ in length, so they come padded and with a mask
        self._reporter.progress(f"{stage}: what it recites")
        answers = self._generate(self._openings, do_sample=False)
        torch.manual_seed(self._seed)
        self._reporter.progress(f"{stage}: sample turns")
        samples = self._generate(self._unseen, do_sample=True, temperature=0.8, top_p=0.95)
        base.set_attn_implementation(packed)
        return answers, [(question.role, text) for question, text in zip(self._unseen, samples, strict=True)]

    def _generate(self, questions: list[Question], **how: Any) -> list[str]:
        import torch

        if not questions:
            return []
        longest = max(len(question.prompt) for question in questions)
        device = self._trainer.accelerator.device
        ids = [[question.stop[0]] * (longest - len(question.prompt)) + question.prompt for question in questions]
        mask = [[0] * (longest - len(question.prompt)) + [1] * len(question.prompt) for question in questions]
        made = self._trainer.model.generate(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=torch.tensor(mask, device=device),
            max_new_tokens=self._course.answer_tokens,
            eos_token_id=questions[0].stop,
            pad_token_id=questions[0].stop[0],
            use_cache=True,
            **how,
        )
        return [self._renderer.decode(answer[longest:].tolist()) for answer in made]

    def _gathered(self, own: Any) -> list[Any]:
        """What each process has, in order."""
        if self._trainer.args.world_size == 1:
            return [own]
        from torch.distributed import all_gather_object

        found: list[Any] = [None] * self._trainer.args.world_size
        all_gather_object(found, own)
        return found

    def _shared(self, own: Any) -> Any:
        """What the first process has."""
        return self._gathered(own)[0]


def _diary(
    trainer: Any, examiner: _Examiner, plan: Plan, points: list[MetricPoint], reporter: Reporter, began: float
) -> Any:
    """The callback that decides when to save and to stop, and reports: steps as progress, checkpoints as events."""
    import torch
    from torch.utils.tensorboard import SummaryWriter
    from transformers import TrainerCallback

    steps, every = plan.course.steps, plan.course.checkpoint_every
    tokens_before, seconds_before = points[-1].tokens, points[-1].seconds
    first = trainer.args.process_index == 0
    board = SummaryWriter(str(plan.tensorboard)) if first else None
    for point in points:
        _draw(board, point)

    class Diary(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            step = state.global_step
            self.save_now = examiner._shared(plan.save_now.exists())
            if step % every == 0 or step == steps or self.save_now:
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
                memory_gb=_memory_gb(torch),
            )
            points.append(point)
            _draw(board, point)
            note = f"loss {point.train_loss:.3f}, epoch {point.step / plan.course.steps_per_epoch:.1f}"
            reporter.progress(TRAINING, point.step, steps, "steps", note=note, figures=_figures(points))

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            step = state.global_step
            if not self.save_now or step == steps:  # whoever waits for the device does not wait for figures
                points[-1] = examiner.judged(points[-1])
                _draw(board, points[-1])
                control.should_training_stop |= is_stuck(points, plan.request.patience)
            last = step == steps or control.should_training_stop
            plan.save_now.unlink(missing_ok=True)
            folder = Path(args.output_dir) / f"checkpoint-{step}"
            metrics = [point.model_dump() for point in points]
            reporter.event(checkpoint=str(folder), step=step, last=last, metrics=metrics)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if board is not None:
                board.close()

    return Diary()


def _memory_gb(torch: Any) -> float:
    """The most that was in use so far: of the GPU, or of this process."""
    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)


def _figures(points: list[MetricPoint]) -> dict[str, float]:
    """Live figures of the step just made; of the last judgement where there was one."""
    now, held_out = points[-1], [point.eval_loss for point in points if point.eval_loss is not None]
    figures = {"loss": now.train_loss, "tokens": now.tokens, "memory_gb": now.memory_gb}
    figures["held_out_loss"] = held_out[-1] if held_out else None
    before = points[-2] if len(points) > 1 else now
    if now.seconds > before.seconds:
        figures["tokens_per_s"] = round((now.tokens - before.tokens) / (now.seconds - before.seconds), 1)
    return {name: float(value) for name, value in figures.items() if value is not None}


def _draw(board: Any, point: MetricPoint) -> None:
    """A point's figures in TensorBoard's files."""
    if board is None:
        return
    figures = {"loss/training": point.train_loss, "loss/held-out": point.eval_loss, "memory/GB": point.memory_gb}
    if point.judged is not None:
        figures["memorisation/recited 13-grams"] = point.judged.recited
        guests = enumerate(point.judged.guests, start=1)  # by number: no erasure reaches these files
        figures |= {f"perplexity/held-out guest {number}": one.perplexity for number, one in guests}
    for name, value in figures.items():
        if value is not None:
            board.add_scalar(name, value, point.step)
    board.flush()


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
    ranking = commands.add_parser("rank", help="one process of a training on several GPUs; accelerate starts it")
    ranking.add_argument("--order", type=Path, required=True, help="what to train, as JSON")
    arguments = parser.parse_args()
    if arguments.command == "rank":
        sys.exit(ranks.rank(arguments.order, train_here))
    if arguments.command != "prepare":
        return serve({"train": train, "prepare": prepare})
    os.environ["HF_HUB_OFFLINE"] = "1"
    made = prepare({"out": str(arguments.out)}, Reporter(lambda message: None))["made"]
    print(f"{arguments.out}: {'made' if made else 'was there'}")


if __name__ == "__main__":
    main()
