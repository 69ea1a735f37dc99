"""How much a text says again: the figures behind the quality report, over words. Pure.

Definitions are those of the prototype's table, so that its transcripts and ours can be compared: words are runs of
the letters a to z, digits and apostrophes, lower-cased; rep-n = 1 - unique/total word n-grams; windows are 200 words,
every 25.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence

WINDOW_WORDS = 200
WINDOW_STRIDE = 25
TAIL_SHARE = 0.2
PARTS = 10
GRAM = 4
MIN_PART_WORDS = 50  # of less text, zlib's ratio tells more about its header
WORD = re.compile(r"[a-z0-9']+")
WORD_OF_ANY_SCRIPT = re.compile(r"(?:[^\W_]|')+")


def words_of(text: str) -> list[str]:
    """Lower-cased; of a text that is mostly in another script than Latin, the words of that."""
    text = text.lower().replace("’", "'")
    return _word_in(text).findall(text)


def word_starts(text: str) -> list[int]:
    """At which letter of a text each of its words begins."""
    lowered = text.lower().replace("’", "'")
    letters = [at for at, letter in enumerate(text) for _ in letter.lower()]  # a few letters become two
    return [letters[found.start()] for found in _word_in(lowered).finditer(lowered)]


def _word_in(text: str) -> re.Pattern[str]:
    if text.isascii():
        return WORD
    letters = [letter for letter in text if letter.isalpha()]
    is_latin = 2 * sum(map(str.isascii, letters)) >= len(letters)
    return WORD if is_latin else WORD_OF_ANY_SCRIPT


def repetition(words: Sequence[str], n: int) -> float:
    """1 - unique/total n-grams; 0 for a text shorter than n words."""
    grams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def worst_window(words: Sequence[str]) -> float:
    """Highest rep-4 of any 200-word window; a loop shows here although the rest of a long text hides it.

    A window differs from the one before by 25 words only: so it is counted by what leaves and what enters.
    """
    grams = list(zip(*(words[start:] for start in range(GRAM)), strict=False))
    size = min(len(grams), WINDOW_WORDS - GRAM + 1)
    if not size:
        return 0.0
    there = Counter(grams[:size])
    fewest = len(there)
    for start in range(WINDOW_STRIDE, len(grams) - size + 1, WINDOW_STRIDE):
        there.subtract(grams[start - WINDOW_STRIDE : start])
        there.update(grams[start - WINDOW_STRIDE + size : start + size])
        for gram in grams[start - WINDOW_STRIDE : start]:
            if not there[gram]:
                del there[gram]
        fewest = min(fewest, len(there))
    return 1 - fewest / size


def tail_repetition(words: Sequence[str]) -> float:
    """rep-4 of the last fifth: where a model that has run out of things to say goes round in circles."""
    return repetition(words[len(words) - round(TAIL_SHARE * len(words)) :], 4)


def compression_by_tenth(words: Sequence[str]) -> tuple[float, ...]:
    """How many times smaller zlib makes each tenth of the text, in order; the odd words at the end are left out.

    A ratio depends on the length of what is packed: these are of parts of equal length, to be compared with each other.

    returns   ten ratios, or none for a text whose tenths are too short to tell
    """
    size = len(words) // PARTS
    if size < MIN_PART_WORDS:
        return ()
    parts = [" ".join(words[start : start + size]).encode() for start in range(0, size * PARTS, size)]
    return tuple(len(part) / len(zlib.compress(part, 9)) for part in parts)


def rise(ratios: Sequence[float]) -> float:
    """The most compressible part against the first: about 1 for a text that goes on as it began."""
    return max(ratios) / ratios[0] if ratios else 1.0


def longest_repeat(words: Sequence[str]) -> int:
    """Words in the longest span that occurs twice, overlapping itself or not.

    If a span of n words repeats, one of n - 1 does too: so the length is found by halving, O(N log N) set entries.
    """
    low, high = 0, max(0, len(words) - 1)
    numbers = _numbered(words)
    while low < high:
        middle = (low + high + 1) // 2
        if _repeats(numbers, middle):
            low = middle
        else:
            high = middle - 1
    return low


def _numbered(words: Sequence[str]) -> list[int]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(word, len(numbers) + 1) for word in words]


def _repeats(numbers: Sequence[int], length: int) -> bool:
    """Whether two spans of this many words are equal, by a rolling hash (a clash of 61-bit hashes is not expected)."""
    modulus, base = (1 << 61) - 1, 1_000_003
    leaving = pow(base, length, modulus)
    value, seen = 0, set()
    for index, number in enumerate(numbers):
        value = (value * base + number) % modulus
        if index >= length:
            value = (value - numbers[index - length] * leaving) % modulus
        if index >= length - 1:
            if value in seen:
                return True
            seen.add(value)
    return False
