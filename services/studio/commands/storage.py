"""The commands of data care: what is stored, what may go, a show as a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from typer.core import TyperGroup

from services.studio.care.archive import Export, list_in, read_list
from services.studio.commands.terminal import Json, Slug, carry_out, errors, out, show_value, studio

PIECE_BYTES = 1024 * 1024


class _ShowByDefault(TyperGroup):
    """`diary storage lamplight` means `diary storage show lamplight`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["show", *args]
        return super().parse_args(ctx, args)


storage = typer.Typer(cls=_ShowByDefault, help="What is stored, and what may go. Alone: the same as `show`.")


@storage.command("show")
def show_storage(
    show: Annotated[str | None, typer.Argument(help="One show only.")] = None, as_json: Json = False
) -> None:
    """Bytes and objects by show and kind. How much is free, an S3 server does not tell."""
    with studio() as client:
        usage = client.call("GET", "/v1/storage" + (f"?show={show}" if show else ""), timeout=None).json()
    if as_json:
        print(json.dumps(usage))
    else:
        out.print(_usage_table(usage))


def _usage_table(usage: dict[str, Any]) -> Table:
    table = Table(
        "show", "kind", "objects", "size", caption="what several kinds or shows share is counted once in sums"
    )
    for held in usage["shows"]:
        for kind in held["kinds"]:
            table.add_row(held["show"], kind["kind"], str(kind["objects"]), readable(kind["bytes"]))
        table.add_row(
            held["show"], "all", str(held["objects"]), readable(held["bytes"]), style="bold", end_section=True
        )
    for kind in usage["other"]:
        table.add_row("", kind["kind"], str(kind["objects"]), readable(kind["bytes"]))
    table.add_row("all", "", str(usage["objects"]), readable(usage["bytes"]), style="bold")
    return table


@storage.command("gc")
def collect(
    show: Annotated[str | None, typer.Option(help="Only what belongs to this show.")] = None,
    yes: Annotated[bool, typer.Option("--yes/--dry-run", help="Remove it; without, only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Remove what nobody needs any more, by the retention settings; for admins. Without --yes nothing is removed."""
    done = carry_out("/v1/collections", {"show": show, "dry_run": not yes})
    if as_json:
        print(json.dumps(done))
        return
    verb = "would go" if done["dry_run"] else "went"
    _say_groups(f"{done['objects']} objects {verb}, {readable(done['bytes'])}", done["groups"])
    if done["waiting"]:
        _say_groups("too young to go yet", done["waiting"])
    if done["dry_run"] and done["objects"]:
        out.print("nothing was removed: `diary storage gc --yes` does it")


def _say_groups(title: str, groups: Sequence[dict[str, Any]]) -> None:
    table = Table("kind", "show", "objects", "size", "why", title=title, title_justify="left")
    for group in groups:
        size = readable(group["bytes"])
        table.add_row(group["kind"], group["show"] or "", str(group["objects"]), size, group["why"])
    out.print(table if groups else title)


def readable(count: float) -> str:
    """Bytes for people: `3.4 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


# ---- a show as a file -----------------------------------------------------------------------------------------------


def export_show(
    show: Slug,
    file: Annotated[Path, typer.Argument(help="The tar file to write.")],
    only: Annotated[
        str, typer.Option(help="all, or text: without audio and checkpoints, with transcripts and adapters.")
    ] = "all",
    as_json: Json = False,
) -> None:
    """Write a show into a tar file: to move it, or as its backup."""
    if only not in ("all", "text"):
        raise typer.BadParameter("--only is all or text")
    partial = file.with_name(file.name + ".part")
    try:
        with studio() as client, partial.open("wb") as target, bar("exporting") as tell:
            for piece in client.stream("GET", f"/v1/shows/{show}/export?only={only}", tell.expect):
                target.write(piece)
                tell.advance(len(piece))
        exported = read_list(list_in(partial))
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    _say_export(exported, file, as_json)


def _say_export(exported: Export, file: Path, as_json: bool) -> None:
    value = {
        "show": exported.show,
        "only": exported.only,
        "file": str(file),
        "bytes": file.stat().st_size,
        "objects": len(exported.entries),
        "left_out": len(exported.left_out),
        "left_out_bytes": sum(entry.bytes for entry in exported.left_out),
    }
    show_value(value, as_json)
    if exported.left_out and not as_json:
        out.print(f"the file does not hold {len(exported.left_out)} audio files; adding them again brings them back")


def import_show(
    file: Annotated[Path, typer.Argument(help="A file that `diary shows export` wrote.")], as_json: Json = False
) -> None:
    """Bring a show in from a tar file. The same file again changes nothing; a show that differs is left alone."""
    if not file.is_file():
        raise typer.BadParameter(f"there is no file {file}")
    with studio() as client:
        brought = client.call("POST", "/v1/imports/checks", content=list_in(file), timeout=None).json()
        if brought["new"]:
            with file.open("rb") as source, bar("importing") as tell:
                tell.expect(file.stat().st_size)
                pieces = tell.watched(iter(lambda: source.read(PIECE_BYTES), b""))
                brought = client.call("POST", "/v1/imports", content=pieces, timeout=None).json()
    show_value(brought, as_json)
    if not brought["new"] and not as_json:
        out.print(f"all of {brought['show']} is here already: nothing was changed")


class _Bar:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(escape(title), total=None)

    def expect(self, total: int) -> None:
        self._progress.update(self._task, total=total)

    def advance(self, count: int) -> None:
        self._progress.advance(self._task, count)

    def reach(self, count: int) -> None:
        self._progress.update(self._task, completed=count)

    def watched(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self.advance(len(piece))


@contextmanager
def bar(title: str) -> Iterator[_Bar]:
    """A bar of bytes on stderr, gone when done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as progress:
        yield _Bar(progress, title)


def add_to(app: typer.Typer, shows: typer.Typer) -> None:
    """Put these commands where people look for them."""
    app.add_typer(storage, name="storage")
    verbs: dict[str, Callable[..., None]] = {"export": export_show, "import": import_show}
    for verb, command in verbs.items():
        shows.command(verb)(command)
