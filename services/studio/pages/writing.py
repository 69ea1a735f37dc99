"""Which job writes, speaks or compares something that a page shows, and what there is of an unfinished AI episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.studio.comparisons import COMPARE, ComparisonRequest
from services.studio.crew import remote_job_id
from services.studio.episode_events import demand_episode
from services.studio.library import Library
from services.studio.orders import REVISE, WRITE
from shared import keys
from shared.errors import NotFoundError
from shared.jobs import Jobs
from shared.renderings import RenderRequest
from shared.schemas import EpisodeRequest, EpisodeResult, EpisodeTurn, Job, JobState

RENDER = "render"
WRITING = (WRITE, REVISE, COMPARE, "pipeline")
LOOKED_AT = 50  # of the show's newest jobs
STOPPED_SHOWN = 5


@dataclass(frozen=True)
class Unfinished:
    """An episode that is not stored as a whole.

    job     that writes it; none where it was forgotten
    brief   with the plan, where the order was to stop there
    """

    job: Job | None
    turns: tuple[EpisodeTurn, ...]
    brief: EpisodeRequest | None = None

    @property
    def grows(self) -> bool:
        return self.job is not None and not self.job.state.ended


def unfinished(library: Library, jobs: Jobs, show: str, episode: str) -> Unfinished:
    """raises NotFoundError where there is neither a turn of it nor a job that writes it"""
    found = demand_episode(library, jobs, show, episode, None)
    job = jobs.get(found) if found else None
    return Unfinished(job, tuple(library.episode_turns(show, episode)), planned(job))


def planned(job: Job | None) -> EpisodeRequest | None:
    """The brief with its plan that a job ended with."""
    if job is None or job.kind != WRITE or job.state is not JobState.DONE or not job.result:
        return None
    return EpisodeResult.model_validate(job.result).brief


def page_of(job: Job) -> str:
    """Where people read what a job writes; empty for jobs of other kinds."""
    link = job.links.get("turns") or job.links.get("comparison") or ""
    return link.removeprefix("/v1").removesuffix("/turns")


def being_written(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.kind in WRITING and not job.state.ended]


def to_look_over(jobs: Sequence[Job]) -> list[Job]:
    """Those that ended with a plan for people to look over."""
    return [job for job in jobs if planned(job) is not None][:STOPPED_SHOWN]


def stopped(jobs: Sequence[Job]) -> list[Job]:
    """The newest of those that broke off."""
    return [job for job in jobs if job.kind in WRITING and job.state in (JobState.FAILED, JobState.CANCELLED)][
        :STOPPED_SHOWN
    ]


def rendering_job(jobs: Jobs, show: str, episode: str) -> Job | None:
    """The newest job that speaks an episode, unless it is done."""
    for job in jobs.list(show=show, kind=RENDER, limit=LOOKED_AT):
        asked = jobs.request(job.id)
        if isinstance(asked, RenderRequest) and asked.episode == episode:
            return None if job.state is JobState.DONE else job
    return None


@dataclass(frozen=True)
class Comparing:
    """A comparison that is being made: the episodes it will have, each with who writes it."""

    job: Job
    guest: str
    episodes: tuple[tuple[str, str], ...]


def comparing_job(jobs: Jobs, show: str, comparison: str) -> Comparing:
    """raises NotFoundError"""
    for job in jobs.list(show=show, kind=COMPARE, limit=LOOKED_AT):
        if keys.comparison_id(job.id) == comparison:
            asked = jobs.request(job.id)
            assert isinstance(asked, ComparisonRequest)
            episodes = tuple(
                (adapter, keys.episode_id(remote_job_id(job.id, WRITE, number)))
                for number, adapter in enumerate(asked.adapters)
            )
            return Comparing(job, asked.guest, episodes)
    raise NotFoundError(f"{show} has no comparison {comparison[:80]}; the page Compare lists those it has")
