"""Fakes, named so: a store in memory and a job without a database."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from shared import keys
from shared.errors import ArtifactMissingError, ConflictError, JobCancelledError

T = TypeVar("T")


class MemoryStore:
    """A Store in a dict, with the same promises as the real one."""

    def __init__(self, objects: dict[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})
        self._guard = threading.Lock()

    def get(self, key: str) -> bytes:
        return self.read(key)[0]

    def read(self, key: str) -> tuple[bytes, str]:
        try:
            data = self.objects[key]
        except KeyError:
            raise ArtifactMissingError(key, keys.advice(key)) from None
        return data, hashlib.md5(data).hexdigest()

    def create(self, key: str, data: bytes) -> bool:
        with self._guard:
            if key in self.objects:
                return False
            self.objects[key] = data
            return True

    def replace(self, key: str, data: bytes, tag: str) -> None:
        with self._guard:
            if key not in self.objects or hashlib.md5(self.objects[key]).hexdigest() != tag:
                raise ConflictError(f"{key} was changed by somebody else meanwhile")
            self.objects[key] = data

    def put_stream(self, key: str, stream: BinaryIO, media_type: str) -> None:
        self.objects[key] = stream.read()

    def fetch(self, key: str, path: Path) -> None:
        path.write_bytes(self.get(key))

    def exists(self, key: str) -> bool:
        return key in self.objects

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)


class FakeJob:
    """A JobContext that remembers what it was told."""

    def __init__(self, work_dir: Path, job_id: str = "job-1", kind: str = "test") -> None:
        self.id = job_id
        self.kind = kind
        self.actor = "tester"
        self.trace_id = "0" * 32
        self.work_dir = work_dir
        self.events: list[tuple[str, float, float | None, str]] = []
        self.steps: dict[str, Any] = {}
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def check(self) -> None:
        if self._cancelled:
            raise JobCancelledError(f"job {self.id} was cancelled")

    def progress(self, stage: str, done: float = 0, total: float | None = None, unit: str = "", note: str = "") -> None:
        self.events.append((stage, done, total, unit))

    def step(self, name: str, work: Callable[[], T]) -> T:
        if name not in self.steps:
            self.steps[name] = work()
        return self.steps[name]


class TwoWinnersStore(MemoryStore):
    """A store that ignores conditions, as some S3 servers do: every writer believes to have won."""

    def create(self, key: str, data: bytes) -> bool:
        self.objects[key] = data
        return True

    def replace(self, key: str, data: bytes, tag: str) -> None:
        self.objects[key] = data


class ScriptedCrew:
    """A Crew that asks no service: it writes down the requests and answers from a script.

    spoken   upload key or URL -> whether that source has audio (true if it is not listed)
    """

    def __init__(self, spoken: dict[str, bool] | None = None) -> None:
        self.asked: list[tuple[str, list[Any]]] = []
        self._spoken = spoken or {}

    def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
        return self.ask_each(job, step, service, path, [request], result_type)[0]

    def ask_each(
        self, job: Any, step: str, service: str, path: str, requests: Sequence[Any], result_type: type[Any]
    ) -> list[Any]:
        def work() -> list[Any]:
            self.asked.append((step, list(requests)))
            return [self._answer(path, request) for request in requests]

        return [result_type.model_validate(answer) for answer in job.step(step, work)]

    def _answer(self, path: str, request: Any) -> dict[str, Any]:
        name = hashlib.sha256(request.model_dump_json().encode()).hexdigest()[:8]
        if path == "/v1/recordings":
            has_audio = self._spoken.get(request.upload_key or request.url, True)
            return {"recording": name, "key": f"r/{name}", "new": True, "has_audio": has_audio}
        if path in ("/v1/transcripts", "/v1/hosts"):
            facts = {"speakers": 2, "host_method": "guessed", "turns": 9}
            return {"transcript": name, "recording": request.recording, "key": f"t/{name}", **facts}
        if path == "/v1/datasets":
            return {"dataset": name, "key": f"d/{name}", "tokens": 100, "examples": 3}
        if path == "/v1/adapters":
            return {
                "adapter": f"lamplight.r1.{name}",
                "key": f"a/{name}",
                "eval_loss_before": 2.2,
                "eval_loss_after": 2.1,
            }
        return {"episode": name, "key": f"e/{name}", "words": 200, "turns": 9, "canary": True}


# ---- scripted engines: `python -m tests.fakes ingest|transcription|trainer`, the far sides of kill tests -----------
#
# They speak the pipe protocol of the real ones and take FAKE_STEP_S seconds per piece of work, so that a test can kill
# whatever it wants in the middle. Imports are inside: unit tests that want MemoryStore pay for nothing else.

SCRIPTED_TALK = (
    (0, "Welcome to the show. Who are you?"),
    (1, "I am a keeper of small bridges."),
    (0, "How many bridges do you keep?"),
    (1, "Eleven, and one that nobody has found yet."),
    (0, "Why do you keep it secret?"),
    (1, "Because it is the only quiet one."),
)


def _work(reporter: Any, stage: str, pieces: int) -> None:
    import os
    import time

    for piece in range(1, pieces + 1):
        time.sleep(float(os.environ.get("FAKE_STEP_S", "0")))
        reporter.progress(stage, piece, pieces, "pieces")


def scripted_convert(arguments: dict[str, Any], reporter: Any) -> dict[str, Any]:
    """Any file is 60 s of audio; the working copy is the file itself."""
    import shutil

    _work(reporter, "converting", 2)
    working = Path(arguments["folder"]) / "working.flac"
    shutil.copyfile(arguments["original"], working)
    found = {"working": str(working), "duration_s": 60.0, "media_type": "audio/mpeg", "metadata": {}}
    return {**found, "ffmpeg": "scripted"}


def scripted_setup(arguments: dict[str, Any], reporter: Any) -> dict[str, Any]:
    return {"asr": "scripted", "aligner": "scripted", "diariser": "scripted"}


def scripted_transcribe(arguments: dict[str, Any], reporter: Any) -> dict[str, Any]:
    """The scripted talk, ten seconds a turn; the recording's digest is said too, so that no two are alike."""
    _work(reporter, "recognising speech", 3)
    tag = hashlib.sha256(Path(arguments["path"]).read_bytes()).hexdigest()[:6]
    words = []
    for turn, (_, text) in enumerate(SCRIPTED_TALK):
        for number, word in enumerate(f"{text} {tag}".split()):
            start_s = 10.0 * turn + 0.5 * number
            words.append({"text": word, "start_s": start_s, "end_s": start_s + 0.4, "score": 0.9})
    return {"words": words, "duration_s": 60.0, "engines": {"asr": "scripted", "aligner": "scripted"}, "warnings": []}


