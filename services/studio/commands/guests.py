"""`diary guests`: what is known of a guest, sentence by sentence of a source, and what people put right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from services.studio.commands.terminal import (
    Json,
    NoWait,
    Slug,
    carry_out,
    errors,
    get,
    out,
    show_table,
    show_value,
    studio,
)
from shared.errors import BadInputError
from shared.guests import MOST_CHARACTERS

guests = typer.Typer(no_args_is_help=True, help="What is known of a guest: facts for an episode's brief.")
Guest = Annotated[str, typer.Argument(help="The guest's name, or the sheet's id as `diary guests list` shows it.")]


@guests.command("add")
def add_guest(
    show: Slug,
    name: Annotated[str, typer.Option(help="As the source writes it: first name and surname.")],
    text: Annotated[str | None, typer.Option(help="A text file about the guest; - reads stdin.")] = None,
    url: Annotated[str | None, typer.Option(help="Address of a page about the guest; - reads it from stdin.")] = None,
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Make a guest's fact sheet from a text or a page. Made again, its facts are new, and yours stay."""
    if (text is None) == (url is None):
        raise typer.BadParameter("give either --text FILE or --url ADDRESS")
    source = {"text": _text(text)} if text is not None else {"url": sys.stdin.readline().strip() if url == "-" else url}
    made = carry_out("/v1/guests", {"show": show, "name": name, **source}, no_wait=no_wait)
    if as_json or no_wait:
        show_value(made, as_json)
        return
    for warning in made["warnings"]:
        errors.print(f"note: {warning}", highlight=False, markup=False)
    out.print(
        f"{made['name']}: {made['found']} facts of the source, {made['kept']} of people; to read them: "
        f"diary guests show {show} {made['guest']}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def _text(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise BadInputError(f"{file} cannot be read ({error.strerror}); name a text file, or - for stdin") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{file} is no UTF-8 text ({error.reason}); save it as plain text") from error
    if len(text) > MOST_CHARACTERS:
        raise BadInputError(f"{file} has {len(text):,} characters, at most {MOST_CHARACTERS:,} are read; shorten it")
    return text


@guests.command("list")
def list_guests(show: Slug, as_json: Json = False) -> None:
    """List a show's guests with a fact sheet."""
    get(f"/v1/shows/{show}/guests", as_json, _row)


def _row(sheet: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": sheet["id"],
        "name": sheet["name"],
        "facts": str(len(sheet["facts"])),
        "source": sheet["url"] or "text",
        "changed": f"{sheet['changed_at'][:16].replace('T', ' ')} by {sheet['changed_by']}",
    }


@guests.command("show")
def show_guest(show: Slug, guest: Guest, as_json: Json = False) -> None:
    """Print a guest's facts, numbered for `diary guests edit`."""
    with studio() as client:
        sheet = client.call("GET", _place(show, guest)).json()
    _say(sheet, as_json)


def _place(show: str, guest: str) -> str:
    return f"/v1/shows/{show}/guests/{quote(guest, safe='')}"


def _say(sheet: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_value(sheet, as_json)
        return
    out.print(
        f"{sheet['name']} ({sheet['id']}), revision {sheet['revision']}, from {sheet['url'] or 'a text'}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    rows = [
        {"no": str(number), "date": fact["date"] or "", "fact": fact["text"], "by": fact["by"]}
        for number, fact in enumerate(sheet["facts"], start=1)
    ]
    show_table(rows)


@guests.command("edit")
def edit_guest(
    show: Slug,
    guest: Guest,
    add: Annotated[str | None, typer.Option(help="A fact to add, a sentence.")] = None,
    date: Annotated[str | None, typer.Option(help="Of the added fact: 1998, 1998-05 or 1998-05-04.")] = None,
    remove: Annotated[list[int] | None, typer.Option(help="Number of a fact to remove; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Add a fact, or remove some by their numbers. What you add is yours: it stays when the sheet is made again."""
    if add is None and not remove:
        raise typer.BadParameter("say what to change: --add TEXT, --remove NUMBER")
    if date is not None and add is None:
        raise typer.BadParameter("--date is of the fact that --add adds")
    with studio() as client:
        sheet = client.call("GET", _place(show, guest)).json()
        known = sheet["facts"]
        for number in remove or ():
            if not 1 <= number <= len(known):
                raise BadInputError(f"there is no fact {number}; {sheet['name']} has {len(known)}, counted from 1")
        facts = [fact for number, fact in enumerate(known, start=1) if number not in (remove or ())]
        facts += [{"text": add, "date": date}] if add is not None else []
        body = {"revision": sheet["revision"], "facts": facts}
        changed = client.call("PUT", _place(show, sheet["id"]), json=body).json()
    _say(changed, as_json)


@guests.command("remove")
def remove_guest(show: Slug, guest: Guest, as_json: Json = False) -> None:
    """Forget what is known of a guest; episodes stay as they are."""
    with studio() as client:
        client.call("DELETE", _place(show, guest))
    show_value({"guest": guest, "removed": True}, as_json)
