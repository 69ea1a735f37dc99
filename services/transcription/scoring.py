"""How good a transcript is against a reference: word error rate, and the share of words with the right speaker. Pure.

Who spoke when (DER) is pyannote's to measure: see `engine.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

Said = tuple[str, str]  # word, speaker
Pair = tuple[int | None, int | None]  # places of two words that belong together; None where one side has no word


def plain_words(text: str) -> list[str]:
    """Lower case, no punctuation; nothing is forgiven beyond that, fillers count."""
    return re.findall(r"[a-z0-9]+(?:'[a-z]+)*", text.lower().replace("’", "'"))


def said(turns: Sequence[tuple[str, str]]) -> list[Said]:
    """Words with their speakers, from (speaker, text) turns."""
    return [(word, speaker) for speaker, text in turns for word in plain_words(text)]


def word_error_rate(reference: Sequence[str], heard: Sequence[str]) -> float:
    """Swapped, missing and added words, by the words of the reference, of which there is at least one."""
    pairs = aligned(reference, heard)
    return sum(a is None or b is None or reference[a] != heard[b] for a, b in pairs) / len(reference)


def word_speaker_accuracy(reference: Sequence[Said], heard: Sequence[Said]) -> float:
    """Share of rightly heard words that the right speaker got, under the best pairing of the speakers' names.

    Each name is paired with one label at most; 0 where no word was heard rightly.
    """
    hits = list(_speakers_of_hits(reference, heard))
    if not hits:
        return 0.0
    names, rows = np.unique([name for name, _ in hits], return_inverse=True)
    labels, columns = np.unique([label for _, label in hits], return_inverse=True)
    together = np.zeros((len(names), len(labels)), dtype=np.int64)
    np.add.at(together, (rows, columns), 1)
    best = linear_sum_assignment(together, maximize=True)
    return float(together[best].sum() / len(hits))


def word_role_accuracy(reference: Sequence[Said], heard: Sequence[Said]) -> float:
    """Share of rightly heard words whose label is the reference's own: nothing is paired, swapped roles score low."""
    hits = [name == label for name, label in _speakers_of_hits(reference, heard)]
    return sum(hits) / len(hits) if hits else 0.0


def _speakers_of_hits(reference: Sequence[Said], heard: Sequence[Said]) -> Iterator[tuple[str, str]]:
    for left, right in aligned([word for word, _ in reference], [word for word, _ in heard]):
        if left is not None and right is not None and reference[left][0] == heard[right][0]:
            yield reference[left][1], heard[right][1]


def aligned(reference: Sequence[str], heard: Sequence[str]) -> list[Pair]:
    """The words of both sides in order, paired by least edits (Levenshtein).

    Row by row in numpy; of every cell two bits are kept for the way back: 10,000 by 10,000 words take 25 MB.
    """
    numbers = {word: number for number, word in enumerate(dict.fromkeys((*reference, *heard)))}
    expected = np.array([numbers[word] for word in reference], dtype=np.int32)
    found = np.array([numbers[word] for word in heard], dtype=np.int32)
    places = np.arange(len(found) + 1, dtype=np.int32)
    above = places.copy()
    swaps = np.zeros((len(expected), len(found) // 8 + 1), dtype=np.uint8)
    gaps = swaps.copy()
    for row, word in enumerate(expected):
        swapped = above[:-1] + (found != word)
        cost = above + 1  # the reference's word is missing
        np.minimum(cost[1:], swapped, out=cost[1:])
        cost = np.minimum.accumulate(cost - places) + places  # or words were added before it
        swaps[row, : -(-len(found) // 8)] = np.packbits(cost[1:] == swapped)
        gaps[row, : -(-len(found) // 8)] = np.packbits(cost[1:] == above[1:] + 1)
        above = cost
    return _way_back(swaps, gaps, len(expected), len(found))


def _way_back(swaps: np.ndarray, gaps: np.ndarray, row: int, column: int) -> list[Pair]:
    """From the last words to the first.

    swaps, gaps   (R, C/8) packed bits: whether a cell is cheapest by pairing its words, by leaving out the reference's
    """
    pairs: list[Pair] = []
    while row or column:
        cell, bit = (column - 1) // 8, 128 >> (column - 1) % 8
        if row and column and swaps[row - 1, cell] & bit:
            row, column = row - 1, column - 1
            pairs.append((row, column))
        elif row and (not column or gaps[row - 1, cell] & bit):
            row -= 1
            pairs.append((row, None))
        else:
            column -= 1
            pairs.append((None, column))
    return pairs[::-1]
