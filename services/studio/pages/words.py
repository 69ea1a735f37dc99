"""Words for people: how pages say durations, sizes, times and what jobs do. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

JOBS = {
    "pipeline": "Everything from interviews to an AI episode",
    "ingest": "Bring in a recording",
    "refresh": "Look for new recordings",
    "transcribe": "Transcribe a recording",
    "transcribe-missing": "Transcribe what is missing",
    "host": "Say who the host is",
    "find-host": "Find the host's voice",
    "recognise": "Recognise the host",
    "repeats": "Look for repeated spans",
    "replace": "Find and replace",
    "rename": "Rename a speaker",
    "undo-batch": "Undo an order over several recordings",
    "import-transcript": "Bring in a transcript file",
    "follow-up": "Align corrected words",
    "dataset": "Build a dataset",
    "train": "Train a model",
    "write": "Write an AI episode",
    "revise": "Rewrite an AI episode",
    "compare": "Compare trained models",
    "render": "Speak an AI episode",
    "guest": "Make a fact sheet",
    "collect": "Remove what nobody needs",
    "erase": "Erase a recording",
}
STATES = {"queued": "waiting", "running": "running", "done": "done", "failed": "failed", "cancelled": "cancelled"}


def span(seconds: float | None) -> str:
    """A duration as people say it: `45 s`, `12 min`, `3 h 05 min`; `unknown` for None."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def clock(seconds: float) -> str:
    """A place in a recording: `4:05`, `1:02:03`."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def size(count: float | None) -> str:
    """Bytes as people say them: `12 MB`; `unknown` for None."""
    if count is None:
        return "unknown"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def number(value: float | None) -> str:
    """`12,345`, `0.25`; a dash for None."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:,.3g}"


def share(value: float | None) -> str:
    """`43 %`; a dash for None."""
    return "–" if value is None else f"{100 * value:.0f} %"


def count(many: int, one: str, several: str = "") -> str:
    """`1 recording`, `1,200 recordings`."""
    return f"{many:,} {one if many == 1 else several or one + 's'}"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """`just now`, `5 minutes ago`, `3 days ago`."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            return f"{count(int(seconds // length), unit)} ago"
    return "just now"


def job_title(kind: str) -> str:
    return JOBS.get(kind, kind)


def job_state(state: str) -> str:
    return STATES.get(state, state)


FILTERS: dict[str, Callable[..., Any]] = {
    "span": span,
    "clock": clock,
    "size": size,
    "number": number,
    "share": share,
    "count": count,
    "ago": ago,
    "job_title": job_title,
    "job_state": job_state,
}
