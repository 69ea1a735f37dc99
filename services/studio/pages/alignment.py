"""AI episodes beside each other, turn by turn. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from shared.schemas import Episode, EpisodeTurn


@dataclass(frozen=True)
class Row:
    """What each episode has at one place; none where it is over, or was not written."""

    place: int
    turns: tuple[EpisodeTurn | None, ...]


def aligned(episodes: Sequence[Episode | None]) -> list[Row]:
    """The turns of episodes by their places, from 0."""
    columns = [episode.turns if episode else () for episode in episodes]
    return [Row(place, turns) for place, turns in enumerate(zip_longest(*columns))]
