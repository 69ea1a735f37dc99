"""Where in an AI episode a finding of its report sits, so that a page can lead there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shared.adverts import advert_words
from shared.bleed import answers_itself
from shared.repetition import GRAM, WINDOW_STRIDE, WINDOW_WORDS, repetition, words_of
from shared.report import Grade, Line, Topic, lines
from shared.schemas import Episode, EpisodeTurn, Report

SAID_AGAIN = 20  # words in a row that count as a passage which is said again


@dataclass(frozen=True)
class Finding:
    """What is out of the ordinary, and the indexes of the turns in which it is; none where it is of the whole."""

    grade: Grade
    text: str
    turns: tuple[int, ...]


def findings_of(episode: Episode) -> list[Finding]:
    """All findings of an episode's report, the gravest first."""
    found = [line for line in lines(episode.report, target_words=episode.brief.words) if line.finding]
    found.sort(key=lambda line: (line.grade != "bad", line.topic))
    places: dict[str, list[int]] = {}
    for line in found:
        if _asks(line) not in places:
            places[_asks(line)] = places_of(line, episode)
    return [
        Finding(line.grade, line.finding, tuple(episode.turns[at].index for at in places[_asks(line)]))
        for line in found
    ]


def _asks(line: Line) -> str:
    """What has to be looked for: a loop shows in several figures."""
    is_loop = line.topic == Topic.REPETITION and not _is_passage(line)
    return "loop" if is_loop else line.label


def _is_passage(line: Line) -> bool:
    return line.label.startswith("longest")


def places_of(line: Line, episode: Episode) -> list[int]:
    """Places of turns, from 0."""
    look = _LOOKS.get(line.topic)
    there = look(line, episode.turns, episode.report) if look else ()
    return sorted({place for place in there if place < len(episode.turns)})


# ---- repetition ------------------------------------------------------------------------------------------------------


def loop_begins(turns: Sequence[EpisodeTurn]) -> int | None:
    """The turn in which the worst 200 words begin; None where nothing is said twice."""
    said = _numbered(turns)
    words = [word for _, word in said]
    starts = range(0, max(1, len(words) - WINDOW_WORDS + 1), WINDOW_STRIDE)
    worst = max(starts, key=lambda start: repetition(words[start : start + WINDOW_WORDS], GRAM))
    is_loop = repetition(words[worst : worst + WINDOW_WORDS], GRAM) > 0
    return said[worst][0] if is_loop else None


def said_again(turns: Sequence[EpisodeTurn]) -> int | None:
    """The turn in which the longest passage is said for the second time; None where there is none."""
    said = _numbered(turns)
    words = [word for _, word in said]
    before: dict[tuple[str, ...], int] = {}
    longest, run, last, found = 0, 0, None, None
    for at in range(len(words) - SAID_AGAIN + 1):
        passage = tuple(words[at : at + SAID_AGAIN])
        earlier = before.get(passage)
        before[passage] = at
        goes_on = earlier is not None and last is not None and earlier == last + 1
        run = run + 1 if goes_on else int(earlier is not None)
        last = earlier
        if run > longest:
            longest, found = run, said[at - run + 1][0]
    return found


def _numbered(turns: Sequence[EpisodeTurn]) -> list[tuple[int, str]]:
    return [(place, word) for place, turn in enumerate(turns) for word in words_of(turn.text)]


def _repeated(line: Line, turns: Sequence[EpisodeTurn], report: Report) -> Iterator[int]:
    if _is_passage(line):
        place = said_again(turns)
    else:
        first, end = _worst_quarter(report, len(turns))
        place = loop_begins(turns[first:end])
        place = None if place is None else first + place
    if place is not None:
        yield place


def _worst_quarter(report: Report, turns: int) -> tuple[int, int]:
    """Places of its first turn, and of the one after its last: looking through a quarter is enough."""
    if not report.quarters:
        return 0, turns
    rates = [quarter.worst_window_rep4 for quarter in report.quarters]
    worst = rates.index(max(rates))
    is_last = worst + 1 == len(rates)
    return report.quarters[worst].first_turn, turns if is_last else report.quarters[worst + 1].first_turn + 1


# ---- everything else -------------------------------------------------------------------------------------------------


def _answered(line: Line, turns: Sequence[EpisodeTurn], report: Report) -> Iterator[int]:
    if "likelier" in line.label:
        yield from (answer.turn for answer in report.answers_by_likelihood or ())
    else:
        yield from (place for place, turn in enumerate(turns) if turn.role == "host" and answers_itself(turn.text))


def _recited(line: Line, turns: Sequence[EpisodeTurn], report: Report) -> Iterator[int]:
    return (span.turn for span in report.recited or ())


def _roles(line: Line, turns: Sequence[EpisodeTurn], report: Report) -> Iterator[int]:
    if line.label == "the host speaks first":
        yield 0
    else:
        yield from (place for place in range(1, len(turns)) if turns[place].role == turns[place - 1].role)


def _ends(line: Line, turns: Sequence[EpisodeTurn], report: Report) -> Iterator[int]:
    if line.label == "empty turns":
        yield from (place for place, turn in enumerate(turns) if not words_of(turn.text))
    elif line.label == "unclosed turns":
        yield from (place for place, turn in enumerate(turns) if not turn.closed)


def _adverts(line: Line, turns: Sequence[EpisodeTurn], report: Report) -> Iterator[int]:
    return (place for place, turn in enumerate(turns) if advert_words(turn.text))


def _length(line: Line, turns: Sequence[EpisodeTurn], report: Report) -> Iterator[int]:
    if turns:
        yield len(turns) - 1


def _replies(line: Line, turns: Sequence[EpisodeTurn], report: Report) -> Iterator[int]:
    return (place for place, turn in enumerate(turns) if turn.role == "guest" and len(words_of(turn.text)) <= 1)


def _claims(line: Line, turns: Sequence[EpisodeTurn], report: Report) -> Iterator[int]:
    return (claim.turn for claim in report.unsourced or ())


_LOOKS: dict[Topic, Callable[[Line, Sequence[EpisodeTurn], Report], Iterator[int]]] = {
    Topic.REPETITION: _repeated,
    Topic.ANSWERS: _answered,
    Topic.RECITED: _recited,
    Topic.ROLES: _roles,
    Topic.ENDS: _ends,
    Topic.ADVERTS: _adverts,
    Topic.LENGTH: _length,
    Topic.REPLIES: _replies,
    Topic.CLAIMS: _claims,
}
