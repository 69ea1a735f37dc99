"""Structured logs with job and trace ids, metrics, and the one trace id that goes from request to engine."""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from shared.urls import redact_text
from shared.version import VERSION

RECENT_LINES = 5000

_context: ContextVar[dict[str, Any] | None] = ContextVar("diary_context", default=None)
_KNOWN = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_OUR_TOKEN = re.compile(r"\bdiary_[A-Za-z0-9_-]{8,}")
_TRACEPARENT = re.compile(r"^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")


def new_trace_id() -> str:
    return secrets.token_hex(16)


def trace_id_of(traceparent: str | None) -> str:
    """The trace id of a W3C traceparent header, or a new one."""
    match = _TRACEPARENT.match(traceparent or "")
    return match.group(1) if match else new_trace_id()


def traceparent(trace_id: str) -> str:
    return f"00-{trace_id}-{secrets.token_hex(8)}-01"


@contextmanager
def trace(trace_id: str, **fields: Any) -> Iterator[None]:
    """Put the trace id and other ids on every log line written inside."""
    token = _context.set({**(_context.get() or {}), "trace_id": trace_id, **fields})
    try:
        yield
    finally:
        _context.reset(token)


def current_trace_id() -> str | None:
    return (_context.get() or {}).get("trace_id")


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in record.__dict__.items() if name not in _KNOWN}
        line = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "service": self._service,
            "message": record.getMessage(),
            **(_context.get() or {}),
            **extra,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class RecentLogs(logging.Handler):
    """The last lines that this process has logged, in memory: gone when it ends.

    People read them, so tokens and the secrets of URLs are hidden in them, whatever a library has put into a message.
    """

    def __init__(self, service: str, keep: int = RECENT_LINES) -> None:
        super().__init__()
        self.setFormatter(JsonLines(service))
        self._lines: deque[tuple[str, str]] = deque(maxlen=keep)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = json.loads(self.format(record))
        except (TypeError, ValueError, KeyError):  # a message that does not fit its arguments stops nobody's work
            self.handleError(record)
            return
        hidden = _hidden(line)
        self._lines.append((str(hidden.get("trace_id", "")), json.dumps(hidden)))

    def of(self, trace_id: str) -> list[dict[str, Any]]:
        """The lines of one trace, in the order in which they were written."""
        return [json.loads(line) for its_trace, line in self._lines.copy() if its_trace == trace_id]


def _hidden(told: Any) -> Any:
    """What was logged, without the secrets in any of its texts."""
    if isinstance(told, str):
        return _OUR_TOKEN.sub("diary_...", redact_text(told))
    if isinstance(told, list):
        return [_hidden(one) for one in told]
    return {name: _hidden(one) for name, one in told.items()} if isinstance(told, dict) else told


def recent_logs(service: str) -> RecentLogs:
    """Where this process keeps its last lines, from now on in a service's name; it begins where nothing did yet."""
    root = logging.getLogger()
    kept = next((handler for handler in root.handlers if isinstance(handler, RecentLogs)), None)
    if kept is None:
        kept = RecentLogs(service)
        root.addHandler(kept)
    kept.setFormatter(JsonLines(service))
    return kept


def log_to_stderr(service: str) -> None:
    """Log JSON lines, and keep the last of them for whoever asks (`GET /v1/logs`)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    recent_logs(service)
    root.setLevel(logging.INFO)
    for noisy in ("httpx", "uvicorn", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class Metrics:
    """Prometheus metrics of one service."""

    def __init__(self, service: str) -> None:
        self._registry = CollectorRegistry()
        Gauge("diary_build_info", "version in use", ["service", "version"], registry=self._registry).labels(
            service, VERSION
        ).set(1)
        self._requests = Counter(
            "diary_http_requests_total", "requests by status", ["method", "status"], registry=self._registry
        )
        self._running = Gauge("diary_jobs_running", "jobs that run now", ["kind"], registry=self._registry)
        self._seconds = Histogram(
            "diary_job_seconds",
            "seconds per job",
            ["kind"],
            registry=self._registry,
            buckets=(1, 5, 15, 60, 300, 900, 3600, 14400),
        )
        self._gpu_seconds = Counter(
            "diary_gpu_seconds_total", "seconds that GPUs worked for a show", ["show"], registry=self._registry
        )

    def request(self, method: str, status: int) -> None:
        self._requests.labels(method, str(status)).inc()

    @contextmanager
    def job(self, kind: str) -> Iterator[None]:
        began = time.monotonic()
        self._running.labels(kind).inc()
        try:
            yield
        finally:
            self._running.labels(kind).dec()
            self._seconds.labels(kind).observe(time.monotonic() - began)

    def gpu(self, show: str, seconds: float) -> None:
        self._gpu_seconds.labels(show).inc(seconds)

    def render(self) -> bytes:
        return generate_latest(self._registry)
