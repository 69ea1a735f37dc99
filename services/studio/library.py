"""Reading what the store holds: shows, recordings, transcripts, datasets, runs, adapters, episodes, also unfinished."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from services.studio.comparisons import Comparison
from shared import classifications, keys
from shared.corrections import Repeats
from shared.errors import ArtifactMissingError, ConflictError
from shared.recordings import read as read_recording
from shared.recordings import with_edits
from shared.schemas import (
    Adapter,
    Checkpoint,
    Dataset,
    Episode,
    EpisodeTurn,
    QuestionSheet,
    Recording,
    RecordingEdits,
    Run,
    Show,
    Transcript,
)
from shared.store import Store, create_manifest, load, parse

R = TypeVar("R", bound=BaseModel)

READERS = 16  # objects read at once, where many are new


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


class Cabinet:
    """Records that were read before, by key and version: a list of many is read from the store once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[str, tuple[str, BaseModel]] = {}

    def by_key(self, prefix: str, record: type[R]) -> dict[str, R]:
        """The records under a prefix as they are now, in order of their keys."""
        listed = self._store.sizes(prefix)
        for gone in [key for key in list(self._read) if key.startswith(prefix) and key not in listed]:
            self._read.pop(gone, None)  # what is erased is nowhere remembered
        new = [key for key, stored in listed.items() if self._read.get(key, ("",))[0] != stored.tag]
        for key, (data, tag) in read_together(self._store, new).items():
            self._read[key] = (tag, parse(data, key, record))
        known = ((key, self._read.get(key)) for key in listed)
        return {key: one[1] for key, one in known if one is not None and isinstance(one[1], record)}


def read_together(store: Store, found: Sequence[str]) -> dict[str, tuple[bytes, str]]:
    """Many objects at once, each with its version tag; without those that were erased since they were listed."""
    if not found:
        return {}
    with ThreadPoolExecutor(min(READERS, len(found))) as pool:
        read = pool.map(lambda key: _read_or_none(store, key), found)
        return {key: one for key, one in zip(found, read, strict=True) if one is not None}


def _read_or_none(store: Store, key: str) -> tuple[bytes, str] | None:
    try:
        return store.read(key)
    except ArtifactMissingError:
        return None


class Library:
    """All that can be looked at, by show."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cabinet = Cabinet(store)

    def create_show(self, show: Show) -> Show:
        """Make a show; the same again is fine, another one under its name is a conflict."""
        if not create_manifest(self._store, keys.show(show.slug), show):
            known = self.show(show.slug)
            if known.model_copy(update={"created_at": show.created_at}) != show:
                raise ConflictError(f"the show {show.slug!r} exists with other facts; choose another slug")
            return known
        return show

    def shows(self) -> list[Show]:
        found = [keys.show(slug) for slug in self._store.folders("shows/")]
        return [parse(data, key, Show) for key, (data, _) in read_together(self._store, found).items()]

    def show(self, slug: str) -> Show:
        return self._load(keys.show(slug), Show)

    def counts(self, show: str) -> dict[str, int]:
        """How many there are, from names alone."""
        return {
            "sources": len(self._store.list(keys.sources(show))),
            "recordings": len(self._store.list(keys.recordings(show))),
            "runs": len(self._store.list(keys.runs(show))),
            "adapters": len(self._store.list(keys.adapters(show))),
            "episodes": sum(key.endswith("/episode.json") for key in self._store.list(keys.episodes(show))),
        }

    def unclassified_repeats(self, show: str) -> int | None:
        """Repeated spans that nobody has said anything of; None if nobody has looked for any."""
        try:
            found = load(self._store, keys.repeats(show), Repeats).clusters
        except ArtifactMissingError:
            return None
        said = classifications.classified(found, classifications.read(self._store, show))
        return sum(cluster.kind is None for cluster in said)

    def recordings(self, show: str) -> list[Recording]:
        """As people have corrected them."""
        self.show(show)
        edits = self._cabinet.by_key(keys.all_edits(show), RecordingEdits)
        found = self._cabinet.by_key(keys.recordings(show), Recording).values()
        return [with_edits(one, edits.get(keys.edits(show, one.id))) for one in found]

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
