"""How long the next turn may be, and when the host says goodbye, so that an episode ends within 10 % of its target."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from shared.report import LENGTH_TOLERANCE

TOKENS_PER_WORD = 1.3
CLOSING_WORDS = 14  # kept free for a goodbye
EXCHANGE_WORDS = 22  # the shortest question and answer that are worth beginning
LONG_GOODBYE_WORDS = 25  # what a goodbye may be asked to fill at most
REACH = 0.6  # and never more than this share of the host's longest turn


@dataclass(frozen=True)
class Limits:
    """Tokens that a turn of one role may have."""

    min_tokens: int
    max_tokens: int


@dataclass(frozen=True)
class TurnPlan:
    """What is asked of the next turn.

    closing     the host says goodbye, and the episode ends
    position    share of the episode that is over, 0 to 1
    fit_words   fewest and most words that end the episode within its target; only of a closing turn
    """

    index: int
    role: Literal["host", "guest"]
    closing: bool
    min_tokens: int
    max_tokens: int
    position: float
    fit_words: tuple[int, int] | None = None


def plan_turn(index: int, said_words: int, target_words: int, host: Limits, guest: Limits) -> TurnPlan:
    """Role by strict alternation, host first; the closing when a goodbye can fill what is missing."""
    role: Literal["host", "guest"] = "guest" if index % 2 else "host"
    missing = math.ceil((1 - LENGTH_TOLERANCE) * target_words) - said_words
    left = math.floor((1 + LENGTH_TOLERANCE) * target_words) - said_words
    position = min(1.0, said_words / target_words)
    if role == "host" and index > 0 and _time_to_close(missing, left, host):
        least, most = max(1, missing), max(CLOSING_WORDS, left)
        return TurnPlan(
            index=index,
            role=role,
            closing=True,
            min_tokens=_between(_tokens(least), host),
            max_tokens=_between(_tokens(most), host),
            position=1.0,
            fit_words=(least, most),
        )
    limits = host if role == "host" else guest
    reserved = CLOSING_WORDS + (EXCHANGE_WORDS // 2 if role == "host" else 0)
    most_tokens = _between(_tokens(left - reserved), limits)
    return TurnPlan(index, role, False, min(limits.min_tokens, most_tokens), most_tokens, position)


def _time_to_close(missing: int, left: int, host: Limits) -> bool:
    reachable = missing <= min(LONG_GOODBYE_WORDS, REACH * host.max_tokens / TOKENS_PER_WORD)
    return reachable or left < EXCHANGE_WORDS + CLOSING_WORDS


def _tokens(words: int) -> int:
    return math.ceil(words * TOKENS_PER_WORD)


def _between(tokens: int, limits: Limits) -> int:
    return max(limits.min_tokens, min(limits.max_tokens, tokens))
