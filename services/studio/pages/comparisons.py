"""Comparisons: those there are, ordering one, and several AI episodes side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from services.studio import comparing, guests
from services.studio.comparisons import COMPARE, FEWEST_ADAPTERS, MOST_ADAPTERS, Side, rows_of, side_of
from services.studio.estimates import best_name
from services.studio.pages.alignment import aligned
from services.studio.pages.frame import visitor
from services.studio.pages.order_form import filled, known_sheets, writers_of
from services.studio.pages.sessions import Seat
from services.studio.pages.studio import Studio, jobs_of
from services.studio.pages.writing import LOOKED_AT, comparing_job, page_of
from shared import keys
from shared.errors import BadInputError
from shared.schemas import JobState

HERE = "Compare"


def comparisons_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    library, shelf = studio.library, studio.shelf

    def page(request: Request, template: str, show: str, **facts: Any) -> Response:
        return studio.frame.page(request, template, show=library.show(show), here=HERE, **facts)

    @router.get("/shows/{show}/comparisons")
    def all_of_them(show: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        jobs = jobs_of(request).list(show=show, kind=COMPARE, limit=LOOKED_AT)
        found = sorted(library.comparisons(show), key=lambda one: one.lineage.made_at, reverse=True)
        return page(
            request,
            "comparisons.html",
            show,
            comparisons=found,
            running=[(job, page_of(job)) for job in jobs if job.state is not JobState.DONE],
            episodes=shelf.episodes(show),
            most=MOST_ADAPTERS,
        )

    @router.get("/shows/{show}/comparisons/new")
    def new_one(
        show: str,
        request: Request,
        like: str = "",
        adapter: Annotated[list[str] | None, Query()] = None,
        seat: Seat = Depends(visitor),
    ) -> Response:
        """`like` fills in the brief of an episode, `adapter` who is to write."""
        brief = library.episode(show, like).brief if like else None
        adapters = library.adapters(show)
        return page(
            request,
            "comparison_new.html",
            show,
            brief=filled(brief),
            writers=writers_of(adapters)[1:],
            chosen=adapter or [best_name(adapters), "base"],
            sheets=known_sheets(guests.sheets(studio.store, show)),
            most=MOST_ADAPTERS,
        )

    @router.get("/shows/{show}/comparisons/{name}")
    def one(show: str, name: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        if not studio.store.exists(keys.comparison(show, name)):
            found = comparing_job(jobs_of(request), show, name)
            return page(request, "comparison_growing.html", show, found=found)
        comparison = library.comparison(show, name)
        sides = comparing.sides(library, comparison)
        return side_by_side(request, show, sides, f"{comparison.brief.guest}, by {len(sides)} writers", comparison)

    @router.get("/shows/{show}/side-by-side")
    def any_of_them(
        show: str,
        request: Request,
        episode: Annotated[list[str] | None, Query()] = None,
        seat: Seat = Depends(visitor),
    ) -> Response:
        names = list(dict.fromkeys(episode or ()))
        if not FEWEST_ADAPTERS <= len(names) <= MOST_ADAPTERS:
            raise BadInputError(
                f"tick {FEWEST_ADAPTERS} to {MOST_ADAPTERS} episodes in the list, then compare them; {len(names)} were"
            )
        sides = [side_of(library.episode(show, name)) for name in names]
        return side_by_side(request, show, sides, f"{len(sides)} AI episodes", None)

    def side_by_side(request: Request, show: str, sides: Sequence[Side], title: str, comparison: Any) -> Response:
        written = [library.episode(show, side.episode) if side.report and side.episode else None for side in sides]
        return page(
            request,
            "comparison.html",
            show,
            title=title,
            comparison=comparison,
            sides=sides,
            rows=rows_of(sides),
            exchanges=aligned(written),
        )

    return router
