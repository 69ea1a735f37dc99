"""Where an AI episode's words come nearest to what its adapter has learnt: the door, and the indexes behind it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from services.studio.dataset_page import withdrawn_sentence
from services.studio.doors.datasets import examples_in
from services.studio.library import Library
from services.studio.nearest import Near, TrainingTurns, times_of
from shared import keys
from shared.errors import ArtifactMissingError, NotFoundError
from shared.schemas import Dataset, EpisodeTurn, Example, Record
from shared.service import viewer
from shared.store import Store
from shared.tokens import Access, Token

KEPT_WORDS = 4_000_000  # of all indexes together, about 21 bytes each; one larger than that is kept alone
KEPT_INDEXES = 4


class NearPassage(Record):
    """What a training recording says that is near in words to a turn of an AI episode.

    passage          the sentences of the recording's turn that share most with it, at most 60 words
    score            BM25; higher is nearer, only comparable within one answer
    start_s, end_s   in the recording; none where its transcript is not there any more, or says it otherwise
    has_audio        whether browsers can play it
    """

    recording: str
    title: str
    guest: str
    role: Literal["host", "guest"]
    passage: str
    score: float
    start_s: float | None = None
    end_s: float | None = None
    has_audio: bool = False


class NearestPassages(Record):
    """The nearest passages, best first, and where we looked. `reason` says why there are none."""

    episode: str
    turn: int
    role: Literal["host", "guest"]
    text: str
    adapter: str | None
    dataset: str | None = None
    passages: tuple[NearPassage, ...] = ()
    reason: str = ""
    source_withdrawn: tuple[str, ...] = Field(
        default=(), description="recordings behind the dataset that were erased since: they are never quoted"
    )


class Indexes:
    """The training turns of the datasets asked for last, at most KEPT_WORDS of them; for any thread."""

    def __init__(self, kept_words: int = KEPT_WORDS) -> None:
        self._kept_words = kept_words
        self._guard, self._building = Lock(), Lock()
        self._kept: OrderedDict[str, TrainingTurns] = OrderedDict()

    def of(self, name: str, examples: Iterable[Example]) -> TrainingTurns:
        """The index of the examples with this name, made if it is not kept; one is made at a time."""
        if (known := self._known(name)) is not None:
            return known
        with self._building:
            if (known := self._known(name)) is not None:
                return known
            made = TrainingTurns(examples)
            with self._guard:
                self._kept[name] = made
                while len(self._kept) > 1 and self._are_too_many():
                    self._kept.popitem(last=False)  # who still looks something up has it; then its memory goes
            return made

    def forget(self, name: str) -> None:
        """Let go of examples that were erased."""
        with self._guard:
            self._kept.pop(name, None)

    def _known(self, name: str) -> TrainingTurns | None:
        with self._guard:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def _are_too_many(self) -> bool:
        return len(self._kept) > KEPT_INDEXES or sum(one.words for one in self._kept.values()) > self._kept_words


def nearest_door(store: Store) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/episodes/{name}/turns/{turn}", tags=["episodes"])
    indexes = Indexes()

    @router.get("/nearest")
    def nearest(
        show: str,
        name: str,
        turn: int,
        limit: Annotated[int, Query(ge=1, le=20, description="passages, at most")] = 5,
        token: Token = Depends(viewer),
    ) -> NearestPassages:
        """What the training recordings say that is nearest in words to a turn (numbered from 0), best first.

        A turn of the same role counts more. Nearness is told by words alone (BM25), not by sense; recordings that were
        erased are never quoted. Of an episode by the base model there is nothing to compare with: `reason` says so.
        """
        token.demand(Access.VIEWER, show)
        return nearest_passages(store, indexes, show, name, turn, limit)

    return router


def nearest_passages(store: Store, indexes: Indexes, show: str, episode: str, turn: int, limit: int) -> NearestPassages:
    """raises   NotFoundError where the episode has no such turn, or its adapter or dataset is not stored"""
    library = Library(store)
    told = turn_of(library, show, episode, turn)
    adapter = library.adapter(show, told.adapter) if told.adapter else None
    empty = NearestPassages(episode=episode, turn=turn, role=told.role, text=told.text, adapter=told.adapter)
    if adapter is None:
        reason = "the base model wrote this, without an adapter: it has learnt from no recording of the show"
        return empty.model_copy(update={"reason": reason})
    dataset = library.dataset(show, adapter.dataset)
    empty = empty.model_copy(update={"dataset": dataset.id, "source_withdrawn": dataset.source_withdrawn})
    if reason := why_not(store, dataset):
        indexes.forget(dataset.train.sha256)
        return empty.model_copy(update={"reason": reason})
    erased = {key.rsplit("/", 1)[1].removesuffix(".json") for key in store.list(keys.tombstones(show))}
    index = indexes.of(dataset.train.sha256, examples_in(store, dataset.train))
    found = index.nearest(told.text, told.role, limit, erased)
    passages = tuple(_placed(library, show, near) for near in found)
    reason = "" if passages else "no training recording shares a telling word with this turn"
    return empty.model_copy(update={"passages": passages, "reason": reason})


def turn_of(library: Library, show: str, episode: str, index: int) -> EpisodeTurn:
    """A turn of an episode, also of one that is being written; its adapter is the episode's. raises NotFoundError"""
    try:
        finished = library.episode(show, episode)
    except ArtifactMissingError:
        turns: tuple[EpisodeTurn, ...] = tuple(library.episode_turns(show, episode))
    else:
        turns = tuple(turn.model_copy(update={"adapter": finished.adapter}) for turn in finished.turns)
    if not turns:
        raise NotFoundError(f"{show} has no episode {episode[:80]}; `diary episodes list {show}` names those it has")
    found = next((turn for turn in turns if turn.index == index), None)
    if found is None:
        raise NotFoundError(
            f"episode {episode} has no turn {index}; its turns are numbered from {turns[0].index} to {turns[-1].index}"
        )
    return found


def why_not(store: Store, dataset: Dataset) -> str:
    """Why a dataset's examples cannot be read; empty where they can."""
    if dataset.source_withdrawn:
        return withdrawn_sentence(dataset)
    if not store.exists(dataset.train.key):
        return (
            f"the examples of dataset {dataset.id} are not stored here; restore them from a backup "
            "(`diary shows import`)"
        )
    return ""


def _placed(library: Library, show: str, near: Near) -> NearPassage:
    """With the recording's title and the seconds in it."""
    try:
        transcript = library.transcript(show, near.recording, near.transcript)
    except ArtifactMissingError:
        times = None
    else:
        times = times_of(transcript.turns, near.passage.split())
    start_s, end_s = times or (None, None)
    recording = library.recording(show, near.recording)
    return NearPassage(
        recording=near.recording,
        title=recording.title,
        guest=near.guest,
        role=near.role,
        passage=near.passage,
        score=near.score,
        start_s=start_s,
        end_s=end_s,
        has_audio=recording.web is not None,
    )
