"""Names and numbers that somebody says and no fact sheet has: worth a look, for a model makes them up. Pure, English.

A heuristic over capitals and number words: it finds what is not in the sheet, not what is untrue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from shared.conversation import Spoken
from shared.manner import FUNCTION_WORDS
from shared.schemas import Claim

SMALL = 10  # numbers up to here are in everybody's mouth

UNITS = {
    name: value
    for value, name in enumerate(
        (
            *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
            *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
        )
    )
}
TENS = {
    name: 10 * tens
    for tens, name in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), start=2)
}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
NO_CLAIMS = {
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december", "ok", "okay", "god", "mr", "mrs", "ms", "dr", "sir", "madam",
}  # fmt: skip
_I = {"i", "i'm", "i've", "i'd", "i'll"}
OPENING = 4  # letters before a word in which a quotation may open
_TEN, _HUNDRED, _PAIR = 10, 100, 2

_SENTENCE = re.compile(r"(?<=[.!?…])(?<!\bDr\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bSt\.)(?<!\bMrs\.)[\"'”’)]*\s+")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_JOINT = re.compile(r"\s+(?:(?:of|the|de|van|von|da|la|and|&)\s+)?")
_OPENS = re.compile(r"[\"“‘:—(\[]\s*$")
_DIGITS = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")
_NUMBER_WORD = "|".join(sorted({*UNITS, *TENS, *SCALES, "oh"}, key=len, reverse=True))
_NUMBER = re.compile(rf"\b(?:{_NUMBER_WORD})(?:(?:\s|-|\sand\s)(?:{_NUMBER_WORD}))*\b", re.IGNORECASE)


class _Found(NamedTuple):
    at: int
    kind: Literal["name", "number"]
    text: str


def unsourced(turns: Sequence[Spoken], known: Iterable[str]) -> tuple[Claim, ...]:
    """Names and numbers of host and guest that `known` has not, in order, each once.

    known   all that was given: fact sheet, what the talk is about, the names of host, guest and show
    """
    sources = [*known, *(turn.speaker for turn in turns)]
    words = {_plain(word) for text in sources for word in _WORD.findall(text)}
    values = {value for text in sources for _, _, value in _numbers(text)}
    common = {*FUNCTION_WORDS, *NO_CLAIMS} | {
        word for turn in turns for word in _WORD.findall(turn.text) if word[0].islower()
    }
    claims: list[Claim] = []
    said: set[str] = set()  # parts of names, and numbers
    for index, turn in enumerate(turns):
        if turn.role is not None:
            for found in sorted((*_new_names(turn.text, words, common), *_new_numbers(turn.text, values))):
                parts = _parts(found.text) if found.kind == "name" else {found.text.casefold()}
                if not said.issuperset(parts):
                    claims.append(Claim(turn=index, text=found.text, kind=found.kind))
                said |= parts
    return tuple(claims)


# ---- names -----------------------------------------------------------------------------------------------------------


def _new_names(text: str, known: set[str], common: set[str]) -> Iterator[_Found]:
    begins = 0
    for gap in [*_SENTENCE.finditer(text), None]:
        ends = gap.start() if gap else len(text)
        for run in _runs(text, begins, ends):
            if (name := _name(text, run, begins, common)) and not known.issuperset(_parts(name.text)):
                yield name
        begins = gap.end() if gap else ends


def _runs(text: str, begins: int, ends: int) -> Iterator[list[re.Match[str]]]:
    """Capitalised words that follow one another, with a small word between them at most."""
    run: list[re.Match[str]] = []
    for word in _WORD.finditer(text, begins, ends):
        if len(word.group()) == 1 or not word.group()[0].isupper() or word.group().replace("’", "'").lower() in _I:
            continue
        if run and not _JOINT.fullmatch(text, run[-1].end(), word.start()):
            yield run
            run = []
        run.append(word)
    if run:
        yield run


def _name(text: str, run: list[re.Match[str]], begins: int, common: set[str]) -> _Found | None:
    """Without the word that only its place at the start of a sentence gives a capital."""
    first = run[0]
    before = text[max(begins, first.start() - OPENING) : first.start()]
    opens = not _WORD.search(text, begins, first.start()) or bool(_OPENS.search(before))
    if opens and (len(run) == 1 or first.group().lower().replace("’", "'").split("'")[0] in common):
        run = run[1:]
    if all(_plain(word.group()) in common for word in run):
        return None
    return _Found(run[0].start(), "name", text[run[0].start() : run[-1].end()])


def _parts(name: str) -> set[str]:
    return {_plain(word) for word in _WORD.findall(name) if word[0].isupper()}


def _plain(word: str) -> str:
    return word.casefold().replace("’", "'").removesuffix("'s")


# ---- numbers ---------------------------------------------------------------------------------------------------------


def _new_numbers(text: str, known: set[float]) -> Iterator[_Found]:
    for at, said, value in _numbers(text):
        if value > SMALL and value not in known:
            yield _Found(at, "number", said)


def _numbers(text: str) -> Iterator[tuple[int, str, float]]:
    """(place, as said, value) of all numbers; "a hundred times" and other scales alone are none."""
    for found in _DIGITS.finditer(text):
        yield found.start(), found.group().rstrip(","), float(found.group().replace(",", ""))
    for found in _NUMBER.finditer(text):
        words = [word for word in re.split(r"\s|-", found.group().lower()) if word != "and"]
        if not SCALES.keys() >= set(words) and words != ["oh"]:
            yield found.start(), found.group(), _value(words)


def _value(words: Sequence[str]) -> float:
    """Of number words: 1984 for "nineteen eighty-four", 1905 for "nineteen oh five", 350 for "three hundred fifty"."""
    if not SCALES.keys() & set(words):
        pairs = _two_digits(words)
        return pairs[0] * _HUNDRED + pairs[1] if len(pairs) == _PAIR and pairs[0] >= _TEN else pairs[-1]
    total, below = 0, 0
    for word in words:
        if word == "hundred":
            below = max(1, below) * _HUNDRED
        elif word in SCALES:
            total, below = total + max(1, below) * SCALES[word], 0
        else:
            below += UNITS.get(word, TENS.get(word, 0))
    return total + below


def _two_digits(words: Sequence[str]) -> list[int]:
    """Numbers below a hundred, one after the other: [19, 84] for nineteen eighty four, [25] for twenty five."""
    found: list[int] = []
    open_tens = False
    for word in words:
        value = UNITS.get(word, TENS.get(word, 0))
        if open_tens and value < _TEN and word != "zero":
            found[-1] += value
            open_tens = False
        else:
            found.append(value)
            open_tens = word in TENS or word == "oh"
    return found
