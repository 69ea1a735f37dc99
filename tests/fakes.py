"""Fakes, named so: a store in memory and a job without a database."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
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

    def progress(
        self, stage: str, done: float = 0, total: float | None = None, unit: str = "", note: str = ""
    ) -> None:
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
        self, job: Any, step: str, service: str, path: str, requests: list[Any], result_type: type[Any]
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
            return {"adapter": f"lamplight.r1.{name}", "key": f"a/{name}", "eval_loss_before": 2.2, "eval_loss_after": 2.1}
        return {"episode": name, "key": f"e/{name}", "words": 200, "turns": 9, "canary": True}
