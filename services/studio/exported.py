"""An AI episode that was exported, read back turn by turn: Markdown, plain text, WebVTT. Pure."""

from __future__ import annotations

import re
from html import unescape
from typing import cast

from services.studio.episode_exports import MARKDOWN
from services.studio.episode_marks import Mark
from shared.report import Role, Spoken

ROLES: tuple[Role, ...] = ("host", "guest")

_ESCAPED = re.compile(rf"\\{MARKDOWN.pattern}")
_CUE = re.compile(r"^(\d+)\.\d+\n[^\n]*-->[^\n]*\n<v\.(host|guest) [^<>\n]*>([^<>\n]*)</v>$", re.MULTILINE)


def turns_of(mark: Mark, text: str) -> list[Spoken]:
    """Turns of an exported file, as the episode had them; none where somebody has written it anew.

    text   what follows the mark
    """
    if mark.form == "vtt":
        return with_closed(mark, _of_cues(text))
    if mark.form == "md":
        return with_closed(mark, _of_paragraphs(mark, _ESCAPED.sub(r"\1", text), "**{name} ({role}):**"))
    return with_closed(mark, _of_paragraphs(mark, text, "{name} ({role}):"))


def with_closed(mark: Mark, turns: list[Spoken]) -> list[Spoken]:
    """With the names of who speaks, and which turns break off."""
    names, unclosed = mark.names(), set(mark.unclosed)
    return [
        Spoken(turn.role, turn.text, closed=at not in unclosed, speaker=names[turn.role or "guest"])
        for at, turn in enumerate(turns)
    ]


def _of_paragraphs(mark: Mark, text: str, opening: str) -> list[Spoken]:
    """A turn begins with its opening; lines without one go on with the turn before, and before all turns are none."""
    openings = {role: opening.format(name=name, role=role) for role, name in mark.names().items()}
    turns: list[tuple[Role, list[str]]] = []
    for line in text.split("\n"):
        role = next((role for role in ROLES if line.startswith(openings[role])), None)
        if role:
            turns.append((role, [line.removeprefix(openings[role])]))
        elif turns:
            turns[-1][1].append(line)
    return [Spoken(role, " ".join(" ".join(lines).split())) for role, lines in turns]


def _of_cues(text: str) -> list[Spoken]:
    """Cues whose ids begin with the same number are one turn."""
    turns: dict[str, tuple[Role, list[str]]] = {}
    for number, role, said in _CUE.findall(text):
        turns.setdefault(number, (cast(Role, role), []))[1].append(unescape(said))
    return [Spoken(role, " ".join(said)) for role, said in turns.values()]
