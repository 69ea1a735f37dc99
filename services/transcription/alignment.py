"""What forced alignment needs around the aligner: words as a dictionary spells them, phones for those it lacks, times
for those that got none. Pure.

For a name or a number that the dictionary lacks, a plausible reading is enough: its neighbours hold it in place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.schemas import Word

Times = tuple[float, float]

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


def timed_words(texts: Sequence[str], times: Sequence[Times | None], start_s: float, end_s: float) -> list[Word]:
    """Words with times; those without share the room between their neighbours evenly.

    texts, times     one per word; a time is (start, end) in seconds
    start_s, end_s   of the piece of speech that the words are from
    """
    words: list[Word] = []
    index = 0
    while index < len(texts):
        known = times[index]
        if known is not None:
            words.append(Word(text=texts[index], start_s=round(known[0], 3), end_s=round(known[1], 3)))
            index += 1
            continue
        after = next((i for i in range(index, len(texts)) if times[i] is not None), len(texts))
        left_s = words[-1].end_s if words else start_s
        following = times[after] if after < len(texts) else None
        right_s = max(following[0] if following else end_s, left_s)
        share_s = (right_s - left_s) / (after - index)
        for place, text in enumerate(texts[index:after]):
            begin_s = left_s + place * share_s
            words.append(Word(text=text, start_s=round(begin_s, 3), end_s=round(begin_s + share_s, 3)))
        index = after
    return words
