"""AI episodes: those there are, ordering one, one as it grows, one that is finished; and sheets of questions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from services.studio import estimates, guests
from services.studio.doors.runs import order_of
from services.studio.episode_exports import FORMS
from services.studio.pages.conversation import parts_of, recited_recordings
from services.studio.pages.frame import visitor
from services.studio.pages.order_form import filled, known_sheets, writers_of
from services.studio.pages.places import findings_of
from services.studio.pages.quarter_plots import plots_of
from services.studio.pages.runs import known
from services.studio.pages.sessions import Seat
from services.studio.pages.studio import Studio, jobs_of
from services.studio.pages.trail import trail_of
from services.studio.pages.writing import (
    LOOKED_AT,
    being_written,
    page_of,
    rendering_job,
    stopped,
    to_look_over,
    unfinished,
)
from services.studio.report_rows import QUARTERS, measured_by, quarter_rows
from shared import keys
from shared.ai_mark import notice
from shared.errors import ArtifactMissingError
from shared.guests import fact_sheet
from shared.jobs import Jobs
from shared.renderings import EpisodeAudio
from shared.report import lines
from shared.schemas import Episode, EpisodeRequest, Recording, RevisionRequest, WritingEstimate
from shared.store import load

HERE = "AI episodes"


def episodes_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    library, store, shelf = studio.library, studio.store, studio.shelf

    def page(request: Request, template: str, show: str, **facts: Any) -> Response:
        return studio.frame.page(request, template, show=library.show(show), here=HERE, **facts)

    @router.get("/shows/{show}/episodes")
    def all_of_them(show: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        jobs = jobs_of(request).list(show=show, limit=LOOKED_AT)
        return page(
            request,
            "episodes.html",
            show,
            episodes=shelf.episodes(show),
            sheets=shelf.sheets(show),
            running=[(job, page_of(job)) for job in being_written(jobs)],
            planned=[(job, page_of(job)) for job in to_look_over(jobs)],
            stopped=[(job, page_of(job)) for job in stopped(jobs)],
        )

    @router.get("/shows/{show}/episodes/new")
    def new_one(
        show: str, request: Request, guest: str = "", like: str = "", seat: Seat = Depends(visitor)
    ) -> Response:
        """`guest` fills the name in, `like` the whole brief of an episode."""
        brief = library.episode(show, like).brief if like else None
        return page(
            request,
            "episode_new.html",
            show,
            brief=filled(brief, guest),
            writers=writers_of(library.adapters(show)),
            sheets=known_sheets(guests.sheets(store, show)),
        )

    @router.get("/shows/{show}/episodes/{name}")
    def one(show: str, name: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        if answer := whole(show, name, request):
            return answer
        found = unfinished(library, jobs_of(request), show, name)
        if not found.grows and (answer := whole(show, name, request)):
            return answer  # it was finished while we looked
        if found.brief is not None:
            return page(
                request, "episode_plan.html", show, brief=found.brief, sheet=fact_sheet(store, show, found.brief.guest)
            )
        return page(request, "episode_growing.html", show, name=name, found=found)

    def whole(show: str, name: str, request: Request) -> Response | None:
        """The page of what is stored as a whole; None where nothing is yet."""
        if library.has_episode(show, name):
            return page(request, "episode.html", show, **_finished(library.episode(show, name), jobs_of(request)))
        if store.exists(keys.questions(show, name)):
            return RedirectResponse(f"/shows/{show}/questions/{name}", 303)
        return None

    def _finished(episode: Episode, jobs: Jobs) -> dict[str, Any]:
        show, report = episode.show, episode.report
        wanted = recited_recordings(episode)
        recited: dict[str, Recording] = (
            {one.id: one for one in library.recordings(show) if one.id in wanted} if wanted else {}
        )
        rows = shelf.episodes(show)
        return {
            "episode": episode,
            "notice": notice(episode),
            "parts": parts_of(episode, recited),
            "findings": findings_of(episode),
            "figures": lines(report, target_words=episode.brief.words),
            "quarters": quarter_rows(report.quarters),
            "quarter_names": QUARTERS,
            "plots": plots_of(report.quarters),
            "measured_by": measured_by(report.manner) if report.manner else "",
            "forms": FORMS,
            "audio": _heard(show, episode.id),
            "rendering": rendering_job(jobs, show, episode.id),
            "parent": next((row for row in rows if row.id == episode.revises), None),
            "children": [row for row in rows if row.revises == episode.id],
        }

    def _heard(show: str, name: str) -> EpisodeAudio | None:
        try:
            return load(store, keys.episode_audio(show, name), EpisodeAudio)
        except ArtifactMissingError:
            return None

    @router.get("/shows/{show}/episodes/{name}/made-from")
    def made_from(show: str, name: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        """The part of an episode's page that tells what is behind it."""
        episode = library.episode(show, name)
        order = known(jobs_of(request), order_of(episode.lineage.job))
        trail = trail_of(library, episode)
        return page(request, "episode_made_from.html", show, episode=episode, trail=trail, order=order)

    @router.get("/shows/{show}/episodes/{name}/estimate")
    def estimate(show: str, name: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        """The part of the page of an episode that grows which tells what the order comes to."""
        jobs = jobs_of(request)
        job = unfinished(library, jobs, show, name).job if not library.has_episode(show, name) else None
        return page(request, "episode_estimate.html", show, estimate=_estimate(jobs.request(job.id)) if job else None)

    def _estimate(asked: Any) -> WritingEstimate | None:
        if isinstance(asked, EpisodeRequest):
            return estimates.estimate(asked, store)
        return estimates.estimate_revision(asked, store) if isinstance(asked, RevisionRequest) else None

    @router.get("/shows/{show}/questions/{name}")
    def questions(show: str, name: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        return page(request, "questions.html", show, sheet=library.question_sheet(show, name))

    return router
