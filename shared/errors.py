"""The error tree: what happened, to which object, and what to do next. Status and retry advice sit on the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class DiaryError(Exception):
    """Base of every error we raise on purpose; the service app turns it into RFC 9457 JSON."""

    status = 500
    retryable = False

    @property
    def title(self) -> str:
        return type(self).__name__.removesuffix("Error")


class BadInputError(DiaryError):
    """The caller's input cannot be worked with; the message names the fix."""

    status = 422


class BadAudioError(BadInputError):
    """Not audio, empty, too short, too long, too large or silent: the same file will never do."""


class TooSlowError(BadInputError):
    """The site needs more time than the operator allows."""


class NewerDataError(BadInputError):
    """Stored by a newer version of the product than this one."""


class ConflictError(DiaryError):
    """Somebody else was faster. `changes` tells what they did, oldest first, where that is known."""

    status = 409

    def __init__(self, message: str, changes: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.changes = tuple(changes)


class QuotaError(DiaryError):
    """A show has all that it may have of a service: it gets more when some of that has ended, or when time has passed.

    Nobody's fault and no trouble: pipelines wait for as long as it takes.
    """

    status = 429
    retryable = True


class NotFoundError(DiaryError):
    status = 404


class ArtifactMissingError(NotFoundError):
    def __init__(self, key: str, advice: str) -> None:
        super().__init__(f"nothing stored at {key}; {advice}")
        self._made_with = (key, advice)

    def __reduce__(self) -> tuple[type[ArtifactMissingError], tuple[str, str]]:
        return type(self), self._made_with  # the workflow library pickles a step's error


class NotAllowedError(DiaryError):
    status = 403


class NoTokenError(DiaryError):
    status = 401


class StoreUnavailableError(DiaryError):
    """The object store does not answer; jobs wait and try again."""

    status = 503
    retryable = True


class StoreUnsafeError(DiaryError):
    """The object store let two writers win one conditional put; nothing may be written to it."""

    status = 503


class NoSpaceError(DiaryError):
    status = 507


class MachineUnfitError(DiaryError):
    """A GPU is demanded and none can work here; the service does not start."""

    status = 503


class EngineFailedError(DiaryError):
    """The engine's process died or broke off; the service lives on and the job is tried again."""

    status = 502
    retryable = True


class NothingUsableError(EngineFailedError):
    """The engine answers, and nothing that it says can be used; asked the same again, it says the same."""

    retryable = False


class OutOfMemoryError(DiaryError):
    """The device's memory does not hold the work as it is set up; with leaner settings it may."""

    status = 507


class EngineRefusedError(DiaryError):
    """The engine works but will not do this, e.g. an adapter that does not change the output."""

    status = 422


class ServiceUnavailableError(DiaryError):
    """Another service does not answer; the caller waits and tries again."""

    status = 503
    retryable = True


class SourceUnavailableError(DiaryError):
    """The site that a recording comes from is busy or broke off; jobs wait and try again.

    `retry_after_s` is what the site asks to wait, None if it does not say.
    """

    status = 503
    retryable = True

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelUnavailableError(DiaryError):
    """The model hub does not answer or broke off; jobs wait and try again, and a download goes on where it was."""

    status = 503
    retryable = True


class RemoteJobError(DiaryError):
    """A job in another service ended in failure; carries its problem on."""

    def __init__(self, detail: str, status: int = 502) -> None:
        super().__init__(detail)
        self.status = status

    def __reduce__(self) -> tuple[type[RemoteJobError], tuple[str, int]]:
        return type(self), (str(self), self.status)


class JobCancelledError(DiaryError):
    """Raised inside a job when somebody asked for it to stop."""

    status = 409


class LeaseYieldedError(DiaryError):
    """The engine was stopped between two pieces of work because another service waits for the GPU."""

    retryable = True
