"""An episode written on from another: turns replaced or said again, or the talk made longer. The other stays."""

from __future__ import annotations

from collections.abc import Sequence

from services.inference import brief, planning
from services.inference import job as story
from services.inference.scenes import chapter_ends
from services.inference.settings import Settings
from services.inference.writing import Engine
from shared import keys
from shared.errors import BadInputError
from shared.jobs import JobContext
from shared.lengths import length_of, sample, target_words
from shared.repetition import words_of
from shared.report import LENGTH_TOLERANCE
from shared.schemas import (
    Episode,
    EpisodeRequest,
    EpisodeResult,
    EpisodeTurn,
    PlannedChapter,
    RevisionRequest,
    Show,
)
from shared.store import Store, load


def run(
    request: RevisionRequest, *, job: JobContext, store: Store, engine: Engine, settings: Settings
) -> EpisodeResult:
    """Write the revision as an episode of its own. A repeat goes on after the last stored turn."""
    show = load(store, keys.show(request.show), Show)
    episode_id = keys.episode_id(job.id)
    if (done := story.finished(store, show.slug, episode_id)) is not None:
        return done

    base = engine.base(job)
    commission = brief.stored(store, show.slug, episode_id)
    if commission is None:
        parent = load(store, keys.episode(show.slug, request.episode), Episode)
        order = revised_brief(request, parent, store)
        count, room = engine.renderer.count, settings.max_model_len // 4
        commission = brief.settled(order, episode_id, parent.adapter or "base", (), store, count, room)
        commission = commission.model_copy(update=given_of(request, parent, job.actor))
        story.demand_room(commission, show, job, store, engine, settings)
        if is_longer(request):
            commission = planning.planned(commission, show, job, engine, settings)
            story.demand_room(commission, show, job, store, engine, settings)
        commission = brief.keep(store, commission)
    return story.write(commission, show, base, job, store, engine, settings)


def is_longer(request: RevisionRequest) -> bool:
    return request.words is not None or request.minutes is not None


def revised_brief(request: RevisionRequest, parent: Episode, store: Store) -> EpisodeRequest:
    """The brief of the other episode with a seed of its own, and a new length if one is asked for.

    raises   BadInputError if it is that long already
    """
    seed = parent.brief.seed + 1 if request.seed is None else request.seed
    changes: dict[str, object] = {"seed": seed, "plan": parent.plan}
    if is_longer(request):
        words = request.words or target_words(
            request.minutes, [length_of(transcript) for transcript in sample(store, request.show)]
        )
        if words <= (1 + LENGTH_TOLERANCE) * parent.report.words:
            raise BadInputError(
                f"episode {parent.id} has {parent.report.words:,} words, and {words:,} are asked for: to make it "
                "longer, ask for clearly more; a shorter one is written anew with `diary episodes write`"
            )
        changes |= {"words": words, "minutes": request.minutes, "plan": _with_lengths(parent)}
    return parent.brief.model_copy(update=changes)


def given_of(request: RevisionRequest, parent: Episode, actor: str) -> dict[str, object]:
    """What of the other episode is kept, in words of a commission.

    raises   BadInputError for a turn that the episode has not
    """
    there = {turn.index: turn for turn in parent.turns}
    replaced = {one.index: one.text for one in request.replace}
    again = set(range(request.regenerate[0], request.regenerate[1] + 1)) if request.regenerate else set()
    changed = sorted({*replaced, *again})
    if strangers := [index for index in changed if index not in there]:
        raise BadInputError(
            f"episode {parent.id} has no turn {strangers[0]}: they are numbered from 0 to {len(parent.turns) - 1}"
        )
    if both := sorted(again & {*replaced}):
        raise BadInputError(f"turn {both[0]} is to be replaced and to be written again; say one of both")
    if is_longer(request):
        given = [turn for turn in parent.turns if not turn.closing]
    elif request.rest == "rewrite":
        kept = [turn for turn in parent.turns if turn.index <= changed[-1] and turn.index not in again]
        given = [_in_words_of(turn, replaced, actor) for turn in kept]
    else:
        given = [_in_words_of(turn, replaced, actor) for turn in parent.turns if turn.index not in again]
    ends = not is_longer(request) and request.rest == "keep" and bool(given) and given[-1].index == len(there) - 1
    return {
        "given": tuple(given),
        "ends_with_given": ends,
        "revises": parent.id,
        "changes": in_words(request, changed),
    }


def in_words(request: RevisionRequest, changed: Sequence[int]) -> str:
    """What was asked for, for people."""
    if is_longer(request):
        return f"made longer: {request.words} words" if request.words else f"made longer: {request.minutes:g} minutes"
    replaced = ", ".join(str(one.index) for one in request.replace)
    said = [f"turns {replaced} replaced"] if replaced else []
    said += [f"turns {request.regenerate[0]} to {request.regenerate[1]} written again"] if request.regenerate else []
    said += [f"all after turn {changed[-1]} written again"] if request.rest == "rewrite" else []
    return "; ".join(said)


def _in_words_of(turn: EpisodeTurn, replaced: dict[int, str], actor: str) -> EpisodeTurn:
    text = replaced.get(turn.index)
    if text is None:
        return turn
    changes = {"text": " ".join(text.split()), "written_by": actor, "closed": True, "rejected": (), "attempts": 0}
    return turn.model_copy(update=changes)


def _with_lengths(parent: Episode) -> tuple[PlannedChapter, ...]:
    """The chapters that are written, each with the words it has: new ones follow it. One without a plan becomes one."""
    goodbye = sum(len(words_of(turn.text)) for turn in parent.turns if turn.closing)
    said = max(20, parent.report.words - goodbye)
    if not parent.plan:
        return (PlannedChapter(title=(parent.brief.about or parent.guest)[:80], words=said),)
    ends = chapter_ends(parent.plan, said)
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    return tuple(
        chapter.model_copy(update={"words": max(20, length)})
        for chapter, length in zip(parent.plan, lengths, strict=True)
    )
