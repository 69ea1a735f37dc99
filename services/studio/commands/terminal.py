"""What every `diary` command is made of: a client of studio, a progress bar, one way to print a value.

Studio is found by DIARY_URL and DIARY_TOKEN (or DIARY_TOKEN_FILE, a file that holds it); a local stack needs neither.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.studio.doors.status import in_words
from services.studio.machine.local import Stack, local_stack
from shared.client import ServiceClient
from shared.errors import BadInputError
from shared.schemas import Job, WritingEstimate

errors = Console(stderr=True)
out = Console()

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]
Slug = Annotated[str, typer.Argument(help="The show's slug, e.g. lamplight.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Queue the job and return.")]


def token_of(stack: Stack) -> str:
    """The token that was set, the one in the file that was named, or the local stack's. raises BadInputError"""
    if token := os.environ.get("DIARY_TOKEN"):
        return token
    if path := os.environ.get("DIARY_TOKEN_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadInputError(f"DIARY_TOKEN_FILE names {path}, which cannot be read ({error.strerror})") from error
    return stack.admin_token()


@contextmanager
def studio() -> Iterator[ServiceClient]:
    stack = local_stack()
    client = ServiceClient("studio", os.environ.get("DIARY_URL") or stack.url("studio"), token_of(stack))
    try:
        yield client
    finally:
        client.close()


def state_folder() -> Path:
    """Where this person's commands note what they have begun."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "diary"


def is_elsewhere() -> bool:
    """Whether DIARY_URL names a stack: containers, or another machine."""
    return bool(os.environ.get("DIARY_URL"))


def order(path: str, request: dict[str, Any], *, as_json: bool, no_wait: bool = False) -> None:
    """Queue a job, follow it with a bar and print its result; or print the job and return."""
    show_value(carry_out(path, request, no_wait=no_wait), as_json)


def carry_out(path: str, request: dict[str, Any], *, no_wait: bool = False) -> dict[str, Any]:
    """Queue a job, follow it with a bar, return its result; or the job, unfinished."""
    with studio() as client:
        job = client.submit(path, _without_nones(request))
        if job.estimate is not None:
            errors.print(f"{in_advance(job.estimate)}", highlight=False)
        return job.model_dump(mode="json") if no_wait else client.result(follow(client, job))


def in_advance(estimate: WritingEstimate) -> str:
    """What an order comes to: 12,400 words, 83 min of talk, by doac.r3.c240, in about 20 min"""
    time_s = f", in about {max(1, round(estimate.seconds / 60))} min" if estimate.seconds is not None else ""
    who = "the base model" if estimate.adapter == "base" else estimate.adapter
    return f"{estimate.words:,} words, {estimate.minutes:.0f} min of talk, by {who}{time_s}"


def _without_nones(request: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if value is not None}


def follow(client: ServiceClient, job: Job, *, ours: bool = True) -> Job:
    """Wait for a job with a progress bar; Ctrl-C cancels it if it is ours, else stops watching."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
    )
    with bar:
        task = bar.add_task(job.kind, total=None, amount="")

        def tick(now: Job) -> None:
            bar.update(task, **bar_fields(now))

        try:
            return client.wait(job, tick)
        except KeyboardInterrupt:
            if not ours:
                raise
            errors.print(f"cancelling {job.kind} ...")
            return client.wait(client.cancel(job.id))


def bar_fields(job: Job) -> dict[str, Any]:
    """What a bar shows of a job: stage, amount with its unit, time left."""
    progress = job.progress
    if progress is None:
        return {"description": f"{job.kind}: {job.state}"}
    amount = f"{progress.done:g}/{progress.total:g} {progress.unit}" if progress.total else escape(progress.note)
    if progress.eta_s is not None:
        amount += f", {progress.eta_s:.0f} s left"
    return {
        "description": escape(progress.stage),
        "completed": progress.done,
        "total": progress.total,
        "amount": amount,
    }


def show_value(value: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(value))
    elif isinstance(value, list):
        show_table(value)
    else:
        for name, field in value.items():
            out.print(f"[bold]{name}[/bold]: {escape(str(field))}", highlight=False)


def show_table(rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        out.print("nothing yet")
        return
    columns = [name for name, value in rows[0].items() if not isinstance(value, dict | list)][:8]
    table = Table(*columns)
    for row in rows:
        table.add_row(*(escape(str(row.get(name, ""))) for name in columns))
    out.print(table)


def save(written: bytes, to: Path | None) -> None:
    """Into a file, or onto stdout as it is."""
    if to is None:
        sys.stdout.buffer.write(written)
        sys.stdout.flush()
    else:
        to.write_bytes(written)
        errors.print(f"wrote {to}", highlight=False)


def get(path: str, as_json: bool, row: Callable[[dict[str, Any]], dict[str, Any]] = lambda found: found) -> None:
    """Print what is at a path; `row` is what a person sees of each of many."""
    with studio() as client:
        found = client.call("GET", path).json()
    show_value([row(one) for one in found] if isinstance(found, list) and not as_json else found, as_json)


def as_row(service: Mapping[str, Any]) -> dict[str, str]:
    """A ServiceStatus for a table."""
    models = "\n".join(map(in_words, service["models"]))
    return {name: service[name] for name in ("service", "state", "version")} | {
        "models": models,
        "note": service["note"],
    }
