"""Heavy engines (whisperX, training, vLLM) as child processes: start, call, lease, yield, stop.

The near side lives in a service and imports nothing heavy. The far side is the service's `engine.py` run as a program:
`serve({"op": function})` reads one JSON request per line from stdin and answers with JSON lines: events, then a result
or an error. Stopping the child is all it takes to cancel, to be idle or to give the GPU back: SIGTERM, then SIGKILL of
its process group. Nothing else returns the memory of a device.
"""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from shared import errors
from shared.errors import DiaryError, EngineFailedError, NoSpaceError
from shared.gpu_time import Meter
from shared.lease import Lease

log = logging.getLogger(__name__)

POLL_S = 0.2
TERM_GRACE_S = 2.0
JANITOR_S = 0.5

SECRET = re.compile(r"^S3_|_KEY$|_TOKEN$|_TOKEN_PATH$|_DATABASE_URL$|_SECRET")

Event = dict[str, Any]


class Watch(Protocol):
    """What an engine needs of the job it works for."""

    @property
    def trace_id(self) -> str: ...

    def check(self) -> None:
        """Raise JobCancelledError if the job was cancelled."""
        ...

    def progress(
        self,
        stage: str,
        done: float = 0,
        total: float | None = None,
        unit: str = "",
        note: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> None: ...


class EngineProcess:
    """One engine's process group: started on demand, leashed to us, ended when idle or when another service waits.

    command       program and arguments
    lease         held as long as the process lives; None where the engine has a device of its own
    environment   added to ours for the child
    log_file      stderr (and stray prints) of the child; a server's stdout too
    idle_s        seconds without work after which the engine is stopped
    gpus          GPUs that it holds while it works, by which its time is charged to shows; 0 on a CPU
    """

    answers_on_stdout = True

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        lease: Lease | None,
        log_file: Path,
        environment: Mapping[str, str] | None = None,
        idle_s: float = 300.0,
        gpus: int = 0,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._lease = lease
        self._environment = dict(environment or {})
        self._log_file = log_file
        self._idle_s = idle_s
        self._meter = Meter(gpus)
        self._process: subprocess.Popen[bytes] | None = None
        self._leash: int | None = None
        self._guard = threading.RLock()
        self._counting = threading.Lock()
        self._busy = 0
        self._last_use = time.monotonic()
        self._janitor: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        process = self._process  # another thread may stop us meanwhile
        return process is not None and process.poll() is None

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def wanted(self) -> bool:
        """Whether another service waits for our device: finish the piece of work in hand, then `stop`."""
        return self._lease is not None and self._lease.wanted()

    @contextmanager
    def working(self, job: Watch) -> Iterator[None]:
        """Have the engine running for a piece of work; on any error but ours-to-explain ones it is stopped."""
        with self._guarded(job), self._counting:
            self._busy += 1
        try:
            with self._guarded(job):
                if not self.alive:
                    self._start(job)
            with self._meter.working():
                yield
        except (errors.BadInputError, errors.EngineRefusedError):
            raise
        except errors.JobCancelledError:
            self._stop_if_alone()
            raise
        except BaseException:
            self.stop()
            raise
        finally:
            with self._counting:
                self._busy -= 1
                self._last_use = time.monotonic()

    @contextmanager
    def _guarded(self, job: Watch) -> Iterator[None]:
        """Whoever starts the engine holds the guard while it waits for the device: others can be cancelled then."""
        while not self._guard.acquire(timeout=POLL_S):
            job.check()
        try:
            yield
        finally:
            self._guard.release()

    def _stop_if_alone(self) -> None:
        """Others may be in the middle of their work, or starting the engine."""
        if self._guard.acquire(blocking=False):
            try:
                if self._busy == 1:
                    self.stop()
            finally:
                self._guard.release()

    def stop(self) -> None:
        """End the process group and give the device back; safe to repeat."""
        with self._guard:
            process, self._process = self._process, None
            if process is not None:
                _end_group(process)
                for pipe in (process.stdin, process.stdout):
                    if pipe:
                        with suppress(OSError):
                            pipe.close()
            if self._leash is not None:
                os.close(self._leash)
                self._leash = None
            if self._lease:
                self._lease.release()

    # ---- start -----------------------------------------------------------------------------------------------------

    def _start(self, job: Watch) -> None:
        self.stop()
        descriptor = self._take_lease(job)
        job.progress(f"starting {self.name}")
        inherited = [] if descriptor is None else [descriptor]
        reading, self._leash = os.pipe()
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._log_file.open("ab") as log_stream:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "shared.leash", str(reading), *self._command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE if self.answers_on_stdout else log_stream,
                    stderr=log_stream,
                    start_new_session=True,
                    pass_fds=[reading, *inherited],
                    env={
                        **_without_secrets(os.environ),
                        **self._environment,
                        "LEASH_PASS_FDS": " ".join(map(str, inherited)),
                        "DIARY_TRACE_ID": job.trace_id,
                    },
                )
        except OSError as error:
            self.stop()
            raise EngineFailedError(f"{self.name} cannot be started: {error}") from error
        finally:
            os.close(reading)
        log.info("engine started", extra={"engine": self.name, "pid": self._process.pid, "trace_id": job.trace_id})
        if self._janitor is None:
            self._janitor = threading.Thread(target=self._tidy_forever, name=f"{self.name}-janitor", daemon=True)
            self._janitor.start()

    def _take_lease(self, job: Watch) -> int | None:
        if self._lease is None:
            return None

        def waiting(note: str) -> None:
            job.check()
            job.progress("waiting for the GPU", note=note)

        return self._lease.acquire(waiting)

    def _tidy_forever(self) -> None:
        while True:
            time.sleep(JANITOR_S)
            self._meter.settle()
            with self._guard:
                resting = self._process is not None and self._busy == 0
                idle = time.monotonic() - self._last_use > self._idle_s
                if resting and (idle or self.wanted() or not self.alive):
                    log.info("engine stopped", extra={"engine": self.name, "why": "idle" if idle else "yield"})
                    self.stop()

    def _death(self) -> EngineFailedError:
        code = None
        if self._process:
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(TERM_GRACE_S)
        return EngineFailedError(f"{self.name} died (exit code {code}); the end of its log is in {self._log_file.name}")


