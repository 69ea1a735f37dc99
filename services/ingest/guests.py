"""Who the guest may be: from what a feed says of its persons, else from the title and the description. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from shared.schemas import GuestGuess

GOOD_ENOUGH = 0.6
"""Confidence from which a guess is taken for the guest until somebody says otherwise."""

MOST_WORDS, LONGEST_NAME = 6, 100  # what is longer is no name
SAID, INTRODUCED, LEADS, TRAILS, ANNOUNCED = 0.95, 0.85, 0.75, 0.65, 0.65

_WORD = r"(?:[^\W\d_a-z](?:[\w’'-]*[^\W\d_])?\.?)"
_PARTICLE = r"(?:al|bin|da|de|del|della|der|di|du|el|la|le|of|van|von)"
_NAME = rf"(?P<name>(?:(?:Dr|Prof|Professor|Sir|Dame|Mr|Mrs|Ms)\.?\s+)?{_WORD}(?:\s+(?:{_PARTICLE}\s+)*{_WORD}){{1,3}})"
_HONORIFIC = re.compile(r"^(?:Dr|Prof|Professor|Mr|Mrs|Ms)\.?\s+")
_NUMBER = r"(?:(?:#|Ep(?:isode|\.)?\s*|E|No\.?\s*)?\d+\s*[-:|–—.]\s*)?"
_WITH = r"\b(?:[Ww]ith|[Ww]/|[Ff]t\.?|[Ff]eat\.?|[Ff]eaturing|[Gg]uest:?|[Mm]eets|[Ii]nterview(?:ing)?:?)\s+"
_IN_TITLE = (
    (INTRODUCED, re.compile(_WITH + _NAME)),
    (LEADS, re.compile(rf"^{_NUMBER}{_NAME}\s*(?:[:|–—]|\s-\s|\son\s|,\s)")),
    (TRAILS, re.compile(rf"(?:[:|–—]|\s-)\s*{_NAME}\s*(?:\|\s*(?:#|E|Ep\.?\s*)?\d+|[#(\[].*)?$")),
    (LEADS, re.compile(rf"^{_NUMBER}{_NAME}$")),
)
_IN_DESCRIPTION = re.compile(
    r"(?:[Mm]y guest(?:\s(?:today|tonight|this week))?(?:\sis|,)|[Jj]oined (?:today )?by|[Ss]peaks? (?:to|with)|"
    r"[Tt]alks? (?:to|with)|[Ss]its? down with|[Cc]hats? (?:to|with)|[Gg]uests?:|[Ww]elcomes?|[Ii]nterviews?)\s+"
    + _NAME
)
_NO_NAME = frozenset(
    (
        "a",
        "all",
        "an",
        "and",
        "are",
        "ask",
        "be",
        "best",
        "big",
        "can",
        "day",
        "do",
        "every",
        "for",
        "from",
        "get",
        "great",
        "health",
        "her",
        "his",
        "how",
        "i",
        "if",
        "in",
        "is",
        "it",
        "life",
        "live",
        "love",
        "master",
        "money",
        "most",
        "my",
        "new",
        "no",
        "not",
        "of",
        "on",
        "one",
        "our",
        "part",
        "q&a",
        "special",
        "success",
        "the",
        "this",
        "to",
        "top",
        "trailer",
        "true",
        "ultimate",
        "we",
        "what",
        "when",
        "where",
        "who",
        "why",
        "with",
        "you",
        "your",
    )
)


def guess(
    title: str, description: str, persons: Sequence[str], *, host: str, show_title: str = "", names: Iterable[str] = ()
) -> GuestGuess | None:
    """The likeliest guest, or None.

    persons   whom the source itself calls guests
    names     speakers of a transcript that the source published, the host among them
    """
    for name in persons:
        if not _is_known(name, host, show_title):
            return GuestGuess(name=name, confidence=SAID if len(persons) == 1 else INTRODUCED, found_in="persons")
    others = [name for name in names if not _is_known(name, host, show_title)]
    if len(others) == 1 and 1 < len(others[0].split()) <= MOST_WORDS and len(others[0]) <= LONGEST_NAME:
        return GuestGuess(name=others[0], confidence=INTRODUCED, found_in="transcript")
    for confidence, name in _in_title(title):
        if not _is_known(name, host, show_title):
            return GuestGuess(name=name, confidence=confidence, found_in="title")
    for found in _IN_DESCRIPTION.finditer(description[:2000]):
        announced = _name(found)
        if announced and not _is_known(announced, host, show_title):
            return GuestGuess(name=announced, confidence=ANNOUNCED, found_in="description")
    return None


def _in_title(title: str) -> Iterator[tuple[float, str]]:
    for confidence, pattern in _IN_TITLE:
        for found in pattern.finditer(title.strip()):
            if name := _name(found):
                yield confidence, name


def _name(found: re.Match[str]) -> str | None:
    """The name without titles and what clings to it; None for words that only look like one."""
    words = _HONORIFIC.sub("", found.group("name")).rstrip(".,").split()
    if len(words) < 2 or any(word.lower().strip(".,") in _NO_NAME for word in words):
        return None
    return None if all(word.isupper() and len(word) > 3 for word in words) else " ".join(words)


def _is_known(name: str, host: str, show_title: str) -> bool:
    """Whether a name is the host's, or a part of the show's title."""
    parts = set(name.casefold().split())
    return parts <= set(host.casefold().split()) or name.casefold() in show_title.casefold()
