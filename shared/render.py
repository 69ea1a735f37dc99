"""Conversation -> token ids, per model family. Training and generation both use it: what was learnt is what is asked.

Each piece (header, content, end of a turn) is tokenised on its own and the ids are joined: the ids of a conversation
up to some turn are a prefix of the ids of the whole, whoever asks. Markers are single special tokens of the base model,
put in by id; the same characters inside a text are spread out ("[/INST]" -> "[ /INST]") and never become a marker.
How each family writes is in shared/families.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from shared.errors import BadInputError
from shared.families import (
    FAMILIES,
    MARKERS,
    Family,
    LossOn,
    Piece,
    Speaking,
    demand_order,
    header_pieces,
    pattern_of,
    spread_out,
)
from shared.schemas import Message

BEGINNING, END = 0.2, 0.8  # shares of an episode


@dataclass(frozen=True)
class Rendered:
    """A conversation as ids; `supervised[i]` tells whether id i is something to learn to say."""

    ids: list[int]
    supervised: list[bool]


class Renderer:
    """Renders for one base model; `renderer_for` makes one."""

    def __init__(self, tokenizer: Tokenizer, family: Family) -> None:
        self.family = family.name
        self._tokenizer = tokenizer
        self._family = family
        self._ids = _marker_ids(tokenizer, family)

    def render(self, messages: Sequence[Message], loss_on: LossOn = "both") -> Rendered:
        """A whole conversation for training. Turn ends are supervised with their turn; headers and system are not.

        messages   one system message at most, first; then host and guest by turns, the host first
        raises     BadInputError for any other order or an empty text
        """
        demand_order(messages)
        rendered = Rendered([], [])
        self._add(rendered, self._pieces(self._family.start), False)
        for index, message in enumerate(messages):
            learnt = message.role != "system" and loss_on in ("both", message.role)
            self._add(rendered, self._head(messages, index), False)
            self._add(rendered, self.content(message.text, message.role), learnt)
            if message.role == "system" and self._family.system_in_host:
                self._add(rendered, self._text("\n\n"), False)
            else:
                self._add(rendered, self.end(message.role), learnt)
                self._add(rendered, self._pieces(self._family.after.get(message.role, ())), False)
        return rendered

    def prompt(self, messages: Sequence[Message], next_role: Speaking) -> list[int]:
        """The conversation so far and the header of the next turn: what follows is the content of that turn."""
        turns = [message.role for message in messages if message.role != "system"]
        if next_role != ("guest" if turns and turns[-1] == "host" else "host"):
            raise BadInputError(f"it is not the {next_role}'s turn after {turns[-1] if turns else 'the header'}")
        rendered = self.render(messages)
        return rendered.ids + self._head([*messages, Message(role=next_role, text="-")], len(messages))

    def content(self, text: str, role: str = "host") -> list[int]:
        """Ids of what somebody says: never a marker, whatever the text holds."""
        clean = self.clean(text)
        if not clean:
            raise BadInputError(f"a {role} turn is empty; drop it before rendering")
        return self._text(clean)

    def end(self, role: str) -> list[int]:
        return [self._ids[self._family.end[role]]]

    def stop_ids(self, role: Speaking) -> list[int]:
        """Tokens that end a turn of this role: its own end first, then all others (the model lost the thread)."""
        extra = (self._tokenizer.token_to_id(marker) for marker in MARKERS)
        others = [*self._ids.values(), *(token for token in extra if token is not None)]
        return list(dict.fromkeys([*self.end(role), *others]))

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=True).strip()

    def count(self, text: str) -> int:
        """Tokens of a text as content."""
        clean = self.clean(text)
        return len(self._text(clean)) if clean else 0

    def clean(self, text: str) -> str:
        """The text as it is rendered: stripped, and markers in it spread out so that a reader sees it."""
        return spread_out(text, self._marker)

    # ---- pieces --------------------------------------------------------------------------------------------------

    def _head(self, messages: Sequence[Message], index: int) -> list[int]:
        return self._pieces(header_pieces(self._family, messages, index))

    def _pieces(self, pieces: Sequence[Piece]) -> list[int]:
        return [token for piece in pieces for token in self._piece(piece)]

    def _piece(self, piece: Piece) -> list[int]:
        return [self._ids[piece]] if piece in self._ids else self._text(piece)

    def _text(self, text: str) -> list[int]:
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        if self._special_ids.intersection(ids):
            raise BadInputError(f"{text[:60]!r} holds a special token of the base model; remove it")
        return ids

    @staticmethod
    def _add(rendered: Rendered, ids: list[int], learnt: bool) -> None:
        rendered.ids.extend(ids)
        rendered.supervised.extend([learnt] * len(ids))

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        added = self._tokenizer.get_added_tokens_decoder()
        unknown = getattr(self._tokenizer.model, "unk_token", None)  # a word unknown to the model is no marker
        return frozenset(token for token, entry in added.items() if entry.special and entry.content != unknown)

    @cached_property
    def _marker(self) -> re.Pattern[str]:
        """Every marker of any family and every special token of this model, in any case."""
        added = self._tokenizer.get_added_tokens_decoder().values()
        special = {entry.content for entry in added if entry.special or entry.content[:1] in ("<", "[")}
        return pattern_of({text for text in special | set(MARKERS) if len(text.strip()) > 1})


def renderer_for(model_dir: Path) -> Renderer:
    """The renderer of the base model in a Hugging Face folder (tokenizer.json, and its chat template if there is one).

    raises   BadInputError if the folder has no tokenizer, or its model is of no family that works
    """
    path = model_dir / "tokenizer.json"
    if not path.is_file():
        raise BadInputError(f"{model_dir.name} has no tokenizer.json; give a Hugging Face folder of a chat model")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return Renderer(tokenizer, _family_of(tokenizer, _chat_template(model_dir), model_dir.name))


def _family_of(tokenizer: Tokenizer, template: str, name: str) -> Family:
    """The family all of whose markers are tokens of this model, and whose turns its own chat template writes."""
    if not template:
        raise BadInputError(
            f"{name} has no chat template: it was never taught to talk by turns. Choose a chat model, whose name often "
            "ends with Instruct, or give its folder a chat_template.jinja"
        )
    for family in FAMILIES:
        complete = len(_marker_ids(tokenizer, family)) == len(family.markers)
        if complete and family.markers[0] in template:
            return family
    known = "; ".join(f"{family.name} ({family.works_for})" for family in FAMILIES)
    raise BadInputError(f"{name} is of no model family that works here; choose a chat model of one of these: {known}")


def _marker_ids(tokenizer: Tokenizer, family: Family) -> dict[str, int]:
    found = {marker: tokenizer.token_to_id(marker) for marker in family.markers}
    return {marker: token for marker, token in found.items() if token is not None}


def _chat_template(model_dir: Path) -> str:
    separate = model_dir / "chat_template.jinja"
    if separate.is_file():
        return separate.read_text(encoding="utf-8")
    config = model_dir / "tokenizer_config.json"
    template: Any = json.loads(config.read_text(encoding="utf-8")).get("chat_template") if config.is_file() else None
    return template if isinstance(template, str) else json.dumps(template or "")[1:-1]


# ---- the header ----------------------------------------------------------------------------------------------------


def header(
    *,
    show_title: str,
    host: str,
    guest: str,
    facts: Sequence[str] = (),
    about: str = "",
    position: float = 0.0,
    tone: str = "",
    examples: Sequence[str] = (),
    chapters: Sequence[str] = (),
    summary: str = "",
    now: Sequence[str] = (),
) -> Message:
    """The system message of every training example and of every generated turn.

    position   share of the episode that is over, 0 to 1
    examples   how the two talk, in sentences, for a model that has not learnt it
    chapters   titles of the parts of the episode, in order
    summary    what was said before the turns that follow, if they are not the first
    now        what is talked about next, in order
    What changes while an episode is written stands last, so that a server can reuse what it read before. Each text is
    one line, whatever was given: nothing in it can begin a line of its own.
    """
    lines = [f"The podcast {_line(show_title)}. {_line(host)}, the host, asks; {_line(guest)}, the guest, answers."]
    lines += [f"About: {_line(about)}"] if about else []
    lines += [f"Fact: {_line(fact)}" for fact in facts]
    lines += [f"Tone: {_line(tone)}"] if tone else []
    lines += [_line(example) for example in examples]
    lines += [f"Chapters: {'; '.join(map(_line, chapters))}"] if chapters else []
    lines += [f"So far: {_line(summary)}"] if summary else []
    lines += [f"Now: {'; '.join(map(_line, now))}"] if now else []
    lines.append(f"This is the {_where(position)} of the episode.")
    return Message(role="system", text="\n".join(lines))


HEADER_WORDS = re.compile(
    r"\b(?:the host, asks|the guest, answers|this is the (?:beginning|middle|end) of the episode)\b"
    r"|\ban earlier episode began:|\bfor example, [^:]{1,80} asks:|\ba guest answers:|\basks one thing at a time\b"
    r"|(?:^|[.!?\n]\s*)(?:about|facts?|tone|chapters|so far|now): ",
    re.IGNORECASE,
)
"""What only the header says: a turn that says it reads out its instructions."""


def _line(text: str) -> str:
    return " ".join(text.split())


def _where(position: float) -> str:
    if position < BEGINNING:
        return "beginning"
    return "end" if position > END else "middle"
