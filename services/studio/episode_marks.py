"""The AI mark that an exported episode carries: lines of `name: value`, and back. Pure.

A field is a line `name: value` with a JSON value, which is YAML too. Where the lines stand depends on the form: front
matter of Markdown, a NOTE of WebVTT, lines that start with `# ` before any other text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ValidationError


class Mark(BaseModel):
    """What an exported file says of itself.

    words      how long the episode was to be; none where the brief left it open
    unclosed   places of turns that break off in a sentence, counted from 0
    """

    ai_generated: Literal[True]
    form: str
    episode: str
    host: str
    guest: str
    words: int | None
    unclosed: tuple[int, ...]

    def names(self) -> dict[str, str]:
        return {"host": self.host, "guest": self.guest}


# ---- written ---------------------------------------------------------------------------------------------------------


def field_lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]


# ---- read ------------------------------------------------------------------------------------------------------------


def split(text: str) -> tuple[Mark | None, str]:
    """The mark of an exported file, and the text after it; no mark and the whole text for any other file."""
    lines = text.split("\n")
    if lines[0].strip() == "---":
        head = _until(lines, 1, lambda line: line.strip() == "---")
    elif lines[0].startswith("WEBVTT") and lines[2:3] == ["NOTE"]:
        head = _until(lines, 3, lambda line: not line.strip())
    else:
        head = _until(lines, 0, lambda line: not line.startswith("# "))
    mark = _mark(line.removeprefix("# ") for line in lines[:head])
    return (mark, "\n".join(lines[head:])) if mark else (None, text)


def _until(lines: Sequence[str], start: int, ends: Callable[[str], bool]) -> int:
    return next((at for at in range(start, len(lines)) if ends(lines[at])), len(lines))


def _mark(lines: Iterable[str]) -> Mark | None:
    found = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name in Mark.model_fields:
            found[name] = _value(value)
    try:
        return Mark.model_validate(found)
    except ValidationError:
        return None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
