"""`diary report`: how good any conversation is, in figures beside their normal ranges; no stack is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from services.studio import readings
from services.studio.commands.terminal import Json, out
from services.studio.readings import Conversation
from services.studio.report_rows import QUARTERS, measured_by, quarter_rows
from shared.errors import BadInputError, NotFoundError
from shared.manner import FEWEST_WORDS, manner_of
from shared.published import MAX_BYTES
from shared.report import Grade, Line, lines, measure
from shared.schemas import Manner, Quarter, Report

MARKS: dict[Grade, str] = {"ok": "[green]ok[/green]", "look": "[yellow]look[/yellow]", "bad": "[red]bad[/red]"}


def report(
    files: Annotated[
        list[Path],
        typer.Argument(help="AI episodes (JSON, or raw text with [INST] marks), or transcripts: JSON, VTT, SRT, text."),
    ],
    host: Annotated[str | None, typer.Option(help="Who is the host, where a transcript does not say so.")] = None,
    like: Annotated[
        list[Path] | None,
        typer.Option(help="A real transcript of the show to compare with, any form; give it again for the next one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Report on the quality of conversations: structure, repetition, replies, adverts, each beside what is normal.

    One file may hold several. With --like, what is normal is what the show's real conversations are, from three on. No
    figure is ever sent anywhere, and no stack is needed.
    """
    found = [(path, number, talk) for path in files for number, talk in enumerate(read(path, host), start=1)]
    manner = yardstick(like, host) if like else None
    reports = [measure_of(talk, manner) for _, _, talk in found]
    if as_json:
        print(json.dumps([_as_object(*where, shown) for where, shown in zip(found, reports, strict=True)]))
        return
    for (path, number, talk), shown in zip(found, reports, strict=True):
        _say(f"{path.name}, {number}: {talk.title}" if talk.title else f"{path.name}, {number}", shown, talk)


def read(path: Path, host: str | None = None) -> list[Conversation]:
    """The conversations of a file. raises NotFoundError, BadInputError, each naming the file and the fix"""
    if not path.is_file():
        raise NotFoundError(f"{path} is no file; name a transcript or an episode that lies on this machine")
    if path.stat().st_size > MAX_BYTES:
        raise BadInputError(f"{path} has more than {MAX_BYTES >> 20} MB, which no transcript has; cut it into pieces")
    try:
        return readings.read(path.read_bytes(), host=host)
    except OSError as error:
        raise BadInputError(f"{path} cannot be read ({error.strerror}); allow it, or copy it elsewhere") from error
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error


def yardstick(files: list[Path], host: str | None = None) -> Manner:
    """How the show's real conversations are. raises BadInputError for what is no real talk, or tells nothing"""
    talks = [(path, talk) for path in files for talk in read(path, host)]
    for path, talk in talks:
        if talk.made_by == "model":
            raise BadInputError(f"{path} is an AI episode; --like takes real transcripts of the show")
        if not any(turn.role == "host" for turn in talk.turns):
            raise BadInputError(f"{path} does not say who is the host; name who it is with --host")
    manner = manner_of(talk.turns for _, talk in talks)
    if manner is None:
        raise BadInputError(
            f"none of the --like files has {FEWEST_WORDS} words of the host and as many of a guest; give longer ones"
        )
    return manner


def measure_of(talk: Conversation, manner: Manner | None = None) -> Report:
    """What the episode's own report knows of models and training text stays."""
    return measure(
        talk.turns,
        target_words=talk.target_words,
        eos_runs=talk.eos_runs,
        made_by=talk.made_by,
        recited=talk.kept.recited,
        manner=manner or talk.kept.manner,
        facts=talk.facts if talk.kept.unsourced is None else None,
        likelihood=talk.kept.likelihood,
        likely_answers=talk.kept.answers_by_likelihood,
        unsourced=talk.kept.unsourced,
    )


def _as_object(path: Path, number: int, talk: Conversation, shown: Report) -> dict[str, Any]:
    where = {"file": str(path), "episode": number, "title": talk.title, "made_by": talk.made_by}
    return where | shown.model_dump(mode="json")


def _say(title: str, shown: Report, talk: Conversation) -> None:
    show = ("the show",) if shown.manner else ()
    table = Table("figure", "value", "normal", *show, "", title=escape(title), title_justify="left", title_style="bold")
    for line in lines(shown, target_words=talk.target_words, made_by=talk.made_by):
        real = (line.show or "-",) if shown.manner else ()
        table.add_row(line.label, line.value, line.normal or "-", *real, _mark(line))
    out.print(table)
    if shown.quarters:
        out.print(_by_quarter(shown.quarters))
    if shown.manner:
        out.print(measured_by(shown.manner), highlight=False, soft_wrap=True)
    out.print(f"[bold]verdict[/bold] {escape(shown.verdict)}", highlight=False, soft_wrap=True)
    out.print()


def _by_quarter(quarters: tuple[Quarter, ...]) -> Table:
    table = Table("by quarter", *QUARTERS)
    for label, cells in quarter_rows(quarters):
        table.add_row(label, *cells)
    return table


def _mark(line: Line) -> str:
    return MARKS[line.grade] if line.normal else ""


def add_to(app: typer.Typer, episodes: typer.Typer) -> None:
    """Put this command where people look for it."""
    app.command("report")(report)
    episodes.command("report")(report)
