"""How often, and for how long, troubles that pass are borne: an engine that died, a store or service that is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import DiaryError, EngineFailedError

ENGINE_ATTEMPTS = 3
PATIENCE_S = 600.0
LONGEST_PAUSE_S = 10.0
LOOK_S = 0.1


@dataclass
class Patience:
    """The patience with one piece of work; it counts from the first trouble, not from the start of the work."""

    tries: int = 0
    first_trouble: float | None = None

    def bears(self, error: DiaryError) -> bool:
        """Whether the work is worth another try after this error."""
        now = time.monotonic()
        self.tries += 1
        self.first_trouble = self.first_trouble or now
        hopeless = isinstance(error, EngineFailedError) and self.tries >= ENGINE_ATTEMPTS
        return error.retryable and not hopeless and now - self.first_trouble < PATIENCE_S

    @property
    def pause_s(self) -> float:
        """Seconds to wait before the next try; longer each time."""
        return min(LONGEST_PAUSE_S, 0.5 * 2.0**self.tries)


def pause(seconds: float, check: Callable[[], None]) -> None:
    """Wait, and look ten times a second whether to go on waiting; whatever `check` raises ends it."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        check()
        time.sleep(min(LOOK_S, left))
