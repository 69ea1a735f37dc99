"""The story: a brief becomes an episode, turn by turn. Every turn is stored before the next is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from services.inference import adapters
from services.inference.brief import settled
from services.inference.learnt import recited, training_text
from services.inference.settings import Settings
from services.inference.writing import Desk, Engine
from shared import keys
from shared.jobs import JobContext
from shared.report import Spoken, measure
from shared.schemas import Adapter, Episode, EpisodeRequest, EpisodeResult, EpisodeTurn, Lineage, Show
from shared.store import Store, create_manifest, load, made_from
from shared.version import VERSION


def run(request: EpisodeRequest, *, job: JobContext, store: Store, engine: Engine, settings: Settings) -> EpisodeResult:
    """Write the episode of a brief. A repeat goes on after the last stored turn, with the adapter that wrote it."""
    show = load(store, keys.show(request.show), Show)
    episode_id = keys.episode_id(job.id)
    key = keys.episode(show.slug, episode_id)
    if store.exists(key):
        return _result(load(store, key, Episode), key)

    turns = _stored_turns(store, show.slug, episode_id)
    request = settled(request, turns, store)
    wanted = (turns[0].adapter or "base") if turns else request.adapter
    base = engine.base(job)
    adapter = adapters.choose(store, show.slug, wanted, base)
    files = adapters.fetch(store, adapter, settings.adapter_dir, settings.max_lora_rank) if adapter else None

    learnt = training_text(store, adapter, job.work_dir)
    desk = Desk(request, show, episode_id, files, job, store, engine, settings, learnt)
    while (plan := desk.next_plan(turns)) is not None:
        job.check()
        job.progress("writing", desk.said(turns), request.words, "words", note=_last_words(turns))
        turns.append(desk.keep(desk.write(plan, turns)))
        if engine.wanted():
            engine.stop()  # the next turn waits for the device with a ticket of its own

    spoken = [Spoken(turn.role, turn.text, turn.closed) for turn in turns]
    episode = Episode(
        id=episode_id,
        show=show.slug,
        guest=request.guest,
        host=show.host,
        brief=request,
        adapter=adapter.name if adapter else None,
        fine_tuned=adapter is not None,
        source_withdrawn=adapter.source_withdrawn if adapter else (),
        label=f"{base.name} with {adapter.name}" if adapter else f"{base.name}, not fine-tuned",
        canary=True if adapter else None,  # the engine writes nothing with an adapter whose canary failed
        base_model=base.name,
        base_revision=base.revision,
        turns=tuple(turns),
        report=measure(spoken, target_words=request.words, recited=recited(turns, learnt, store, show.slug)),
        lineage=Lineage(
            made_from=made_from(store, keys.show(show.slug), *_adapter_keys(adapter)),
            by="inference",
            version=VERSION,
            job=job.id,
            actor=job.actor,
            parameters=desk.parameters(),
            models={base.name: base.revision},
        ),
    )
    create_manifest(store, key, episode)
    return _result(load(store, key, Episode), key)


def _adapter_keys(adapter: Adapter | None) -> list[str]:
    return [keys.adapter(adapter.show, adapter.name)] if adapter else []


def _stored_turns(store: Store, show: str, episode_id: str) -> list[EpisodeTurn]:
    return [load(store, key, EpisodeTurn) for key in store.list(keys.episode_turns(show, episode_id))]


def _last_words(turns: Sequence[EpisodeTurn]) -> str:
    return f"{turns[-1].speaker}: {turns[-1].text}" if turns else ""


def _result(episode: Episode, key: str) -> EpisodeResult:
    return EpisodeResult(
        episode=episode.id,
        key=key,
        words=episode.report.words,
        turns=episode.report.turns,
        canary=episode.canary,
    )
