"""RFC 9457 problems from errors: what callers of a service and readers of a job are told."""

from __future__ import annotations

from shared.errors import DiaryError
from shared.schemas import Problem


def problem_of(error: DiaryError, trace_id: str | None) -> Problem:
    """An error of ours, with its own advice."""
    return Problem(
        type=f"urn:diary:{error.title}",
        title=error.title,
        status=error.status,
        detail=str(error),
        trace_id=trace_id,
        retryable=error.retryable,
        changes=getattr(error, "changes", ()),
    )


def unexpected(error: BaseException, trace_id: str | None) -> Problem:
    """What nobody foresaw: its kind, and where the log explains it; never its text, which may hold secrets."""
    return Problem(
        title="Unexpected",
        status=500,
        detail=f"unforeseen {type(error).__name__}; the service's log explains it under trace_id {trace_id}",
        trace_id=trace_id,
    )
