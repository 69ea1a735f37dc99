"""Transcripts of others in JSON: Podcasting 2.0's, and whisperX's (which Whisper's own is a part of). Pure.

    {"segments": [{"speaker", "startTime", "endTime", "body"}]}
    {"segments": [{"start", "end", "text", "speaker", "words": [{"word", "start", "end", "score", "speaker"}]}],
     "language"}

Times are seconds. In the second form a segment or a word may lack any of them: what lacks a time gets a share of the
room around it, and who has no speaker is taken for whoever spoke before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from shared.errors import BadInputError
from shared.schemas import Word
from shared.spoken import UNNAMED, Published, SpokenTurn, Times, add_turn, timed_words

LANGUAGES = (2, 3)  # letters of an ISO 639 code


def parse_json(text: str) -> Published:
    """raises   BadInputError for anything else"""
    try:
        data = json.loads(text)
        turns: list[SpokenTurn] = []
        for segment in data["segments"]:
            read = _podcasting if "body" in segment or "startTime" in segment else _whisperx
            for turn in read(segment, turns[-1] if turns else None):
                add_turn(turns, turn)
        language = data.get("language")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise BadInputError(
            f"the published transcript is no JSON transcript ({type(error).__name__}); it needs `segments` as "
            "whisperX or Podcasting 2.0 writes them"
        ) from error
    known = isinstance(language, str) and language.isascii() and language.islower() and len(language) in LANGUAGES
    return Published(
        title=None,
        guest=None,
        turns=tuple(turns),
        duration_s=max((turn.end_s for turn in turns), default=0.0),
        times="published",
        language=language if known else None,
    )


def _podcasting(segment: Mapping[str, Any], before: SpokenTurn | None) -> Iterator[SpokenTurn]:
    start_s, end_s = _seconds(segment["startTime"]), float(segment["endTime"])
    if not math.isfinite(end_s):
        raise ValueError(f"{end_s} is no time")
    if said := _plain(segment["body"]):
        yield SpokenTurn(_speaker(segment) or _of(before), said, start_s, max(start_s, end_s))


def _whisperx(segment: Mapping[str, Any], before: SpokenTurn | None) -> Iterator[SpokenTurn]:
    """One turn for each speaker in a row."""
    at_s = before.end_s if before else 0.0
    span = _times(segment)
    start_s, end_s = span or (at_s, at_s)
    text = _plain(segment.get("text"))
    heard = [word for word in segment.get("words") or () if _plain(word.get("word"))]
    if sum(len(_plain(word["word"])) for word in heard) < len(text.replace(" ", "")):
        heard = [{"word": word} for word in text.split()]  # it says more than its words do
    words = timed_words([_plain(word["word"]) for word in heard], [_times(word) for word in heard], start_s, end_s)
    speaker = _speaker(segment) or _of(before)
    said: list[tuple[str, Word]] = []
    for word, timed in zip(heard, words, strict=True):
        speaker = _speaker(word) or speaker
        said.append((speaker, timed.model_copy(update={"score": _score(word)})))
    for name, group in groupby(said, key=lambda one: one[0]):
        own = tuple(word for _, word in group)
        end_s = max(word.end_s for word in own)
        yield SpokenTurn(
            name, " ".join(word.text for word in own), own[0].start_s, max(own[0].start_s, end_s), timed=own
        )


def _times(piece: Mapping[str, Any]) -> Times | None:
    """None where a piece lacks them; raises ValueError for what can be no time"""
    start, end = piece.get("start"), piece.get("end")
    if start is None or end is None:
        return None
    start_s = _seconds(start)
    return start_s, max(start_s, _seconds(end))


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{seconds} is no time")
    return seconds


def _score(word: Mapping[str, Any]) -> float | None:
    score = word.get("score", word.get("probability"))
    return float(score) if score is not None and 0 <= float(score) <= 1 else None


def _speaker(piece: Mapping[str, Any]) -> str:
    return _plain(piece.get("speaker"))


def _of(before: SpokenTurn | None) -> str:
    return before.speaker if before else UNNAMED


def _plain(text: Any) -> str:
    return " ".join(str(text or "").split())
