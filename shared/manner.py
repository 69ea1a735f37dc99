"""How a show's real conversations are, as the yardstick for what a model writes: figures, and function words. Pure.

The distance from what somebody says to how the show's real host (or its guests) talk, over some sixty function words:

    mean over w of |r(w) - m(w)| / sqrt(s(w)^2 + m(w) (100 - m(w)) / n)

r(w)   how often w is said per 100 words of the n that are judged
m(w)   the same of all real conversations together
s(w)   how far one more real conversation would stray from m(w) by itself, beyond chance
So it is Burrows's Delta with chance reckoned in: about 0.8 (the mean of |z|) for more of the same person, however long.

source   Burrows, Delta: a measure of stylistic difference, LLC 17 (2002)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median, variance

from shared.conversation import Role, Spoken, folded
from shared.conversation import spoken_of as spoken_of
from shared.figures import Talk, figures_of
from shared.repetition import repetition, tail_repetition, worst_window
from shared.schemas import Manner, Spread, WordRate

FUNCTION_WORDS = (
    "the", "and", "to", "of", "a", "i", "in", "that", "it", "you", "is", "was", "for", "we", "so", "they", "on", "with",
    "but", "this", "be", "have", "as", "at", "not", "do", "what", "are", "like", "about", "there", "if", "my", "or",
    "just", "he", "she", "from", "me", "all", "because", "had", "when", "your", "can", "would", "by", "an", "were",
    "how", "their", "who", "which", "up", "out", "them", "it's", "i'm", "don't", "that's", "then", "some",
)  # fmt: skip
FEWEST_WORDS = 100  # of host or guest in a conversation: of fewer, rates of words are chance
FUNCTION_SHARE = 0.2  # of all words, at least: English has twice that, other languages have next to none
ENOUGH = 3  # conversations, to tell what is normal
MANY = 5  # conversations, for percentiles; the lowest and the highest of fewer
LOW, HIGH = 0.05, 0.95
ROOM, FEW_ROOM = 0.25, 0.5  # of the span, on each side: a dozen figures are judged, and real talk is to pass them all
LESS_KNOWN = 2.0  # spans more, shared by the conversations: of few, the next one may well be outside
LEAST_ROOM = 0.3  # of the median
LEAST = {  # room that any conversation needs, however alike the others are
    "one_word_share": 0.05,
    "host_share": 0.05,
    "host_question_share": 0.1,
    "host_disfluencies": 0.5,
    "guest_disfluencies": 0.5,
    "rep4": 0.08,  # these grow with the length: measured, by 0.05 from 600 to 14,000 words
    "worst_window_rep4": 0.1,
    "tail_rep4": 0.08,
    "host_distance": 0.2,
    "guest_distance": 0.2,
}
SHARES = {"one_word_share", "host_share", "host_question_share", "rep4", "worst_window_rep4", "tail_rep4"}


def manner_of(conversations: Iterable[Sequence[Spoken]]) -> Manner | None:
    """The show's yardstick; None where no conversation has words of a known host and of a guest.

    Each is read as training reads it: without a listener's "Mhm", neighbours of one role as one turn.
    """
    talks = [Talk.of(folded(turns)) for turns in conversations]
    talks = [talk for talk in talks if all(len(talk.words_by(role)) >= FEWEST_WORDS for role in ("host", "guest"))]
    if not talks:
        return None
    measured = [_measured(talk) for talk in talks]
    ranges = {figure: _spread(figure, [found[figure] for found in measured]) for figure in measured[0]}
    host, guest = _counts(talks, "host"), _counts(talks, "guest")
    for name, counts in (("host_distance", host), ("guest_distance", guest)):
        if among := _distances_among(counts):
            ranges[name] = _spread(name, among)
    return Manner(
        conversations=len(talks),
        words=sum(len(talk.all_words) for talk in talks),
        ranges=ranges,
        host_words=_rates(host),
        guest_words=_rates(guest),
    )


def tells(manner: Manner | None) -> bool:
    """Whether there are enough conversations to say what is normal."""
    return manner is not None and manner.conversations >= ENOUGH


def _measured(talk: Talk) -> dict[str, float]:
    words = talk.all_words
    return {
        "words": len(words),
        **{name: value for name, value in asdict(figures_of(talk)).items() if name != "one_word_replies"},
        "rep4": repetition(words, 4),
        "worst_window_rep4": worst_window(words),
        "tail_rep4": tail_repetition(words),
    }


# ---- what is normal --------------------------------------------------------------------------------------------------


def _spread(figure: str, values: Sequence[float]) -> Spread:
    """The 5th to the 95th percentile, and some room on each side: the more, the fewer conversations there are."""
    ranked, count = sorted(values), len(values)
    if count >= MANY:
        low, high, share = _percentile(ranked, LOW), _percentile(ranked, HIGH), ROOM + LESS_KNOWN / count
    else:
        low, high, share = ranked[0], ranked[-1], FEW_ROOM + LESS_KNOWN / max(1, count - 1)
    middle = median(ranked)
    room = max(share * (high - low), LEAST_ROOM * middle, LEAST.get(figure, 0.0))
    most = 1.0 if figure in SHARES else math.inf
    return Spread(low=round(max(0.0, low - room), 4), median=round(middle, 4), high=round(min(most, high + room), 4))


def _percentile(ranked: Sequence[float], share: float) -> float:
    place = share * (len(ranked) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (place - below) * (ranked[above] - ranked[below])


# ---- function words --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Counts:
    """How often each function word is said among `words` words of one conversation."""

    words: int
    of: Mapping[str, int]

    def rate(self, word: str) -> float:
        return 100 * self.of[word] / self.words


def distance(words: Sequence[str], rates: Mapping[str, WordRate]) -> float | None:
    """How far somebody's function words are from those of real talk; None for few words, or another language."""
    counts = _counted(words)
    if not rates or counts.words < FEWEST_WORDS or sum(counts.of.values()) < FUNCTION_SHARE * counts.words:
        return None
    return round(_distance(counts, rates), 2)


