"""What each checkpoint is asked: to go on after openings it was trained on, and in interviews it has never seen. Pure.

Whoever recites training text where somebody else would have answered has learnt it by heart. What several recordings
have in common (greetings, closings) is the show's manner, not recitation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.families import Speaking
from shared.recitation import TrainingText
from shared.render import Renderer
from shared.schemas import Example

HINT_TOKENS = 16  # of the answer's own words: enough to know it by, if it is known by heart
SAMPLES = 2


@dataclass(frozen=True)
class Question:
    """Token ids to go on from, the role that is speaking, and the ids that end its turn."""

    prompt: list[int]
    role: Speaking
    stop: list[int]


@dataclass(frozen=True)
class Recitation:
    """`share` of the 13-grams of all answers that just one recording has; `longest` words taken from it in a row."""

    share: float
    longest: int


def openings(examples: Sequence[Example], renderer: Renderer, count: int) -> list[Question]:
    """Training examples up to the first words of their first answer, spread evenly over all examples."""
    talks = [example for example in examples if len(example.messages) > 2]
    spread = [talks[place * len(talks) // count] for place in range(min(count, len(talks)))] if talks else []
    found = []
    for example in spread:
        asked, answer = example.messages[:2], renderer.content(example.messages[2].text, "guest")
        hint = answer[: min(HINT_TOKENS, len(answer) // 2)]
        found.append(Question([*renderer.prompt(asked, "guest"), *hint], "guest", renderer.stop_ids("guest")))
    return found


def unseen(examples: Sequence[Example], renderer: Renderer) -> list[Question]:
    """The start of a held-out interview: how the guest would answer, and what the host would ask next."""
    talk = next((example.messages for example in examples if len(example.messages) > 2), None)
    if talk is None:
        return []
    return [
        Question(renderer.prompt(talk[:2], "guest"), "guest", renderer.stop_ids("guest")),
        Question(renderer.prompt(talk[:3], "host"), "host", renderer.stop_ids("host")),
    ][:SAMPLES]


def recitation(answers: Sequence[str], learnt: TrainingText) -> Recitation:
    """How much of the answers is taken from the training text; nothing where they are shorter than 13 words."""
    said = [answer.split() for answer in answers]
    longest = max((passage.words for words in said for passage in learnt.passages(words)), default=0)
    return Recitation(round(learnt.share(said), 4), longest)
