"""How each family of base models writes a conversation: its markers and the order of its pieces. Pure, no tokenizer.

chatml    <|im_start|>user\\n HOST <|im_end|>\\n <|im_start|>assistant\\n GUEST <|im_end|>\\n        (SmolLM2, Qwen)
mistral   <s> [INST] SYSTEM\\n\\n HOST [/INST] GUEST </s> [INST] ...                      (v0.3: markers are tokens)
llama3    <|begin_of_text|> <|start_header_id|>user<|end_header_id|>\\n\\n HOST <|eot_id|> ...
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from shared.errors import BadInputError
from shared.schemas import Message

Speaking = Literal["host", "guest"]
LossOn = Literal["both", "guest", "host"]
Piece = str  # a marker of the family (put in by id), or plain text (tokenised)


@dataclass(frozen=True)
class Family:
    """How a kind of model writes a conversation. Pieces that are in `markers` are special tokens.

    `end` is what the speaker itself says to end its turn (supervised, stops generation); `after` follows it unlearnt.
    """

    name: str
    works_for: str
    markers: tuple[str, ...]
    start: tuple[Piece, ...]
    header: dict[str, tuple[Piece, ...]]
    end: dict[str, str]
    after: dict[str, tuple[Piece, ...]] = field(default_factory=dict)
    system_in_host: bool = False
    """System text stands inside the first host turn, behind its header."""


FAMILIES = (
    Family(
        name="chatml",
        works_for="SmolLM2, Qwen",
        markers=("<|im_start|>", "<|im_end|>"),
        start=(),
        header={
            "system": ("<|im_start|>", "system\n"),
            "host": ("<|im_start|>", "user\n"),
            "guest": ("<|im_start|>", "assistant\n"),
        },
        end={"system": "<|im_end|>", "host": "<|im_end|>", "guest": "<|im_end|>"},
        after={"system": ("\n",), "host": ("\n",), "guest": ("\n",)},
    ),
    Family(
        name="llama3",
        works_for="Llama 3",
        markers=("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|begin_of_text|>"),
        start=("<|begin_of_text|>",),
        header={
            "system": ("<|start_header_id|>", "system", "<|end_header_id|>", "\n\n"),
            "host": ("<|start_header_id|>", "user", "<|end_header_id|>", "\n\n"),
            "guest": ("<|start_header_id|>", "assistant", "<|end_header_id|>", "\n\n"),
        },
        end={"system": "<|eot_id|>", "host": "<|eot_id|>", "guest": "<|eot_id|>"},
    ),
    Family(
        name="mistral",
        works_for="Mistral v0.3 and later",
        markers=("[INST]", "[/INST]", "<s>", "</s>"),
        start=("<s>",),
        header={"host": ("[INST]",), "guest": ()},
        end={"host": "[/INST]", "guest": "</s>"},
        system_in_host=True,
    ),
)

MARKERS = (*(marker for family in FAMILIES for marker in family.markers), "<|endoftext|>", "<|end_of_text|>")


def header_pieces(family: Family, messages: Sequence[Message], index: int) -> tuple[Piece, ...]:
    """Header of a turn; a system text that is part of the first host turn has that turn's header before it."""
    role: str = messages[index].role
    if family.system_in_host:
        if role == "system":
            role = "host"
        elif index == 1 and messages[0].role == "system":
            return ()
    return family.header[role]


def pattern_of(markers: Collection[str]) -> re.Pattern[str]:
    longest_first = sorted(markers, key=lambda marker: (-len(marker), marker))
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def spread_out(text: str, marker: re.Pattern[str]) -> str:
    """The text stripped, with the markers in it spread out until none is left."""
    text = text.strip()
    while (spread := marker.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)) != text:
        text = spread
    return text


def demand_order(messages: Sequence[Message]) -> None:
    turns = [message.role for message in messages]
    if turns[:1] == ["system"]:
        turns = turns[1:]
    expected = ["host", "guest"] * len(turns)
    if turns != expected[: len(turns)]:
        raise BadInputError(
            "turns must go host, guest, host, ... after one system message at most; merge neighbours first"
        )


def as_text(messages: Sequence[Message], family_name: str) -> str:
    """A conversation as a base model of this family reads it, its markers spelt out: no tokenizer is needed.

    The pieces are those of `Renderer.render`. Of special tokens that a text may hold, only the families' markers are
    known here.
    raises   BadInputError for an unknown family, for turns out of order and for an empty text
    """
    family = _family_named(family_name)
    demand_order(messages)
    marker, pieces = pattern_of(MARKERS), list(family.start)
    for index, message in enumerate(messages):
        clean = spread_out(message.text, marker)
        if not clean:
            raise BadInputError(f"a {message.role} turn is empty; drop it before rendering")
        pieces += [*header_pieces(family, messages, index), clean]
        if message.role == "system" and family.system_in_host:
            pieces.append("\n\n")
        else:
            pieces += [family.end[message.role], *family.after.get(message.role, ())]
    return "".join(pieces)


def _family_named(name: str) -> Family:
    for family in FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise BadInputError(f"there is no model family {name[:40]!r}; this version knows {known}")
