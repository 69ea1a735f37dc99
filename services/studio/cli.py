"""The `diary` command: shows, sources, recordings, transcripts, datasets, runs, adapters, episodes, jobs, tokens.

It talks to studio over HTTP (DIARY_URL, DIARY_TOKEN; a local stack needs neither). Long steps show a progress bar on
stderr; `--json` prints one JSON value on stdout and nothing else.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.markup import escape

from services.studio.commands import corrections as cli_corrections
from services.studio.commands import datasets as cli_datasets
from services.studio.commands import episodes as cli_episodes
from services.studio.commands import erasure as cli_erasure
from services.studio.commands import evaluate as cli_evaluate
from services.studio.commands import guests as cli_guests
from services.studio.commands import jobs as cli_jobs
from services.studio.commands import recordings as cli_recordings
from services.studio.commands import render as cli_render
from services.studio.commands import repeats as cli_repeats
from services.studio.commands import report as cli_report
from services.studio.commands import sources as cli_sources
from services.studio.commands import storage as cli_storage
from services.studio.commands import tokens as cli_tokens
from services.studio.commands import transcripts as cli_transcripts
from services.studio.commands import writing as cli_writing
from services.studio.commands.brief import Consent, GuestIs, Minutes, Words, length
from services.studio.commands.recordings import as_row as recording_row
from services.studio.commands.recordings import as_source
from services.studio.commands.terminal import (
    Json,
    NoWait,
    Slug,
    as_row,
    errors,
    get,
    is_elsewhere,
    order,
    out,
    show_value,
    studio,
)
from services.studio.machine import doctor as doctor_checks
from services.studio.machine.local import local_stack
from shared.errors import DiaryError

Rights = Annotated[str, typer.Option(help="Right to use the audio: own, licensed or private.")]
Speakers = Annotated[int, typer.Option(help="Usual number of people in a recording.")]

ROWS = {"recordings": recording_row}

app = typer.Typer(no_args_is_help=True, help="Turn an interview podcast into an AI that can hold a new episode of it.")


# ---- nouns and verbs -----------------------------------------------------------------------------------------------


def noun(name: str, about: str, path: str | None = None) -> typer.Typer:
    """A sub-command with the two verbs all nouns have: list and show."""
    group = typer.Typer(no_args_is_help=True, help=about)
    app.add_typer(group, name=name)
    if path is None:
        return group

    @group.command("list", help=f"List a show's {name}.")
    def list_them(show: Slug, as_json: Json = False) -> None:
        get(f"/v1/shows/{show}/{path}", as_json, ROWS.get(name, lambda found: found))

    @group.command("show", help=f"Print one of the {name}.")
    def show_one(show: Slug, identifier: str, as_json: Json = False) -> None:
        get(f"/v1/shows/{show}/{path}/{identifier}", as_json)

    return group


shows = noun("shows", "Podcasts.")
recordings = noun("recordings", "Published episodes of the podcast, as audio or as transcripts.", "recordings")
transcripts = noun("transcripts", "Who said what when.", "transcripts")
datasets = noun("datasets", "Frozen training examples.", "datasets")
adapters = noun("adapters", "Trained models (LoRA adapters).", "adapters")
episodes = noun("episodes", "AI episodes.", "episodes")
questions = noun("questions", "Questions for interviews that people hold.", "questions")
jobs = noun("jobs", "What runs or ran.")
cli_jobs.add_to(jobs)
cli_transcripts.add_to(transcripts)
cli_corrections.add_to(transcripts)
cli_repeats.add_to(app, shows)
cli_storage.add_to(app, shows)
cli_datasets.add_to(app, datasets, adapters)
cli_recordings.add_to(recordings)
cli_erasure.add_to(recordings)
cli_evaluate.add_to(transcripts)
cli_episodes.add_to(episodes)
cli_render.add_to(episodes)
cli_writing.add_to(episodes, questions)
cli_report.add_to(app, episodes)
app.add_typer(cli_sources.sources, name="sources")
app.add_typer(cli_guests.guests, name="guests")
app.add_typer(cli_tokens.tokens, name="tokens")


@shows.command("create")
def create_show(
    show: Slug,
    title: Annotated[str, typer.Option()],
    host: Annotated[str, typer.Option(help="The host's name.")],
    language: str = "en",
    rights: Rights = "private",
    speakers: Speakers = 2,
    about: str = "",
    as_json: Json = False,
) -> None:
    """Make a show."""
    named = {"slug": show, "title": title, "host": host, "about": about}
    body = {**named, "language": language, "rights": rights, "speakers": speakers}
    with studio() as client:
        show_value(client.call("POST", "/v1/shows", json=body).json(), as_json)


@shows.command("edit")
def edit_show(
    show: Slug,
    title: Annotated[str | None, typer.Option()] = None,
    host: Annotated[str | None, typer.Option(help="The host's name.")] = None,
    language: str | None = None,
    rights: Rights | None = None,
    speakers: Speakers | None = None,
    about: str | None = None,
    as_json: Json = False,
) -> None:
    """Correct a show's facts; what is left out stays."""
    given = {"title": title, "host": host, "language": language, "rights": rights, "speakers": speakers, "about": about}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("say what to change: --title, --host, --language, --rights, --speakers, --about")
    with studio() as client:
        show_value(client.call("PATCH", f"/v1/shows/{show}", json=changes).json(), as_json)


