"""`diary sources`: where a show's recordings come from, what would come, and fetching what is new."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Table

from services.studio.commands.storage import readable
from services.studio.commands.terminal import (
    Json,
    NoWait,
    Slug,
    carry_out,
    errors,
    order,
    out,
    show_table,
    show_value,
    studio,
)
from shared.errors import DiaryError

SHOWN = 10

sources = typer.Typer(no_args_is_help=True, help="Where recordings come from: feeds, channels, playlists, folders.")
SourceId = Annotated[str, typer.Argument(help="The source's id, as `diary sources list` shows it.")]


@sources.command("add")
def add_source(
    show: Slug,
    address: Annotated[str, typer.Argument(help="Of a feed, channel, playlist or page; a folder's path; - reads it.")],
    kind: Annotated[str, typer.Option(help="auto, feed, site, or folder (below INGEST_FOLDER).")] = "auto",
    title_pattern: Annotated[str | None, typer.Option(help="Regular expression that titles must contain.")] = None,
    after: Annotated[str | None, typer.Option(help="Published on this day or later: 2030-01-31.")] = None,
    before: Annotated[str | None, typer.Option(help="Published on this day or earlier.")] = None,
    min_minutes: Annotated[float | None, typer.Option(help="Leave out what is shorter.")] = None,
    newest: Annotated[int | None, typer.Option(help="Only so many of the newest.")] = None,
    username: Annotated[str | None, typer.Option(help="User of a private feed.")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read its password from stdin.")] = False,
    as_json: Json = False,
) -> None:
    """Subscribe to a source and say what would come; nothing is fetched yet.

    The same address again is the same source: filters given then replace those it has.
    """
    if address == "-" and password_stdin:
        raise typer.BadParameter("stdin holds either the address or the password")
    filters = {
        "title_pattern": title_pattern,
        "after": after,
        "before": before,
        "min_minutes": min_minutes,
        "newest": newest,
    }
    given = {name: value for name, value in filters.items() if value is not None}
    body = {
        "address": _line() if address == "-" else address,
        "kind": kind,
        "username": username,
        "password": _line() if password_stdin else None,
        "filters": given or None,
    }
    with studio() as client:
        source = client.call("POST", f"/v1/shows/{show}/sources", json=body).json()
    if not as_json:
        out.print(f"source {source['id']}: {source['address']}", highlight=False, soft_wrap=True, markup=False)
    found = carry_out("/v1/refreshes", {"show": show, "source": source["id"], "dry_run": True})
    if as_json:
        print(json.dumps({"source": source, "preview": found}))
    else:
        _say_preview(show, found)


def _line() -> str:
    return sys.stdin.readline().rstrip("\r\n")


@sources.command("list")
def list_sources(show: Slug, as_json: Json = False) -> None:
    """List a show's sources and how their last refresh went."""
    with studio() as client:
        found = client.call("GET", f"/v1/shows/{show}/sources").json()
    if as_json:
        print(json.dumps(found))
    else:
        show_table([_row(source) for source in found])


def _row(source: dict[str, Any]) -> dict[str, Any]:
    filters = ", ".join(f"{name} {value}" for name, value in source["filters"].items() if value is not None)
    last = source["last_refresh"]
    return {
        "id": source["id"],
        "kind": source["kind"],
        "address": source["address"],
        "filters": filters,
        "refreshed": (source["refreshed_at"] or "never")[:16].replace("T", " "),
        "last": f"{last['new']} new, {last['known']} known, {len(last['failed'])} failed" if last else "",
    }


@sources.command("preview")
def preview_source(show: Slug, source: SourceId, as_json: Json = False) -> None:
    """Say what a refresh would bring, with hours and sizes; nothing is fetched."""
    found = carry_out("/v1/refreshes", {"show": show, "source": source, "dry_run": True})
    if as_json:
        print(json.dumps(found))
    else:
        _say_preview(show, found)


