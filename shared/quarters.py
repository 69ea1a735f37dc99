"""The four quarters of an episode, and in which of them something is out of the ordinary. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from shared.adverts import advert_words
from shared.bleed import answers_itself
from shared.conversation import Spoken
from shared.disfluencies import disfluencies
from shared.figures import Talk, figures_of
from shared.repetition import repetition, word_starts, worst_window
from shared.schemas import Quarter, RecitedSpan

QUARTERS = 4
FEWEST_WORDS = 400  # of less, a quarter is shorter than half a window
NEAR = 0.05  # of all words: how far from its mark a quarter may end to end with a turn
NAMES = ("first", "second", "third", "last")


@dataclass(frozen=True)
class _Piece:
    """A turn or a part of one: words [first, last) of `turn`, as white space parts them."""

    turn: int
    first: int
    last: int
    spoken: Spoken


def quarters_of(talk: Talk, recited: Sequence[RecitedSpan] | None) -> tuple[Quarter, ...]:
    """Four parts of as many words each as turns allow; none for a text of under 400 words.

    A turn that is too long to be left whole is cut, and counts in each quarter that has a part of it.
    """
    if sum(map(len, talk.words)) < FEWEST_WORDS:
        return ()
    return tuple(_quarter(pieces, recited) for pieces in _cut(talk))


def _quarter(pieces: Sequence[_Piece], recited: Sequence[RecitedSpan] | None) -> Quarter:
    talk = Talk.of([piece.spoken for piece in pieces])
    words, figures = talk.all_words, figures_of(talk)
    hosted = any(turn.role == "host" for turn in talk.turns)
    asides = sum(disfluencies(turn.text) for turn in talk.turns)
    return Quarter(
        first_turn=pieces[0].turn,
        words=len(words),
        turns=len(talk.turns),
        rep4=round(repetition(words, 4), 3),
        worst_window_rep4=round(worst_window(words), 3),
        one_word_replies=figures.one_word_replies,
        one_word_share=figures.one_word_share,
        answers_in_host_turns=sum(answers_itself(turn.text) for turn in talk.turns if turn.role == "host")
        if hosted
        else None,
        advert_words=sum(len(advert_words(turn.text)) for turn in talk.turns),
        host_share=figures.host_share,
        host_median_words=figures.host_median_words,
        guest_median_words=figures.guest_median_words,
        host_question_share=figures.host_question_share,
        disfluencies=round(100 * asides / len(words), 2) if words else 0.0,
        recited_words=None if recited is None else sum(_shared(piece, span) for piece in pieces for span in recited),
    )


def _shared(piece: _Piece, span: RecitedSpan) -> int:
    if piece.turn != span.turn:
        return 0
    return max(0, min(piece.last, span.last_word) - max(piece.first, span.first_word))


# ---- where a quarter ends --------------------------------------------------------------------------------------------


def _cut(talk: Talk) -> list[list[_Piece]]:
    ends = [0, *accumulate(map(len, talk.words))]
    cuts = [0, *(_near(ends, number * ends[-1] / QUARTERS) for number in range(1, QUARTERS)), ends[-1] + 1]
    return [
        [
            piece
            for index, turn in enumerate(talk.turns)
            if (piece := _part(index, turn, ends[index], ends[index + 1], first, last))
        ]
        for first, last in pairwise(cuts)
    ]


def _near(ends: Sequence[int], mark: float) -> int:
    nearest = min(ends, key=lambda end: abs(end - mark))
    return nearest if abs(nearest - mark) <= NEAR * ends[-1] else round(mark)


def _part(index: int, turn: Spoken, begins: int, ends: int, first: int, last: int) -> _Piece | None:
    """What words [first, last) of the whole have of a turn; a turn without a word is where it would begin.

    begins, ends   the turn's words, counted in the whole
    """
    low, high = max(begins, first), min(ends, last)
    if first <= begins and ends <= last and begins < last:
        return _Piece(index, 0, len(turn.text.split()), turn)
    if low >= high:
        return None
    starts = [0, *word_starts(turn.text)[1:], len(turn.text)]
    before, until = starts[low - begins], starts[high - begins]
    first_token, last_token = len(turn.text[:before].split()), len(turn.text[:until].split())
    return _Piece(index, first_token, last_token, replace(turn, text=turn.text[before:until].strip()))


# ---- in words --------------------------------------------------------------------------------------------------------


def where(quarters: Sequence[Quarter], is_found: Callable[[Quarter], bool]) -> str:
    """In which quarters something is, as the end of a sentence; empty where it is in none, or nobody knows."""
    found = [number for number, quarter in enumerate(quarters) if is_found(quarter)]
    match found:
        case []:
            return ""
        case [only]:
            return f"in the {NAMES[only]} quarter"
        case [0, 1]:
            return "in the first half"
        case [2, 3]:
            return "in the second half"
        case [0, 1, 2, 3]:
            return "throughout"
        case [1, 2, 3]:
            return "from the second quarter on"
        case _:
            names = [NAMES[number] for number in found]
            return f"in the {', '.join(names[:-1])} and {names[-1]} quarter"
