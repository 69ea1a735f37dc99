"""What a text takes from the recordings that a model was trained on: runs of 13 words that just one of them has. Pure.

What several recordings have in common (greetings, closings) is the show's manner, not recitation. Words are compared in
lower case by letters, digits and apostrophes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from shared.grams import runs, tokenise
from shared.schemas import Example, Turn
from shared.spoken import spelt, words_of

GRAM = 13
SEVERAL = -1


@dataclass(frozen=True)
class Passage:
    """Words [first, last) of a text that a training example says too, from its word `at` on.

    Words of an example are those of its turns, one after the other; its header is ours.
    """

    first: int
    last: int
    recording: str
    transcript: str
    example: int
    at: int

    @property
    def words(self) -> int:
        return self.last - self.first


def second_of(turns: Iterable[Turn], words: Sequence[str]) -> float | None:
    """When a transcript says a passage: the start of its first word in seconds, None where it does not say it."""
    said = [(token, word.start_s) for turn in turns for word in words_of(turn) for token in spelt(word.text)]
    wanted = [token for word in words for token in spelt(word)][:GRAM]
    spoken = [token for token, _ in said]
    starts = (at for at in range(len(spoken) - len(wanted) + 1) if spoken[at : at + len(wanted)] == wanted)
    first = next(starts, None)
    return None if first is None or not wanted else said[first][1]


class TrainingText:
    """All that a model has learnt from, to be looked up: about 30 bytes a word.

    examples   in the order in which passages number them
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        texts: list[list[str]] = []
        sources: list[tuple[str, str]] = []
        for example in examples:
            texts.append([word for message in example.messages[1:] for word in message.text.split()])
            sources.append((example.recording, example.transcript))
        recordings = {name: number for number, name in enumerate(dict.fromkeys(name for name, _ in sources))}
        self._sources = sources
        self._tokens = tokenise(texts)
        place, found = runs(self._tokens, GRAM)
        order = np.argsort(found, kind="stable")
        place, found = place[order], found[order]
        first = np.flatnonzero(np.append(True, found[1:] != found[:-1]))[: len(found)]
        numbers = np.array([recordings[name] for name, _ in sources], dtype=np.int64)
        of_run = numbers[self._tokens.text[place]]
        alone = np.minimum.reduceat(of_run, first) == np.maximum.reduceat(of_run, first)
        self._hashes, self._places = found[first], place[first]
        self._recordings = np.where(alone, of_run[first], SEVERAL)

    def passages(self, words: Sequence[str]) -> list[Passage]:
        """What a text of so many written words takes from one recording at a time, in order."""
        own = tokenise([words])
        starts, hashes = runs(own, GRAM)
        if len(starts) == 0 or len(self._hashes) == 0:
            return []
        at = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        recording = np.where(self._hashes[at] == hashes, self._recordings[at], SEVERAL)
        found: list[Passage] = []
        begin = 0
        for end in range(1, len(starts) + 1):
            if end < len(starts) and recording[end] == recording[begin]:
                continue
            if recording[begin] != SEVERAL:
                first, last = own.word[starts[begin]], own.word[starts[end - 1] + GRAM - 1] + 1
                found.append(self._passage(int(first), int(last), int(self._places[at[begin]])))
            begin = end
        return found

    def share(self, texts: Iterable[Sequence[str]]) -> float:
        """Share of the 13-grams of all texts that stand in such passages; 0 where there are none."""
        total = taken = 0
        for words in texts:
            total += len(runs(tokenise([words]), GRAM)[0])
            taken += sum(max(0, passage.words - GRAM + 1) for passage in self.passages(words))
        return taken / total if total else 0.0

    def _passage(self, first: int, last: int, place: int) -> Passage:
        example = int(self._tokens.text[place])
        at = int(self._tokens.word[place] - self._tokens.first_word[example])
        recording, transcript = self._sources[example]
        return Passage(first, last, recording, transcript, example, at)
