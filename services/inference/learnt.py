"""What an adapter has learnt from: so that what it writes is its own, and what is not can be traced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from shared import keys
from shared.errors import ArtifactMissingError
from shared.recitation import Passage, TrainingText, second_of
from shared.schemas import Adapter, Dataset, EpisodeTurn, Example, RecitedSpan, Transcript
from shared.store import Store, fetch_blob, load


def training_text(store: Store, adapter: Adapter | None, work_dir: Path) -> TrainingText | None:
    """The examples that an adapter was trained on; None for the base model, and where they are not there any more."""
    if adapter is None:
        return None
    try:
        dataset = load(store, keys.dataset(adapter.show, adapter.dataset), Dataset)
        file = fetch_blob(store, dataset.train, work_dir / "train.jsonl")
    except ArtifactMissingError:
        return None  # imported without it, or withdrawn: the report says that nobody looked
    with file.open(encoding="utf-8") as lines:
        return TrainingText(Example.model_validate_json(line) for line in lines)


def recited(
    turns: Sequence[EpisodeTurn], learnt: TrainingText | None, store: Store, show: str
) -> tuple[RecitedSpan, ...] | None:
    """What the turns take from the training recordings, with the second where each is said; None: nobody looked."""
    if learnt is None:
        return None
    return tuple(span for turn in turns for span in _of_turn(turn, learnt, store, show))


def _of_turn(turn: EpisodeTurn, learnt: TrainingText, store: Store, show: str) -> Iterator[RecitedSpan]:
    words = turn.text.split()
    for passage in learnt.passages(words):
        yield RecitedSpan(
            turn=turn.index,
            first_word=passage.first,
            last_word=passage.last,
            recording=passage.recording,
            start_s=_second(passage, words[passage.first : passage.last], store, show),
        )


def _second(passage: Passage, words: Sequence[str], store: Store, show: str) -> float | None:
    try:
        transcript = load(store, keys.transcript(show, passage.recording, passage.transcript), Transcript)
    except ArtifactMissingError:
        return None
    return second_of(transcript.turns, words)
