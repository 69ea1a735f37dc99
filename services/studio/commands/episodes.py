"""`diary episodes write`, `compare`, `nearest`, `export`: AI episodes, and the files that leave the house."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from services.studio.commands.brief import (
    About,
    Adapter,
    Brief,
    Consent,
    Fact,
    Guest,
    GuestIs,
    Minutes,
    Seed,
    Tone,
    Words,
    brief_of,
)
from services.studio.commands.compare import (
    Adapters,
    Episodes,
    compare_stored,
    comparison,
    comparisons,
    order_comparison,
)
from services.studio.commands.corrections import clock
from services.studio.commands.follow import follow, write_live
from services.studio.commands.terminal import Json, NoWait, Slug, order, out, save, show_value, studio
from services.studio.episode_exports import FORMS
from shared.ai_mark import one_line
from shared.errors import BadInputError


def write(
    show: Slug,
    guest: Guest = None,
    about: About = "",
    tone: Tone = "",
    fact: Fact = None,
    words: Words = None,
    minutes: Minutes = None,
    adapter: Adapter = None,
    seed: Seed = None,
    candidates: Annotated[int | None, typer.Option(help="Ways to say each turn, of which one is kept.")] = None,
    temperature: Annotated[float | None, typer.Option(help="How bold the words are; 0.8 when left out.")] = None,
    guest_is: GuestIs = None,
    consent: Consent = "",
    brief: Brief = None,
    live: Annotated[bool, typer.Option("--live", help="Print the turns as they are written.")] = False,
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Write a new AI episode."""
    if live and (as_json or no_wait):
        raise typer.BadParameter("--live prints turns as they come: leave out --json and --no-wait")
    told = {"guest": guest, "guest_is": guest_is, "consent": consent, "about": about, "tone": tone, "facts": fact}
    how = {"adapter": adapter, "seed": seed, "candidates": candidates, "temperature": temperature}
    request = brief_of(show, brief, **told, words=words, minutes=minutes, **how)
    if live and (request.get("review_plan") or request.get("write") == "questions"):
        raise BadInputError("the brief asks for no episode to read along: leave out --live, or change its write")
    if live:
        write_live(request)
    else:
        order("/v1/episodes", request, as_json=as_json, no_wait=no_wait)


def compare(
    show: Slug,
    episodes: Episodes = None,
    guest: Annotated[str | None, typer.Option(help="Name of the guest; the brief is written once per adapter.")] = None,
    about: Annotated[str, typer.Option(help="Topics.")] = "",
    words: Words = None,
    minutes: Minutes = None,
    adapter: Adapters = None,
    seed: Seed = None,
    guest_is: GuestIs = None,
    consent: Consent = "",
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Have several adapters write the same brief with the same seed, or put stored episodes side by side."""
    if guest is None:
        compare_stored(show, episodes or (), as_json=as_json)
    elif episodes:
        raise typer.BadParameter("name episodes that are there, or a brief (--guest), not both")
    else:
        told = {"guest": guest, "about": about, "guest_is": guest_is, "consent": consent, "seed": seed}
        brief = brief_of(show, None, **told, words=words, minutes=minutes)
        order_comparison(show, brief, adapter or (), as_json=as_json, no_wait=no_wait)


def nearest(
    show: Slug,
    episode: Annotated[str, typer.Argument(help="The episode's id.")],
    turn: Annotated[int, typer.Argument(help="Number of the turn, from 0.")],
    limit: Annotated[int, typer.Option(min=1, max=20, help="Passages, at most.")] = 5,
    as_json: Json = False,
) -> None:
    """Show what the training recordings say that is nearest in words to a turn of an AI episode."""
    with studio() as client:
        found = client.call(
            "GET", f"/v1/shows/{show}/episodes/{episode}/turns/{turn}/nearest", params={"limit": limit}
        ).json()
    if as_json:
        show_value(found, as_json)
        return
    out.print(Text(one_line(found["text"]), "bold"))
    for passage in found["passages"]:
        where = "" if passage["start_s"] is None else f" at {clock(passage['start_s'])}"
        who = one_line(f"{passage['recording']}, {passage['title']}{where}: {passage['guest']} ({passage['role']})")
        out.print(Text(f"\n{passage['score']:.1f}  {who}", "cyan"))
        out.print(Text(one_line(passage["passage"])))
    if found["reason"]:
        out.print(Text(one_line(found["reason"])))


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
    episodes.command("follow")(follow)
    episodes.command("compare")(compare)
    episodes.command("comparison")(comparison)
    episodes.command("comparisons")(comparisons)
    episodes.command("nearest")(nearest)
    episodes.command("export")(export)
