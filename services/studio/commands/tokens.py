"""`diary tokens list`, `add`, `revoke`: who may come in, and as what. For admins of every show."""

from __future__ import annotations

from typing import Annotated

import typer

from services.studio.commands.terminal import Json, errors, get, show_value, studio

tokens = typer.Typer(no_args_is_help=True, help="Who may come in, and as what.")

Name = Annotated[str, typer.Argument(help="Whose token it is; the name is on every job and correction.")]


@tokens.command("list")
def list_tokens(as_json: Json = False) -> None:
    """List all tokens, without their secrets: nobody knows these any more."""
    get("/v1/tokens", as_json)


@tokens.command("add")
def add_token(
    name: Name,
    role: Annotated[str, typer.Option(help="viewer reads, editor also writes, admin also deletes.")] = "viewer",
    show: Annotated[str | None, typer.Option(help="For this show only.")] = None,
    as_json: Json = False,
) -> None:
    """Make a token and print its secret, this once."""
    with studio() as client:
        given = client.call("POST", "/v1/tokens", json={"name": name, "role": role, "show": show}).json()
    show_value(given, as_json)
    errors.print("the secret is shown this once: keep it now, only its hash is stored", highlight=False)


@tokens.command("revoke")
def revoke_token(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Take a token back: whoever holds it is refused from now on."""
    if not yes:
        typer.confirm(f"Revoke {name}? Whoever holds it is refused from now on.", abort=True, err=True)
    with studio() as client:
        client.call("DELETE", f"/v1/tokens/{name}")
    show_value({"revoked": name}, as_json)