def _say_preview(show: str, found: dict[str, Any]) -> None:
    left_out = sum(found["left_out"].values())
    reasons = ", ".join(f"{why} {count}" for why, count in found["left_out"].items())
    out.print(
        f"{found['title']}: {found['found']} found, {found['new']} would come "
        f"({found['hours']:.1f} h, {readable(found['bytes'])}), {found['known']} known"
        + (f", {left_out} left out ({reasons})" if left_out else "")
        + (f", {found['erased']} erased" if found["erased"] else ""),
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    coming = [item for item in found["first"] if item["state"] == "new"][:SHOWN]
    if coming:
        table = Table("published", "minutes", "size", "title")
        for item in coming:
            minutes = f"{item['duration_s'] / 60:.0f}" if item["duration_s"] else ""
            size = readable(item["bytes"]) if item["bytes"] else ""
            table.add_row(item["published_on"] or "", minutes, size, escape(item["title"]))
        out.print(table)
    _warn(found)
    if found["new"]:
        out.print(f"to fetch: diary sources refresh {show} {found['source']}", highlight=False)


def _warn(found: dict[str, Any]) -> None:
    for warning in found["warnings"]:
        errors.print(f"note: {warning}", highlight=False, markup=False)


@sources.command("refresh")
def refresh(
    show: Slug,
    source: Annotated[str | None, typer.Argument(help="The source's id; all of the show's when left out.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again also what was no use the last time.")] = False,
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Fetch what is new. One item's failure never stops the rest; a repeat fetches nothing twice."""
    if source is None:
        _refresh_all(show, retry, as_json=as_json, no_wait=no_wait)
        return
    request = {"show": show, "source": source, "retry": retry}
    if no_wait:
        order("/v1/refreshes", request, as_json=as_json, no_wait=True)
        return
    found = carry_out("/v1/refreshes", request)
    if as_json:
        print(json.dumps(found))
    else:
        _say_refresh(found)
    raise typer.Exit(1 if found["failed"] else 0)


def _refresh_all(show: str, retry: bool, *, as_json: bool, no_wait: bool) -> None:
    """One source after the other; the failure of one never stops the rest."""
    with studio() as client:
        subscriptions = client.call("GET", f"/v1/shows/{show}/sources").json()
    done: list[dict[str, Any]] = []
    for subscription in subscriptions:
        request = {"show": show, "source": subscription["id"], "retry": retry}
        try:
            done.append(carry_out("/v1/refreshes", request, no_wait=no_wait))
        except DiaryError as error:
            done.append({"source": subscription["id"], "problem": str(error)})
        if not as_json:
            _say_one(subscription, done[-1])
    if as_json:
        print(json.dumps(done))
    elif not done:
        out.print(f"no sources yet: diary sources add {show} ADDRESS", highlight=False)
    raise typer.Exit(1 if any(one.get("failed") or "problem" in one for one in done) else 0)


def _say_one(subscription: dict[str, Any], result: dict[str, Any]) -> None:
    if "problem" in result:
        errors.print(f"{subscription['address']}: {result['problem']}", highlight=False, soft_wrap=True, markup=False)
    elif "state" in result:
        out.print(f"{subscription['address']}: job {result['id']} is {result['state']}", highlight=False, markup=False)
    else:
        _say_refresh(result)


def _say_refresh(found: dict[str, Any]) -> None:
    came = f"{len(found['recordings'])} came" if not found["failed"] else f"{len(found['recordings'])} came, "
    failed = f"{len(found['failed'])} failed" if found["failed"] else ""
    out.print(
        f"{found['title']}: {found['found']} found, {found['new']} new, {came}{failed}, {found['known']} known",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    if found["failed"]:
        table = Table("title", "what to do", "next refresh")
        for item in found["failed"]:
            table.add_row(
                escape(item["title"]), escape(item["problem"]), "tries again" if item["again"] else "only with --retry"
            )
        out.print(table)
    _warn(found)


@sources.command("remove")
def remove_source(show: Slug, source: SourceId, as_json: Json = False) -> None:
    """Forget a source and its secrets; its recordings stay."""
    with studio() as client:
        client.call("DELETE", f"/v1/shows/{show}/sources/{quote(source, safe='')}")
    show_value({"source": source, "removed": True}, as_json)
