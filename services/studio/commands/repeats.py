"""`diary repeats`: what a show says over and over; `diary shows glossary`: how its names are spelt."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from services.studio.commands.corrections import clock
from services.studio.commands.terminal import Json, NoWait, Slug, order, out, show_value, studio

repeats = typer.Typer(no_args_is_help=True, help="Adverts, greetings, closings: what a show says over and over.")


@repeats.command("find")
def find(show: Slug, as_json: Json = False, no_wait: NoWait = False) -> None:
    """Look through all transcripts of a show."""
    order("/v1/repeats", {"show": show}, as_json=as_json, no_wait=no_wait)


@repeats.command("list")
def list_them(show: Slug, as_json: Json = False) -> None:
    """List what was found, with where it is said and what it seems to be."""
    with studio() as client:
        found = client.call("GET", f"/v1/shows/{show}/repeats").json()
    if as_json:
        show_value(found, as_json)
        return
    table = Table("cluster", "it is", "seems", "words", "places", "text")
    for one in found["clusters"]:
        kind, guess = one["kind"] or "not classified", one["guess"] or ""
        table.add_row(one["id"], kind, guess, str(one["words"]), str(len(one["places"])), escape(one["text"][:90]))
    out.print(table)
    for one in found["clusters"]:
        where = ", ".join(f"{place['recording']} {clock(place['start_s'])}" for place in one["places"][:6])
        out.print(f"{one['id']}: {escape(where)}", highlight=False)
    waiting = sum(one["kind"] is None for one in found["clusters"])
    out.print(f"{waiting} not classified: they stay out of training; `diary repeats classify {show} CLUSTER KIND`")


@repeats.command("classify")
def classify(
    show: Slug,
    cluster: Annotated[str, typer.Argument(help="As `diary repeats list` names it.")],
    kind: Annotated[str, typer.Argument(help="advert or trailer (stay out); greeting, closing or keep; none: unsay.")],
    as_json: Json = False,
) -> None:
    """Say what a repeated span is, wherever it is said."""
    place = f"/v1/shows/{show}/repeats/{cluster}"
    with studio() as client:
        if kind == "none":
            found = client.call("DELETE", place).json()
        else:
            found = client.call("PUT", place, json={"kind": kind}).json()
    show_value(found if as_json else {name: found[name] for name in ("id", "kind", "text")}, as_json)


def glossary(
    show: Slug,
    add: Annotated[list[str] | None, typer.Option(help="A name or brand as it is spelt; repeatable.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="One that is not to be used any more; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Names as they are spelt: hints for what is transcribed from now on. Prints them."""
    place = f"/v1/shows/{show}/glossary"
    with studio() as client:
        found = client.call("GET", place).json()
        if unknown := [term for term in remove or () if term not in found["terms"]]:
            raise typer.BadParameter(
                f"the glossary has no {unknown[0]!r}; it has {', '.join(found['terms']) or 'none'}"
            )
        if add or remove:
            terms = [term for term in found["terms"] if term not in (remove or ())] + list(add or ())
            found = client.call("PUT", place, json={"terms": terms}).json()
    if as_json:
        show_value(found, as_json)
    else:
        out.print(escape("\n".join(found["terms"]) or "no terms yet; add some with --add"), highlight=False)


def add_to(app: typer.Typer, shows: typer.Typer) -> None:
    app.add_typer(repeats, name="repeats")
    shows.command("glossary")(glossary)
