"""What a generated turn must pass before anybody reads it. A turn that fails is said again, with another seed."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.adverts import advert_words
from shared.bleed import answers_itself
from shared.recitation import TrainingText
from shared.render import HEADER_WORDS
from shared.repetition import WINDOW_STRIDE, WINDOW_WORDS, repetition, words_of
from shared.report import WINDOW, Spoken

MIN_WORDS = 4
STUMP_WORDS = 8  # before a loop; stumps kept one after the other make an episode of "You smile." and "She smiles."
SHORT_LIMIT = 0.1  # share of the guest's turns that may be shorter
IN_TURN_LIMIT = 0.3  # share of repeated word 3-grams within the turn
HISTORY_LIMIT = 0.3  # share of the turn's word 4-grams that were said before
RECITAL_WEIGHT = 3  # somebody else's words, but sound ones
STUMP_WEIGHT = 2  # what is left of a turn before its loop
CIRCLE_WEIGHT = 8  # of a turn that would spoil the episode's report
LOOP_WEIGHT = 4  # a loop feeds on itself: worse than a turn that is short and breaks off
WINDOW_LIMIT = 0.2  # rep-4 of the last 200 words, with the turn
RECENT_WORDS = 2000
COPIED_WORDS = 12  # a span this long from an earlier turn is a copy

MARKER = re.compile(r"\[\s?/?\s?INST\]|</?s>|<\s?\|[a-z_ ]+\|>|<<\s?/?SYS", re.IGNORECASE)
SPEAKER_TAG = r"\b(?:host|guest|user|assistant|system|interviewer|interviewee|speaker \d|{names})\W{{0,3}}:"
SCRIPT = re.compile(r"(?:^|[.!?…][\"'”’)\]]*\s)[A-Z][\w'’-]+(?: [A-Z][\w'’.-]+)?: ?[\"“]?[A-Z]")
"""A script's line inside a turn: a name that nobody gave, a colon, the beginning of a sentence."""
ENGLISH = ("en", "auto")
GOODBYE = re.compile(
    r"\b(thank\w*|good ?bye|bye|farewell|listening|listeners|see you|next (time|week|episode)|take care)\b", re.I
)
SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s|$)")


@dataclass(frozen=True)
class Fault:
    """Why a turn was rejected. A grave fault is never kept; of turns with others the lightest is the last resort.

    loops   the talk goes round in circles: more attempts of this kind will not help
    """

    reason: str
    weight: int = 1
    grave: bool = False
    loops: bool = False


@dataclass(frozen=True)
class Draft:
    """A turn as the model said it, cut back to its last whole sentence if it ran into its limit.

    closed   it ends where the speaker meant it to end, or at the end of a sentence
    cut      a loop followed, and was cut off
    """

    text: str
    closed: bool
    cut: bool = False


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


class Said:
    """What was said so far, as the gate looks it up; it grows turn by turn, so that no turn is read twice."""

    def __init__(self, history: Iterable[Spoken] = ()) -> None:
        self._grams: Counter[tuple[str, ...]] = Counter()
        self._recent: deque[tuple[int, list[tuple[str, ...]]]] = deque()
        self._recent_words = 0
        self._spans: set[tuple[str, ...]] = set()
        self._guest_turns = self._short_turns = 0
        self.tail: list[str] = []
        for turn in history:
            self.add(turn)

    def add(self, turn: Spoken) -> None:
        words = words_of(turn.text)
        self._recent.append((len(words), _grams(words, 4)))
        self._recent_words += len(words)
        self._grams.update(self._recent[-1][1])
        while self._recent_words - self._recent[0][0] >= RECENT_WORDS:
            count, grams = self._recent.popleft()
            self._recent_words -= count
            self._grams -= Counter(grams)
        self._spans.update(_grams(words, COPIED_WORDS))
        self.tail = [*self.tail, *words][-WINDOW_WORDS:]
        if turn.role == "guest":
            self._guest_turns += 1
            self._short_turns += len(words) < MIN_WORDS

    def share(self, words: Sequence[str]) -> float:
        """Share of the 4-grams of `words` that turns of the last 2,000 words have: with the length of an episode, more
        and more of what anybody says was said before."""
        grams = _grams(words, 4)
        return sum(gram in self._grams for gram in grams) / len(grams) if grams else 0.0

    def has_copied(self, words: Sequence[str]) -> bool:
        return any(span in self._spans for span in _grams(words, COPIED_WORDS))

    def allows_a_short_one(self) -> bool:
        """A guest may say "Yes." now and then: one turn in ten may be short."""
        return self._short_turns + 1 <= SHORT_LIMIT * (self._guest_turns + 1)


