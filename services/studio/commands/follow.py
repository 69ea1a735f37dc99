"""`diary episodes follow` and `write --live`: an AI episode on the screen while it is written."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from services.studio.commands.terminal import Slug, errors, out, studio
from services.studio.episode_events import events_in
from shared.ai_mark import one_line
from shared.client import ServiceClient
from shared.errors import BadInputError, NotFoundError, RemoteJobError, ServiceUnavailableError
from shared.schemas import EpisodeTurn

COLOURS = {"host": "bold cyan", "guest": "bold magenta"}
PATIENCE_S = 120.0
RETRY_S = 1.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,160}")


def follow(
    show: Slug,
    episode: Annotated[str, typer.Argument(help="The episode's id, or that of the job that writes it.")],
) -> None:
    """Read an episode as it grows: every turn as soon as it is stored, to the end."""
    with studio() as client:
        read_along(client, stream_of(client, show, episode))


def stream_of(client: ServiceClient, show: str, name: str) -> str:
    """Where the events of an episode, or of the one that a job writes, are. raises BadInputError"""
    if not _NAME.fullmatch(name):
        raise BadInputError(
            f"{name[:80]!r} is neither an episode nor a job; `diary episodes list {show}` names episodes"
        )
    try:
        job = client.job(name)
    except NotFoundError:
        return f"/v1/shows/{show}/episodes/{name}/events?"
    if "stream" not in job.links:
        raise BadInputError(f"job {name} ({job.kind}) writes no single episode; name the episode instead")
    return f"{job.links['stream']}&"


def write_live(request: dict[str, Any]) -> None:
    """Order an episode and print its turns as they come; Ctrl-C cancels it."""
    with studio() as client:
        job = client.submit("/v1/episodes", request)
        errors.print(f"job {job.id}: the first turn comes once the model is there", highlight=False)
        try:
            read_along(client, stream_of(client, request["show"], job.id))
        except KeyboardInterrupt:
            errors.print(f"cancelling {job.kind} ...")
            client.result(client.wait(client.cancel(job.id)))


def read_along(client: ServiceClient, path: str) -> None:
    """Print an episode from its first turn to its end; a studio that is away for a while is waited for.

    path     of its events, ready for one more parameter
    raises   RemoteJobError with the job's error if it stopped; ServiceUnavailableError if studio stays away
    """
    after, heard_at = -1, time.monotonic()

    def pieces() -> Iterator[bytes]:
        nonlocal heard_at
        for piece in client.stream("GET", f"{path}after={after}"):
            heard_at = time.monotonic()
            yield piece

    while True:
        try:
            for event in events_in(pieces()):
                if event.name == "turn":
                    turn = EpisodeTurn.model_validate_json(event.data)
                    say(turn)
                    after = turn.index
                elif event.name == "end":
                    told = json.loads(event.data)
                    out.print(Text(f"{told['words']:,} words in {told['turns']} turns; {told['verdict']}", "bold"))
                    return
                elif event.name == "stopped":
                    raise RemoteJobError(json.loads(event.data)["error"])
        except ServiceUnavailableError:
            if time.monotonic() - heard_at > PATIENCE_S:
                raise
        time.sleep(RETRY_S)


def say(turn: EpisodeTurn) -> None:
    """One turn, wrapped to the width of the screen."""
    name, text = one_line(turn.speaker), one_line(turn.text)
    out.print(Text.assemble((f"{name}:", COLOURS[turn.role]), f" {text}\n"))
