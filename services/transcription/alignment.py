"""What forced alignment needs around the aligner: words as a dictionary spells them, phones for those it lacks, times
for those that got none (shared/spoken.py). Pure.

For a name or a number that the dictionary lacks, a plausible reading is enough: its neighbours hold it in place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, pairwise

from shared.spoken import Times as Times
from shared.spoken import timed_words as timed_words

WITHOUT_SPACES = ("ja", "zh", "yue", "th", "lo", "my")

# Phones of CMUdict, as pocketsphinx knows them. Longest spelling first.
SPELLINGS = {
    "tch": "CH", "sch": "SH", "igh": "AY", "eau": "OW", "tion": "SH AH N",
    "sh": "SH", "ch": "CH", "th": "TH", "ph": "F", "wh": "W", "ck": "K", "ng": "NG", "qu": "K W", "gh": "G", "kn": "N",
    "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW", "oa": "OW", "ai": "EY", "ay": "EY", "ey": "IY",
    "ie": "IY", "oi": "OY", "oy": "OY", "au": "AO", "aw": "AO", "ar": "AA R", "er": "ER", "ir": "ER", "or": "AO R",
    "ur": "ER", "ll": "L", "ss": "S", "tt": "T", "ff": "F", "pp": "P", "bb": "B", "dd": "D", "gg": "G", "mm": "M",
    "nn": "N", "rr": "R", "zz": "Z", "cc": "K", "ce": "S EH", "ci": "S IH", "cy": "S IY",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K",
    "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V",
    "w": "W", "x": "K S", "y": "IY", "z": "Z",
    "0": "Z IH R OW", "1": "W AH N", "2": "T UW", "3": "TH R IY", "4": "F AO R", "5": "F AY V", "6": "S IH K S",
    "7": "S EH V AH N", "8": "EY T", "9": "N AY N",
}  # fmt: skip
_PIECES = re.compile("|".join(sorted(SPELLINGS, key=len, reverse=True)))
_SILENT_E = re.compile(r"(?<=[a-z]{2})e$")
_NOT_SPOKEN = re.compile(r"[^a-z0-9']+")


def spoken(word: str) -> str:
    """The word as a dictionary spells it: "Well," -> "well"; empty if nothing in it is spoken."""
    return _NOT_SPOKEN.sub("", word.lower().replace("’", "'")).strip("'")


def rough_phones(word: str) -> str:
    """Phones of a word from `spoken`, e.g. "quill" -> "K W IH L"."""
    return " ".join(SPELLINGS[piece] for piece in _PIECES.findall(_SILENT_E.sub("", word)))


def words_in(text: str, language: str) -> list[str]:
    """What stands between spaces; every letter where the language has none."""
    return [letter for part in text.split() for letter in part] if language in WITHOUT_SPACES else text.split()


def times_by_letters(texts: Sequence[str], parts: Sequence[tuple[str, float, float]]) -> list[Times | None]:
    """Times of words from those of other parts of the same text, such as a tokenizer's; None where the text differs.

    parts   text, and start and end in seconds, in order; they may split a word or hold more than one
    """
    starts = [start_s for text, start_s, _ in parts for _ in "".join(text.split())]
    ends = [end_s for text, _, end_s in parts for _ in "".join(text.split())]
    if len(starts) != sum(map(len, texts)):
        return [None] * len(texts)
    edges = list(accumulate(map(len, texts), initial=0))
    return [(starts[first], ends[last - 1]) for first, last in pairwise(edges)]
