"""Which turns of the training examples are nearest to a text in words, by BM25, and the passage of each that is. Pure.

The ranking is that of SQLite's FTS5; the turns lie in a database in memory.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import log
from threading import Lock
from typing import Literal

from shared.errors import MachineUnfitError
from shared.schemas import Example, Turn
from shared.spoken import spelt, words_of

PASSAGE_WORDS = 60
SAME_ROLE = 1.25  # how much more a turn of the same role counts
MOST_TERMS = 300  # of a query; the rest of a longer turn adds nothing
ANCHORS = (13, 6)  # words in a row by which a passage is found in its transcript, the surer first
DRIFT = 40  # words that a transcript may have in a passage and the examples have not: fillers, a listener's "mhm"
STOP_WORDS = {
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because", "been",
    "but", "by", "can", "could", "d", "did", "do", "does", "doing", "don", "for", "from", "get", "go", "going",
    "got", "had", "has", "have", "he", "her", "here", "him", "his", "how", "i", "if", "in", "into", "is", "it",
    "its", "just", "know", "like", "ll", "m", "me", "mean", "more", "my", "no", "not", "now", "of", "oh", "okay",
    "on", "one", "or", "our", "out", "re", "really", "right", "s", "say", "she", "so", "some", "t", "than", "that",
    "the", "their", "them", "then", "there", "these", "they", "thing", "things", "think", "this", "those", "to",
    "too", "up", "us", "ve", "very", "was", "we", "well", "were", "what", "when", "where", "which", "who", "why",
    "will", "with", "would", "yeah", "yes", "you", "your",
}  # fmt: skip
_WORD = re.compile(r"[^\W_]+")
_SENTENCE = re.compile(r"\S.*?(?:[.!?…]+[\"'”’)\]]*(?=\s|$)|$)", re.DOTALL)

Role = Literal["host", "guest"]


@dataclass(frozen=True)
class Near:
    """A turn of a training example that shares words with a text.

    passage   the sentences of it that share most, in a row, at most PASSAGE_WORDS words
    score     higher is nearer; only comparable within one answer
    """

    recording: str
    transcript: str
    guest: str
    role: Role
    passage: str
    score: float


class TrainingTurns:
    """The turns of all examples of a dataset, to be looked up from any thread: about 21 bytes a word.

    examples   of one dataset
    connect    opens the database
    raises     MachineUnfitError where SQLite cannot search text
    """

    def __init__(
        self, examples: Iterable[Example], connect: Callable[..., sqlite3.Connection] = sqlite3.connect
    ) -> None:
        self._guard = Lock()
        self._database = connect(":memory:", check_same_thread=False)
        _make_tables(self._database)
        self.words = self._fill(examples)
        (self._turns,) = self._database.execute("SELECT count(*) FROM turns").fetchone()

    def nearest(self, text: str, role: Role, limit: int, without: Collection[str] = ()) -> list[Near]:
        """Turns that share words with a text, best first; those of the same role count more.

        without   recordings that must not be quoted
        """
        terms = terms_of(text)
        if not terms:
            return []
        with self._guard:
            weights = self._weights(terms)
            found = self._database.execute(
                "SELECT recording, transcript, guest, role, text, "
                "-bm25(turns) * CASE role WHEN ? THEN ? ELSE 1.0 END AS score "
                "FROM turns WHERE turns MATCH ? ORDER BY score DESC, rowid",
                (role, SAME_ROLE, " OR ".join(f'"{term}"' for term in terms)),
            )
            allowed = (row for row in found if row[0] not in without)
            return [
                Near(recording, transcript, guest, said_by, best_passage(said, weights), round(score, 3))
                for recording, transcript, guest, said_by, said, score in islice(allowed, limit)
            ]

    def _fill(self, examples: Iterable[Example]) -> int:
        seen: set[tuple[str, str, int]] = set()
        words = 0

        def rows() -> Iterator[tuple[str, str, str, str, str]]:
            nonlocal words
            for example in examples:
                for message in example.messages[1:]:  # the header is ours
                    known = (example.recording, message.role, hash(message.text))
                    if known not in seen:
                        seen.add(known)
                        words += len(message.text.split())
                        yield example.recording, example.transcript, example.guest, message.role, message.text

        self._database.executemany("INSERT INTO turns VALUES (?, ?, ?, ?, ?)", rows())
        self._database.execute("INSERT INTO turns(turns) VALUES ('optimize')")
        self._database.commit()
        return words

    def _weights(self, terms: Sequence[str]) -> dict[str, float]:
        """How much each term tells turns apart, as BM25 weighs it; terms that no turn has are left out."""
        marks = ", ".join("?" * len(terms))
        found = self._database.execute(f"SELECT term, doc FROM vocabulary WHERE term IN ({marks})", list(terms))
        return {term: max(log((self._turns - turns + 0.5) / (turns + 0.5)), 1e-6) for term, turns in found}


def _make_tables(database: sqlite3.Connection) -> None:
    try:
        database.execute(
            "CREATE VIRTUAL TABLE turns USING fts5(recording UNINDEXED, transcript UNINDEXED, guest UNINDEXED, "
            "role UNINDEXED, text, tokenize = 'unicode61 remove_diacritics 0')"
        )
        database.execute("CREATE VIRTUAL TABLE vocabulary USING fts5vocab(turns, row)")
    except sqlite3.OperationalError as error:
        raise MachineUnfitError(
            f"SQLite {sqlite3.sqlite_version} of studio's Python cannot search text ({error}): it was built without "
            "FTS5. Run studio on a Python whose SQLite has it, as that of python.org, Debian and our image do"
        ) from error


def terms_of(text: str) -> list[str]:
    """Different words of a text that tell something, in order: letters and digits alone, so nothing in them is syntax.

    Of a text that has only stop words, these.
    """
    words = list(dict.fromkeys(_WORD.findall(text.lower())))
    telling = [word for word in words if word not in STOP_WORDS]
    return (telling or words)[:MOST_TERMS]


# ---- the passage -----------------------------------------------------------------------------------------------------


def best_passage(text: str, weights: dict[str, float]) -> str:
    """The sentences in a row, of PASSAGE_WORDS words at most, whose different words weigh most; of several the
    shortest, then the first. A longer sentence is cut."""
    pieces = [piece for sentence in _SENTENCE.findall(text) for piece in _cut(sentence.split())]
    found = [{word for word in _WORD.findall(" ".join(piece).lower()) if word in weights} for piece in pieces]
    best, best_is = pieces[:1], (0.0, 0)
    for first in range(len(pieces)):
        length, shared = 0, set[str]()
        for last in range(first, len(pieces)):
            length += len(pieces[last])
            if length > PASSAGE_WORDS:
                break
            shared |= found[last]
            this_is = (round(sum(weights[word] for word in shared), 6), -length)
            if shared and this_is > best_is:
                best, best_is = pieces[first : last + 1], this_is
    return " ".join(word for piece in best for word in piece)


def _cut(words: Sequence[str]) -> list[Sequence[str]]:
    return [words[at : at + PASSAGE_WORDS] for at in range(0, len(words), PASSAGE_WORDS)]


def times_of(turns: Iterable[Turn], words: Sequence[str]) -> tuple[float, float] | None:
    """When a transcript says a passage: (start_s, end_s); None where it does not, or says so few words several times.

    The passage may lack what a dataset leaves out of a turn: its first and last words are looked for, not all.
    """
    said = [(token, word) for turn in turns for word in words_of(turn) for token in spelt(word.text)]
    spoken = [token for token, _ in said]
    wanted = [token for word in words for token in spelt(word)]
    for length in dict.fromkeys(min(length, len(wanted)) for length in ANCHORS):
        first = _place_of(wanted[:length], spoken, 0, len(spoken))
        if first is None or not wanted:
            continue
        if length < ANCHORS[-1] and _place_of(wanted, spoken, first + 1, len(spoken)) is not None:
            return None
        last = _place_of(wanted[-length:], spoken, first + (len(wanted) - length) // 2, first + len(wanted) + DRIFT)
        end = min(first + len(wanted) if last is None else last + length, len(said))
        return said[first][1].start_s, said[end - 1][1].end_s
    return None


def _place_of(wanted: Sequence[str], spoken: Sequence[str], begin: int, end: int) -> int | None:
    """Of the first place in [begin, end) at which words stand in a row."""
    ends = min(end, len(spoken)) - len(wanted) + 1
    return next((at for at in range(begin, ends) if spoken[at : at + len(wanted)] == wanted), None)
