"""What a brief leaves open, settled before the first turn: its length, its adapter, its guest's facts, how the show's
people talk, its plan. What was settled is stored, so that whoever goes on goes on alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from services.inference import talk
from services.inference.means import Means
from services.inference.talk import Conversation
from shared import keys, recordings, transcripts
from shared.errors import ArtifactMissingError, BadInputError
from shared.guests import fact_sheet
from shared.lengths import length_of, sample, target_words
from shared.report import LENGTH_TOLERANCE
from shared.schemas import Commission, EpisodeRequest, EpisodeTurn, Transcript, TurnLengths
from shared.store import Store, create_manifest, load

FACT_TOKENS = 4  # around each in the header


@dataclass(frozen=True)
class Manners:
    """What a model is shown of the show's real talk. Nothing of it is stored with the episode.

    openings   how the host began, of some real episodes
    excerpts   questions and their answers
    """

    openings: tuple[str, ...] = ()
    excerpts: tuple[tuple[str, str], ...] = ()


def stored(store: Store, show: str, episode_id: str) -> Commission | None:
    try:
        return load(store, keys.commission(show, episode_id), Commission)
    except ArtifactMissingError:
        return None


def settled(
    request: EpisodeRequest,
    episode_id: str,
    adapter: str,
    turns: Sequence[EpisodeTurn],
    means: Means,
) -> Commission:
    """All but the plan, from the brief, the guest's fact sheet and the show's real episodes.

    adapter   name of the one that writes, or `base`
    turns     that are stored already, of an episode that an earlier version began
    """
    store, count = means.store, means.engine.renderer.count
    real = sample(store, request.show)
    begun = turns[0].target_words if turns else None
    words = begun or request.words or target_words(request.minutes, [length_of(transcript) for transcript in real])
    demand_reachable(request, words)
    talks = [_conversation(store, request.show, transcript) for transcript in real]
    return Commission(
        episode=episode_id,
        brief=request.model_copy(update={"words": words, "adapter": adapter}),
        facts=tuple(dict.fromkeys((*request.facts, *known_of(store, request, count, means.room_for_facts)))),
        openings_of=talk.with_openings(talks) if request.write == "episode" else (),
        excerpts_of=talk.with_excerpts(talks) if adapter == "base" and request.write == "episode" else (),
        lengths=TurnLengths() if begun else talk.turn_lengths(talks),
    )


def demand_reachable(request: EpisodeRequest, words: int) -> None:
    """raises BadInputError where chapters with lengths of their own are longer than the whole"""
    named = sum(chapter.words or 0 for chapter in request.plan)
    if named > (1 + LENGTH_TOLERANCE) * words:
        raise BadInputError(
            f"the plan's chapters have {named:,} words, and the episode is to have {words:,}; give the chapters fewer, "
            "leave their `words` out, or make the episode longer"
        )


def known_of(store: Store, request: EpisodeRequest, count: Callable[[str], int], room: int) -> Iterator[str]:
    """The first facts of the guest's sheet that have room together."""
    sheet = fact_sheet(store, request.show, request.guest)
    for fact in sheet.facts if sheet else ():
        text = _dated(fact.text, fact.date)
        room -= count(text) + FACT_TOKENS
        if room < 0:
            return
        yield text


def keep(store: Store, commission: Commission) -> Commission:
    """Store it unless another worker did: what is stored counts."""
    key = keys.commission(commission.brief.show, commission.episode)
    create_manifest(store, key, commission)
    return load(store, key, Commission)


def manners(store: Store, commission: Commission) -> Manners:
    """The talk that a commission names; without recordings that were erased meanwhile."""
    show = commission.brief.show
    openings = [talk.opening(found) for name in commission.openings_of if (found := _recalled(store, show, name))]
    excerpts = [talk.excerpt(found) for name in commission.excerpts_of if (found := _recalled(store, show, name))]
    return Manners(tuple(filter(None, openings)), tuple(filter(None, excerpts)))


def _recalled(store: Store, show: str, recording: str) -> Conversation | None:
    try:
        return _conversation(store, show, transcripts.current(store, show, recording))
    except ArtifactMissingError:
        return None


def _conversation(store: Store, show: str, transcript: Transcript) -> Conversation:
    try:
        spans = recordings.read(store, show, transcript.recording).excluded_spans
    except ArtifactMissingError:  # a transcript that came without its recording
        spans = ()
    return talk.conversation(transcript, spans)


def _dated(text: str, date: str | None) -> str:
    return text if date is None or date in text else f"{text} ({date})"
