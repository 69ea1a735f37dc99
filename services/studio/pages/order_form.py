"""What the form for an AI episode is filled with, and who may write it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.studio.estimates import best_name
from shared.guests import GuestSheet
from shared.schemas import Adapter, EpisodeRequest

SAMPLE_MINUTES = 10
KEPT = ("guest", "about", "tone", "guest_is", "consent", "adapter", "seed", "candidates", "temperature", "top_p")


@dataclass(frozen=True)
class Writer:
    """What may be chosen to write: the value that is sent, and what people read."""

    value: str
    told: str


def filled(brief: EpisodeRequest | None = None, guest: str = "") -> dict[str, Any]:
    """Values of the form's fields: of a brief, or a sample of ten minutes. Of two lengths the minutes count."""
    if brief is None:
        given: dict[str, Any] = dict.fromkeys(KEPT, "")
        return given | {
            "guest": guest, "guest_is": "invented", "adapter": "best", "facts": (), "minutes": SAMPLE_MINUTES,
            "words": "",
        }  # fmt: skip
    given = {name: "" if getattr(brief, name) is None else getattr(brief, name) for name in KEPT}
    words = "" if brief.minutes or not brief.words else brief.words
    minutes = f"{brief.minutes:g}" if brief.minutes else ""
    return given | {"guest": guest or brief.guest, "facts": brief.facts, "minutes": minutes, "words": words}


def writers_of(adapters: Sequence[Adapter]) -> list[Writer]:
    """Every trained model, the best first; `best` and the base model stand for themselves."""
    best = best_name(adapters)
    is_base = best == "base"
    first = Writer("best", "Best: the base model, as nothing is trained yet" if is_base else f"Best: {best}")
    trained = sorted(adapters, key=lambda one: (one.recites, one.eval_loss_after, one.name))
    return [first, *map(_writer, trained), Writer("base", "Base model, not fine-tuned")]


def _writer(adapter: Adapter) -> Writer:
    told = f"{adapter.name}, held-out loss {adapter.eval_loss_after:.3g}"
    return Writer(adapter.name, f"{told}, recites" if adapter.recites else told)


def known_sheets(sheets: Sequence[GuestSheet]) -> list[dict[str, Any]]:
    """What the form tells of a fact sheet once its guest is named."""
    return [
        {"name": sheet.name, "facts": len(sheet.facts), "address": f"/shows/{sheet.show}/guests/{sheet.id}"}
        for sheet in sheets
    ]
