"""Orders for AI episodes: new ones, and ones that are written on from others. What can be told at once is told."""

from __future__ import annotations

from functools import partial
from typing import Any

from services.studio import estimates
from services.studio.crew import Crew
from services.studio.pipeline import demand_show
from shared import keys
from shared.errors import NotFoundError
from shared.jobs import JobContext
from shared.schemas import EpisodeRequest, EpisodeResult, RevisionRequest
from shared.service import JobRoute
from shared.store import Store

WRITE, REVISE = "write", "revise"


def orders(store: Store, crew: Crew) -> list[JobRoute]:
    """`POST /v1/episodes` and `POST /v1/episode-revisions`"""

    def run(kind: str, path: str, request: Any, *, job: JobContext) -> EpisodeResult:
        demand_show(store, request.show)
        return crew.ask(job, kind, "inference", path, request, EpisodeResult)

    return [
        JobRoute(
            "/v1/episodes",
            WRITE,
            EpisodeRequest,
            partial(run, WRITE, "/v1/episodes"),
            partial(demand_brief, store),
            settle=partial(estimates.settled, store=store),
            estimate=partial(estimates.estimate, store=store),
            words="Write an AI episode with a guest, or the host's questions for one, or its plan for review.",
        ),
        JobRoute(
            "/v1/episode-revisions",
            REVISE,
            RevisionRequest,
            partial(run, REVISE, "/v1/episode-revisions"),
            partial(demand_episode, store),
            estimate=partial(estimates.estimate_revision, store=store),
            words="Write an AI episode on from another: turns changed or said again, or the whole made longer.",
        ),
    ]


def demand_brief(store: Store, request: EpisodeRequest) -> None:
    """raises NotFoundError for a show or an adapter that is not there, naming those that are"""
    demand_show(store, request.show)
    if request.adapter in ("best", "base"):
        return
    names = [key.rsplit("/", 1)[1].removesuffix(".json") for key in store.list(keys.adapters(request.show))]
    if request.adapter not in names:
        known = ", ".join(sorted(names)) or "none yet: train one with `diary adapters train`"
        raise NotFoundError(
            f"show {request.show} has no adapter {request.adapter[:80]}; it has: {known}; or ask for `best` or `base`"
        )


def demand_episode(store: Store, request: RevisionRequest) -> None:
    """raises NotFoundError for an episode that is not there, or not finished"""
    demand_show(store, request.show)
    if not store.exists(keys.episode(request.show, request.episode)):
        raise NotFoundError(
            f"show {request.show} has no finished episode {request.episode[:80]}; `diary episodes list {request.show}` "
            "shows those it has"
        )
