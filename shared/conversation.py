"""A conversation as a reader sees it: turns of host and guest, without times. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from shared.schemas import ExcludedSpan, Transcript, Turn
from shared.spoken import is_backchannel

Role = Literal["host", "guest"]
ROLES: dict[str, Role] = {"host": "host", "guest": "guest"}


@dataclass(frozen=True)
class Spoken:
    """One turn as a reader sees it.

    role      None where nobody knows who is the host
    closed    false when it breaks off without its end mark
    speaker   who says it, where host and guest are not all there are
    """

    role: Role | None
    text: str
    closed: bool = True
    speaker: str = ""


def spoken_of(transcript: Transcript, excluded: Sequence[ExcludedSpan] = ()) -> list[Spoken]:
    """The turns of a real conversation, without adverts and the like; co-hosts and others have no role.

    excluded   what is left out beside the transcript's own spans: those of its recording. A turn goes with its middle.
    """
    spans = (*transcript.excluded_spans, *excluded)
    return [
        Spoken(ROLES.get(turn.role.value), turn.text, speaker=turn.speaker)
        for turn in transcript.turns
        if not any(span.start_s <= _middle_s(turn) < span.end_s for span in spans)
    ]


def _middle_s(turn: Turn) -> float:
    return (turn.start_s + turn.end_s) / 2


def folded(turns: Iterable[Spoken]) -> list[Spoken]:
    """Real talk in the form of training examples: without a listener's "Mhm", and what one role says on is one turn.

    As in training, what follows a question is an answer, however short; so is what nobody goes on after.
    """
    waiting = [turn for turn in turns if turn.text.strip()]
    found: list[Spoken] = []
    for place, turn in enumerate(waiting):
        before = found[-1] if found else None
        after = waiting[place + 1] if place + 1 < len(waiting) else None
        if before and after and _is_aside(before, turn, after):
            continue
        if before and turn.role is not None and before.role == turn.role:
            found[-1] = replace(before, text=f"{before.text} {turn.text}")
        else:
            found.append(turn)
    return found


def _is_aside(before: Spoken, turn: Spoken, after: Spoken) -> bool:
    goes_on = before.role == after.role != turn.role
    return goes_on and is_backchannel(turn.text) and not before.text.rstrip().endswith("?")
