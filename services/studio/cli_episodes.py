"""`diary episodes write`, `export`: an AI episode, and the files that leave the house, each with its AI mark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.studio.episode_exports import FORMS
from services.studio.terminal import Json, NoWait, Slug, order, save, studio

GuestIs = Annotated[
    str, typer.Option(help="What exports say of the guest: invented, consented or real_without_consent.")
]
Consent = Annotated[str, typer.Option(help="Where the guest's consent can be looked up; needed for consented.")]
Words = Annotated[int | None, typer.Option(help="Length; without it and --minutes the show's usual one.")]
Minutes = Annotated[float | None, typer.Option(help="Length instead of words, at the show's pace.")]


def length(words: int | None, minutes: float | None) -> dict[str, float]:
    """What was given of both."""
    return {name: value for name, value in (("words", words), ("minutes", minutes)) if value is not None}


def write(
    show: Slug,
    guest: Annotated[str, typer.Option(help="Name of the guest.")],
    about: Annotated[str, typer.Option(help="Topics.")] = "",
    words: Words = None,
    minutes: Minutes = None,
    adapter: Annotated[str, typer.Option(help="Adapter name, best, or base.")] = "best",
    seed: int = 42,
    guest_is: GuestIs = "invented",
    consent: Consent = "",
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Write a new AI episode."""
    brief = {"guest": guest, "about": about, "guest_is": guest_is, "consent": consent, **length(words, minutes)}
    request = {"show": show, **brief, "adapter": adapter, "seed": seed}
    order("/v1/episodes", request, as_json=as_json, no_wait=no_wait)


def export(
    show: Slug,
    episode: Annotated[str, typer.Argument(help="The episode's id, as `diary episodes list` shows it.")],
    form: Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMS)}.")] = "md",
    to: Annotated[Path | None, typer.Option("--out", help="A file to write; stdout when left out.")] = None,
) -> None:
    """Write an AI episode as a file that says it is one, to people and to programs."""
    with studio() as client:
        reply = client.call("GET", f"/v1/shows/{show}/episodes/{episode}/export", params={"format": form})
    save(reply.content, to)


def add_to(episodes: typer.Typer) -> None:
    """Put these commands where people look for them."""
    episodes.command("write")(write)
    episodes.command("export")(export)
