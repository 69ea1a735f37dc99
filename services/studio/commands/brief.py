"""The brief of an AI episode as options of a command, and as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from shared.errors import BadInputError, NotFoundError
from shared.schemas import EpisodeOptions

Guest = Annotated[str | None, typer.Option(help="Name of the guest.")]
About = Annotated[str, typer.Option(help="Topics.")]
Tone = Annotated[str, typer.Option(help="How they are to talk, such as 'dry and curious'.")]
Fact = Annotated[
    list[str] | None, typer.Option(help="What is true of the guest, beside the fact sheet; may be repeated.")
]
Words = Annotated[int | None, typer.Option(help="Length; without it and --minutes the show's usual one.")]
Minutes = Annotated[float | None, typer.Option(help="Length instead of words, at the show's pace.")]
Adapter = Annotated[str | None, typer.Option(help="Adapter name, best, or base; best when left out.")]
Seed = Annotated[int | None, typer.Option(help="Each gives other words; 42 when left out.")]
GuestIs = Annotated[
    str | None, typer.Option(help="What exports say of the guest: invented, consented or real_without_consent.")
]
Consent = Annotated[str, typer.Option(help="Where the guest's consent can be looked up; needed for consented.")]
Brief = Annotated[
    Path | None, typer.Option(help="A brief in a JSON file, as `diary episodes plan` writes it; options come on top.")
]


def brief_of(show: str, file: Path | None, **options: Any) -> dict[str, Any]:
    """The request for an episode: what the file says, and on top of it every option that was given; facts add up.

    raises   BadInputError if there is no guest, or the file is no brief; NotFoundError if it is not there
    """
    given = {name: value for name, value in options.items() if value not in (None, "", [])}
    written = _read(file)
    facts = [*written.get("facts", ()), *given.get("facts", ())]
    request = {**written, **given, **({"facts": facts} if facts else {}), "show": show}
    if given.keys() & {"words", "minutes"}:
        request = {name: value for name, value in request.items() if name in given or name not in ("words", "minutes")}
    if "guest" not in request:
        raise BadInputError("who is the guest? name one with --guest, or a brief with --brief")
    return request


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    if not file.is_file():
        raise NotFoundError(
            f"{file} is no file; write a brief with `diary episodes plan SHOW --guest NAME --out {file}`"
        )
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInputError(f"{file} is not JSON ({error}); write it anew with `diary episodes plan`") from error
    if not isinstance(found, dict):
        raise BadInputError(f"{file} holds no brief; write one with `diary episodes plan`")
    if strangers := sorted(found.keys() - EpisodeOptions.model_fields.keys() - {"show", "schema_version"}):
        raise BadInputError(f"{file}: a brief has no {strangers[0][:40]!r}; see `diary episodes plan`")
    return found


def length(words: int | None, minutes: float | None) -> dict[str, float]:
    """What was given of both."""
    return {name: value for name, value in (("words", words), ("minutes", minutes)) if value is not None}