def _counted(words: Sequence[str]) -> _Counts:
    said = Counter(words)
    return _Counts(len(words), {word: said[word] for word in FUNCTION_WORDS})


def _counts(talks: Iterable[Talk], role: Role) -> list[_Counts]:
    return [_counted(talk.words_by(role)) for talk in talks]


def _distance(counts: _Counts, rates: Mapping[str, WordRate]) -> float:
    return fmean(
        abs(counts.rate(word) - rate.mean) / math.sqrt(rate.spread**2 + _chance(rate.mean, counts.words))
        for word, rate in rates.items()
    )


def _rates(counts: Sequence[_Counts]) -> dict[str, WordRate]:
    """None where nobody can tell: in a language that has other function words."""
    total = sum(one.words for one in counts)
    if sum(sum(one.of.values()) for one in counts) < FUNCTION_SHARE * total:
        return {}
    return {word: _rate(word, counts, total) for word in FUNCTION_WORDS}


def _rate(word: str, counts: Sequence[_Counts], total: int) -> WordRate:
    """A half is added, so that a word that nobody has said yet may be said. What chance explains is no spread."""
    mean = 100 * (sum(one.of[word] for one in counts) + 0.5) / (total + 1)
    between = variance([one.rate(word) for one in counts]) if len(counts) > 1 else 0.0
    by_chance = fmean(_chance(mean, one.words) for one in counts)
    of_people = max(0.0, between - by_chance) * (1 + 1 / len(counts))
    return WordRate(mean=round(mean, 5), spread=round(math.sqrt(of_people + _chance(mean, total)), 5))


def _chance(rate: float, words: int) -> float:
    """Variance of a rate per 100 words among so many."""
    return rate * (100 - rate) / words


def _distances_among(counts: Sequence[_Counts]) -> list[float]:
    """Of each real conversation to all the others."""
    if len(counts) == 1:
        return []
    left_out = ((one, _rates([*counts[:at], *counts[at + 1 :]])) for at, one in enumerate(counts))
    return [_distance(one, rates) for one, rates in left_out if rates]
