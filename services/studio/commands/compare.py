"""`diary episodes compare`, `comparison`, `comparisons`: the same brief by several adapters, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from services.studio.commands.report import MARKS
from services.studio.commands.terminal import Json, Slug, carry_out, get, out, show_value, studio
from services.studio.comparisons import FEWEST_ADAPTERS, Figure, Side, SideBySide, rows_of
from shared.ai_mark import one_line

Adapters = Annotated[
    list[str] | None, typer.Option("--adapter", help="An adapter's name, best or base; give two to six.")
]
Episodes = Annotated[list[str] | None, typer.Argument(help="Episodes that are there already, instead of a brief.")]


def order_comparison(
    show: str, brief: dict[str, Any], adapters: Sequence[str], *, as_json: bool, no_wait: bool
) -> None:
    """Have a brief written once per adapter, and print the episodes side by side."""
    if len(adapters) < FEWEST_ADAPTERS:
        raise typer.BadParameter("name at least two: --adapter best --adapter base")
    request = {"show": show, **brief, "adapters": list(adapters)}
    done = carry_out("/v1/comparisons", request, no_wait=no_wait)
    if as_json or no_wait:
        show_value(done, as_json)
    else:
        comparison(show, done["comparison"])


def compare_stored(show: str, episodes: Sequence[str], *, as_json: bool) -> None:
    """Print episodes that are there side by side."""
    if len(episodes) < FEWEST_ADAPTERS:
        raise typer.BadParameter("name at least two episodes, or a brief: --guest NAME --adapter A --adapter B")
    with studio() as client:
        found = client.call("GET", f"/v1/shows/{show}/side-by-side", params={"episode": list(episodes)}).json()
    if as_json:
        print(json.dumps(found))
    else:
        show_sides([Side.model_validate(side) for side in found])


def comparison(
    show: Slug,
    comparison: Annotated[str, typer.Argument(help="Its id, as `diary episodes comparisons` shows it.")],
    as_json: Json = False,
) -> None:
    """Print the episodes of a comparison side by side: figures, verdicts, the first exchange of each."""
    with studio() as client:
        found = client.call("GET", f"/v1/shows/{show}/comparisons/{comparison}").json()
    if as_json:
        print(json.dumps(found))
        return
    told = SideBySide.model_validate(found)
    out.print(Text(f"comparison {told.comparison.id}: {one_line(told.comparison.brief.guest)}", "bold"))
    show_sides(told.sides)


def comparisons(show: Slug, as_json: Json = False) -> None:
    """List a show's comparisons."""
    get(f"/v1/shows/{show}/comparisons", as_json, _as_row)


def _as_row(found: dict[str, Any]) -> dict[str, Any]:
    tried = ", ".join(one["adapter"] + ("" if one["episode"] else " (failed)") for one in found["episodes"])
    return {"id": found["id"], "guest": one_line(found["brief"]["guest"]), "adapters": tried}


# ---- on the screen ---------------------------------------------------------------------------------------------------


def show_sides(sides: Sequence[Side]) -> None:
    """A column per episode with value and grade, then verdicts, then how each begins."""
    table = Table("figure", "normal", *(escape(_heading(side)) for side in sides))
    for row in rows_of(sides):
        table.add_row(row.label, row.normal or "-", *(_cell(figure) for figure in row.figures))
    out.print(table)
    for side in sides:
        out.print(Text.assemble((f"{_name(side)}: ", "bold"), one_line(side.error or side.verdict)))
        if side.source_withdrawn:
            out.print(Text(f"  {len(side.source_withdrawn)} recordings behind it were erased since"))
    for side in sides:
        if side.first_exchange:
            out.print(Text(f"\n{_name(side)} ({one_line(side.label)}) begins", "bold"))
        for turn in side.first_exchange:
            out.print(Text.assemble((f"{one_line(turn.speaker)}: ", "bold"), one_line(turn.text)))


def _heading(side: Side) -> str:
    return f"{side.adapter}\n{side.episode or 'failed'}"


def _name(side: Side) -> str:
    return f"{side.adapter}, {side.episode}" if side.episode else side.adapter


def _cell(figure: Figure | None) -> Text:
    if figure is None:
        return Text("-")
    graded = bool(figure.normal)
    return Text.assemble(figure.value, " ", Text.from_markup(MARKS[figure.grade])) if graded else Text(figure.value)
