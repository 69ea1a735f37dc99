"""`diary jobs list`, `show`, `follow`, `cancel`, `retry`, `logs`: what runs or ran."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich.markup import escape

from services.studio.commands.terminal import Json, NoWait, errors, follow, get, out, show_value, studio
from shared.schemas import Job, JobState

JobId = Annotated[str, typer.Argument(help="As `diary jobs list` shows it.")]
ALWAYS_THERE = ("at", "level", "service", "message", "trace_id", "job", "show", "exception")


def list_jobs(
    show: Annotated[str | None, typer.Option(help="Of this show.")] = None,
    kind: Annotated[str | None, typer.Option(help="Of this kind, such as train.")] = None,
    state: Annotated[JobState | None, typer.Option(help="In this state.")] = None,
    limit: Annotated[int, typer.Option(help="So many, at most.")] = 100,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    wanted = {"show": show, "kind": kind, "state": state.value if state else None, "limit": limit}
    get("/v1/jobs?" + urlencode({name: value for name, value in wanted.items() if value is not None}), as_json)


def show_job(job: JobId, as_json: Json = False) -> None:
    """Print a job."""
    get(f"/v1/jobs/{job}", as_json)


def follow_job(job: JobId, as_json: Json = False) -> None:
    """Wait for a job with a progress bar."""
    with studio() as client:
        show_value(client.result(follow(client, client.job(job), ours=False)), as_json)


def cancel_job(job: JobId, as_json: Json = False) -> None:
    """Cancel a job."""
    with studio() as client:
        show_value(client.cancel(job).model_dump(mode="json"), as_json)


def retry_job(job: JobId, as_json: Json = False, no_wait: NoWait = False) -> None:
    """Ask again for what a job did that failed or was cancelled; what it has stored is found, and not made twice."""
    with studio() as client:
        again = Job.model_validate(client.call("POST", f"/v1/jobs/{job}/retry").json())
        show_value(again.model_dump(mode="json") if no_wait else client.result(follow(client, again)), as_json)


def job_logs(job: JobId, as_json: Json = False) -> None:
    """Print what all services have logged of a job since they started."""
    with studio() as client:
        found = client.call("GET", f"/v1/jobs/{job}/logs").json()
    if as_json:
        show_value(found, as_json)
        return
    for line in found["lines"]:
        out.print(escape(in_a_line(line)), highlight=False, soft_wrap=True)
    if not found["lines"]:
        errors.print("nothing is kept of it: services keep their last 5,000 lines, until they start again")
    for service, why in found["away"].items():
        errors.print(f"{service} told nothing: {escape(why)}", highlight=False, soft_wrap=True)


def in_a_line(line: dict[str, Any]) -> str:
    """A line of a log for people: when, who, what, what else was logged, and the trace of an error below it."""
    more = " ".join(f"{name}={value}" for name, value in line.items() if name not in ALWAYS_THERE)
    level = "" if line["level"] == "info" else f"{line['level'].upper()} "
    told = f"{line['at']} {line['service']:13} {level}{line['message']}{' ' if more else ''}{more}"
    return f"{told}\n{line['exception']}" if "exception" in line else told


def add_to(jobs: typer.Typer) -> None:
    """Put these commands where people look for them."""
    for verb, command in (
        ("list", list_jobs),
        ("show", show_job),
        ("follow", follow_job),
        ("cancel", cancel_job),
        ("retry", retry_job),
        ("logs", job_logs),
    ):
        jobs.command(verb)(command)
