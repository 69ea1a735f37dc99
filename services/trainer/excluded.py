"""Turns without what is no interview: adverts, trailers, what a person left out, what is repeated. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.classifications import UNCLASSIFIED
from shared.schemas import ExcludedSpan, Turn, Word
from shared.spoken import words_of


@dataclass(frozen=True)
class Repeated:
    """Words [first_word, last_word) of a transcript that are left out, and why; see shared/repeats.py."""

    first_word: int
    last_word: int
    why: str
    cluster: str


def without_spans(
    turns: Iterable[Turn], spans: Sequence[ExcludedSpan], repeated: Sequence[Repeated], left: Counter[str]
) -> Iterator[Turn | None]:
    """What was said outside the spans; None where an answer may have lost its question.

    Words decide one by one: an advert in the middle of a turn goes, what surrounds it stays. A turn without word times
    shares its time among its words. Before or after an advert the talk goes on; nothing is torn there. But nobody knows
    yet whether a repeated span that is not classified was a question.
    left   words left out, by reason; added to
    """
    repeats = {place: one.why for one in repeated for place in range(one.first_word, one.last_word)}
    first = 0
    for turn in turns:
        said = words_of(turn)
        reasons = [_why(word, place, spans, repeats) for place, word in enumerate(said, start=first)]
        first += len(said)
        left.update(reason for reason in reasons if reason is not None)
        words = tuple(word for word, reason in zip(said, reasons, strict=True) if reason is None)
        if words or not said:
            yield turn if len(words) == len(said) else _of_words(turn, words)
        if reasons and reasons[-1] == UNCLASSIFIED:
            yield None


def said_in_spans(
    turns: Iterable[Turn], spans: Sequence[ExcludedSpan], repeated: Sequence[Repeated]
) -> list[tuple[str, str]]:
    """(reason, text) of each unbroken run of words that `without_spans` leaves out."""
    repeats = {place: one.why for one in repeated for place in range(one.first_word, one.last_word)}
    said = [word for turn in turns for word in words_of(turn)]
    found: list[tuple[str, list[str]]] = []
    before = None
    for place, word in enumerate(said):
        reason = _why(word, place, spans, repeats)
        if reason is not None and reason == before:
            found[-1][1].append(word.text)
        elif reason is not None:
            found.append((reason, [word.text]))
        before = reason
    return [(reason, " ".join(words)) for reason, words in found]


def _why(word: Word, place: int, spans: Sequence[ExcludedSpan], repeats: dict[int, str]) -> str | None:
    middle_s = (word.start_s + word.end_s) / 2
    found = next((span for span in spans if span.start_s <= middle_s < span.end_s), None)
    return f"{found.reason}, found by {found.found_by}" if found is not None else repeats.get(place)


def _of_words(turn: Turn, words: tuple[Word, ...]) -> Turn:
    text = " ".join(word.text for word in words)
    return turn.model_copy(update={"text": text, "words": words, "start_s": words[0].start_s, "end_s": words[-1].end_s})
