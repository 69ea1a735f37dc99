"""An episode written on from another: turns replaced or said again, or the talk made longer. The other stays."""

from __future__ import annotations

from collections.abc import Sequence

from services.inference import brief, planning
from services.inference import job as story
from services.inference.means import Engine, Means
from services.inference.settings import Settings
from services.inference.writing import seed_for
from shared import keys
from shared.errors import BadInputError
from shared.jobs import JobContext
from shared.lengths import FEWEST, length_of, sample, target_words
from shared.repetition import words_of
from shared.report import LENGTH_TOLERANCE
from shared.schemas import (
    LONGEST_TITLE,
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
    means = Means(job, store, engine, settings)
    show = load(store, keys.show(request.show), Show)
    episode_id = keys.episode_id(job.id)
    if (done := story.finished(store, show.slug, episode_id)) is not None:
        return done

    base = engine.base(job)
    commission = brief.stored(store, show.slug, episode_id)
    if commission is None:
        parent = load(store, keys.episode(show.slug, request.episode), Episode)
        order = revised_brief(request, parent, store, seed_of(request, job))
        commission = brief.settled(order, episode_id, parent.adapter or "base", (), means)
        commission = commission.model_copy(update=given_of(request, parent, job.actor))
        story.demand_room(commission, show, means)
        if is_longer(request):
            commission = planning.planned(commission, show, means)
            story.demand_room(commission, show, means)
        commission = brief.keep(store, commission)
    return story.write(commission, show, base, means)


def is_longer(request: RevisionRequest) -> bool:
    return request.words is not None or request.minutes is not None


def seed_of(request: RevisionRequest, job: JobContext) -> int:
    """The one that is asked for, or one of this job's own: whoever asks twice wants other words."""
    return seed_for(0, 0, int.from_bytes(job.id.encode(), "big")) if request.seed is None else request.seed


def revised_brief(request: RevisionRequest, parent: Episode, store: Store, seed: int) -> EpisodeRequest:
    """The brief of the other episode with another seed, its length as it was meant, or the new one that is asked for.

    raises   BadInputError if it is that long already
    """
    meant = parent.brief.words or parent.turns[0].target_words or parent.report.words
    changes: dict[str, object] = {"seed": seed, "words": meant, "minutes": None}
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
        "source_withdrawn": parent.source_withdrawn,
    }


def in_words(request: RevisionRequest, changed: Sequence[int]) -> str:
    """What was asked for, for people."""
    if is_longer(request):
        return f"made longer: {request.words} words" if request.words else f"made longer: {request.minutes:g} minutes"
    replaced = ", ".join(str(one.index) for one in request.replace)
    said = [f"replaced: {replaced}"] if replaced else []
    said += [f"written again: {request.regenerate[0]} to {request.regenerate[1]}"] if request.regenerate else []
    said += [f"and all that follows {changed[-1]}"] if request.rest == "rewrite" else []
    return "; ".join(said)


def _in_words_of(turn: EpisodeTurn, replaced: dict[int, str], actor: str) -> EpisodeTurn:
    text = replaced.get(turn.index)
    if text is None:
        return turn
    changes = {"text": " ".join(text.split()), "written_by": actor, "closed": True, "rejected": (), "attempts": 0}
    return turn.model_copy(update=changes)


def _with_lengths(parent: Episode) -> tuple[PlannedChapter, ...]:
    """The chapters that were come to, each with the words it has: new ones follow. An episode without a plan is one."""
    said: dict[str, int] = {}
    for turn in parent.turns:
        if not turn.closing:
            said[turn.chapter] = said.get(turn.chapter, 0) + len(words_of(turn.text))
    if not parent.plan:
        title = parent.brief.about or parent.guest
        return (PlannedChapter(title=title[:LONGEST_TITLE], words=max(FEWEST, sum(said.values()))),)
    return tuple(
        chapter.model_copy(update={"words": max(FEWEST, said[chapter.title])})
        for chapter in parent.plan
        if chapter.title in said
    )
