"""Turns without what is said while somebody else talks, and without sounds that are no words. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from shared.schemas import Turn
from shared.spoken import is_backchannel, is_filler

ENDS = ".?!"


def folded(turns: Iterable[Turn | None]) -> tuple[list[Turn | None], int]:
    """Turns without backchannels, and how many there were: what was said around one becomes one turn again.

    What follows a question is an answer, however short; so is what nobody goes on after.
    """
    found: list[Turn | None] = []
    count = 0
    waiting = list(turns)
    for place, turn in enumerate(waiting):
        before = found[-1] if found else None
        after = waiting[place + 1] if place + 1 < len(waiting) else None
        if turn is not None and before is not None and after is not None and _is_aside(before, turn, after):
            count += 1
        else:
            found.append(turn)
    return found, count


def _is_aside(before: Turn, turn: Turn, after: Turn) -> bool:
    goes_on = before.speaker == after.speaker != turn.speaker
    return goes_on and is_backchannel(turn.text) and not before.text.rstrip().endswith("?")


def without_fillers(text: str) -> tuple[str, int]:
    """A text without its ums, and how many there were; a sentence that ended with one still ends."""
    kept: list[str] = []
    count = 0
    for word in text.split():
        if not is_filler(word):
            begins = not kept or kept[-1][-1] in ENDS
            kept.append(word[0].upper() + word[1:] if count and begins else word)
            continue
        count += 1
        if kept and word[-1] in ENDS and kept[-1][-1] not in ENDS:
            kept[-1] = kept[-1].rstrip(",;:") + word[-1]
    return " ".join(kept), count
