"""An AI episode as people read it: by chapters, recited words marked; several of them aligned by turn. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from shared.schemas import Episode, EpisodeTurn, RecitedSpan, Recording

WORDS_PER_S = 2.2  # slow enough that a passage which is played is heard to its end
BEFORE_S = 0.5
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Source:
    """Where recited words are said. `from_s` is none where it cannot be played, `title` where the recording is gone."""

    recording: str
    title: str
    from_s: float | None = None
    to_s: float | None = None


@dataclass(frozen=True)
class Piece:
    """A part of a turn's text; with a source where a recording says it too."""

    text: str
    source: Source | None = None


@dataclass(frozen=True)
class Said:
    index: int
    role: str
    name: str
    pieces: tuple[Piece, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """Turns in a row of one chapter; `title` is empty where nothing was planned."""

    title: str
    turns: tuple[Said, ...]


def parts_of(episode: Episode, recordings: Mapping[str, Recording]) -> list[Part]:
    """The conversation by chapters.

    recordings   those that something is recited from, by id
    """
    spans: dict[int, list[RecitedSpan]] = defaultdict(list)
    for span in episode.report.recited or ():
        spans[span.turn].append(span)
    numbered = list(enumerate(episode.turns))
    return [
        Part(title, tuple(_said(turn, episode, spans.get(place, ()), recordings) for place, turn in turns))
        for title, turns in groupby(numbered, key=lambda one: one[1].chapter)
    ]


def _said(
    turn: EpisodeTurn, episode: Episode, spans: Sequence[RecitedSpan], recordings: Mapping[str, Recording]
) -> Said:
    pieces = tuple(pieces_of(turn.text, spans, recordings)) if spans else (Piece(turn.text),)
    return Said(turn.index, turn.role, name_of(turn.role, episode), pieces, tuple(_notes(turn)))


def name_of(role: str, episode: Episode) -> str:
    return episode.host if role == "host" else episode.guest


def _notes(turn: EpisodeTurn) -> Iterator[str]:
    if turn.written_by is not None:
        yield f"written by {turn.written_by}"
    if not turn.closed:
        yield "breaks off"
    if turn.rejected:
        yield f"the least bad of {turn.attempts} attempts: {'; '.join(dict.fromkeys(turn.rejected))}"


def pieces_of(text: str, spans: Sequence[RecitedSpan], recordings: Mapping[str, Recording]) -> Iterator[Piece]:
    """The text cut where recited words begin and end; of spans that overlap the first one keeps its words."""
    words = [(found.start(), found.end()) for found in _WORD.finditer(text)]
    at, word = 0, 0
    for span in sorted(spans, key=lambda span: (span.first_word, -span.last_word)):
        first, last = max(span.first_word, word), min(span.last_word, len(words))
        if first >= last:
            continue
        begin, end = words[first][0], words[last - 1][1]
        if begin > at:
            yield Piece(text[at:begin])
        yield Piece(text[begin:end], source_of(span, recordings.get(span.recording)))
        at, word = end, last
    if at < len(text):
        yield Piece(text[at:])


def source_of(span: RecitedSpan, recording: Recording | None) -> Source:
    if recording is None:
        return Source(span.recording, "")
    if span.start_s is None or recording.web is None:
        return Source(span.recording, recording.title)
    length_s = (span.last_word - span.first_word) / WORDS_PER_S
    return Source(span.recording, recording.title, max(0.0, span.start_s - BEFORE_S), span.start_s + length_s)


def recited_recordings(episode: Episode) -> Collection[str]:
    return {span.recording for span in episode.report.recited or ()}
