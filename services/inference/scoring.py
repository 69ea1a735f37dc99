"""What a model makes of an episode once it is written: how expected its words are, and which of the host's sentences
it would rather hear from the guest."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from services.inference.adapters import AdapterFiles
from services.inference.means import Means
from shared.render import Renderer
from shared.repetition import words_of
from shared.schemas import Adapter, EpisodeTurn, Likelihood, LikelyAnswer, Message

PIECE_TOKENS = 400
SHARE_OF_PIECES = 0.6  # of all tokens that may be read; the rest is for single sentences
FEWEST_WORDS = 4  # of a sentence that tells whose it is
SENTENCE = re.compile(r"[^.!?…]+[.!?…]+[\"'”’)\]]*|[^.!?…]+$")


@dataclass
class Scorer:
    """Reads an episode again, with the model that wrote it and with the base model.

    system     the header that all is read under
    tokens     how many may be read, at most: what is read is spread over the whole episode
    """

    means: Means
    adapter: AdapterFiles | None
    system: Message
    tokens: int
    context: int
    _read: int = field(default=0, init=False)

    @property
    def renderer(self) -> Renderer:
        return self.means.engine.renderer

    # ---- how expected the words are ----------------------------------------------------------------------------------

    def likelihood(self, turns: Sequence[EpisodeTurn], trained: Adapter | None) -> Likelihood | None:
        """Perplexities of the episode, beside those of held-out real turns, which the training measured.

        returns   None where nothing may be read, or nothing fits
        """
        own, base, words = _Sums(), _Sums(), 0
        models = 2 if self.adapter else 1
        for piece in _spread(list(self._pieces(turns)), round(SHARE_OF_PIECES * self.tokens), models):
            self._progress()
            own.add(self._score(self.adapter, piece))
            if self.adapter:
                base.add(self._score(None, piece))
            words += sum(len(words_of(turn.text)) for turn in piece.turns)
        perplexity = own.perplexity("host", "guest")
        if perplexity is None:
            return None
        return Likelihood(
            perplexity=perplexity,
            base_perplexity=base.perplexity("host", "guest"),
            real_perplexity=round(math.exp(trained.eval_loss_after), 2) if trained else None,
            real_base_perplexity=round(math.exp(trained.eval_loss_before), 2) if trained else None,
            host_perplexity=own.perplexity("host"),
            guest_perplexity=own.perplexity("guest"),
            scored_words=words,
        )

    def _pieces(self, turns: Sequence[EpisodeTurn]) -> Iterator[_Piece]:
        """The episode in stretches that begin with a question, each as long as it may be."""
        most = min(PIECE_TOKENS, self.context - 2)
        stretch: list[EpisodeTurn] = []
        for at in range(0, len(turns), 2):
            exchange = list(turns[at : at + 2])
            if stretch and self._size([*stretch, *exchange]) > most:
                yield self._piece(stretch)
                stretch = []
            stretch = [*stretch, *exchange] if self._size([*stretch, *exchange]) <= self.context - 2 else stretch
        if stretch:
            yield self._piece(stretch)

    def _piece(self, turns: Sequence[EpisodeTurn]) -> _Piece:
        return _Piece(tuple(turns), self._size(turns))

    def _size(self, turns: Sequence[EpisodeTurn]) -> int:
        return len(self.renderer.render([self.system, *_messages(turns)]).ids)

    def _score(self, adapter: AdapterFiles | None, piece: _Piece) -> list[tuple[str, float]]:
        """Role and log-probability of each token that somebody says, turn ends included: as training counts them."""
        messages = [self.system, *_messages(piece.turns)]
        host, both = self.renderer.render(messages, "host"), self.renderer.render(messages)
        logprobs = self.means.engine.score(adapter, both.ids, self.means.job)
        roles = zip(host.supervised[1:], both.supervised[1:], logprobs, strict=True)
        return [("host" if by_host else "guest", logprob) for by_host, said, logprob in roles if said]

    # ---- whose sentences they are ------------------------------------------------------------------------------------

    def likely_answers(self, turns: Sequence[EpisodeTurn]) -> tuple[LikelyAnswer, ...] | None:
        """The host's sentences, after the first of a turn, that are likelier after the guest's header.

        returns   by margin in nats per token, above 0; None where nothing may be read
        """
        if self.tokens == 0:
            return None
        asked = list(self._sentences(turns))
        chosen = _spread(asked, round((1 - SHARE_OF_PIECES) * self.tokens), 2)
        found = []
        for sentence in chosen:
            self._progress()
            margin = self._mean(sentence.as_guest) - self._mean(sentence.as_host)
            if margin > 0:
                found.append(LikelyAnswer(turn=sentence.turn, text=sentence.text.strip(), margin=round(margin, 3)))
        return tuple(found)

    def _sentences(self, turns: Sequence[EpisodeTurn]) -> Iterator[_Sentence]:
        for turn in turns:
            if turn.role != "host":
                continue
            before = _messages(turns[max(0, turn.index - 2) : turn.index])
            parts = [part for part in SENTENCE.findall(turn.text) if part.strip()]
            for at in range(1, len(parts)):
                if len(words_of(parts[at])) >= FEWEST_WORDS:
                    yield from self._sentence(turn.index, before, "".join(parts[:at]).strip(), parts[at].strip())

    def _sentence(self, turn: int, before: Sequence[Message], said: str, text: str) -> Iterator[_Sentence]:
        opened = self.renderer.prompt([self.system, *before], "host")
        as_host = _Read((*opened, *self.renderer.content(f"{said} {text}")), len(opened) + self.renderer.count(said))
        answered = self.renderer.prompt([self.system, *before, Message(role="host", text=said)], "guest")
        as_guest = _Read((*answered, *self.renderer.content(text)), len(answered))
        size = max(len(as_host.ids), len(as_guest.ids))
        if size < self.context - 2:
            yield _Sentence(turn, text, as_host, as_guest, size)

    def _mean(self, read: _Read) -> float:
        logprobs = self.means.engine.score(self.adapter, read.ids, self.means.job)[read.begins - 1 :]
        return sum(logprobs) / len(logprobs)

    def _progress(self) -> None:
        self.means.job.check()
        self._read += 1
        self.means.job.progress("measuring", self._read, unit="passages")


class _Sized(Protocol):
    @property
    def size(self) -> int: ...


S = TypeVar("S", bound=_Sized)


def _spread(all_of_them: Sequence[S], tokens: int, times: int) -> list[S]:
    """As many as may be read so many times each, evenly over all; at least one, if anything may be read."""
    if not all_of_them or tokens <= 0:
        return []
    usual = sum(one.size for one in all_of_them) / len(all_of_them)
    count = max(1, min(len(all_of_them), int(tokens / (usual * times))))
    return [all_of_them[(2 * place + 1) * len(all_of_them) // (2 * count)] for place in range(count)]


def _messages(turns: Sequence[EpisodeTurn]) -> list[Message]:
    return [Message(role=turn.role, text=turn.text) for turn in turns]


@dataclass(frozen=True)
class _Piece:
    turns: tuple[EpisodeTurn, ...]
    size: int


@dataclass(frozen=True)
class _Read:
    """A text as ids; the sentence in question begins at an index, with the blank that a text has there."""

    ids: tuple[int, ...]
    begins: int


@dataclass(frozen=True)
class _Sentence:
    turn: int
    text: str
    as_host: _Read
    as_guest: _Read
    size: int


@dataclass
class _Sums:
    """Sum and count of log-probabilities by role."""

    total: dict[str, float] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)

    def add(self, scored: Sequence[tuple[str, float]]) -> None:
        for role, logprob in scored:
            self.total[role] = self.total.get(role, 0.0) + logprob
            self.count[role] = self.count.get(role, 0) + 1

    def perplexity(self, *roles: str) -> float | None:
        count = sum(self.count.get(role, 0) for role in roles)
        return round(math.exp(-sum(self.total.get(role, 0.0) for role in roles) / count), 2) if count else None
