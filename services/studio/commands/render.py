"""`diary episodes render`: an AI episode to listen to, spoken by stock voices after a notice of what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.studio.commands.terminal import Json, NoWait, Slug, carry_out, errors, show_value, studio

Turns = Annotated[
    list[int] | None, typer.Option("--turn", min=0, help="Only say this turn again, counted from 0; repeatable.")
]


def render(
    show: Slug,
    episode: Annotated[str, typer.Argument(help="The episode's id, as `diary episodes list` shows it.")],
    turn: Turns = None,
    to: Annotated[Path | None, typer.Option("--out", help="An mp3 to write when it is done.")] = None,
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Speak an AI episode; what was spoken before is kept, so a second time only saves it."""
    if to is not None and no_wait:
        raise typer.BadParameter("--out waits for the audio: leave out --no-wait")
    request = {"show": show, "episode": episode, "turns": turn or None}
    done = carry_out("/v1/renderings", request, no_wait=no_wait)
    if to is not None:
        download(show, episode, to)
    show_value(done, as_json)


def download(show: str, episode: str, to: Path) -> None:
    """The whole file, or none."""
    partial = to.with_name(to.name + ".part")
    try:
        with studio() as client, partial.open("wb") as target:
            for piece in client.stream("GET", f"/v1/shows/{show}/episodes/{episode}/audio"):
                target.write(piece)
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)
    errors.print(f"wrote {to}", highlight=False)


def add_to(episodes: typer.Typer) -> None:
    """Put this command where people look for it."""
    episodes.command("render")(render)
