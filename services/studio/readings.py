"""A file with a conversation, or with several -> conversations for the quality report. Pure.

<s> [INST] host [/INST] guest </s> [INST] ...       a model's raw text; each episode starts with <s>
an Episode record, its turns, a Transcript record, {"turns": [{"speaker", "text"}], "speakers": {name: role}}
WebVTT, SRT, JSON with segments, `Name: text`       as shared/published.py reads them
an AI episode that was exported                     in any form but HTML, known by its mark
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from services.studio import exported
from services.studio.episode_marks import Mark, split
from shared import published
from shared.errors import BadInputError
from shared.report import MadeBy, Role, Spoken
from shared.roles import match_name
from shared.schemas import Claim, Likelihood, LikelyAnswer, Manner, RecitedSpan
from shared.spoken import Published

TITLE_LETTERS = 60
EPISODE_BEGINS = ("<s>", "[INST]")
MOST_NAMES = 3
FORMS = (
    "it is read as text with [INST] marks, as JSON (an AI episode, its turns, a transcript), as WebVTT or SRT, or as "
    "text in which every turn starts with its speaker (`Mara Quill: Hello`)"
)

_MARK = re.compile(r"(\[INST\]|\[/INST\]|</s>)")
_BEGIN = re.compile(r"(?:<s>\s*)+")
_EOS_RUN = re.compile(r"(?:</s>\s*){3,}")
_RAW = re.compile(r"\s*<s>|[^{}]*\[/?INST\]")
_HOST_MARK = re.compile(r"^[ \t]*([^\n:()]{1,60}?)[ \t]*\((?:the )?host\)[ \t]*:", re.IGNORECASE | re.MULTILINE)


class Kept(BaseModel):
    """What an episode's own report has, and nobody can find again without the models and the store."""

    recited: tuple[RecitedSpan, ...] | None = None
    likelihood: Likelihood | None = None
    answers_by_likelihood: tuple[LikelyAnswer, ...] | None = None
    manner: Manner | None = None
    unsourced: tuple[Claim, ...] | None = None


@dataclass(frozen=True)
class Conversation:
    """What the report is asked of.

    eos_runs       end-of-sequence tokens in runs of three or more; only a model's raw text has any
    target_words   how long it was to be, where the file says so
    facts          all that the model was given of the guest, where the file has a fact sheet
    """

    title: str
    turns: tuple[Spoken, ...]
    made_by: MadeBy
    eos_runs: int = 0
    target_words: int | None = None
    facts: tuple[str, ...] | None = None
    kept: Kept = field(default_factory=Kept)


def read(data: bytes, *, host: str | None = None) -> list[Conversation]:
    """The conversations of a file, in its order.

    host     the name of who asks, for transcripts that do not say so
    raises   BadInputError that names the fix: for what is no text, none of these forms, or has nothing in it
    """
    if not data.strip():
        raise BadInputError(f"the file is empty; {FORMS}")
    if not published.is_text(data):
        raise BadInputError(
            "the file is no text; of audio, report on its transcript: `diary transcripts make`, then "
            "`diary transcripts export --format json`"
        )
    text = published.decode(data)
    mark, body = split(text)
    raw = _without_heads(text)
    if mark and (turns := _exported_turns(mark, body)):
        found = [_exported(mark, turns)]
    elif _RAW.match(raw):
        found = _raw(raw)
    elif text.lstrip().startswith(("{", "[")):
        found = _json(text, host)
    elif published.sniff(text) == "text" and "-->" not in text:
        raise BadInputError(f"no conversation is in the file; {FORMS}")
    else:
        known = host or _marked_host(text) or (mark.host if mark else None)
        found = [_transcript(published.parse_beside_audio(text), known)]
    if not any(re.search(r"\w", turn.text) for conversation in found for turn in conversation.turns):
        raise BadInputError(f"nobody says anything in the file; {FORMS}")
    return found


# ---- an AI episode that was exported ---------------------------------------------------------------------------------


def _exported_turns(mark: Mark, text: str) -> list[Spoken]:
    """None where somebody has put more into the file, or has written it anew: then it is read as any other."""
    if mark.form != "inst":
        return exported.turns_of(mark, text)
    talks = _raw(_without_heads(text))
    return exported.with_closed(mark, list(talks[0].turns)) if len(talks) == 1 else []


def _exported(mark: Mark, turns: Sequence[Spoken]) -> Conversation:
    title = f"{mark.episode} with {mark.guest}"
    return Conversation(title=title, turns=tuple(turns), made_by="model", target_words=mark.words)


# ---- a model's raw text ----------------------------------------------------------------------------------------------


def _without_heads(text: str) -> str:
    """Without lines that start with `# ` where an episode begins: what is said of it, not in it."""
    kept: list[str] = []
    head: list[str] = []
    for line in text.split("\n"):
        if line.startswith("# ") or (head and not line.strip()):
            head.append(line)
            continue
        kept += [] if line.lstrip().startswith(EPISODE_BEGINS) else head
        kept.append(line)
        head = []
    return "\n".join([*kept, *head])


def _raw(text: str) -> list[Conversation]:
    return [
        Conversation(
            title=_opening(part),
            turns=tuple(_raw_turns(part)),
            made_by="model",
            eos_runs=sum(run.group().count("</s>") for run in _EOS_RUN.finditer(part)),
        )
        for part in _BEGIN.split(text)
        if part.strip()
    ]


