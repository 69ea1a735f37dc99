"""What a generated turn must pass before anybody reads it. A turn that fails is said again, with another seed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.recitation import TrainingText
from shared.repetition import repetition, words_of
from shared.report import Spoken

MIN_WORDS = 4
SHORT_LIMIT = 0.1  # share of the guest's turns that may be shorter
IN_TURN_LIMIT = 0.3  # share of repeated word 3-grams within the turn
HISTORY_LIMIT = 0.3  # share of the turn's word 4-grams that were said before
RECITAL_WEIGHT = 3  # somebody else's words, but sound ones
LOOP_WEIGHT = 4  # a loop feeds on itself: worse than a turn that is short and breaks off
COPIED_WORDS = 12  # a span this long from an earlier turn is a copy

MARKER = re.compile(r"\[\s?/?\s?INST\]|</?s>|<\s?\|[a-z_ ]+\|>|<<\s?/?SYS", re.IGNORECASE)
SPEAKER_TAG = r"\b(?:host|guest|user|assistant|system|interviewer|interviewee|speaker \d|{names})\W{{0,3}}:"
GOODBYE = re.compile(
    r"\b(thank\w*|good ?bye|bye|farewell|listening|listeners|see you|next (time|week|episode)|take care)\b", re.I
)
SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s|$)")


@dataclass(frozen=True)
class Fault:
    """Why a turn was rejected. A grave fault is never kept; of turns with others the lightest is the last resort."""

    reason: str
    weight: int = 1
    grave: bool = False


@dataclass(frozen=True)
class Draft:
    """A turn as the model said it, cut back to its last whole sentence if it ran into its limit.

    closed   it ends where the speaker meant it to end, or at the end of a sentence
    """

    text: str
    closed: bool


def draft(text: str, *, ended: bool) -> Draft:
    """What is left of the model's words when an unfinished last sentence is dropped.

    ended   the model said its end-of-turn token; false when it ran into the token limit
    """
    text = " ".join(text.split())
    if ended:
        return Draft(text, closed=True)
    ends = list(SENTENCE_END.finditer(text))
    if not ends:
        return Draft(text, closed=False)
    return Draft(text[: ends[-1].end()], closed=True)


def faults(
    turn: Draft,
    role: str,
    history: Sequence[Spoken],
    names: Sequence[str] = (),
    fit_words: tuple[int, int] | None = None,
) -> list[Fault]:
    """Everything that is wrong with a turn that would follow `history`.

    names       of host and guest: one with a colon is a role that bled into the turn
    fit_words   of a closing turn: fewest and most words that end the episode within its target
    """
    words = words_of(turn.text)
    if not words:
        return [Fault("empty", grave=True)]
    found = []
    if MARKER.search(turn.text) or _tag(names).search(turn.text):
        found.append(Fault("role marker", grave=True))
    if len(words) < MIN_WORDS and (role == "host" or _too_many_short(history)):
        found.append(Fault(f"too short ({len(words)} words)"))
    if fit_words and not fit_words[0] <= len(words) <= fit_words[1]:
        found.append(Fault(f"misses the length ({len(words)} words, {fit_words[0]} to {fit_words[1]} fit)"))
    if fit_words and (turn.text.endswith("?") or not GOODBYE.search(turn.text)):
        found.append(Fault("is no goodbye"))
    if not turn.closed:
        found.append(Fault("unfinished sentence"))
    if (share := repetition(words, 3)) > IN_TURN_LIMIT:
        found.append(Fault(f"repeats itself ({share:.0%} of its 3-grams)", LOOP_WEIGHT))
    said = [words_of(earlier.text) for earlier in history]
    if (share := _share_said(words, said, 4)) > HISTORY_LIMIT:
        found.append(Fault(f"repeats earlier turns ({share:.0%} of its 4-grams)", LOOP_WEIGHT))
    elif _share_said(words, said, COPIED_WORDS) > 0:
        found.append(Fault(f"copies {COPIED_WORDS} words or more of an earlier turn", LOOP_WEIGHT))
    return found


def recitals(turn: Draft, learnt: TrainingText | None) -> list[Fault]:
    """What a turn takes from a training recording; what several recordings say (greetings, closings) is no recital."""
    found = learnt.passages(turn.text.split()) if learnt is not None else []
    return [Fault(f"recites {passage.words} words of {passage.recording}", RECITAL_WEIGHT) for passage in found]


def _tag(names: Sequence[str]) -> re.Pattern[str]:
    spoken = {part for name in names for part in (name, *name.split())}
    return re.compile(SPEAKER_TAG.format(names="|".join(map(re.escape, sorted(spoken))) or "host"), re.IGNORECASE)


def _too_many_short(history: Sequence[Spoken]) -> bool:
    """A guest may say "Yes." now and then: one turn in ten may be short."""
    lengths = [len(words_of(turn.text)) for turn in history if turn.role == "guest"]
    return sum(length < MIN_WORDS for length in lengths) + 1 > SHORT_LIMIT * (len(lengths) + 1)


def _share_said(words: Sequence[str], said: Sequence[Sequence[str]], n: int) -> float:
    """Share of the n-grams of `words` that occur in earlier turns."""
    grams = list(zip(*[words[start:] for start in range(n)], strict=False))
    if not grams:
        return 0.0
    before = {gram for earlier in said for gram in zip(*[earlier[start:] for start in range(n)], strict=False)}
    return sum(gram in before for gram in grams) / len(grams)
