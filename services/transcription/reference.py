"""The truth that a transcript is measured against: who said what (.json), or who spoke when (.rttm)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from shared.errors import BadInputError

Talk = tuple[float, float, str]  # start and end in seconds, and who talks


@dataclass(frozen=True)
class Reference:
    """What is known of the truth; either may be empty, not both.

    said   speaker and text of each turn
    talk   who spoke when
    """

    said: tuple[tuple[str, str], ...] = ()
    talk: tuple[Talk, ...] = ()


class _Turn(BaseModel):
    speaker: str
    text: str
    start_s: float | None = Field(default=None, ge=0, validation_alias=AliasChoices("start_s", "start"))
    end_s: float | None = Field(default=None, ge=0, validation_alias=AliasChoices("end_s", "end"))


class _Document(BaseModel):
    turns: list[_Turn]


def read_reference(path: Path, recording: str) -> Reference:
    """A .rttm, or a .json with turns; where those have no times, a .rttm of the same name beside it tells them.

    recording   name of the audio file without its ending: which one is meant in a .rttm of several
    raises      BadInputError that names the file, the place and the fix
    """
    if path.suffix.lower() == ".rttm":
        return Reference(talk=_read_rttm(path, recording))
    if path.suffix.lower() != ".json":
        raise BadInputError(f"{path} is neither .json nor .rttm: a reference is one of the two")
    turns = _read_turns(path)
    said = tuple((turn.speaker, turn.text) for turn in turns)
    if talk := _talk_of(turns, path):
        return Reference(said, talk)
    beside = path.with_name(path.name.removesuffix(path.suffix).removesuffix(".reference") + ".rttm")
    return Reference(said, _read_rttm(beside, recording) if beside.is_file() else ())


def _read_turns(path: Path) -> list[_Turn]:
    try:
        turns = _Document.model_validate_json(_text_of(path)).turns
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BadInputError(
            f"{path}: {place}: {first['msg']}; "
            'a reference looks like {"turns": [{"speaker": "Ann", "text": "Hello.", "start_s": 0.5, "end_s": 1.2}]}, '
            "times may be left out"
        ) from error
    if not any(turn.text.strip() for turn in turns):
        raise BadInputError(f"{path} has no words: put what was said into its turns")
    return turns


def _talk_of(turns: Iterable[_Turn], path: Path) -> tuple[Talk, ...]:
    """None at all where no turn has times."""
    talk: list[Talk] = []
    untimed = 0
    for number, turn in enumerate(turns, start=1):
        if turn.start_s is None or turn.end_s is None:
            untimed = number
        elif turn.end_s <= turn.start_s:
            raise BadInputError(f"{path}: turn {number} does not end after it starts: correct its times")
        else:
            talk.append((turn.start_s, turn.end_s, turn.speaker))
    if talk and untimed:
        raise BadInputError(f"{path}: turn {untimed} lacks a time that others have: give all turns times, or none")
    return tuple(talk)


def _read_rttm(path: Path, recording: str) -> tuple[Talk, ...]:
    """The SPEAKER lines of one recording: `SPEAKER name channel start duration <NA> <NA> speaker ...`."""
    talk: dict[str, list[Talk]] = {}
    for number, line in enumerate(_text_of(path).splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            name, start_s, duration_s, speaker = fields[1], float(fields[3]), float(fields[4]), fields[7]
            if not (0 <= start_s < inf and 0 < duration_s < inf):
                raise ValueError
        except (IndexError, ValueError) as error:
            raise BadInputError(
                f"{path}:{number}: not as in RTTM: write `SPEAKER name 1 START DURATION <NA> <NA> speaker <NA> <NA>`"
            ) from error
        talk.setdefault(name, []).append((start_s, start_s + duration_s, speaker))
    if not talk:
        raise BadInputError(f"{path} has no SPEAKER line: it must say who spoke when")
    if len(talk) > 1 and recording not in talk:
        names = ", ".join(sorted(talk))
        raise BadInputError(f"{path} tells of {names}, not of {recording}: name the audio file as one of them")
    return tuple(talk[recording] if recording in talk else next(iter(talk.values())))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"the reference {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"the reference {path} is not UTF-8 text: save it as UTF-8") from error
