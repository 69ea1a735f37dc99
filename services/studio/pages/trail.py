"""What an AI episode was made from, from manifests alone: its adapters, their datasets, the recordings in these."""

from __future__ import annotations

from dataclasses import dataclass

from services.studio.care.withdrawal import recording_of
from services.studio.library import Library
from shared.errors import ArtifactMissingError
from shared.schemas import Dataset, Episode, Recording


@dataclass(frozen=True)
class Behind:
    """A recording that a dataset has; `title` is empty where it was erased. Words are those that were learnt from."""

    recording: str
    title: str
    guest: str
    words: int | None = None
    held_out: bool = False


@dataclass(frozen=True)
class Step:
    """An adapter and what it learnt from. `gone` says why that is not known here."""

    adapter: str
    dataset: str = ""
    recordings: tuple[Behind, ...] = ()
    gone: str = ""


def trail_of(library: Library, episode: Episode) -> list[Step]:
    """The adapter that wrote it, then the one that it went on from, and so on; none for the base model."""
    return trail_from(library, episode.show, episode.adapter)


def trail_from(library: Library, show: str, adapter: str | None) -> list[Step]:
    """An adapter, then the one that it went on from, and so on."""
    titles = {one.id: one for one in library.recordings(show)} if adapter else {}
    steps: list[Step] = []
    name = adapter
    while name is not None and name not in [step.adapter for step in steps]:
        step, name = _step(library, show, name, titles)
        steps.append(step)
    return steps


def _step(library: Library, show: str, name: str, recordings: dict[str, Recording]) -> tuple[Step, str | None]:
    try:
        adapter = library.adapter(show, name)
    except ArtifactMissingError:
        return Step(name, gone="this trained model is not stored here any more"), None
    try:
        dataset = library.dataset(show, adapter.dataset)
    except ArtifactMissingError:
        return Step(name, adapter.dataset, gone="its dataset is not stored here any more"), adapter.parent
    return Step(name, dataset.id, tuple(_behind(dataset, recordings))), adapter.parent


def _behind(dataset: Dataset, recordings: dict[str, Recording]) -> list[Behind]:
    """Datasets of schema 1 have no report: then the transcripts in their lineage tell."""
    rows = dataset.report.recordings if dataset.report else ()
    if rows:
        return [
            Behind(row.recording, _title(recordings, row.recording), row.guest, row.words, row.held_out) for row in rows
        ]
    named = (recording_of(source.key) for source in dataset.lineage.made_from)
    return [
        Behind(name, _title(recordings, name), (recordings[name].guest or "") if name in recordings else "")
        for name in dict.fromkeys(named)
        if name is not None
    ]


def _title(recordings: dict[str, Recording], name: str) -> str:
    return recordings[name].title if name in recordings else ""
