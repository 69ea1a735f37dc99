"""What is told of turns that the model sees no more: a few sentences, by the base model. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.inference import gate
from shared.render import Renderer
from shared.repetition import repetition, words_of
from shared.schemas import EpisodeTurn, Message

FEWEST_WORDS, LOOP = 5, 0.3
INSTRUCTION = "In two or three short sentences, what was talked about so far? Write plain sentences, no list."


def note_request(renderer: Renderer, before: str, gone: Sequence[EpisodeTurn], room: int) -> list[int]:
    """The prompt that asks for a summary.

    before   the summary of what had gone earlier
    gone     the turns that go now
    room     tokens that they may take; of more, the newest are summed up
    """
    lines: list[str] = []
    for turn in reversed(gone):
        line = f"{turn.speaker} said: {turn.text}"
        room -= renderer.count(line) + 1
        if room < 0:
            break
        lines.append(line)
    earlier = [f"Notes of what came before: {before}"] if before else []
    text = "\n".join([*earlier, *reversed(lines), "", INSTRUCTION])
    return renderer.prompt([Message(role="host", text=text)], "guest")


def readable(text: str, ended: bool, names: Sequence[str]) -> str:
    """The summary up to its last whole sentence, as one line; empty where it is none.

    ended   the model said its end-of-turn token; false when it ran into the token limit
    names   of host and guest
    """
    noted = gate.draft(text, ended=ended)
    words = words_of(noted.text)
    faulty = len(words) < FEWEST_WORDS or not noted.closed or repetition(words, 3) > LOOP
    return "" if faulty or gate.has_markers(noted.text, names) else noted.text
