"""Where recordings come from: the sources of a show, what one would bring before it brings it, and files to send."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio import sources
from services.studio.library import load_each
from services.studio.pages.forecast import (
    coming_sentence,
    disk_sentence,
    filter_words,
    kept_bytes_per_s,
    pace_of,
    passed_over,
    time_sentence,
)
from services.studio.pages.frame import visitor
from services.studio.pages.sessions import Seat
from services.studio.pages.studio import Studio, jobs_of
from shared import keys
from shared.jobs import Jobs
from shared.schemas import Job, JobState, Recording
from shared.subscriptions import RefreshRequest, RefreshResult, Subscription

JOBS_READ = 300
COMING_SHOWN = 25
RIGHTS = {
    "own": "It is your own show.",
    "licensed": "You have a licence or the makers' consent.",
    "private": "Private study only: nothing leaves this machine.",
}


def sources_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/shows/{show}/sources")
    def all_sources(show: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        record = studio.library.show(show)
        subscriptions = load_each(studio.store, studio.store.list(keys.sources(show)), Subscription)
        running = {source_of(job, jobs_of(request)): job for job in _refreshes(request, show) if not job.state.ended}
        return studio.frame.page(
            request,
            "sources.html",
            show=record,
            here="Sources",
            rights=RIGHTS[record.rights],
            sources=[sources.known(studio.store, one) for one in subscriptions],
            running=running,
            filter_words=filter_words,
        )

    @router.get("/shows/{show}/sources/{source}")
    def one_source(show: str, source: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        """The source, and its newest refresh: a preview, one that goes on, or what came of one."""
        record = studio.library.show(show)
        found = sources.known(studio.store, sources.read(studio.store, show, source))
        jobs = jobs_of(request).list(show=show, limit=JOBS_READ)
        job = next((one for one in _of_source(jobs, source, jobs_of(request))), None)
        done = job.result if job and job.state is JobState.DONE else None
        result = RefreshResult.model_validate(done) if done else None
        recordings = studio.library.recordings(show)
        return studio.frame.page(
            request,
            "source.html",
            show=record,
            here="Sources",
            source=found,
            job=job,
            result=result,
            coming=[item for item in result.first if item.state == "new"][:COMING_SHOWN] if result else [],
            told=told_of(result, jobs, recordings) if result else [],
            passed=passed_over(result) if result else [],
            filters=filter_words(found.filters),
            waiting=_untranscribed(studio, show),
        )

    def _refreshes(request: Request, show: str) -> list[Job]:
        return [job for job in jobs_of(request).list(show=show, limit=JOBS_READ) if job.kind == "refresh"]

    return router


def told_of(result: RefreshResult, jobs: list[Job], recordings: list[Recording]) -> list[tuple[str, str]]:
    """What would come, in a few facts."""
    if not result.new:
        return []
    return [
        ("Would come", coming_sentence(result)),
        ("Disk", disk_sentence(result, kept_bytes_per_s(recordings))),
        ("Transcribing it", time_sentence(result, pace_of(jobs, recordings))),
    ]


def source_of(job: Job, jobs: Jobs) -> str:
    """The source that a refresh asks."""
    if job.result:
        return str(job.result["source"])
    asked = jobs.request(job.id)
    return asked.source if isinstance(asked, RefreshRequest) else ""


def _of_source(found: list[Job], source: str, jobs: Jobs) -> Iterator[Job]:
    return (job for job in found if job.kind == "refresh" and source_of(job, jobs) == source)


def _untranscribed(studio: Studio, show: str) -> int:
    """Recordings with audio that have no transcript."""
    heads = {key.split("/")[-2] for key in studio.store.list(keys.transcripts(show)) if key.endswith("/head")}
    return sum(one.working is not None and one.id not in heads for one in studio.library.recordings(show))