class PipeEngine(EngineProcess):
    """An engine of ours: requests and answers are JSON lines on its pipes, one request at a time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._one_call = threading.Lock()
        self._numbers = itertools.count(1)
        self._lines: queue.Queue[bytes | None] = queue.Queue()

    def call(
        self, op: str, arguments: dict[str, Any], job: Watch, on_event: Callable[[Event], None] | None = None
    ) -> dict[str, Any]:
        """Run one operation in the child.

        on_event   called with each event that is not plain progress; may raise, which stops the child
        raises     the far side's DiaryError by name; EngineFailedError if the child died; JobCancelledError
        """
        with self._one_call_for(job), self.working(job):
            number = next(self._numbers)
            request = {"id": number, "op": op, "arguments": arguments, "trace_id": job.trace_id}
            self._send(json.dumps(request).encode() + b"\n")
            return self._answer(number, job, on_event)

    def _send(self, line: bytes) -> None:
        process = self._process
        try:
            if process is None or process.stdin is None:
                raise BrokenPipeError
            process.stdin.write(line)
            process.stdin.flush()
        except (OSError, ValueError) as error:  # it died, or was stopped by another thread
            raise self._death() from error

    @contextmanager
    def _one_call_for(self, job: Watch) -> Iterator[None]:
        while not self._one_call.acquire(timeout=POLL_S):
            job.check()
            job.progress(f"waiting for {self.name}", note="it works for another job")
        try:
            yield
        finally:
            self._one_call.release()

    def _start(self, job: Watch) -> None:
        super()._start(job)
        assert self._process and self._process.stdout
        self._lines = queue.Queue()
        threading.Thread(target=_pump, args=(self._process.stdout, self._lines), daemon=True).start()

    def _answer(self, number: int, job: Watch, on_event: Callable[[Event], None] | None) -> dict[str, Any]:
        while True:
            job.check()
            try:
                line = self._lines.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if line is None or not line.endswith(b"\n"):
                raise self._death()
            message = json.loads(line)
            if message["id"] != number:
                continue  # of an earlier request, whose caller gave up
            if "result" in message:
                return message["result"]
            if "error" in message:
                raise as_error(message["error"])
            if "progress" in message:
                job.progress(**message["progress"])
            elif on_event is not None:
                on_event(message["event"])


class ServerEngine(EngineProcess):
    """An engine with an HTTP server of its own (vLLM); `wait_until` polls its health while watching the job."""

    answers_on_stdout = False

    def wait_until(self, ready: Callable[[], bool], job: Watch, *, timeout_s: float) -> None:
        start = time.monotonic()
        while not ready():
            job.check()
            waited = time.monotonic() - start
            if not self.alive:
                raise self._death()
            if waited > timeout_s:
                raise EngineFailedError(
                    f"{self.name} was not ready within {timeout_s:.0f} s; see {self._log_file.name}"
                )
            job.progress(f"starting {self.name}", note=f"{waited:.0f} s")
            time.sleep(POLL_S)


def _pump(stream: Any, lines: queue.Queue[bytes | None]) -> None:
    with suppress(ValueError, OSError):
        for line in stream:
            lines.put(line)
    lines.put(None)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, a short grace, SIGKILL of the group. Its first process, the leash, leaves after all the others."""
    _signal_group(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(TERM_GRACE_S)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Engines read untrusted input; what opens the store, the database or the hub is not theirs to know."""
    return {name: value for name, value in environment.items() if not SECRET.search(name)}


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def as_error(problem: dict[str, Any]) -> DiaryError:
    """The error that a child told us of."""
    kind = getattr(errors, problem["kind"], None)
    if isinstance(kind, type) and issubclass(kind, DiaryError):
        error = kind.__new__(kind, problem["message"])
        Exception.__init__(error, problem["message"])
        if isinstance(error, errors.SourceUnavailableError):
            error.retry_after_s = problem.get("retry_after_s")
        return error
    return EngineFailedError(f"{problem['kind']}: {problem['message']}")


# ---- the far side --------------------------------------------------------------------------------------------------


class Reporter:
    """Given to each operation in the child: tells the near side how far the work is and what happened on the way."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send

    def progress(
        self,
        stage: str,
        done: float = 0,
        total: float | None = None,
        unit: str = "",
        note: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> None:
        progress = {"stage": stage, "done": done, "total": total, "unit": unit, "note": note}
        self._send({"progress": {**progress, **({"figures": dict(figures)} if figures else {})}})

    def event(self, **event: Any) -> None:
        self._send({"event": event})


Operation = Callable[[dict[str, Any], Reporter], dict[str, Any]]


def serve(operations: Mapping[str, Operation]) -> None:
    """Answer requests until stdin closes. Prints of libraries go to stderr: stdout belongs to the protocol."""
    answers = private_stdout()

    for line in sys.stdin.buffer:
        request = json.loads(line)

        def send(message: dict[str, Any], number: int = request["id"]) -> None:
            answers.write(json.dumps({"id": number, **message}).encode() + b"\n")

        os.environ["DIARY_TRACE_ID"] = request["trace_id"]
        print(json.dumps({"op": request["op"], "trace_id": request["trace_id"]}), file=sys.stderr, flush=True)
        send(answer(operations, request, Reporter(send)))


def private_stdout() -> BinaryIO:
    """What was stdout, for us alone; what libraries print goes to stderr from now on."""
    own = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return own


def answer(operations: Mapping[str, Operation], request: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """`result` or `error` of the operation that is asked for."""
    try:
        return {"result": operations[request["op"]](request["arguments"], reporter)}
    except Exception as error:  # noqa: BLE001 - this is the far side's job runner
        traceback.print_exc()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            error = NoSpaceError("the work folder's disk is full; free some space and run the job again")
        wait_s = error.retry_after_s if isinstance(error, errors.SourceUnavailableError) else None
        return {"error": {"kind": type(error).__name__, "message": str(error), "retry_after_s": wait_s}}
