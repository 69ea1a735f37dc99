"""Reading what the store holds: shows, recordings, transcripts, datasets, runs, adapters, episodes, also unfinished."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from services.studio.comparisons import Comparison
from shared import keys
from shared.errors import ArtifactMissingError, ConflictError
from shared.recordings import edited
from shared.recordings import read as read_recording
from shared.schemas import (
    Adapter,
    Checkpoint,
    Dataset,
    Episode,
    EpisodeTurn,
    QuestionSheet,
    Recording,
    Run,
    Show,
    Transcript,
)
from shared.store import Store, create_manifest, load

R = TypeVar("R", bound=BaseModel)


def upload_id(now: datetime) -> str:
    """Name of a new upload; names sort by time."""
    return f"{now:%Y%m%d%H%M%S}-{uuid.uuid4().hex}"


def load_each(store: Store, found: Iterable[str], record: type[R]) -> list[R]:
    """The records at some keys, without those that were erased since they were listed."""
    return _still_there(store, found, lambda key: load(store, key, record))


def _still_there(store: Store, found: Iterable[str], read: Callable[[str], R]) -> list[R]:
    records = []
    for key in found:
        try:
            records.append(read(key))
        except ArtifactMissingError:
            if store.exists(key):
                raise
    return records


class Library:
    """All that can be looked at, by show."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create_show(self, show: Show) -> Show:
        """Make a show; the same again is fine, another one under its name is a conflict."""
        if not create_manifest(self._store, keys.show(show.slug), show):
            known = self.show(show.slug)
            if known.model_copy(update={"created_at": show.created_at}) != show:
                raise ConflictError(f"the show {show.slug!r} exists with other facts; choose another slug")
            return known
        return show

    def shows(self) -> list[Show]:
        found = [key for key in self._store.list("shows/") if key.endswith("/show.json")]
        return [load(self._store, key, Show) for key in found]

    def show(self, slug: str) -> Show:
        return self._load(keys.show(slug), Show)

    def recordings(self, show: str) -> list[Recording]:
        """As people have corrected them."""
        found = self._all(show, keys.recordings(show), Recording)
        changed = set(self._store.list(keys.all_edits(show)))
        return [edited(self._store, one) if keys.edits(show, one.id) in changed else one for one in found]

    def recording(self, show: str, recording: str) -> Recording:
        return read_recording(self._store, show, recording)

    def transcripts(self, show: str) -> list[Transcript]:
        """Current revision of each recording's transcript."""
        self.show(show)
        heads = [key for key in self._store.list(keys.transcripts(show)) if key.endswith("/head")]
        return _still_there(self._store, heads, lambda key: self.transcript(show, key.split("/")[-2]))

    def transcript(self, show: str, recording: str, revision: str | None = None) -> Transcript:
        if revision is None:
            revision = self._store.get(keys.transcript_head(show, recording)).decode()
        return self._load(keys.transcript(show, recording, revision), Transcript)

    def datasets(self, show: str) -> list[Dataset]:
        return self._all(show, keys.datasets(show), Dataset)

    def dataset(self, show: str, dataset: str) -> Dataset:
        return self._load(keys.dataset(show, dataset), Dataset)

    def adapters(self, show: str) -> list[Adapter]:
        return self._all(show, keys.adapters(show), Adapter)

    def adapter(self, show: str, name: str) -> Adapter:
        return self._load(keys.adapter(show, name), Adapter)

    def runs(self, show: str) -> list[Run]:
        """Training runs by number."""
        return sorted(self._all(show, keys.runs(show), Run), key=lambda run: run.number)

    def run(self, show: str, number: int) -> Run:
        return self._load(keys.run(show, number), Run)

    def adapter_of_run(self, show: str, number: int) -> Adapter | None:
        """What a run has made, if it is over."""
        found = load_each(self._store, self._store.list(keys.adapters_of_run(show, number)), Adapter)
        return found[-1] if found else None

    def newest_checkpoint(self, show: str, number: int) -> Checkpoint | None:
        """Of a run that goes on meanwhile: the newest of those that are still there."""
        for key in reversed(self._store.list(keys.checkpoints(show, number))):
            if found := load_each(self._store, [key], Checkpoint):
                return found[0]
        return None

    def checkpoint_steps(self, show: str, number: int) -> tuple[int, ...]:
        found = self._store.list(keys.checkpoints(show, number))
        return tuple(int(key.rsplit("/", 1)[1].removesuffix(".json")) for key in found)

    def episodes(self, show: str) -> list[Episode]:
        self.show(show)
        found = [key for key in self._store.list(keys.episodes(show)) if key.endswith("/episode.json")]
        return [load(self._store, key, Episode) for key in found]

    def has_episode(self, show: str, episode: str) -> bool:
        """Whether it is finished."""
        return self._store.exists(keys.episode(show, episode))

    def episode(self, show: str, episode: str) -> Episode:
        return self._load(keys.episode(show, episode), Episode)

    def episode_turns(self, show: str, episode: str, after: int = -1) -> list[EpisodeTurn]:
        """Turns written so far with an index above `after`, in order; grows while the episode is written."""
        prefix = keys.episode_turns(show, episode)
        first = keys.episode_turn(show, episode, after + 1)
        return [load(self._store, key, EpisodeTurn) for key in self._store.list(prefix) if key >= first]

    def questions(self, show: str) -> list[QuestionSheet]:
        self.show(show)
        found = [key for key in self._store.list(keys.episodes(show)) if key.endswith("/questions.json")]
        return [load(self._store, key, QuestionSheet) for key in found]

    def question_sheet(self, show: str, sheet: str) -> QuestionSheet:
        return self._load(keys.questions(show, sheet), QuestionSheet)

    def comparisons(self, show: str) -> list[Comparison]:
        return self._all(show, keys.comparisons(show), Comparison)

    def comparison(self, show: str, comparison: str) -> Comparison:
        return self._load(keys.comparison(show, comparison), Comparison)

    # ---- reading -------------------------------------------------------------------------------------------------

    def _all(self, show: str, prefix: str, record: type[R]) -> list[R]:
        self.show(show)
        return load_each(self._store, self._store.list(prefix), record)

    def _load(self, key: str, record: type[R]) -> R:
        return load(self._store, key, record)


def summary(record: BaseModel) -> dict[str, Any]:
    """A record without its long parts, for lists."""
    long = {"turns", "words", "files", "metrics", "lineage", "metadata", "report", "base_judged"}
    return record.model_dump(mode="json", exclude=long)
