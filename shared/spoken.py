"""What is said, by whom, when: turns of a transcript that somebody else made, and timed words of any turn. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from shared.schemas import Turn, Word

Times = tuple[float, float]

UNNAMED = "Unnamed"
ANONYMOUS = re.compile(rf"{UNNAMED}|S\d+|speaker[ _]?\d+", re.IGNORECASE)
FILLERS = {"um", "umm", "uh", "uhh", "uhm", "er", "erm", "hmm", "mm", "mhm"}
LISTENING = {
    "ah", "absolutely", "exactly", "gosh", "hm", "hmm", "huh", "hum", "interesting", "indeed", "mhm", "mm", "mmhmm",
    "oh", "ok", "okay", "really", "right", "sure", "true", "uh", "um", "wow", "yeah", "yep", "yes",
}  # fmt: skip
MOST_LISTENING_WORDS = 3
_LETTERS = re.compile(r"[^a-z]+")
_TOKEN = re.compile(r"[^\W_](?:[^\W_]|')*")
_WORD = re.compile(r"[^\W_](?:[^\W_]|')*")


@dataclass(frozen=True)
class SpokenTurn:
    """`timed` are its words, where they have times of their own."""

    speaker: str
    text: str
    start_s: float = 0.0
    end_s: float = 0.0
    section: str = "interview"
    timed: tuple[Word, ...] = ()

    @property
    def words(self) -> int:
        return len(self.text.split())


@dataclass(frozen=True)
class Published:
    """`times` tells whether the turns' times were published or estimated from the number of words."""

    title: str | None
    guest: str | None
    turns: tuple[SpokenTurn, ...]
    duration_s: float
    times: Literal["published", "estimated"]
    warnings: tuple[str, ...] = ()
    language: str | None = None

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names in order of appearance."""
        return tuple(dict.fromkeys(turn.speaker for turn in self.turns))


def add_turn(turns: list[SpokenTurn], turn: SpokenTurn) -> None:
    """A voice that goes on makes its turn longer; of one that is not named nobody knows whether it does."""
    if turns and turns[-1].speaker == turn.speaker != UNNAMED:
        before = turns[-1]
        timed = before.timed + turn.timed if before.timed and turn.timed else ()
        end_s = max(before.end_s, turn.end_s)
        turns[-1] = replace(before, text=f"{before.text} {turn.text}", end_s=end_s, timed=timed)
    else:
        turns.append(turn)


def words_of(turn: Turn) -> tuple[Word, ...]:
    """The turn's own words; where it has none, those of its text, which share its time evenly."""
    said = turn.text.split()
    return turn.words or tuple(timed_words(said, [None] * len(said), turn.start_s, turn.end_s))


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


def is_filler(text: str) -> bool:
    """Sounds that are no words in any sentence; "like" and "you know" may be, and stay."""
    return _LETTERS.sub("", text.lower()) in FILLERS


def is_backchannel(text: str) -> bool:
    """A listener's "Mhm, right.": few words, all of them signs of listening."""
    words = _WORD.findall(text.lower().replace("’", "'").replace("-", ""))
    return 0 < len(words) <= MOST_LISTENING_WORDS and LISTENING.issuperset(words)


def guest_key(name: str) -> str:
    """The same for every way to write one name."""
    return " ".join(name.casefold().split())


def spelt(word: str) -> list[str]:
    """A written word as it is compared: `"Ten-percent,"` -> ten, percent."""
    return _TOKEN.findall(word.lower().replace("’", "'"))
