"""An AI episode as it grows, as server-sent events: what is sent, and how it is read at the other end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from services.studio.comparisons import COMPARE, MOST_ADAPTERS
from services.studio.crew import remote_job_id
from services.studio.library import Library
from shared import keys
from shared.errors import ArtifactMissingError, BadInputError, NotFoundError, StoreUnavailableError
from shared.jobs import Jobs
from shared.schemas import Episode, EpisodeTurn, Job, JobState
from shared.service import viewer
from shared.tokens import Access, Token

POLL_S = 0.8
HEARTBEAT_S = 15.0
JOBS_LOOKED_AT = 300  # the newest of a show, where nobody says which one writes the episode
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

FindJob = Callable[[], Job | None]


def events_door(library: Library, *, poll_s: float = POLL_S, heartbeat_s: float = HEARTBEAT_S) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/episodes/{name}", tags=["episodes"])

    @router.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
    async def events(
        show: str,
        name: str,
        request: Request,
        after: int = Query(-1, ge=-1, description="index of the last turn that you have"),
        job: str | None = Query(None, max_length=160, description="the job that writes it, where you know it"),
        last_event_id: str | None = Header(default=None),
        token: Token = Depends(viewer),
    ) -> StreamingResponse:
        """Server-sent events: `turn` with each turn as soon as it is stored (its `id` is the turn's index), then one
        `end` with words, turns and verdict, or `stopped` with the job's state and error; then the stream closes.

        It begins after the turn `after`; a browser that reconnects says by itself which turn it has (`Last-Event-ID`).
        Every 15 seconds of silence there is a comment, so that no proxy hangs up.
        """
        token.demand(Access.VIEWER, show)
        begin = after if last_event_id is None else index_of(last_event_id)
        jobs: Jobs = request.app.state.jobs
        writing = await asyncio.to_thread(demand_episode, library, jobs, show, name, job)
        find: FindJob = (lambda: None) if writing is None else (lambda: job_of(jobs, writing))
        stream = growing(library, show, name, begin, find, poll_s, heartbeat_s)
        return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)

    return router


def index_of(event_id: str) -> int:
    """raises BadInputError"""
    if not event_id.strip().isdecimal():
        raise BadInputError(f"Last-Event-ID is the index of a turn, such as 7, not {event_id[:40]!r}")
    return int(event_id)


# ---- which job writes it ---------------------------------------------------------------------------------------------


def writes(job: Job, show: str, episode: str) -> bool:
    """Whether a job of studio writes an episode: its links say so, or it is one of those that it compares."""
    if job.show != show:
        return False
    if job.kind == COMPARE:
        return episode in [keys.episode_id(remote_job_id(job.id, "write", number)) for number in range(MOST_ADAPTERS)]
    return job.links.get("turns", "").endswith(f"/episodes/{episode}/turns")


def demand_episode(library: Library, jobs: Jobs, show: str, episode: str, job_id: str | None) -> str | None:
    """Id of the job that writes an episode; None where it is not known any more.

    raises   NotFoundError where there is neither a turn of it nor a job that writes it; BadInputError for a job that
             writes another
    """
    if job_id is not None:
        named = jobs.get(job_id)
        if not writes(named, show, episode):
            raise BadInputError(f"job {job_id} does not write episode {episode[:80]} of {show}; leave `job` out")
        return named.id
    if library.has_episode(show, episode):
        return None
    recent = jobs.list(show=show, limit=JOBS_LOOKED_AT)
    found = next((one.id for one in recent if writes(one, show, episode)), None)
    if found is None and not library.episode_turns(show, episode):
        raise NotFoundError(
            f"{show} has no episode {episode[:80]}, and no job writes one; `diary episodes list {show}` names those "
            "there are, `diary jobs list` those that are being written"
        )
    return found


def job_of(jobs: Jobs, job_id: str) -> Job | None:
    """None once the job was forgotten."""
    try:
        return jobs.get(job_id)
    except NotFoundError:
        return None


# ---- sending ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """What there is of an episode at one moment: turns above an index, and what ends the stream if anything does."""

    turns: tuple[EpisodeTurn, ...]
    last: str | None = None


def look(library: Library, show: str, name: str, after: int, find_job: FindJob) -> Look:
    """The job is asked first: what an ended one has stored is there."""
    job = find_job()
    try:
        episode = library.episode(show, name)
    except ArtifactMissingError:
        turns = tuple(library.episode_turns(show, name, after))
        return Look(turns, stopped_event(name, job) if job is None or job.state.ended else None)
    return Look(tuple(turn for turn in episode.turns if turn.index > after), end_event(episode))


async def growing(
    library: Library, show: str, name: str, after: int, find_job: FindJob, poll_s: float, heartbeat_s: float
) -> AsyncIterator[str]:
    """The events of an episode until it is finished or its job stops. A store that is away is waited for."""
    yield comment("turns follow as they are stored")
    told_at = time.monotonic()
    while True:
        try:
            seen = await asyncio.to_thread(look, library, show, name, after, find_job)
        except StoreUnavailableError:
            seen = Look(())
        for turn in seen.turns:
            yield turn_event(turn)
            after, told_at = turn.index, time.monotonic()
        if seen.last is not None:
            yield seen.last
            return
        if time.monotonic() - told_at >= heartbeat_s:
            yield comment("still there")
            told_at = time.monotonic()
        await asyncio.sleep(poll_s)


def comment(text: str) -> str:
    return f": {text}\n\n"


def turn_event(turn: EpisodeTurn) -> str:
    return f"event: turn\nid: {turn.index}\ndata: {turn.model_dump_json()}\n\n"


def end_event(episode: Episode) -> str:
    report = episode.report
    told = {"episode": episode.id, "words": report.words, "turns": report.turns, "verdict": report.verdict}
    return f"event: end\ndata: {json.dumps(told)}\n\n"


def stopped_event(episode: str, job: Job | None) -> str:
    """Why nothing more will come."""
    told = {"episode": episode, "job": job.id if job else None, "state": job.state if job else "unknown"}
    return f"event: stopped\ndata: {json.dumps({**told, 'error': _why(job)})}\n\n"


def _why(job: Job | None) -> str:
    if job is None:
        return "the episode is not finished, and no job is known that writes it; write it again"
    if job.problem is not None:
        return job.problem.detail
    if job.state is JobState.DONE:
        return f"job {job.id} is done, and has stored no such episode: it was to plan only, or its result says why"
    return f"job {job.id} was {job.state}; what was written stays"


# ---- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    name: str
    data: str


def events_in(pieces: Iterable[bytes]) -> Iterator[Event]:
    """The events of a stream, wherever its pieces were cut; comments, and an event that breaks off, are none."""
    name, data = "message", list[str]()
    for line in _lines(pieces):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                yield Event(name, "\n".join(data))
            name, data = "message", []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Whole lines; ours end with a line feed."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode() for line in whole)