def _raw_turns(text: str) -> list[Spoken]:
    """Turns of one episode. A host turn is unclosed if anything but `[/INST]` ends it.

    What follows `</s>` without a mark is one more guest turn; a mark that opens a turn without a word, an empty one.
    """
    texts, marks = _MARK.split(text)[::2], _MARK.findall(text)
    turns: list[Spoken] = []
    for opening, said, closing in zip(["", *marks], map(str.strip, texts), [*marks, ""], strict=True):
        role: Role = "host" if opening == "[INST]" else "guest"
        if said or opening == "[INST]" or (opening == "[/INST]" and closing):
            turns.append(Spoken(role, said, closed=role == "guest" or closing == "[/INST]"))
    return turns


def _opening(text: str) -> str:
    words = " ".join(_MARK.sub(" ", text[:1000]).split())
    return words if len(words) <= TITLE_LETTERS else f"{words[:TITLE_LETTERS].rsplit(' ', 1)[0]} ..."


# ---- JSON ------------------------------------------------------------------------------------------------------------


class _Turn(BaseModel):
    text: str
    role: str | None = None
    speaker: str = ""
    closed: bool = True
    start_s: float | None = None


class _Speaker(BaseModel):
    label: str
    role: str | None = None
    name: str | None = None


class _Brief(BaseModel):
    words: int | None = None
    about: str = ""
    facts: tuple[str, ...] = ()


class _Talk(BaseModel):
    turns: list[_Turn]
    speakers: list[_Speaker] | dict[str, str] = Field(default=[])
    brief: _Brief | None = None
    ai_generated: bool = False
    id: str = ""
    guest: str | None = None
    host: str | None = None
    show: str | None = None
    title: str | None = None
    report: Kept | None = None


def _json(text: str, host: str | None) -> list[Conversation]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"the file starts like JSON and is none ({error}); write it again") from error
    if isinstance(data, list) and any(isinstance(one, Mapping) and "text" in one for one in data):
        data = {"turns": data}
    talks = data if isinstance(data, list) else [data]
    if not talks:
        raise BadInputError(f"the file is an empty list; {FORMS}")
    return [_talk(talk, host) for talk in talks]


def _talk(data: Any, host: str | None) -> Conversation:
    if isinstance(data, Mapping) and "segments" in data:
        return _transcript(published.parse_beside_audio(json.dumps(data)), host)
    try:
        talk = _Talk.model_validate(data)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "the whole"
        raise BadInputError(
            f"the JSON is no conversation ({place}: {error.errors()[0]['msg']}); it needs `turns`, each with `text` "
            "and `role` (host or guest) or `speaker`"
        ) from error
    turns = _json_turns(talk)
    return Conversation(
        title=talk.title or " with ".join(filter(None, (talk.id, talk.guest))) or _names(turns),
        turns=tuple(_with_host(turns, host)),
        made_by=_made_by(talk),
        target_words=talk.brief.words if talk.brief else None,
        facts=_facts(talk),
        kept=talk.report or Kept(),
    )


def _facts(talk: _Talk) -> tuple[str, ...] | None:
    """None where nothing was given but a name."""
    sheet = (*talk.brief.facts, talk.brief.about) if talk.brief else ()
    return (*sheet, *filter(None, (talk.guest, talk.host, talk.show))) if any(sheet) else None


def _made_by(talk: _Talk) -> MadeBy:
    """A model's turns have roles and no times."""
    roles_only = not talk.speakers and all(_role(turn.role) and turn.start_s is None for turn in talk.turns)
    return "model" if talk.ai_generated or roles_only else "people"


def _json_turns(talk: _Talk) -> list[Spoken]:
    if isinstance(talk.speakers, dict):
        roles: dict[str, str | None] = dict(talk.speakers)
        names: dict[str, str] = {}
    else:
        roles = {speaker.label: speaker.role for speaker in talk.speakers}
        names = {speaker.label: speaker.name or speaker.label for speaker in talk.speakers}
    return [
        Spoken(
            role=_role(turn.role or roles.get(turn.speaker)),
            text=turn.text,
            closed=turn.closed,
            speaker=names.get(turn.speaker, turn.speaker),
        )
        for turn in talk.turns
    ]


def _role(name: str | None) -> Role | None:
    known: Mapping[str, Literal["host", "guest"]] = {"host": "host", "guest": "guest"}
    return known.get((name or "").lower())


# ---- transcripts of others -------------------------------------------------------------------------------------------


def _transcript(found: Published, host: str | None) -> Conversation:
    turns = [Spoken(None, turn.text, speaker=turn.speaker) for turn in found.turns]
    return Conversation(title=found.title or _names(turns), turns=tuple(_with_host(turns, host)), made_by="people")


def _names(turns: Sequence[Spoken]) -> str:
    names = list(dict.fromkeys(turn.speaker for turn in turns if turn.speaker))
    return " and ".join(names if len(names) <= MOST_NAMES else [*names[: MOST_NAMES - 1], "others"])


def _marked_host(text: str) -> str | None:
    """Who is called so in the text: `Pat Ryan (Host): Hello`."""
    found = _HOST_MARK.search(text)
    return found.group(1) if found else None


def _with_host(turns: Sequence[Spoken], host: str | None) -> Sequence[Spoken]:
    """Where no turn is known to be the host's: who has that name is the host, and all others are guests.

    raises   BadInputError if nobody has it
    """
    if host is None or any(turn.role == "host" for turn in turns):
        return turns
    names = tuple(dict.fromkeys(turn.speaker for turn in turns if turn.speaker))
    the_host = match_name(host, names)
    if the_host is None:
        raise BadInputError(f"{host!r} is no speaker of it; name one of: {', '.join(names) or 'nobody is named'}")
    return [replace(turn, role="host" if turn.speaker == the_host else "guest") for turn in turns]
