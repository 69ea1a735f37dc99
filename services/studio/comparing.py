"""The story of a comparison: one brief, one seed, several adapters, each an episode of its own; then they are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.studio.comparisons import Compared, Comparison, ComparisonRequest, ComparisonResult, Side, side_of
from services.studio.crew import Crew, Failed
from services.studio.estimates import settled
from services.studio.library import Library
from services.studio.orders import demand_brief
from services.studio.pipeline import demand_show
from shared import keys
from shared.errors import ArtifactMissingError, BadInputError, RemoteJobError
from shared.jobs import JobContext
from shared.schemas import EpisodeRequest, EpisodeResult, Lineage
from shared.store import Store, create_manifest, made_from
from shared.version import VERSION

BASE, BEST = "base", "best"


def run(request: ComparisonRequest, *, job: JobContext, store: Store, crew: Crew) -> ComparisonResult:
    """Write a brief once per adapter, side by side, and store which episodes these are.

    A try that fails is named with its error, and the others stay. raises   RemoteJobError if all fail
    """
    demand_show(store, request.show)
    adapters = job.step("choose adapters", lambda: resolved(store, request))
    briefs = [brief_for(request, adapter) for adapter in adapters]
    tried = crew.try_each(job, "write", "inference", "/v1/episodes", briefs, EpisodeResult)
    episodes = tuple(_compared(adapter, outcome) for adapter, outcome in zip(adapters, tried, strict=True))
    if not any(one.episode for one in episodes):
        raise RemoteJobError(f"none of the {len(episodes)} episodes was written; {adapters[0]}: {episodes[0].error}")
    return keep(store, request, episodes, job)


def resolved(store: Store, request: ComparisonRequest) -> list[str]:
    """The adapters by name, in the order of the request; the base model is `base`.

    raises   NotFoundError for an adapter that the show has not; BadInputError where `best` is one that is named too
    """
    names: list[str] = []
    for wanted in request.adapters:
        brief = brief_for(request, wanted)
        demand_brief(store, brief)
        names.append(settled(brief, store).adapter)
    for wanted, name in zip(request.adapters, names, strict=True):
        if names.count(name) > 1 and wanted == BEST:
            raise BadInputError(f"`best` is {name}, which is named too; name another adapter beside it")
    return names


def brief_for(request: ComparisonRequest, adapter: str) -> EpisodeRequest:
    brief: dict[str, Any] = request.model_dump(exclude={"adapters"})
    return EpisodeRequest.model_validate({**brief, "adapter": adapter})


def _compared(adapter: str, outcome: EpisodeResult | Failed) -> Compared:
    if isinstance(outcome, Failed):
        return Compared(adapter=adapter, error=outcome.problem)
    return Compared(adapter=adapter, episode=outcome.episode)


def keep(store: Store, request: ComparisonRequest, episodes: Sequence[Compared], job: JobContext) -> ComparisonResult:
    """Store the comparison once; a repeat finds it."""
    comparison_id = keys.comparison_id(job.id)
    key = keys.comparison(request.show, comparison_id)
    adapters = [keys.adapter(request.show, one.adapter) for one in episodes if one.adapter != BASE]
    comparison = Comparison(
        id=comparison_id,
        show=request.show,
        brief=request,
        episodes=tuple(episodes),
        lineage=Lineage(
            made_from=made_from(store, keys.show(request.show), *adapters),
            by="studio",
            version=VERSION,
            job=job.id,
            actor=job.actor,
        ),
    )
    create_manifest(store, key, comparison)
    return ComparisonResult(comparison=comparison_id, key=key, episodes=comparison.episodes)


def sides(library: Library, comparison: Comparison) -> list[Side]:
    """The episodes of a comparison as they are now; one that was deleted since says so."""
    return [_side(library, comparison.show, one) for one in comparison.episodes]


def _side(library: Library, show: str, one: Compared) -> Side:
    if one.episode is None:
        return Side(adapter=one.adapter, error=one.error)
    try:
        return side_of(library.episode(show, one.episode))
    except ArtifactMissingError:
        return Side(adapter=one.adapter, episode=one.episode, error="this episode is not stored any more")