def faults(
    turn: Draft,
    role: str,
    said: Said,
    names: Sequence[str] = (),
    fit_words: tuple[int, int] | None = None,
    language: str = "en",
) -> list[Fault]:
    """Everything that is wrong with a turn that would follow what was said.

    names       of host and guest: one with a colon is a role that bled into the turn
    fit_words   of a closing turn: fewest and most words that end the episode within its target
    language    of the show: what a goodbye sounds like is known of English only
    """
    words = words_of(turn.text)
    if not words:
        return [Fault("empty", grave=True)]
    found = []
    if has_markers(turn.text, names):
        found.append(Fault("role marker", grave=True))
    if SCRIPT.search(turn.text):
        found.append(Fault("speaks for somebody else", RECITAL_WEIGHT))
    if HEADER_WORDS.search(turn.text):
        found.append(Fault("reads out its instructions", grave=True))
    if len(words) < MIN_WORDS and (role == "host" or not said.allows_a_short_one()):
        found.append(Fault(f"too short ({len(words)} words)"))
    if fit_words and not fit_words[0] <= len(words) <= fit_words[1]:
        found.append(Fault(f"misses the length ({len(words)} words, {fit_words[0]} to {fit_words[1]} fit)"))
    if fit_words and (turn.text.endswith("?") or (language in ENGLISH and not GOODBYE.search(turn.text))):
        found.append(Fault("is no goodbye"))
    if not turn.closed:
        found.append(Fault("unfinished sentence"))
    if turn.cut and len(words) < STUMP_WORDS and not turn.text.endswith("?"):
        found.append(Fault(f"begins to loop after {len(words)} words", STUMP_WEIGHT, loops=True))
    if role == "host" and answers_itself(turn.text):
        found.append(Fault("answers its own question", RECITAL_WEIGHT))
    if phrases := advert_words(turn.text):
        found.append(Fault(f"advert words: {', '.join(phrases)}", RECITAL_WEIGHT))
    found += loops(words, said)
    return found


def has_markers(text: str, names: Sequence[str]) -> bool:
    """Whether a text holds a mark of some model family, or a name with a colon, as in a script."""
    return bool(MARKER.search(text) or _tag(names).search(text))


def loops(words: Sequence[str], said: Said) -> list[Fault]:
    """What a turn says again, of itself or of those before it."""
    found = []
    if (share := repetition(words, 3)) > IN_TURN_LIMIT:
        found.append(Fault(f"repeats itself ({share:.0%} of its 3-grams)", LOOP_WEIGHT, loops=True))
    if (share := said.share(words)) > HISTORY_LIMIT:
        found.append(Fault(f"repeats earlier turns ({share:.0%} of its 4-grams)", LOOP_WEIGHT, loops=True))
    elif said.has_copied(words):
        found.append(Fault(f"copies {COPIED_WORDS} words or more of an earlier turn", LOOP_WEIGHT, loops=True))
    share = worst_of_new(words, said)
    if share > max(WINDOW_LIMIT, repetition(said.tail, 4)):
        weight = CIRCLE_WEIGHT if share > WINDOW.bad else LOOP_WEIGHT
        found.append(Fault(f"goes round in circles ({share:.0%} of {WINDOW_WORDS} words)", weight, loops=True))
    return found


def worst_of_new(words: Sequence[str], said: Said) -> float:
    """Highest rep-4 of the windows that end in a turn, as the report looks at them."""
    talk = [*said.tail, *words]
    ends = {*range(len(said.tail) + WINDOW_STRIDE, len(talk), WINDOW_STRIDE), len(talk)}
    return max(repetition(talk[max(0, end - WINDOW_WORDS) : end], 4) for end in ends)


def copies(turn: Draft, shown: Said) -> list[Fault]:
    """What a turn takes word for word from texts that are shown as examples, or that come after it."""
    words = words_of(turn.text)
    if shown.has_copied(words) or shown.share(words) > HISTORY_LIMIT:
        return [Fault(f"copies {COPIED_WORDS} words or more of what it was shown, or of what follows", RECITAL_WEIGHT)]
    return []


def before_loop(turn: Draft, said: Said) -> Draft:
    """The turn up to the first sentence with which it begins to loop; as it is where the first one does, or none."""
    ends = [end.end() for end in SENTENCE_END.finditer(turn.text)]
    sound = 0
    for end in ends:
        if loops(words_of(turn.text[:end]), said):
            break
        sound = end
    whole = sound == (ends[-1] if ends else 0) and not loops(words_of(turn.text), said)
    return turn if whole or sound == 0 else Draft(turn.text[:sound], closed=True, cut=True)


def recitals(turn: Draft, learnt: TrainingText | None) -> list[Fault]:
    """What a turn takes from a training recording; what several recordings say (greetings, closings) is no recital."""
    found = learnt.passages(turn.text.split()) if learnt is not None else []
    return [Fault(f"recites {passage.words} words of {passage.recording}", RECITAL_WEIGHT) for passage in found]


def _tag(names: Sequence[str]) -> re.Pattern[str]:
    spoken = {part for name in names for part in (name, *name.split())}
    return re.compile(SPEAKER_TAG.format(names="|".join(map(re.escape, sorted(spoken))) or "host"), re.IGNORECASE)


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*[words[start:] for start in range(n)], strict=False))
