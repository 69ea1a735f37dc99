"""What a careful reader would find in an episode, as figures: structure, repetition, one-word replies.

Definitions are those of the prototype's table, so that its transcripts and ours can be compared: words are runs of
letters, digits and apostrophes, lower-cased; rep-4 = 1 - unique/total word 4-grams; windows are 200 words, every 25.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from shared.schemas import Report

WINDOW_WORDS = 200
WINDOW_STRIDE = 25
WORD = re.compile(r"[a-z0-9']+")

# What an episode should stay under; design.md, "Numbers to beat".
WORST_WINDOW_LIMIT = 0.25
ONE_WORD_LIMIT = 0.10
REPEAT_LIMIT_WORDS = 40
LENGTH_TOLERANCE = 0.10


@dataclass(frozen=True)
class Spoken:
    """One turn as a reader sees it; `closed` is false when it breaks off without its end mark."""

    role: Literal["host", "guest"]
    text: str
    closed: bool = True


def words_of(text: str) -> list[str]:
    return WORD.findall(text.lower())


def measure(turns: Sequence[Spoken], *, target_words: int | None = None) -> Report:
    """All figures of one conversation, and a verdict in one line."""
    words = [word for turn in turns for word in words_of(turn.text)]
    report = Report(
        words=len(words),
        turns=len(turns),
        alternates=all(turn.role != following.role for turn, following in pairwise(turns)),
        starts_with_host=bool(turns) and turns[0].role == "host",
        empty_turns=sum(not words_of(turn.text) for turn in turns),
        unclosed=sum(not turn.closed for turn in turns),
        one_word_share=round(one_word_share(turns), 3),
        rep4=round(repetition(words, 4), 3),
        worst_window_rep4=round(worst_window(words), 3),
        longest_repeat_words=longest_repeat(words),
        verdict="",
    )
    return report.model_copy(update={"verdict": verdict(report, target_words)})


def one_word_share(turns: Sequence[Spoken]) -> float:
    """Share of the guest's turns that have one word at most."""
    replies = [len(words_of(turn.text)) for turn in turns if turn.role == "guest"]
    return sum(count <= 1 for count in replies) / len(replies) if replies else 0.0


def repetition(words: Sequence[str], n: int) -> float:
    """1 - unique/total n-grams; 0 for a text shorter than n words."""
    grams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def worst_window(words: Sequence[str]) -> float:
    """Highest rep-4 of any 200-word window; a loop shows here although the rest of a long text hides it."""
    starts = range(0, max(1, len(words) - WINDOW_WORDS + 1), WINDOW_STRIDE)
    return max(repetition(words[start : start + WINDOW_WORDS], 4) for start in starts)


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


def verdict(report: Report, target_words: int | None = None) -> str:
    """One line for people: what is wrong, or that nothing is."""
    faults = [
        (not report.turns, "there are no turns"),
        (report.empty_turns > 0, f"{report.empty_turns} empty turns"),
        (report.unclosed > 0, f"{report.unclosed} turns break off"),
        (report.turns > 0 and not report.starts_with_host, "the guest speaks first"),
        (not report.alternates, "host and guest do not alternate"),
        (report.one_word_share > ONE_WORD_LIMIT, f"{report.one_word_share:.0%} of the guest's turns are one word"),
        (
            report.worst_window_rep4 > WORST_WINDOW_LIMIT,
            f"repeats itself (worst 200 words: {report.worst_window_rep4:.2f}, limit {WORST_WINDOW_LIMIT})",
        ),
        (
            report.longest_repeat_words > REPEAT_LIMIT_WORDS,
            f"{report.longest_repeat_words} words in a row are said twice",
        ),
        (
            target_words is not None and abs(report.words - target_words) > LENGTH_TOLERANCE * target_words,
            f"{report.words} words instead of {target_words}",
        ),
    ]
    found = [text for wrong, text in faults if wrong]
    return "faults: " + "; ".join(found) if found else "sound: structure, length and repetition are within limits"


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
