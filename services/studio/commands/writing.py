"""`diary episodes plan`, `questions`, `revise`, `extend`: before an AI episode is written, and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

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
from services.studio.commands.terminal import Json, NoWait, Slug, carry_out, errors, get, order, save, studio
from shared.errors import BadInputError

To = Annotated[Path | None, typer.Option("--out", help="A file to write; stdout when left out.")]
Episode = Annotated[str, typer.Argument(help="The episode's id, as `diary episodes list` shows it.")]


def plan(
    show: Slug,
    guest: Guest = None,
    about: About = "",
    tone: Tone = "",
    fact: Fact = None,
    words: Words = None,
    minutes: Minutes = None,
    adapter: Adapter = None,
    seed: Seed = None,
    guest_is: GuestIs = None,
    consent: Consent = "",
    brief: Brief = None,
    to: To = None,
) -> None:
    """Plan the chapters of an episode: a brief to look over, change, and write with `diary episodes write --brief`."""
    told = {"guest": guest, "guest_is": guest_is, "consent": consent, "about": about, "tone": tone, "facts": fact}
    how = {"words": words, "minutes": minutes, "adapter": adapter, "seed": seed}
    request = brief_of(show, brief, **told, **how, review_plan=True)
    done = carry_out("/v1/episodes", request)
    save((json.dumps(done["brief"], ensure_ascii=False, indent=1) + "\n").encode(), to)
    if to is not None:
        errors.print(f"change what you like, then: diary episodes write {show} --brief {to}", highlight=False)


def questions(
    show: Slug,
    guest: Guest = None,
    about: About = "",
    tone: Tone = "",
    fact: Fact = None,
    words: Words = None,
    minutes: Minutes = None,
    adapter: Adapter = None,
    seed: Seed = None,
    guest_is: GuestIs = None,
    consent: Consent = "",
    brief: Brief = None,
    to: To = None,
    as_json: Json = False,
) -> None:
    """Write the host's half of an interview that you will hold: questions, follow-ups and a time plan, in Markdown."""
    told = {"guest": guest, "guest_is": guest_is, "consent": consent, "about": about, "tone": tone, "facts": fact}
    how = {"words": words, "minutes": minutes, "adapter": adapter, "seed": seed}
    request = brief_of(show, brief, **told, **how, write="questions")
    done = carry_out("/v1/episodes", request)
    if as_json:
        get(f"/v1/shows/{show}/questions/{done['episode']}", as_json)
    else:
        export_questions(show, done["episode"], to)


def revise(
    show: Slug,
    episode: Episode,
    turn: Annotated[list[int] | None, typer.Option(help="A turn to replace, from 0; one --text for each.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="What that turn says instead.")] = None,
    again: Annotated[str | None, typer.Option(help="Turns to write again: 4, or 4-6.")] = None,
    rest: Annotated[str, typer.Option(help="What follows the changed turns: keep, or rewrite.")] = "keep",
    seed: Annotated[int | None, typer.Option(help="Of what is written; each gives other words.")] = None,
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Change turns of an episode. The result is an episode of its own; the other one stays as it is."""
    if len(turn or ()) != len(text or ()):
        raise BadInputError("give one --text for each --turn, in the same order")
    replace = [{"index": index, "text": said} for index, said in zip(turn or (), text or (), strict=True)]
    request = {"show": show, "episode": episode, "replace": replace, "rest": rest, "seed": seed}
    order("/v1/episode-revisions", {**request, "regenerate": _range(again)}, as_json=as_json, no_wait=no_wait)


def _range(text: str | None) -> tuple[int, int] | None:
    """`4` or `4-6`. raises BadInputError"""
    if text is None:
        return None
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise BadInputError(f"{text[:40]!r} names no turns; write 4, or 4-6")
    return int(first), int(last if dash else first)


def extend(
    show: Slug,
    episode: Episode,
    words: Annotated[int | None, typer.Option(help="How long the whole is to be.")] = None,
    minutes: Annotated[float | None, typer.Option(help="The same, at the show's pace.")] = None,
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Go on where an episode said goodbye: a sample becomes a whole episode. The sample stays as it is."""
    request = {"show": show, "episode": episode, "words": words, "minutes": minutes}
    order("/v1/episode-revisions", request, as_json=as_json, no_wait=no_wait)


def export_questions(
    show: Slug,
    sheet: Annotated[str, typer.Argument(help="The sheet's id, as `diary questions list` shows it.")],
    to: To = None,
) -> None:
    """Write a sheet of questions as Markdown, with room for the answers."""
    with studio() as client:
        save(client.call("GET", f"/v1/shows/{show}/questions/{sheet}/export").content, to)


def add_to(episodes: typer.Typer, sheets: typer.Typer) -> None:
    """Put these commands where people look for them."""
    episodes.command("plan")(plan)
    episodes.command("questions")(questions)
    episodes.command("revise")(revise)
    episodes.command("extend")(extend)
    sheets.command("export")(export_questions)
