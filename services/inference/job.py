"""The story: a brief becomes an episode, turn by turn. Every turn is stored before the next is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from services.inference import adapters, brief, planning, questions
from services.inference.learnt import training_text
from services.inference.means import Engine, Means
from services.inference.origin import label_of, lineage_of, withdrawn_of
from services.inference.reporting import report_of
from services.inference.settings import Settings
from services.inference.writing import Desk
from shared import keys
from shared.jobs import JobContext
from shared.models import Base
from shared.schemas import Commission, Episode, EpisodeRequest, EpisodeResult, EpisodeTurn, Show
from shared.store import Store, create_manifest, load


def run(request: EpisodeRequest, *, job: JobContext, store: Store, engine: Engine, settings: Settings) -> EpisodeResult:
    """Write the episode of a brief, or its questions, or only plan it. A repeat goes on after the last stored turn."""
    means = Means(job, store, engine, settings)
    show = load(store, keys.show(request.show), Show)
    episode_id = keys.episode_id(job.id)
    if (done := finished(store, show.slug, episode_id)) is not None:
        return done

    base = engine.base(job)
    commission = brief.stored(store, show.slug, episode_id)
    if commission is None:
        commission = commissioned(request, show, base, episode_id, means)
        if request.review_plan:
            return plan_to_review(commission)
        commission = brief.keep(store, commission)
    if commission.brief.write == "questions":
        return questions.write(commission, show, base, means)
    return write(commission, show, base, means)


def commissioned(request: EpisodeRequest, show: Show, base: Base, episode_id: str, means: Means) -> Commission:
    """What the brief leaves open, settled: who writes, how long, from which facts, by which plan."""
    turns = stored_turns(means.store, show.slug, episode_id)  # an earlier version began them without a commission
    wanted = (turns[0].adapter or "base") if turns else request.adapter
    adapter = adapters.choose(means.store, show.slug, wanted, base)
    commission = brief.settled(request, episode_id, adapter.name if adapter else "base", turns, means)
    demand_room(commission, show, means)
    commission = planning.planned(commission, show, means)
    demand_room(commission, show, means)  # for the chapters too
    return commission


def demand_room(commission: Commission, show: Show, means: Means) -> None:
    """raises BadInputError, before anything is stored, where the model cannot see enough to write the episode"""
    Desk(commission, show, None, means, brief.manners(means.store, commission)).demand_room()


def write(commission: Commission, show: Show, base: Base, means: Means) -> EpisodeResult:
    """The turns that are not there yet, then the report, then the episode."""
    store, order = means.store, commission.brief
    adapter = adapters.choose(store, show.slug, order.adapter, base)
    files = means.fetched(adapter)
    learnt = training_text(store, adapter, means.job.work_dir)
    manners = brief.manners(store, commission)
    usual = adapters.usual_logprob(store, adapter, show.slug, base)
    desk = Desk(commission, show, files, means, manners, learnt, usual)

    turns = stored_turns(store, show.slug, commission.episode)
    tell(turns, desk, means.job)
    while (turn := desk.next_turn(turns)) is not None:
        turns.append(desk.keep(turn))
        tell(turns, desk, means.job)
        means.engine.make_way(means.job)  # the next turn waits for the device with a ticket of its own

    episode = Episode(
        id=commission.episode,
        show=show.slug,
        guest=order.guest,
        host=show.host,
        brief=order,
        adapter=adapter.name if adapter else None,
        fine_tuned=adapter is not None,
        source_withdrawn=withdrawn_of(commission, adapter),
        label=label_of(adapter, base),
        canary=True if adapter and desk.asked_the_engine else None,  # it says nothing before the canary has passed
        base_model=base.name,
        base_revision=base.revision,
        turns=tuple(turns),
        revises=commission.revises,
        changes=commission.changes,
        report=report_of(turns, desk, adapter),
        lineage=lineage_of(commission, adapter, base, means, desk.parameters()),
    )
    key = keys.episode(show.slug, commission.episode)
    create_manifest(store, key, episode)
    store.delete(keys.commission(show.slug, commission.episode))
    return _result(load(store, key, Episode), key)


def tell(turns: Sequence[EpisodeTurn], desk: Desk, job: JobContext) -> None:
    """How far it is, and what was said last."""
    job.check()
    note = f"{turns[-1].speaker}: {turns[-1].text}" if turns else ""
    job.progress("writing", desk.words(turns), desk.target, "words", note=note)


def finished(store: Store, show: str, episode_id: str) -> EpisodeResult | None:
    """What an earlier run of the same job has made; where that run was killed, its commission may be left over."""
    key = keys.episode(show, episode_id)
    done = _result(load(store, key, Episode), key) if store.exists(key) else questions.finished(store, show, episode_id)
    if done is not None:
        store.delete(keys.commission(show, episode_id))
    return done


def plan_to_review(commission: Commission) -> EpisodeResult:
    """The brief with its plan, to be sent again once a person has looked at it. Nothing is stored."""
    order = commission.brief.model_copy(update={"review_plan": False})
    return EpisodeResult(episode="", key="", words=0, turns=0, canary=None, brief=order)


def stored_turns(store: Store, show: str, episode_id: str) -> list[EpisodeTurn]:
    return [load(store, key, EpisodeTurn) for key in store.list(keys.episode_turns(show, episode_id))]


def _result(episode: Episode, key: str) -> EpisodeResult:
    return EpisodeResult(
        episode=episode.id,
        key=key,
        words=episode.report.words,
        turns=episode.report.turns,
        canary=episode.canary,
    )
