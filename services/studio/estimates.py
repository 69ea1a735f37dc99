"""What an order for an episode comes to before anybody works on it: who writes, how long it is, how long that takes."""

from __future__ import annotations

from collections.abc import Sequence

from shared import keys
from shared.best import best_of
from shared.lengths import Length, length_of, sample, target_words, words_per_minute
from shared.schemas import Adapter, Episode, EpisodeRequest, RevisionRequest, WritingEstimate
from shared.store import Store, load

TOKENS_PER_WORD = 1.3
ENOUGH = 4  # episodes whose speed is looked at


def settled(request: EpisodeRequest, store: Store) -> EpisodeRequest:
    """The brief with `best` by its name: of the adapters for the base model that was trained last, or that base model.

    What is called best when an episode is ordered writes it, whatever is trained before its turn comes.
    """
    if request.adapter != "best":
        return request
    adapters = [load(store, key, Adapter) for key in store.list(keys.adapters(request.show))]
    return request.model_copy(update={"adapter": best_name(adapters)})


def best_name(adapters: Sequence[Adapter]) -> str:
    """What `best` is among a show's adapters: a name, or `base` where there is none."""
    newest = max(adapters, key=lambda adapter: adapter.lineage.made_at, default=None)
    fitting = [one for one in adapters if newest and one.base_revision == newest.base_revision]
    best = best_of(fitting)
    return best.name if best else "base"


def estimate(request: EpisodeRequest, store: Store) -> WritingEstimate:
    """Words by the brief or the show's real episodes, minutes at their pace, seconds by episodes written before."""
    real = [] if request.words and request.minutes else _real(store, request.show)
    words = request.words or target_words(request.minutes, real)
    tokens = round(words * TOKENS_PER_WORD)
    speed = _speed(store, request.show)
    return WritingEstimate(
        adapter=request.adapter,
        words=words,
        minutes=round(request.minutes or words / words_per_minute(real), 1),
        tokens=tokens,
        seconds=round(tokens / speed) if speed else None,
    )


def estimate_revision(request: RevisionRequest, store: Store) -> WritingEstimate | None:
    """Of an episode that is to become longer, what is missing; None where only turns are changed."""
    if request.words is None and request.minutes is None:
        return None
    parent = load(store, keys.episode(request.show, request.episode), Episode)
    real = _real(store, request.show)
    whole = request.words or target_words(request.minutes, real)
    brief = parent.brief.model_copy(update={"words": max(0, whole - parent.report.words), "minutes": None})
    return estimate(brief.model_copy(update={"adapter": parent.adapter or "base"}), store)


def _real(store: Store, show: str) -> list[Length]:
    return [length_of(transcript) for transcript in sample(store, show)]


def _speed(store: Store, show: str) -> float | None:
    """Tokens a second of the newest of a few of the show's episodes; None where none tells."""
    written = [key for key in store.list(keys.episodes(show)) if key.endswith("/episode.json")][:ENOUGH]
    stored = sorted((load(store, key, Episode) for key in written), key=lambda episode: episode.lineage.made_at)
    speeds = [episode.lineage.parameters.get("tokens_per_s") for episode in stored]
    known = [float(speed) for speed in speeds if isinstance(speed, int | float) and speed > 0]
    return known[-1] if known else None
