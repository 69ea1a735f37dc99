"""Reads the prototype's transcripts: `[INST]` opens a host turn, `[/INST]` closes it, `</s>` closes a guest turn."""

from __future__ import annotations

import re
from typing import Literal

from services.inference.report import Spoken

MARK = re.compile(r"(<s>|\[INST\]|\[/INST\]|</s>)")


def guests(text: str) -> list[str]:
    """The conversations of one file; each starts with `<s><s>`."""
    return [part for part in text.split("<s><s>") if part.strip()]


def parse(text: str) -> list[Spoken]:
    """Turns of one conversation. A host turn that another tag interrupts before `[/INST]` is unclosed.

    What follows `</s>` without a tag is one more guest turn.
    """
    turns: list[Spoken] = []
    role: Literal["host", "guest"] = "guest"
    said = ""
    for piece in MARK.split(text):
        if not MARK.fullmatch(piece):
            said += piece
            continue
        if said.strip() or role == "host":
            turns.append(Spoken(role=role, text=said.strip(), closed=role == "guest" or piece == "[/INST]"))
        role, said = ("host" if piece == "[INST]" else "guest"), ""
    if said.strip():
        turns.append(Spoken(role=role, text=said.strip(), closed=role == "guest"))
    return turns
