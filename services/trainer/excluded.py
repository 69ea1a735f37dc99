"""Turns without the parts of a recording that are no interview: adverts, trailers. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from shared.schemas import ExcludedSpan, Turn, Word


def without_spans(turns: Iterable[Turn], spans: Sequence[ExcludedSpan], left: Counter[str]) -> list[Turn]:
    """What was said outside the spans.

    Words with times decide one by one: an advert in the middle of a turn goes, what surrounds it stays. A turn without
    word times goes if its middle lies in a span. Before or after an advert the talk goes on; nothing is torn there.
    left   words left out, by reason; added to
    """
    kept = []
    for turn in turns:
        if turn.words:
            words = tuple(word for word in turn.words if _around(word.start_s, word.end_s, spans, left) is None)
            if words:
                kept.append(turn if words == turn.words else _of_words(turn, words))
        elif _around(turn.start_s, turn.end_s, spans, left, len(turn.text.split())) is None:
            kept.append(turn)
    return kept


def _around(
    start_s: float, end_s: float, spans: Sequence[ExcludedSpan], left: Counter[str], words: int = 1
) -> ExcludedSpan | None:
    """The span that the middle of something lies in; its words are counted as left out."""
    middle_s = (start_s + end_s) / 2
    found = next((span for span in spans if span.start_s <= middle_s < span.end_s), None)
    if found is not None:
        left[f"{found.reason}, found by {found.found_by}"] += words
    return found


def _of_words(turn: Turn, words: tuple[Word, ...]) -> Turn:
    text = " ".join(word.text for word in words)
    return turn.model_copy(update={"text": text, "words": words, "start_s": words[0].start_s, "end_s": words[-1].end_s})
