"""How good a transcript is: word error rate and the share of words with the right speaker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import permutations

import numpy as np

Said = tuple[str, str]  # word, speaker


def plain_words(text: str) -> list[str]:
    """Lower case, no punctuation; nothing is forgiven beyond that, fillers count."""
    return re.findall(r"[a-z0-9]+(?:'[a-z]+)*", text.lower().replace("’", "'"))


def said(turns: Sequence[tuple[str, str]]) -> list[Said]:
    """Words with their speakers, from (speaker, text) turns."""
    return [(word, speaker) for speaker, text in turns for word in plain_words(text)]


def word_error_rate(reference: Sequence[str], heard: Sequence[str]) -> float:
    return sum(a != b for a, b in _aligned(reference, heard)) / len(reference)


def word_speaker_accuracy(reference: Sequence[Said], heard: Sequence[Said]) -> float:
    """Share of rightly heard words that the right speaker got, under the best pairing of the speakers' names."""
    pairs = _aligned([word for word, _ in reference], [word for word, _ in heard])
    names, labels = sorted({who for _, who in reference}), sorted({who for _, who in heard})
    matched = []
    for (_, name), (_, label) in _speakers_of_hits(pairs, reference, heard):
        matched.append((name, label))
    wide = labels + ["nobody"] * max(0, len(names) - len(labels))
    hits = [
        sum((name, label) in zip(names, pairing, strict=False) for name, label in matched)
        for pairing in permutations(wide, len(names))
    ]
    return max(hits) / len(matched)


def word_role_accuracy(reference: Sequence[Said], heard: Sequence[Said]) -> float:
    """Share of rightly heard words whose label is the reference's own: nothing is paired, swapped roles score low."""
    pairs = _aligned([word for word, _ in reference], [word for word, _ in heard])
    matched = [name == label for (_, name), (_, label) in _speakers_of_hits(pairs, reference, heard)]
    return sum(matched) / len(matched)


def _speakers_of_hits(pairs, reference, heard):
    in_reference, in_heard = iter(reference), iter(heard)
    for expected, found in pairs:
        left = next(in_reference) if expected is not None else None
        right = next(in_heard) if found is not None else None
        if left and right and expected == found:
            yield left, right


def _aligned(reference: Sequence[str], heard: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Pairs of words by least edits; None where one side has no word."""
    cost = np.zeros((len(reference) + 1, len(heard) + 1), dtype=np.int32)
    cost[:, 0], cost[0, :] = np.arange(len(reference) + 1), np.arange(len(heard) + 1)
    for row, expected in enumerate(reference, 1):
        for column, found in enumerate(heard, 1):
            swap = cost[row - 1, column - 1] + (expected != found)
            cost[row, column] = min(swap, cost[row - 1, column] + 1, cost[row, column - 1] + 1)
    pairs: list[tuple[str | None, str | None]] = []
    row, column = len(reference), len(heard)
    while row or column:
        if (
            row
            and column
            and cost[row, column] == cost[row - 1, column - 1] + (reference[row - 1] != heard[column - 1])
        ):
            row, column = row - 1, column - 1
            pairs.append((reference[row], heard[column]))
        elif row and cost[row, column] == cost[row - 1, column] + 1:
            row -= 1
            pairs.append((reference[row], None))
        else:
            column -= 1
            pairs.append((None, heard[column]))
    return pairs[::-1]
