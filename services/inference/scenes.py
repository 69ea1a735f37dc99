"""Where an episode is in its plan: which chapter is on, which beats are still to come. Pure.

A scene is a beat to begin with, counted through all chapters. It moves on with the words that were said, and where the
talk goes round in circles; it never goes back, so that it follows from the turns alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.schemas import EpisodeTurn, PlannedChapter


@dataclass(frozen=True)
class Scene:
    """`beats` are what is left of the chapter, the first one first."""

    number: int
    title: str
    beats: tuple[str, ...]


def scene(plan: Sequence[PlannedChapter], number: int) -> Scene | None:
    """The scene of a number; None without a plan."""
    first = 0
    for chapter in plan:
        beats = chapter.beats or (chapter.title,)
        if number < first + len(beats):
            return Scene(number, chapter.title, beats[number - first :])
        first += len(beats)
    return Scene(number, plan[-1].title, (plan[-1].beats or (plan[-1].title,))[-1:]) if plan else None


def last_number(plan: Sequence[PlannedChapter]) -> int:
    return sum(len(chapter.beats) or 1 for chapter in plan) - 1


def number_at(plan: Sequence[PlannedChapter], said_words: int, target_words: int) -> int:
    """The first beat of the chapter that is on after so many words."""
    ends = chapter_ends(plan, target_words)
    on = next((index for index, end in enumerate(ends) if said_words < end), len(plan) - 1)
    return sum(len(chapter.beats) or 1 for chapter in plan[:on]) if plan else 0


def chapter_ends(plan: Sequence[PlannedChapter], target_words: int) -> list[int]:
    """Words after which each chapter is over; those without a length of their own share what is left."""
    named = sum(chapter.words or 0 for chapter in plan)
    others = sum(chapter.words is None for chapter in plan)
    share = max(0, target_words - named) / others if others else 0
    ends, total = [], 0.0
    for chapter in plan:
        total += share if chapter.words is None else chapter.words
        ends.append(round(total))
    return ends


def next_number(
    plan: Sequence[PlannedChapter], turns: Sequence[EpisodeTurn], said_words: int, target_words: int
) -> int:
    """The scene of the next turn. Chapters begin with a question: an answer belongs to the scene of its question."""
    now = turns[-1].scene if turns else 0
    if len(turns) % 2 or not plan:
        return now
    return max(now, number_at(plan, said_words, target_words))


def beginnings(turns: Sequence[EpisodeTurn], next_scene: int) -> frozenset[int]:
    """Indexes of the turns with which a scene begins, the next turn's among them."""
    scenes = [*(turn.scene for turn in turns), next_scene]
    return frozenset(index for index in range(1, len(scenes)) if scenes[index] != scenes[index - 1])
