"""Which sentences of a text are about a guest, and when what they say was. Pure; nothing is written anew."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.ingest.dates import MONTHS, date_in
from services.ingest.sentences import STARTERS, cut, paragraphs
from shared.guests import FACT_CHARACTERS, MOST_FACTS, Fact, without_invisible

PRONOUNS = {
    "she": frozenset(("she", "her", "hers", "herself")),
    "he": frozenset(("he", "him", "his", "himself")),
    "they": frozenset(("they", "them", "their", "theirs", "themselves", "themself")),
}
FEWEST_WORDS = 3
FEWEST_CHARACTERS = 8  # of a script that does not part words
_TITLES = frozenset((
    "dr", "prof", "professor", "sir", "dame", "lord", "lady", "mr", "mrs", "ms", "miss", "rev", "captain",
))  # fmt: skip
_SUFFIXES = frozenset(("jr", "sr", "ii", "iii", "iv", "phd", "md", "obe", "mbe", "cbe"))
_WORDS_TOO = frozenset((*MONTHS, "will", "mark"))
"""Given names that are other words as well: alone they name nobody."""
_WORD = re.compile(r"[^\W\d_]+(?:[’'.-][^\W\d_]+)*")
_POSSESSIVE = re.compile(r"[’'](?:s)?$")


@dataclass(frozen=True)
class Found:
    """The facts in order, of how many sentences, and how many more there would have been."""

    facts: tuple[Fact, ...]
    sentences: int
    more: int = 0


def facts_of(text: str, name: str, source: str) -> Found:
    """Facts about the guest of this name.

    text     plain text, paragraphs parted by empty lines
    source   where the text is from, as each fact says it
    """
    read = paragraphs(text)
    guest = Guest.of(name)
    family = guest.pronouns(read)
    kept = list(dict.fromkeys(sentence for paragraph in read for sentence in about(paragraph, guest, family)))
    facts = tuple(
        Fact(
            text=cut(sentence, FACT_CHARACTERS),
            date=date_in(sentence),
            sentence=sentence,
            source=source,
            by="source",
        )
        for sentence in kept[:MOST_FACTS]
    )
    return Found(facts, sum(map(len, read)), max(0, len(kept) - MOST_FACTS))


def about(paragraph: Sequence[str], guest: Guest, family: frozenset[str]) -> list[str]:
    """Sentences that name the guest, go on about them by pronoun, or carry a date beside one of these.

    family   the guest's pronouns; with others the sentence is about somebody else
    """
    theirs = [False] * len(paragraph)
    follows = False
    for at, sentence in enumerate(paragraph):
        named = guest.is_named_in(sentence)
        theirs[at] = named or (follows and not family.isdisjoint(_folded(sentence)))
        follows = theirs[at] or (follows and not guest.other_subject(sentence))
    beside = list(theirs)
    for at, sentence in enumerate(paragraph):
        neighbour = (at > 0 and beside[at - 1]) or (at + 1 < len(paragraph) and theirs[at + 1])
        elsewhere = guest.other_subject(sentence) or speaks_of_another(sentence, family)
        beside[at] = theirs[at] or (neighbour and not elsewhere and date_in(sentence) is not None)
    return [sentence for at, sentence in enumerate(paragraph) if beside[at] and guest.says_something(sentence)]


def speaks_of_another(sentence: str, family: frozenset[str]) -> bool:
    """Whether its pronouns are those of one person who is not the guest."""
    words = set(_folded(sentence))
    others = [PRONOUNS[kind] for kind in ("she", "he") if PRONOUNS[kind] != family]
    return family.isdisjoint(words) and any(words & other for other in others)


# ---- the guest's names ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Guest:
    """A guest by name: folded, without titles. `whole` is for scripts that do not part words."""

    names: tuple[str, ...]
    whole: str

    @classmethod
    def of(cls, name: str) -> Guest:
        words = [word.strip(".") for word in _folded(name)]
        names = [word for word in words if word not in _TITLES | _SUFFIXES] or words
        return cls(tuple(names), fold(without_invisible(name)).strip())

    @property
    def surname(self) -> str:
        return self.names[-1]

    @property
    def given(self) -> str:
        return self.names[0]

    def is_named_in(self, sentence: str) -> bool:
        if not _parts_words(self.whole):
            return self.whole in fold(sentence)
        words = list(_WORD.finditer(sentence))
        return any(self._is_meant(sentence, words, at) for at in range(len(words)))

    def _is_meant(self, sentence: str, words: Sequence[re.Match[str]], at: int) -> bool:
        word = words[at].group()
        if word[0].islower():
            return False
        before = words[at - 1].group() if at and _are_neighbours(sentence, words[at - 1], words[at]) else ""
        if _bare(word) == self.surname:
            earlier = [_bare(found.group()) for found in words[max(0, at - 3) : at]]
            known = bool(self.given in earlier or _TITLES & set(earlier[-1:]))
            stands_alone = not before or before[0].islower() or before.casefold() in STARTERS or len(before) == 1
            if self.surname in MONTHS and len(self.names) > 1:
                return known
            return known or stands_alone
        if len(self.names) < 2 or _bare(word) != self.given or self.given in _WORDS_TOO:
            return False
        last = at + 1 == len(words) or not _are_neighbours(sentence, words[at], words[at + 1])
        begins_longer_name = not last and words[at + 1].group()[0].isupper() and not _POSSESSIVE.search(word)
        ends_longer_name = before[:1].isupper() and before.casefold() not in STARTERS
        return not begins_longer_name and not ends_longer_name

    def pronouns(self, read: Iterable[Sequence[str]]) -> frozenset[str]:
        """Those that the text uses most where it names the guest."""
        seen: Counter[str] = Counter()
        for paragraph in read:
            if any(map(self.is_named_in, paragraph)):
                words = Counter(word for sentence in paragraph for word in _folded(sentence))
                seen.update({kind: sum(words[one] for one in family) for kind, family in PRONOUNS.items()})
        kind, times = max(((kind, seen[kind]) for kind in PRONOUNS), key=lambda one: one[1])
        return PRONOUNS[kind] if times else frozenset()

    def other_subject(self, sentence: str) -> bool:
        """Whether it begins with the name of somebody, or something, else."""
        words = list(_WORD.finditer(sentence))[:2]
        if len(words) < 2 or words[0].start() > 1 or words[0].group().casefold() in STARTERS:
            return False
        first, second = (word.group() for word in words)
        together = sentence[words[0].end() : words[1].start()] == " "
        is_name = together and first[0].isupper() and second[0].isupper() and _bare(first) not in MONTHS
        return is_name and not self.is_named_in(sentence)

    def says_something(self, sentence: str) -> bool:
        """Whether there is more to it than the name."""
        if not _parts_words(sentence):
            return len(sentence) >= FEWEST_CHARACTERS
        rest = [word for word in _folded(sentence) if word.strip(".") not in {*self.names, *_TITLES, *_SUFFIXES}]
        return bool(rest) and len(sentence.split()) >= FEWEST_WORDS


def _are_neighbours(sentence: str, one: re.Match[str], following: re.Match[str]) -> bool:
    """Whether nothing but a space, or the full stop of an initial, is between two words."""
    return not sentence[one.end() : following.start()].strip(" .")


def _folded(text: str) -> list[str]:
    return [_bare(word) for word in _WORD.findall(text)]


def _bare(word: str) -> str:
    return fold(_POSSESSIVE.sub("", word))


def fold(text: str) -> str:
    """Without case and accents: José is Jose."""
    parted = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in parted if not unicodedata.combining(character))


def _parts_words(text: str) -> bool:
    """Whether its script has capitals, and so words of letters between spaces."""
    return text.upper() != text.lower()