@shows.command("list")
def list_shows(as_json: Json = False) -> None:
    """List all shows."""
    get("/v1/shows", as_json)


@shows.command("show")
def show_show(show: Slug, as_json: Json = False) -> None:
    """Print a show's facts."""
    get(f"/v1/shows/{show}", as_json)


@shows.command("run")
def run_pipeline(
    show: Slug,
    files: Annotated[
        list[str] | None, typer.Argument(help="Files or URLs of recordings: audio, or published transcripts.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="A source of the show, refreshed first; repeatable.")] = None,
    guest: Annotated[str | None, typer.Option(help="Guest of the new episode; none stops at the adapter.")] = None,
    about: str = "",
    words: Words = None,
    minutes: Minutes = None,
    guest_is: GuestIs = None,
    consent: Consent = "",
    steps: Annotated[
        int | None, typer.Option(help="Of training, at most; as many as three epochs take if unset.")
    ] = None,
    host_is: Annotated[str | None, typer.Option(help="Who is the host in the first audio: S1, or a second.")] = None,
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """All steps in one order: add, transcribe, build the dataset, train, write an episode."""
    with studio() as client:
        found = [as_source(client, file) for file in files or ()]
    told = {"guest": guest, "about": about, "guest_is": guest_is or "invented", "consent": consent}
    brief = {**told, **length(words, minutes)}
    request = {
        "show": show,
        "sources": found,
        "subscriptions": source or [],
        "host_is": host_is,
        "training": {"steps": steps} if steps is not None else None,
        "episode": brief if guest else None,
    }
    order("/v1/pipelines", request, as_json=as_json, no_wait=no_wait)


@app.command()
def status(as_json: Json = False) -> None:
    """Show every service: state, version, and models with how far they are."""
    with studio() as client:
        found = client.call("GET", "/v1/status").json()
    show_value(found if as_json else [as_row(service) for service in found], as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this machine, or with DIARY_URL what all services say of theirs; each finding with what to do."""
    if is_elsewhere():
        with studio() as client:
            findings = doctor_checks.ask(client)
    else:
        findings = doctor_checks.examine(local_stack())
    if as_json:
        print(json.dumps([finding.__dict__ for finding in findings]))
    else:
        for finding in findings:
            mark = "[green]ok  [/green]" if finding.ok else "[red]look[/red]"
            out.print(
                f"{mark} {finding.service or 'machine':13} {finding.what}: {finding.detail}",
                highlight=False,
                soft_wrap=True,
            )
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def main() -> None:
    try:
        app(prog_name="diary")
    except DiaryError as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
