"""Runs of five words (5-grams) that several texts have in common, and which of them belong to one text. Pure, numpy.

Words are compared in lower case by their letters, digits and apostrophes. Hashes are 64 bits wide and the same in every
process, so they may be stored: they hold no text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from shared.spoken import spelt

GRAM = 5
GAP = 12  # words between two grams of one text, at most: what a recogniser gets wrong, and what a speaker adds
REACH = GRAM + GAP
TWO = 2
TOGETHER = 0.5

_BASE = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Tokens:
    """All texts, one after the other.

    hashes       (N,) uint64, one per token
    word         (N,) int64, the word that a token is of, counted over all texts; a word may have none ("--") or several
    text         (N,) int64, the text that it is in
    first_word   (T,) int64, the first word of each text
    """

    hashes: np.ndarray
    word: np.ndarray
    text: np.ndarray
    first_word: np.ndarray


@dataclass(frozen=True)
class Grams:
    """The grams that enough texts have, in order of place.

    place    (M,) int64, the token that a gram starts at
    text     (M,) int64
    kind     (M,) int64, an index into `hashes` and `texts`
    hashes   (K,) uint64
    texts    (K,) int64, how many texts have a gram
    """

    place: np.ndarray
    text: np.ndarray
    kind: np.ndarray
    hashes: np.ndarray
    texts: np.ndarray


def tokenise(texts: Sequence[Sequence[str]]) -> Tokens:
    """
    texts   words of each text as they are written
    """
    kinds: dict[str, int] = {}
    lengths = np.array([len(words) for words in texts], dtype=np.int64)
    kind = np.fromiter(
        (kinds.setdefault(word, len(kinds)) for word in chain.from_iterable(texts)), np.int64, int(lengths.sum())
    )
    spellings = [spelt(word) for word in kinds]
    hashes = np.array([_hash(token) for spelling in spellings for token in spelling], dtype=np.uint64)
    many = np.array([len(spelling) for spelling in spellings], dtype=np.int64)
    first = np.cumsum(many) - many

    word = np.repeat(np.arange(len(kind)), many[kind])
    nth = np.arange(len(word)) - np.repeat(np.cumsum(many[kind]) - many[kind], many[kind])
    text = np.repeat(np.arange(len(texts)), lengths)
    return Tokens(hashes[first[kind[word]] + nth], word, text[word], np.cumsum(lengths) - lengths)


def runs(tokens: Tokens, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Every run of so many tokens within one text: (R,) int64 where it starts, (R,) uint64 its hash."""
    whole = max(0, len(tokens.hashes) - length + 1)
    hashes = np.zeros(whole, dtype=np.uint64)
    for nth in range(length):
        hashes = hashes * np.uint64(_BASE) + tokens.hashes[nth : nth + whole]
    place = np.flatnonzero(tokens.text[:whole] == tokens.text[len(tokens.text) - whole :])
    return place, hashes[place]


def common_grams(tokens: Tokens) -> Grams:
    """The grams that two texts have at least."""
    place, found = runs(tokens, GRAM)
    order = np.argsort(found, kind="stable")
    place, found = place[order], found[order]
    text = tokens.text[place]

    first = np.ones(len(place), dtype=bool)
    first[1:] = found[1:] != found[:-1]
    kind = np.cumsum(first) - 1
    first_in_text = first.copy()
    first_in_text[1:] |= text[1:] != text[:-1]
    texts = np.bincount(kind[first_in_text], minlength=int(first.sum()))
    enough = texts >= TWO
    renamed = np.cumsum(enough) - 1
    kept = enough[kind]
    place, text, kind = place[kept], text[kept], renamed[kind[kept]]
    order = np.argsort(place)
    return Grams(place[order], text[order], kind[order], found[first][enough], texts[enough])


def belonging(grams: Grams) -> np.ndarray:
    """(K,) int64: grams with the same number belong to one text.

    Two do if one follows the other within REACH in two texts at least, and in half of those that have the commoner
    one. So a greeting that once comes right after an advert is not glued to it, a phrase of everyday speech to nothing,
    and words that a recogniser gets wrong here and there tear nothing apart.
    """
    pairs = [_pairs(grams, hops) for hops in range(1, REACH + 1)]
    many, texts = len(grams.hashes), int(grams.text.max(initial=0)) + 1
    pair = np.unique(np.concatenate([(first * many + second) * texts + text for first, second, text in pairs])) // texts
    pair, times = np.unique(pair, return_counts=True)
    first, second = pair // max(1, many), pair % max(1, many)
    commoner = np.maximum(grams.texts[first], grams.texts[second])
    strong = (times >= TWO) & (times >= TOGETHER * commoner)
    return _components(many, first[strong], second[strong])


def _pairs(grams: Grams, hops: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kinds of the grams that are so many hops apart and within REACH, and their text."""
    near = (grams.place[hops:] - grams.place[:-hops] <= REACH) & (grams.text[hops:] == grams.text[:-hops])
    first, second = grams.kind[:-hops][near], grams.kind[hops:][near]
    texts = grams.texts[first], grams.texts[second]
    may = np.minimum(*texts) >= TOGETHER * np.maximum(*texts)
    return first[may], second[may], grams.text[hops:][near][may]


def _components(many: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The connected components of a graph: each node gets the smallest number of its component."""
    label = np.arange(many)
    while True:
        low = np.minimum(label[first], label[second])
        if (low == label[first]).all() and (low == label[second]).all():
            return label
        np.minimum.at(label, label[first], low)
        np.minimum.at(label, label[second], low)
        while (label != label[label]).any():
            label = label[label]


def _hash(token: str) -> int:
    return int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "little")
