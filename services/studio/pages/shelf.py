"""What lists tell of AI episodes and question sheets: a row each, read once for each version that is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared import keys
from shared.errors import ArtifactMissingError
from shared.schemas import Episode, QuestionSheet
from shared.store import Store, load

EPISODE, QUESTIONS = "/episode.json", "/questions.json"


@dataclass(frozen=True)
class Row:
    """An episode or a sheet in a list. `writer` is an adapter's name, or `base`; a sheet has no words."""

    id: str
    guest: str
    writer: str
    fine_tuned: bool
    made_at: datetime
    words: int = 0
    turns: int = 0
    verdict: str = ""
    revises: str | None = None
    changes: str = ""
    source_withdrawn: int = 0


class Shelf:
    """Rows of all shows. What is gone from the store is nowhere remembered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: dict[str, tuple[str, Row]] = {}

    def episodes(self, show: str) -> list[Row]:
        """Finished ones, the newest first."""
        return self._newest(show, EPISODE)

    def sheets(self, show: str) -> list[Row]:
        """Question sheets, the newest first."""
        return self._newest(show, QUESTIONS)

    def _newest(self, show: str, ending: str) -> list[Row]:
        prefix = keys.episodes(show)
        there = {key: stored.tag for key, stored in self._store.sizes(prefix).items() if key.endswith(ending)}
        self._forget(prefix, ending, there)
        rows = [row for key, tag in there.items() if (row := self._row(key, tag)) is not None]
        return sorted(rows, key=lambda row: row.made_at, reverse=True)

    def _forget(self, prefix: str, ending: str, there: Mapping[str, str]) -> None:
        for key in list(self._rows):
            if key.startswith(prefix) and key.endswith(ending) and key not in there:
                self._rows.pop(key, None)

    def _row(self, key: str, tag: str) -> Row | None:
        known = self._rows.get(key)
        if known is not None and known[0] == tag:
            return known[1]
        try:
            row = of_episode(load(self._store, key, Episode)) if key.endswith(EPISODE) else self._of_sheet(key)
        except ArtifactMissingError:
            return None  # erased since it was listed
        self._rows[key] = (tag, row)
        return row

    def _of_sheet(self, key: str) -> Row:
        sheet = load(self._store, key, QuestionSheet)
        writer = sheet.adapter or "base"
        return Row(sheet.id, sheet.guest, writer, sheet.adapter is not None, sheet.lineage.made_at)


def of_episode(episode: Episode) -> Row:
    return Row(
        id=episode.id,
        guest=episode.guest,
        writer=episode.adapter or "base",
        fine_tuned=episode.fine_tuned,
        made_at=episode.lineage.made_at,
        words=episode.report.words,
        turns=episode.report.turns,
        verdict=episode.report.verdict,
        revises=episode.revises,
        changes=episode.changes,
        source_withdrawn=len(episode.source_withdrawn),
    )