def scripted_diarise(arguments: dict[str, Any], reporter: Any) -> dict[str, Any]:
    _work(reporter, "finding voices", 2)
    spans = [
        {"start_s": 10.0 * turn, "end_s": 10.0 * turn + 9.5, "voice": voice, "margin": 0.2}
        for turn, (voice, _) in enumerate(SCRIPTED_TALK)
    ]
    return {"spans": spans, "centroids": [[1.0, 0.0], [0.0, 1.0]], "model": "scripted"}


def scripted_embed(arguments: dict[str, Any], reporter: Any) -> dict[str, Any]:
    _work(reporter, "learning the voice", 1)
    return {"vector": [1.0, 0.0], "speech_s": 28.5, "model": "scripted"}


def scripted_train(arguments: dict[str, Any], reporter: Any) -> dict[str, Any]:
    """Loses 0.1 a step; checkpoints carry the step they were made at, and a run goes on from the one it is given."""
    import json

    plan = arguments["plan"]
    request, work = plan["request"], Path(plan["work"])
    points = list(plan["metrics"]) or [_point(0)]
    reporter.progress("loading the base model")
    folder = Path(plan["resume"]) if plan["resume"] else None
    for step in range(points[-1]["step"] + 1, request["steps"] + 1):
        _work(reporter, f"training step {step}", 1)
        points.append(_point(step))
        if step % request["checkpoint_every"] == 0 or step == request["steps"] or (work / "save-now").exists():
            folder = _checkpoint(work / f"checkpoint-{step}", request, step)
            reporter.event(checkpoint=str(folder), step=step, metrics=points)
    assert folder is not None
    (folder / "loss.png").write_bytes(b"\x89PNG\r\n\x1a\n scripted")
    (folder / "seen.json").write_text(json.dumps(points[-1]))
    return {"folder": str(folder), "metrics": points, "versions": {"torch": "scripted"}, "parameters": {}}


def _point(step: int) -> dict[str, Any]:
    return {
        "step": step,
        "tokens": 100 * step,
        "train_loss": 3.0 - 0.1 * step,
        "eval_loss": 3.0 - 0.1 * step,
        "seconds": 0,
    }


def _checkpoint(folder: Path, request: dict[str, Any], step: int) -> Path:
    """A LoRA folder that a server accepts: right rank, all target modules, safetensors."""
    import json

    import numpy as np
    from safetensors.numpy import save_file

    from services.trainer.plan import TARGET_MODULES

    folder.mkdir(parents=True, exist_ok=True)
    rank, tensors = request["lora_rank"], {}
    for module in TARGET_MODULES:
        name = f"base_model.model.model.layers.0.self_attn.{module}"
        tensors[f"{name}.lora_A.weight"] = np.full((rank, 4), step, dtype=np.float32)
        tensors[f"{name}.lora_B.weight"] = np.full((4, rank), step, dtype=np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "target_modules": list(TARGET_MODULES), "lora_alpha": 32}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def _run_scripted(service: str) -> None:
    from shared.engines import serve

    operations = {
        "ingest": {"convert": scripted_convert},
        "transcription": {
            "setup": scripted_setup,
            "transcribe": scripted_transcribe,
            "diarise": scripted_diarise,
            "embed": scripted_embed,
        },
        "trainer": {"train": scripted_train},
    }
    serve(operations[service])


if __name__ == "__main__":
    import sys

    _run_scripted(sys.argv[1])
