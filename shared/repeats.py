"""What a show says over and over: adverts, greetings, closings. Transcripts -> clusters of repeated spans. Pure.

A text is repeated if at least three recordings have it (two, where there are only two) and it has thirty words; or
eight words, if half of all recordings have it: nobody says eight words by chance in every other conversation, but six.
A place of it may be said a little differently, be recognised wrongly here and there, or break off.
source   n-gram index with gap filling: the method race of our notes (5-grams, gap 12, 30 words)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from shared.corrections import Cluster, Place, SpanKind
from shared.grams import GAP, GRAM, REACH, Grams, Tokens, belonging, common_grams, tokenise
from shared.schemas import Transcript
from shared.spoken import words_of

MOST_LEAST = 3
LONG_WORDS = 30
SHORT_WORDS = 8
Cut = tuple[int, int]

EVERY_OTHER = 0.5
MOST_GRAMS = 200
NEAR_AN_END = 0.15

ADVERT = re.compile(
    r"\bsponsor|\bbrought to you by\b|\b(promo|discount|coupon) codes?\b|\buse (the |my |our )?code\b|\bat checkout\b|"
    r"\.com\b|\bdot com\b|\bper ?cent off\b|\d ?% off|\bdiscount|\bfree trial\b|\bterms (and conditions )?apply\b|"
    r"\bmoney[- ]back\b|\bfree shipping\b"
)


@dataclass(frozen=True)
class Said:
    """All words of a transcript, in order.

    words            as they are written
    start_s, end_s   (N,) float64, seconds, one per word
    turn             (N,) int64, the number of the turn that a word is of
    """

    recording: str
    transcript: str
    words: tuple[str, ...]
    start_s: np.ndarray
    end_s: np.ndarray
    turn: np.ndarray


@dataclass(frozen=True)
class Run:
    """Grams of one text in one recording, each within REACH of the one before.

    members      indexes into Grams
    start, end   tokens [start, end)
    """

    recording: int
    members: np.ndarray
    start: int
    end: int

    @property
    def tokens(self) -> int:
        return self.end - self.start


def said_in(transcript: Transcript) -> Said:
    turns = [words_of(turn) for turn in transcript.turns]
    words = [word for turn in turns for word in turn]
    return Said(
        recording=transcript.recording,
        transcript=transcript.id,
        words=tuple(word.text for word in words),
        start_s=np.array([word.start_s for word in words], dtype=float),
        end_s=np.array([word.end_s for word in words], dtype=float),
        turn=np.repeat(np.arange(len(turns)), np.array([len(turn) for turn in turns], dtype=int)),
    )


def find(said: Sequence[Said]) -> tuple[Cluster, ...]:
    """The repeated spans of a show, none of them classified; first what has most words in all its places."""
    said = sorted(said, key=lambda one: one.recording)
    least = max(2, min(MOST_LEAST, len(said)))
    tokens = tokenise([one.words for one in said])
    grams = common_grams(tokens)
    taken = np.zeros(len(tokens.hashes), dtype=bool)
    clusters = []
    for runs in _texts(grams, least, len(said)):
        whole = _best(runs, grams)
        cuts = {run.start: cut for run in runs if (cut := _cut(run, whole, grams, tokens, said, taken))}
        for start, end in cuts.values():
            taken[start:end] = True
        places = tuple(_place(*cut, tokens, said) for cut in cuts.values())
        if whole.start in cuts and len({place.recording for place in places}) >= least:
            kinds = np.unique(np.concatenate([grams.kind[run.members] for run in runs]))
            clusters.append(_cluster(places, list(cuts).index(whole.start), grams.hashes[kinds], said))
    return tuple(sorted(clusters, key=lambda cluster: (-cluster.words * len(cluster.places), cluster.id)))


# ---- grams -> runs ---------------------------------------------------------------------------------------------------


def _texts(grams: Grams, least: int, recordings: int) -> list[list[Run]]:
    """The runs of each text that is long enough, or short and nearly everywhere; the commonest text first.

    A recording counts that has SHORT_WORDS of it in one run: of a phrase that is only sometimes said twice few do.
    """
    texts = []
    for runs in _runs(grams):
        where, firmly = {run.recording for run in runs}, {run.recording for run in runs if run.tokens >= SHORT_WORDS}
        longest = max(run.tokens for run in runs)
        ritual = len(where) >= EVERY_OTHER * recordings and len(firmly) >= EVERY_OTHER * len(where)
        if len(firmly) >= least and longest >= (SHORT_WORDS if ritual else LONG_WORDS):
            enough = min(SHORT_WORDS, longest / 2)
            texts.append((-len(where), runs[0].start, [run for run in runs if run.tokens >= enough]))
    return [runs for *_, runs in sorted(texts, key=lambda text: text[:2])]


def _runs(grams: Grams) -> list[list[Run]]:
    """By text, in order of place. Texts that are nowhere SHORT_WORDS long are dropped."""
    text = belonging(grams)[grams.kind]
    order = np.lexsort((grams.place, text))
    text, place, recording = text[order], grams.place[order], grams.text[order]
    begins = np.ones(len(order), dtype=bool)
    goes_on = (text[1:] == text[:-1]) & (recording[1:] == recording[:-1]) & (place[1:] - place[:-1] <= REACH)
    begins[1:] = ~goes_on
    first = np.flatnonzero(begins)
    after = np.append(first[1:], len(order))[: len(first)]
    end = place[after - 1] + GRAM
    longest = np.zeros(len(grams.hashes), dtype=np.int64)
    np.maximum.at(longest, text[first], end - place[first])

    found: dict[int, list[Run]] = {}
    for at in np.flatnonzero(longest[text[first]] >= SHORT_WORDS):
        begin = first[at]
        run = Run(int(recording[begin]), order[begin : after[at]], int(place[begin]), int(end[at]))
        found.setdefault(int(text[begin]), []).append(run)
    return list(found.values())


def _best(runs: Sequence[Run], grams: Grams) -> Run:
    """The run that says the text best: as long as the longest but one (that may hold it twice), most of it right."""
    length = sorted(run.tokens for run in runs)[-2:][0]
    kinds = {run.start: len(np.unique(grams.kind[run.members])) for run in runs}
    return max(runs, key=lambda run: (min(run.tokens, length), kinds[run.start], -run.tokens, -run.start))


# ---- runs -> places --------------------------------------------------------------------------------------------------


def _cut(run: Run, whole: Run, grams: Grams, tokens: Tokens, said: Sequence[Said], taken: np.ndarray) -> Cut | None:
    """The run without what a commoner text has already, and around it what `whole` says, if it is misheard there."""
    start, end = run.start, run.end
    while start < end and taken[start]:
        start += 1
    while start < end and taken[end - 1]:
        end -= 1
    if start == end:
        return None
    near = slice(max(0, run.start - GAP), run.end + GAP)
    offset = dict(
        zip(grams.kind[whole.members].tolist(), (grams.place[whole.members] - whole.start).tolist(), strict=True)
    )
    model = tokens.hashes[whole.start : whole.end]
    free = np.where(taken[near] | (tokens.text[near] != run.recording), np.uint64(0), tokens.hashes[near])
    if start == run.start and (first := offset.get(int(grams.kind[run.members[0]]))) is not None:
        start -= _more(model[:first][::-1], free[: start - near.start][::-1])
    if end == run.end and (last := offset.get(int(grams.kind[run.members[-1]]))) is not None:
        end += _more(model[last + GRAM :], free[run.end - near.start :])
    return _without_dribbles(start, end, tokens, said[run.recording])


def _more(model: np.ndarray, own: np.ndarray) -> int:
    """How many words still belong to a place, outwards: up to the last one that is right, if half of them are."""
    if len(model) > GAP:
        return 0  # it breaks off here
    right = model[: len(own)] == own[: len(model)]
    enough = right & (2 * np.cumsum(right) >= np.arange(1, len(right) + 1))
    return int(np.flatnonzero(enough)[-1]) + 1 if enough.any() else 0


def _without_dribbles(start: int, end: int, tokens: Tokens, one: Said) -> Cut:
    """Without a few first or last words that are another turn's: an answer that often begins alike."""
    turn = one.turn[tokens.word[start:end] - tokens.first_word[tokens.text[start]]]
    changes = np.flatnonzero(turn[1:] != turn[:-1]) + 1
    if len(changes) and len(turn) - changes[-1] < GRAM:
        end = start + int(changes[-1])
    if len(changes) and changes[0] < GRAM and start + int(changes[0]) < end:
        start += int(changes[0])
    return start, end


