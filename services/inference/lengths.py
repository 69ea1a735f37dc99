"""How long the next turn may be, and when the host says goodbye: near its target, and within 10 % of it in any case."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.report import LENGTH_TOLERANCE

TOKENS_PER_WORD = 1.3
CLOSING_WORDS = 14  # kept free for a goodbye
EXCHANGE_WORDS = 22  # the shortest question and answer that are worth beginning
LONG_GOODBYE_WORDS = 25  # what a goodbye may be asked to fill at most
REACH = 0.6  # and never more than this share of the host's longest turn
SHORTER, LONGER = 0.5, 1.4  # of the wanted length, what a turn may have


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
    wanted_words   how long a turn of the show might be here; None where nobody knows
    """

    index: int
    role: Literal["host", "guest"]
    closing: bool
    min_tokens: int
    max_tokens: int
    position: float
    fit_words: tuple[int, int] | None = None
    wanted_words: float | None = None


def wanted_words(lengths: Sequence[int], share: float) -> float | None:
    """The length at a share, from 0 to 1, of all the real turns' lengths; None where none are known.

    lengths   words of the shortest turn, of each tenth, of the longest
    """
    if not lengths:
        return None
    place = share * (len(lengths) - 1)
    below = min(int(place), len(lengths) - 2) if len(lengths) > 1 else 0
    above = min(below + 1, len(lengths) - 1)
    return lengths[below] + (place - below) * (lengths[above] - lengths[below])


def plan_turn(
    index: int,
    said_words: int,
    target_words: int,
    host: Limits,
    guest: Limits,
    wanted: float | None = None,
    may_close: bool = True,
) -> TurnPlan:
    """Role by strict alternation, host first; the closing when a goodbye can fill what is missing.

    wanted      words that a turn of the show might have here
    may_close   false where turns follow that are there already
    """
    role: Literal["host", "guest"] = "guest" if index % 2 else "host"
    missing = math.ceil((1 - LENGTH_TOLERANCE) * target_words) - said_words
    is_near = target_words - said_words <= max(LONG_GOODBYE_WORDS, said_words / max(1, index))
    left = math.floor((1 + LENGTH_TOLERANCE) * target_words) - said_words
    position = min(1.0, said_words / target_words)
    if role == "host" and index > 0 and may_close and _time_to_close(is_near, missing, left, host):
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
    limits = _around(wanted, host if role == "host" else guest)
    reserved = CLOSING_WORDS + (EXCHANGE_WORDS // 2 if role == "host" else 0)
    most_tokens = _between(_tokens(left - reserved), limits)
    least_tokens = min(limits.min_tokens, most_tokens)
    return TurnPlan(index, role, False, least_tokens, most_tokens, position, wanted_words=wanted)


def _around(words: float | None, limits: Limits) -> Limits:
    """Limits of one turn that is to have about so many words, within those of its role."""
    if words is None:
        return limits
    most = max(limits.min_tokens, min(limits.max_tokens, math.ceil(LONGER * words * TOKENS_PER_WORD)))
    return Limits(min(limits.max_tokens // 2, max(limits.min_tokens, int(SHORTER * words * TOKENS_PER_WORD))), most)


def _time_to_close(is_near: bool, missing: int, left: int, host: Limits) -> bool:
    """When the target is so near that one more exchange would lead farther from it; or when none fits any more."""
    reachable = missing <= min(LONG_GOODBYE_WORDS, REACH * host.max_tokens / TOKENS_PER_WORD)
    return (is_near and reachable) or left < EXCHANGE_WORDS + CLOSING_WORDS


def _tokens(words: int) -> int:
    return math.ceil(words * TOKENS_PER_WORD)


def _between(tokens: int, limits: Limits) -> int:
    return max(limits.min_tokens, min(limits.max_tokens, tokens))
