"""What was left out, looked for in what was not: no advert is learnt from because it stands somewhere else too. Pure.

Words are compared in lower case by letters, digits and apostrophes, in runs of eight (8-grams).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from shared.grams import spelt
from shared.schemas import Example, Leak

GRAM = 8

Gram = tuple[str, ...]


def leaks(examples: Iterable[Example], left_out: Iterable[tuple[str, str]]) -> tuple[Leak, ...]:
    """By reason, how many of the different 8-grams of what was left out are in the examples.

    left_out   (reason, text) of each span
    """
    by_reason: dict[str, set[Gram]] = {}
    for reason, text in left_out:
        by_reason.setdefault(reason, set()).update(grams(text.split()))
    wanted = set().union(*by_reason.values())
    found = {gram for gram in _of_examples(examples) if gram in wanted} if wanted else set()
    return tuple(
        Leak(reason=reason, grams=len(own), found=len(own & found)) for reason, own in sorted(by_reason.items()) if own
    )


def grams(words: Sequence[str], length: int = GRAM) -> Iterator[Gram]:
    said = [token for word in words for token in spelt(word)]
    return (tuple(said[first : first + length]) for first in range(len(said) - length + 1))


def _of_examples(examples: Iterable[Example]) -> Iterator[Gram]:
    """Over the turns of each example, as one text: the header is ours."""
    for example in examples:
        yield from grams([word for message in example.messages[1:] for word in message.text.split()])