def _place(start: int, end: int, tokens: Tokens, said: Sequence[Said]) -> Place:
    recording = int(tokens.text[start])
    one = said[recording]
    first_of_it = int(tokens.first_word[recording])
    first, last = int(tokens.word[start]) - first_of_it, int(tokens.word[end - 1]) - first_of_it
    return Place(
        recording=one.recording,
        transcript=one.transcript,
        first_word=first,
        last_word=last + 1,
        start_s=round(float(one.start_s[first]), 3),
        end_s=round(float(one.end_s[last]), 3),
    )


# ---- places -> a cluster ---------------------------------------------------------------------------------------------


def _cluster(places: tuple[Place, ...], whole: int, hashes: np.ndarray, said: Sequence[Said]) -> Cluster:
    """`whole` is the place that says the text best."""
    lengths = {one.recording: len(one.words) for one in said}
    words = {one.recording: one.words for one in said}
    text = " ".join(words[places[whole].recording][places[whole].first_word : places[whole].last_word])
    grams = tuple(f"{gram:016x}" for gram in np.sort(hashes)[:MOST_GRAMS].tolist())
    return Cluster(
        id=grams[0],
        text=text,
        words=len(text.split()),
        guess=guess(text, places, lengths),
        places=places,
        grams=grams,
    )


def guess(text: str, places: Sequence[Place], lengths: Mapping[str, int]) -> SpanKind | None:
    """What a span seems to be: an advert by its words, a greeting or a closing by where it usually is.

    lengths   words of each recording
    """
    if ADVERT.search(text.lower().replace("’", "'")):
        return "advert"
    if median(place.first_word / lengths[place.recording] for place in places) <= NEAR_AN_END:
        return "greeting"
    if median(1 - place.last_word / lengths[place.recording] for place in places) <= NEAR_AN_END:
        return "closing"
    return None
