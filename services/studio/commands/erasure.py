"""`diary recordings remove`: what an erasure would do, a question, and the erasure."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from services.studio.commands.storage import readable
from services.studio.commands.terminal import Json, Slug, errors, follow, out, studio
from shared.client import ServiceClient
from shared.schemas import Job

ORDERS = ("pipeline", "refresh")


def remove_recording(
    show: Slug,
    recording: Annotated[str, typer.Argument(help="Its id, as `diary recordings list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why, for the record that stays; without names of people.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a recording for good: audio, transcripts, all that is known of it. What was made from it is marked."""
    with studio() as client:
        place = f"/v1/shows/{show}/recordings/{recording}"
        if not yes:
            _say(client.call("GET", f"{place}/erasure", timeout=None).json())
            typer.confirm("Erase it? Nothing brings it back", abort=True, err=True)
        answer = client.call("DELETE", place, params={"reason": reason}, timeout=None)
        done = client.result(_followed(client, Job.model_validate(answer.json())))
    if as_json:
        print(json.dumps(done))
    else:
        forgotten = sum(done["jobs"].values())
        out.print(
            f"{recording} is erased: {done['objects']} objects, {readable(done['bytes'])}; {len(done['marked'])} "
            f"artifacts are marked, {forgotten} jobs are forgotten"
        )


def _followed(client: ServiceClient, job: Job) -> Job:
    """To its end; one who stops watching does not stop it."""
    return follow(client, job, ours=False)


def _say(erasure: dict[str, Any]) -> None:
    """The preview, on stderr: stdout is for the result."""
    table = Table("what", "how many", title=escape(f"erasing {erasure['title']!r} ({erasure['recording']})"))
    table.add_row("objects that go", f"{len(erasure['going'])}, {readable(erasure['bytes'])}")
    kinds = Counter(key.split("/")[2] for key in erasure["marked"])
    for kind, count in sorted(kinds.items()):
        table.add_row(f"{kind} marked 'source withdrawn'", str(count))
    table.add_row("files that stay, for others", str(len(erasure["held"])))
    table.add_row("jobs that are forgotten", str(len(erasure["jobs"])))
    errors.print(table)
    if any(job["kind"] in ORDERS for job in erasure["jobs"]):
        errors.print("orders are forgotten as a whole, also what they say of other recordings")
    if "datasets" in kinds:
        errors.print("the datasets lose their examples: build new ones with `diary datasets build`")
    for job in erasure["in_the_way"]:
        errors.print(f"in the way: {job['kind']} {job['id']} ({job['service']}) is {job['state']}")


def add_to(recordings: typer.Typer) -> None:
    """Put the command where people look for it."""
    recordings.command("remove")(remove_recording)
