"""Which turns the model still sees. The window is stepped: when it is full it drops to half.

A window that slides with every turn would change the start of every prompt and so defeat the server's prefix cache; a
stepped one keeps the cost of an episode linear in its length. Where the prompt changes anyway, with a new chapter, it
steps too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

TURN_OVERHEAD_TOKENS = 6  # header and end of a turn, in any model family


def first_seen(turn_tokens: Sequence[int], budget_tokens: int, new_chapters: Collection[int] = ()) -> int:
    """Index of the first turn in the prompt; always a host's, as in training. Follows from the turns alone.

    turn_tokens     tokens of each turn's text, the host's first
    budget_tokens   what the turns in a prompt may take together
    new_chapters    indexes of turns, the next one's among them, that begin a chapter
    """
    costs = [tokens + TURN_OVERHEAD_TOKENS for tokens in turn_tokens]
    first, total = 0, 0
    for index, cost in enumerate([*costs, 0]):
        if index in new_chapters and total > budget_tokens // 2:
            first, total = _half(costs, first, index, total, budget_tokens)
        total += cost
        if total > budget_tokens:
            first, total = _half(costs, first, index, total, budget_tokens)
    return first


def _half(costs: Sequence[int], first: int, index: int, total: int, budget_tokens: int) -> tuple[int, int]:
    while first + 2 <= index and total > budget_tokens // 2:
        total -= costs[first] + costs[first + 1]
        first += 2
    return first, total
