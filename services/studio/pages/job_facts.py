"""What a page tells of a job beside its progress: what was asked, what came of it, and where that is. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from services.studio.pages import words
from shared.schemas import Job
from shared.urls import redact_text

UNTOLD = ("show", "key", "upload_key", "peaks", "spans_sha256")  # told elsewhere, or of no use to people
LONGEST_TEXT, MOST_OF_A_LIST = 300, 8
_RUN_OF_ADAPTER = re.compile(r"\.r(\d+)\.c\d+$")


@dataclass(frozen=True)
class Made:
    """Something that a job has made, or is making, and where it is."""

    text: str
    address: str


def asked(request: BaseModel) -> list[tuple[str, str]]:
    """What a job was asked for, where it is not the usual; secrets of URLs are hidden."""
    return told(request.model_dump(mode="json", exclude_defaults=True))


def told(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name.replace("_", " "), _text(value))
        for name, value in facts.items()
        if name not in UNTOLD and value not in (None, "", [], {})
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return words.number(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {text}" for name, text in told(value)) or "yes"
    if isinstance(value, Sequence) and not isinstance(value, str):
        shown = ", ".join(_text(one) for one in value[:MOST_OF_A_LIST])
        return shown if len(value) <= MOST_OF_A_LIST else f"{shown} and {len(value) - MOST_OF_A_LIST:,} more"
    text = redact_text(str(value))
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} ..."


def outcome(job: Job) -> list[tuple[str, str]]:
    """Figures of its result, without those that lead to a page."""
    result = (job.result or {}).items()
    return told({name: value for name, value in result if not _is_place(name, value) and name != "brief"})


def _is_place(name: str, value: Any) -> bool:
    """Some results name their recordings, some only count them."""
    return name in _PLACES and not isinstance(value, int)


def made_by(job: Job, run: int | None = None) -> list[Made]:
    """Pages of what a job has made so far.

    run   the training run that it has claimed
    """
    if job.show is None:
        return []
    place, result = f"/shows/{job.show}", job.result or {}
    named = {name: result.get(name) for name in _PLACES if _is_place(name, result.get(name))}
    found = [made for name, value in named.items() if (made := _PLACES[name](place, value)) is not None]
    if run is not None and not any("/runs/" in made.address for made in found):
        found.append(Made(f"Training run {run}: its curves", f"{place}/runs/{run}"))
    if "episode" not in result and (growing := job.links.get("turns")) and not job.problem:
        address = growing.removeprefix("/v1").removesuffix("/turns")
        found.append(Made("The AI episode, as it grows", address))
    if job.result is not None and (comparison := job.links.get("comparison")):
        found.append(Made("The comparison", comparison.removeprefix("/v1")))
    return found


def _recording(place: str, name: Any) -> Made | None:
    return Made("The recording", f"{place}/recordings/{name}") if name else None


def _recordings(place: str, names: Any) -> Made | None:
    if not names:
        return None
    one = f"{place}/recordings/{names[0]}" if len(names) == 1 else f"{place}/recordings"
    return Made(words.count(len(names), "recording"), one)


def _dataset(place: str, name: Any) -> Made | None:
    return Made(f"The dataset {name}", f"{place}/datasets/{name}") if name else None


def _adapter(place: str, name: Any) -> Made | None:
    found = _RUN_OF_ADAPTER.search(str(name or ""))
    return Made(f"The trained model {name}, with its curves", f"{place}/runs/{found.group(1)}") if found else None


def _episode(place: str, name: Any) -> Made | None:
    return Made("The AI episode", f"{place}/episodes/{name}") if name else None


_PLACES = {
    "recording": _recording,
    "recordings": _recordings,
    "dataset": _dataset,
    "adapter": _adapter,
    "episode": _episode,
}
