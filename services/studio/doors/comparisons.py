"""Comparisons of adapters: what may be asked for, and several episodes side by side."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from services.studio import comparing
from services.studio.comparisons import (
    COMPARE,
    FEWEST_ADAPTERS,
    MOST_ADAPTERS,
    ComparisonRequest,
    Side,
    SideBySide,
    side_of,
)
from services.studio.crew import Crew
from services.studio.library import Library, summary
from services.studio.pipeline import demand_show
from shared.service import JobRoute, viewer
from shared.store import Store
from shared.tokens import Access, Token


def comparisons(store: Store, crew: Crew) -> JobRoute:
    """`POST /v1/comparisons`: refused at once where an adapter is not there, or two of them are one."""

    def demand(request: ComparisonRequest) -> None:
        demand_show(store, request.show)
        comparing.resolved(store, request)

    return JobRoute(
        "/v1/comparisons",
        COMPARE,
        ComparisonRequest,
        partial(comparing.run, store=store, crew=crew),
        demand,
        words="Have several adapters, or the base model, write the same brief with the same seed.",
    )


def comparisons_door(library: Library) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}", tags=["episodes"])

    def reader(show: str, token: Token = Depends(viewer)) -> str:
        token.demand(Access.VIEWER, show)
        return show

    @router.get("/comparisons")
    def list_comparisons(show: str = Depends(reader)) -> list[dict[str, Any]]:
        """The show's comparisons: each brief, and which episodes were written by it."""
        return [summary(comparison) for comparison in library.comparisons(show)]

    @router.get("/comparisons/{name}")
    def get_comparison(name: str, show: str = Depends(reader)) -> SideBySide:
        """A comparison with each episode's label, adapter, report figures (beside what is normal) and first exchange.

        An episode that could not be written, or was deleted since, has an `error` instead.
        """
        comparison = library.comparison(show, name)
        return SideBySide(comparison=comparison, sides=tuple(comparing.sides(library, comparison)))

    @router.get("/side-by-side")
    def side_by_side(
        episode: Annotated[list[str], Query(min_length=FEWEST_ADAPTERS, max_length=MOST_ADAPTERS)],
        show: str = Depends(reader),
    ) -> list[Side]:
        """Any two to six episodes of the show (`?episode=A&episode=B`), as a comparison shows its own."""
        return [side_of(library.episode(show, name)) for name in episode]

    return router
