"""How host and guest share a talk, and how they talk: figures of an episode, of its quarters and of real talk. Pure.

Their names are those of `shared.schemas.Report`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from shared.conversation import Role, Spoken
from shared.disfluencies import disfluencies
from shared.repetition import words_of


@dataclass(frozen=True)
class Talk:
    """Turns with their words, taken apart once for all figures; `words` has one list per turn."""

    turns: Sequence[Spoken]
    words: Sequence[Sequence[str]]

    @classmethod
    def of(cls, turns: Sequence[Spoken]) -> Talk:
        return cls(turns, [words_of(turn.text) for turn in turns])

    @property
    def all_words(self) -> list[str]:
        return [word for words in self.words for word in words]

    def words_by(self, role: Role) -> list[str]:
        return [word for turn, words in zip(self.turns, self.words, strict=True) if turn.role == role for word in words]

    def lengths(self, role: Role) -> list[int]:
        return [len(words) for turn, words in zip(self.turns, self.words, strict=True) if turn.role == role]


@dataclass(frozen=True)
class TalkFigures:
    """Those of the host are None where nobody is known as the host."""

    one_word_replies: int
    one_word_share: float
    host_share: float | None
    host_median_words: float | None
    guest_median_words: float | None
    host_question_share: float | None
    host_disfluencies: float | None
    guest_disfluencies: float | None


def figures_of(talk: Talk) -> TalkFigures:
    host, guest = talk.lengths("host"), talk.lengths("guest")
    replies = guest if guest or host else [len(words) for words in talk.words]
    one_word = sum(length <= 1 for length in replies)
    said = sum(map(len, talk.words))
    asking = sum("?" in turn.text for turn in talk.turns if turn.role == "host")
    return TalkFigures(
        one_word_replies=one_word,
        one_word_share=round(one_word / len(replies), 3) if replies else 0.0,
        host_share=round(sum(host) / said, 3) if host and said else None,
        host_median_words=median(host) if host else None,
        guest_median_words=median(guest) if guest else None,
        host_question_share=round(asking / len(host), 3) if host else None,
        host_disfluencies=_per_hundred(talk, "host"),
        guest_disfluencies=_per_hundred(talk, "guest"),
    )


def _per_hundred(talk: Talk, role: Role) -> float | None:
    words = sum(talk.lengths(role))
    found = sum(disfluencies(turn.text) for turn in talk.turns if turn.role == role)
    return round(100 * found / words, 2) if words else None
