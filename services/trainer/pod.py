"""The program of a training pod, made by services/trainer/cluster.py: `python -m services.trainer.pod`.

It trains the run that TRAINER_ORDER names, from its newest checkpoint in the object store on, and says how far it is: a
JSON line of progress at a time on stdout, its log on stderr. What it makes lies in the object store. An error of ours
goes into the termination message as a problem; the exit code says whether another pod may have better luck.
"""

from __future__ import annotations

import json
import logging
import shutil
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from services.trainer import job as story
from services.trainer.app import open_shelf
from services.trainer.engine import TrainingEngine
from services.trainer.plan import Engine
from services.trainer.pod_order import DONE, HOPELESS, PASSING, STOPPED, PodOrder
from services.trainer.settings import PodSettings
from shared.engines import private_stdout
from shared.errors import DiaryError
from shared.patience import Patience, pause
from shared.problems import problem_of
from shared.schemas import Progress, TrainRequest
from shared.service import open_store
from shared.store import Store
from shared.telemetry import log_to_stderr, trace

log = logging.getLogger(__name__)

T = TypeVar("T")

DETAIL_CHARACTERS = 900  # Kubernetes keeps 4,096 bytes of a termination message
ENGINE_LINES = 40


class PodStopping(BaseException):
    """Raised inside the job when the pod has to go; what was trained is saved by then."""


class PodJob:
    """The JobContext of a job whose pod this is.

    told   where progress goes, a JSON line each
    """

    def __init__(self, order: PodOrder, work_dir: Path, told: BinaryIO) -> None:
        self.id, self.kind, self.actor, self.trace_id = order.job, order.kind, order.actor, order.trace_id
        self.work_dir = work_dir
        self.stopping = threading.Event()
        self._told = told

    def check(self) -> None:
        if self.stopping.is_set():
            raise PodStopping

    def is_over(self, job_id: str) -> bool:
        """Only the trainer knows, and it made the run this job's before it made the pod."""
        return False

    def progress(
        self,
        stage: str,
        done: float = 0,
        total: float | None = None,
        unit: str = "",
        note: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> None:
        now = Progress(stage=stage, done=done, total=total, unit=unit, note=note, figures=dict(figures or {}))
        self._told.write(json.dumps({"progress": now.model_dump(mode="json")}).encode() + b"\n")

    def step(self, name: str, work: Callable[[], T]) -> T:
        return work()


def main() -> int:
    settings = PodSettings()
    log_to_stderr("training")
    order = PodOrder.model_validate_json(settings.order)
    job = PodJob(order, made_empty(settings.work_dir / "pod"), private_stdout())
    engine = TrainingEngine.from_settings(settings, None, open_shelf(settings))
    with (
        trace(order.trace_id, job=order.job, show=order.request.show),
        saved_before_the_end(job, engine, settings.stop_grace_s),
    ):
        code = work(order.request, job, open_store(), engine, settings.termination_log)
        if code != DONE:
            show_end_of(settings.engine_log)
    return code


def work(request: TrainRequest, job: PodJob, store: Store, engine: Engine, termination_log: Path) -> int:
    """Train as in the trainer itself. Returns the exit code."""
    log.info("training pod started")
    try:
        result = patiently(lambda: story.train(request, job=job, store=store, engine=engine), job)
    except PodStopping:
        log.info("the pod has to go; training goes on from the newest checkpoint in another one")
        return STOPPED
    except DiaryError as error:
        log.warning("training failed: %s", error)
        termination_log.write_text(last_words(error, job.trace_id), encoding="utf-8")
        return PASSING if error.retryable else HOPELESS
    log.info("training done", extra={"adapter": result.adapter})
    return DONE


def patiently(train: Callable[[], T], job: PodJob) -> T:
    """Repeat what failed for a reason that passes: whoever gives the pod up gives its GPU up too."""
    patience = Patience()
    while True:
        try:
            return train()
        except DiaryError as error:
            job.check()  # an engine that was stopped under us, with the pod, is no failure
            if not patience.bears(error):
                raise
            log.warning("trying again (%d): %s", patience.tries, error)
            job.progress("waiting", note=f"{error}; trying again ({patience.tries})")
            pause(patience.pause_s, job.check)


@contextmanager
def saved_before_the_end(job: PodJob, engine: TrainingEngine, grace_s: float) -> Iterator[None]:
    """On SIGTERM the run under way is saved, then the job ends; a second one saves nothing."""
    asked, hurry = threading.Event(), threading.Event()

    def on_signal(*_: object) -> None:
        (hurry if asked.is_set() else asked).set()

    def end() -> None:
        asked.wait()
        engine.save(grace_s, hurry)
        job.stopping.set()
        engine.stop()

    before = signal.signal(signal.SIGTERM, on_signal)
    threading.Thread(target=end, name="end", daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def last_words(error: DiaryError, trace_id: str) -> str:
    """The termination message: a problem that fits in."""
    problem = problem_of(error, trace_id)
    return problem.model_copy(update={"detail": problem.detail[:DETAIL_CHARACTERS], "changes": ()}).model_dump_json()


def show_end_of(engine_log: Path) -> None:
    """Put the last lines of the engine's log into the pod's own, which outlives the pod's files."""
    if engine_log.exists():
        with engine_log.open(encoding="utf-8", errors="replace") as lines:
            print("".join(deque(lines, ENGINE_LINES)), end="", file=sys.stderr, flush=True)


def made_empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
