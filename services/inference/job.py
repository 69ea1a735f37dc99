"""The story: a brief becomes an episode, turn by turn. Every turn is stored before the next is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from services.inference import adapters, brief, planning, questions
from services.inference.learnt import training_text
from services.inference.origin import label_of, lineage_of
from services.inference.reporting import report_of
from services.inference.settings import Settings
from services.inference.writing import Desk, Engine
from shared import keys
from shared.jobs import JobContext
from shared.models import Base
from shared.schemas import Commission, Episode, EpisodeRequest, EpisodeResult, EpisodeTurn, Show
from shared.store import Store, create_manifest, load


def run(request: EpisodeRequest, *, job: JobContext, store: Store, engine: Engine, settings: Settings) -> EpisodeResult:
    """Write the episode of a brief, or its questions, or only plan it. A repeat goes on after the last stored turn."""
    show = load(store, keys.show(request.show), Show)
    episode_id = keys.episode_id(job.id)
    if (done := finished(store, show.slug, episode_id)) is not None:
        return done

    base = engine.base(job)
    commission = brief.stored(store, show.slug, episode_id)
    if commission is None:
        commission = commissioned(request, show, base, episode_id, job, store, engine, settings)
        if request.review_plan:
            return plan_to_review(commission)
        commission = brief.keep(store, commission)
    if commission.brief.write == "questions":
        return questions.write(commission, show, base, job, store, engine, settings)
    return write(commission, show, base, job, store, engine, settings)


def commissioned(
    request: EpisodeRequest,
    show: Show,
    base: Base,
    episode_id: str,
    job: JobContext,
    store: Store,
    engine: Engine,
    settings: Settings,
) -> Commission:
    """What the brief leaves open, settled: who writes, how long, from which facts, by which plan."""
    turns = stored_turns(store, show.slug, episode_id)  # an earlier version began them without a commission
    wanted = (turns[0].adapter or "base") if turns else request.adapter
    adapter = adapters.choose(store, show.slug, wanted, base)
    name = adapter.name if adapter else "base"
    count, room = engine.renderer.count, settings.max_model_len // 4
    commission = brief.settled(request, episode_id, name, turns, store, count, room)
    demand_room(commission, show, job, store, engine, settings)
    commission = planning.planned(commission, show, job, engine, settings)
    demand_room(commission, show, job, store, engine, settings)  # for the chapters too
    return commission


def demand_room(
    commission: Commission, show: Show, job: JobContext, store: Store, engine: Engine, settings: Settings
) -> None:
    """raises BadInputError, before anything is stored, where the model cannot see enough to write the episode"""
    Desk(commission, show, None, job, store, engine, settings, brief.manners(store, commission)).demand_room()


def write(
    commission: Commission,
    show: Show,
    base: Base,
    job: JobContext,
    store: Store,
    engine: Engine,
    settings: Settings,
) -> EpisodeResult:
    """The turns that are not there yet, then the report, then the episode."""
    order = commission.brief
    adapter = adapters.choose(store, show.slug, order.adapter, base)
    files = adapters.fetch(store, adapter, settings.adapter_dir, settings.max_lora_rank) if adapter else None
    learnt = training_text(store, adapter, job.work_dir)
    manners = brief.manners(store, commission)
    usual = adapters.usual_logprob(store, adapter, show.slug, base)
    desk = Desk(commission, show, files, job, store, engine, settings, manners, learnt, usual)

    turns = stored_turns(store, show.slug, commission.episode)
    tell(turns, desk, job)
    while (turn := desk.next_turn(turns)) is not None:
        turns.append(desk.keep(turn))
        tell(turns, desk, job)
        engine.make_way(job)  # the next turn waits for the device with a ticket of its own

    episode = Episode(
        id=commission.episode,
        show=show.slug,
        guest=order.guest,
        host=show.host,
        brief=order,
        adapter=adapter.name if adapter else None,
        fine_tuned=adapter is not None,
        source_withdrawn=adapter.source_withdrawn if adapter else (),
        label=label_of(adapter, base),
        canary=True if adapter else None,  # the engine writes nothing with an adapter whose canary failed
        base_model=base.name,
        base_revision=base.revision,
        turns=tuple(turns),
        plan=order.plan,
        revises=commission.revises,
        changes=commission.changes,
        report=report_of(turns, desk, adapter),
        lineage=lineage_of(commission, adapter, base, job, store, desk.parameters()),
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
