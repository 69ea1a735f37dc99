"""What was left out, looked for in what was not: no advert is learnt from because it stands somewhere else too. Pure.

Words are compared in lower case by letters, digits and apostrophes, in runs of eight (8-grams).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.schemas import Example, Leak
from shared.spoken import spelt

GRAM = 8
TRAILER = "trailer"  # how the reason of one begins

Gram = tuple[str, ...]


@dataclass(frozen=True)
class Span:
    """What was left out of a recording, and why."""

    recording: str
    reason: str
    text: str


def leaks(examples: Iterable[Example], left_out: Iterable[Span]) -> tuple[Leak, ...]:
    """By reason, how many of the different 8-grams of what was left out are in the examples."""
    sources: dict[str, dict[Gram, set[str]]] = {}  # by reason, the recordings that each gram was left out of
    for span in left_out:
        for gram in grams(span.text.split()):
            sources.setdefault(span.reason, {}).setdefault(gram, set()).add(span.recording)
    wanted = {gram for own in sources.values() for gram in own}
    said: dict[Gram, set[str]] = {}
    for example in examples if wanted else ():
        for gram in _of_example(example):
            if gram in wanted:
                said.setdefault(gram, set()).add(example.recording)
    return tuple(_leak(reason, own, said) for reason, own in sorted(sources.items()))


def _leak(reason: str, own: dict[Gram, set[str]], said: dict[Gram, set[str]]) -> Leak:
    found = {gram for gram in own if gram in said}
    quoted = {gram for gram in found if reason.startswith(TRAILER) and said[gram] <= own[gram]}
    return Leak(reason=reason, grams=len(own), found=len(found - quoted), quoted=len(quoted))


def grams(words: Sequence[str], length: int = GRAM) -> Iterator[Gram]:
    said = [token for word in words for token in spelt(word)]
    return (tuple(said[first : first + length]) for first in range(len(said) - length + 1))


def _of_example(example: Example) -> Iterator[Gram]:
    """Over its turns, as one text; the header is ours."""
    return grams([word for message in example.messages[1:] for word in message.text.split()])
