"""How the show's real people talk: how episodes begin, how long turns are, an exchange to show as an example. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from shared.adverts import advert_words
from shared.conversation import spoken_of
from shared.repetition import words_of
from shared.schemas import ExcludedSpan, Message, Transcript, TurnLengths

FEWEST_TURNS = 10  # of a role; from fewer no distribution is made
FEWEST_WORDS = 4
OPENINGS, OPENING_WORDS = 3, (8, 90)
QUESTION_WORDS, ANSWER_WORDS = (6, 60), (15, 120)


@dataclass(frozen=True)
class Conversation:
    """The interview of one recording: host and guest by turns, neighbours of one role joined."""

    recording: str
    turns: tuple[Message, ...]


def conversation(transcript: Transcript, excluded: Sequence[ExcludedSpan]) -> Conversation:
    """Without trailers, adverts and whoever is neither host nor guest.

    excluded   spans of its recording; its own are left out too
    """
    turns: list[Message] = []
    for turn in spoken_of(transcript, excluded):
        text = " ".join(turn.text.split())
        if turn.role is None or not text:
            continue
        if turns and turns[-1].role == turn.role:
            turns[-1] = Message(role=turn.role, text=f"{turns[-1].text} {text}")
        else:
            turns.append(Message(role=turn.role, text=text))
    return Conversation(transcript.recording, tuple(turns))


def turn_lengths(talks: Sequence[Conversation]) -> TurnLengths:
    """Words of the turns of each role, at every tenth of all."""
    return TurnLengths(host=_tenths(_lengths(talks, "host")), guest=_tenths(_lengths(talks, "guest")))


def opening(talk: Conversation) -> str | None:
    """What the host begins with; None where that is an advert, or no beginning."""
    first = next((turn.text for turn in talk.turns if turn.role == "host"), "")
    return first if _is_plain(first, OPENING_WORDS) else None


def with_openings(talks: Sequence[Conversation]) -> tuple[str, ...]:
    """A few recordings whose openings are of the most usual length."""
    found = {talk.recording: len(text) for talk in talks if (text := opening(talk)) is not None}
    usual = median(found.values()) if found else 0
    return tuple(sorted(found, key=lambda recording: abs(found[recording] - usual))[:OPENINGS])


def excerpt(talk: Conversation) -> tuple[str, str] | None:
    """A question and its answer from the middle of an episode, neither long nor short."""
    return next(_exchanges(talk), None)


def with_excerpts(talks: Sequence[Conversation]) -> tuple[str, ...]:
    """Two recordings that have an excerpt, far from each other."""
    found = [talk.recording for talk in talks if excerpt(talk) is not None]
    return (found[0], found[-1])[: len(found)] if found else ()


def _exchanges(talk: Conversation) -> Iterator[tuple[str, str]]:
    """Fitting ones, the nearest to the middle first."""
    middle = len(talk.turns) // 2
    for at in sorted(range(len(talk.turns) - 1), key=lambda at: abs(at - middle)):
        asked, answered = talk.turns[at], talk.turns[at + 1]
        plain = _is_plain(asked.text, QUESTION_WORDS) and _is_plain(answered.text, ANSWER_WORDS)
        if asked.role == "host" and plain and asked.text.endswith("?"):
            yield asked.text, answered.text


def _is_plain(text: str, words: tuple[int, int]) -> bool:
    return words[0] <= len(words_of(text)) <= words[1] and not advert_words(text)


def _lengths(talks: Sequence[Conversation], role: str) -> list[int]:
    """Without what is said while the other one talks: a turn of an episode is at least a short sentence."""
    lengths = sorted(len(words_of(turn.text)) for talk in talks for turn in talk.turns if turn.role == role)
    return [length for length in lengths if length >= FEWEST_WORDS]


def _tenths(lengths: Sequence[int]) -> tuple[int, ...]:
    if len(lengths) < FEWEST_TURNS:
        return ()
    return tuple(lengths[round(tenth / 10 * (len(lengths) - 1))] for tenth in range(11))
