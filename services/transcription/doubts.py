"""How likely something is wrong with a turn, and why: what a person is shown first. Pure.

Each sign gives a doubt between 0 and 1, taken for independent: together they are 1 - (1 - a)(1 - b)... The strongest
sign is the voice itself: a sentence that sounds more like somebody else than like the one it was given to.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np

from services.transcription.hearing import Evidence
from services.transcription.roles import GUEST_PHRASES, HOST_PHRASES_SURE
from services.transcription.settings import Limits
from services.transcription.turns import SENTENCE_END, VoiceTurn
from shared.schemas import Role, Word

SURE_DOUBT, SURE_MARGIN = 0.9, -0.08  # from this margin down it is nearly surely somebody else
FULL_WEIGHT_S = 0.8  # a shorter stretch weighs less: windows are this long
EDGE_S = 0.2  # windows this near to the edge of a turn sound like both
SHORT, SHORT_UNHEARD = 0.2, 0.4  # a short turn with, and without a voice that says who it is
RARE_SHARE, RARER_SHARE, ALIKE = 0.2, 0.05, 0.83
GHOST = 0.55
OVERLAP, OVERLAP_SHARE = 0.4, 0.25
MID_SENTENCE, OWN_ANSWER, WRONG_PHRASE = 0.12, 0.3, 0.6
UNCLEAR, UNCLEAR_SCORE = 0.35, 0.5

ANSWER = re.compile(r"^(yes|yeah|yep|no|nope|sure|well|absolutely|exactly|thank you|thanks)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Doubt:
    """`reasons` are for people, the weightiest first."""

    doubt: float = 0.0
    reasons: tuple[str, ...] = ()
    overlap: float = 0.0


@dataclass(frozen=True)
class Cast:
    """Who the voices of the turns are.

    labels     voice -> S1, S2, ...
    roles      label -> role
    expected   how many people were said to talk; 0 if nobody said
    alike      (K, K) cosine between the voices, as diarisation.likeness gives it; None where they were not compared
    """

    labels: Mapping[int, str]
    roles: Mapping[str, Role] = field(default_factory=dict)
    expected: int = 0
    alike: np.ndarray | None = None

    def nearest(self, voice: int, shares: Mapping[int, float]) -> tuple[float, int | None]:
        """How much the voice is like the one most like it of those that say more, and which that is."""
        larger = [other for other in shares if shares[other] > shares[voice]]
        if self.alike is None or not larger:
            return 0.0, None
        return max((float(self.alike[voice, other]), other) for other in larger)

    def ghosts(self, shares: Mapping[int, float]) -> dict[int, str]:
        """Voices that may be no person -> why."""
        ranked = sorted(shares, key=lambda voice: -shares[voice])
        found: dict[int, str] = {}
        for rank, voice in enumerate(ranked):
            who, (alike, other) = self.labels.get(voice, "this voice"), self.nearest(voice, shares)
            if self.expected and rank >= self.expected:
                found[voice] = f"{who} is one voice more than the {self.expected} that were told"
            elif other is not None and alike >= ALIKE and shares[voice] < RARE_SHARE:
                like = self.labels.get(other, "another voice")
                found[voice] = f"{who} says only {shares[voice]:.0%}, and sounds like {like}: both may be one person"
            elif rank and shares[voice] < RARER_SHARE:
                found[voice] = f"{who} says only {shares[voice]:.0%} of all: it may be no person"
        return found


Sign = tuple[float, str]


def doubts_of(turns: Sequence[VoiceTurn], evidence: Evidence, cast: Cast, limits: Limits) -> list[Doubt]:
    """One for each turn.

    evidence   of the same voices as the turns'; without any window only text and lengths are judged
    """
    ear = _Ear(evidence)
    shares = _shares(turns)
    ghosts = cast.ghosts(shares)
    found = []
    for place, turn in enumerate(turns):
        before = turns[place - 1] if place else None
        overlap = ear.overlap(turn.start_s, turn.end_s)
        signs = [
            *_by_voice(turn, ear, ghosts, cast, limits),
            *_by_length(turn, ear, limits),
            *_by_overlap(overlap),
            *([(GHOST, ghosts[turn.voice])] if turn.voice in ghosts else []),
            *_by_text(turn, before, cast),
            *_by_clearness(turn),
        ]
        found.append(_together(signs, round(overlap, 3)))
    return found


def doubt_of_words(turn: VoiceTurn, overlap: float) -> Doubt:
    """Of a turn whose speaker is certain: only its words may be wrong."""
    return _together(_by_clearness(turn), round(overlap, 3))


def _together(signs: Iterable[Sign], overlap: float) -> Doubt:
    ranked = sorted(signs, key=lambda sign: -sign[0])
    sure = float(np.prod([1.0 - doubt for doubt, _ in ranked])) if ranked else 1.0
    return Doubt(round(1.0 - sure, 4), tuple(reason for _, reason in ranked), overlap)


class _Ear:
    """Evidence by time."""

    def __init__(self, evidence: Evidence) -> None:
        self.centres_s = np.array(evidence.centres_s)
        self.cosines = np.array(evidence.cosines)
        self.overlaps = np.array(evidence.overlap)

    def margin(self, voice: int, start_s: float, end_s: float, but: Container[int] = ()) -> tuple[float, int] | None:
        """How much more a stretch sounds like `voice` than like the next one (mean cosine difference), and which that
        is; None where nothing was heard, or there is no other voice but those of `but`."""
        inside = self._inside(start_s, end_s)
        if len(inside) == 0:
            return None
        means = self.cosines[inside].mean(axis=0)
        others = [other for other in range(len(means)) if other != voice and other not in but]
        if not others or voice >= len(means):
            return None
        other = max(others, key=lambda one: float(means[one]))
        return float(means[voice] - means[other]), other

    def overlap(self, start_s: float, end_s: float) -> float:
        inside = self._inside(start_s, end_s)
        return float((self.overlaps[inside] > OVERLAP_SHARE).mean()) if len(inside) else 0.0

    def _inside(self, start_s: float, end_s: float) -> np.ndarray:
        first, last = np.searchsorted(self.centres_s, (start_s, end_s))
        return np.arange(first, last)


def _by_voice(turn: VoiceTurn, ear: _Ear, ghosts: Container[int], cast: Cast, limits: Limits) -> Iterable[Sign]:
    """The sentence that sounds least like the turn's voice.

    ghosts   voices that may be no person: it is no sign that the turn sounds like one
    """
    worst: Sign | None = None
    for start_s, end_s in _sentences(turn.words):
        edge_s = min(EDGE_S, (end_s - start_s) / 4)
        heard = ear.margin(turn.voice, start_s + edge_s, end_s - edge_s, ghosts)
        if heard is None:
            continue
        margin, other = heard
        weight = min((end_s - start_s) / FULL_WEIGHT_S, 1.0)
        doubt = SURE_DOUBT * weight * _ramp(margin, limits.review_margin, SURE_MARGIN)
        if doubt > (worst[0] if worst else 0.0):
            who = cast.labels.get(other, "another voice")
            like = f"sounds like {who}" if margin < 0 else f"{who} is nearly as likely"
            worst = (doubt, f"at {start_s:.1f} s {like} (margin {margin:.2f})")
    return [worst] if worst else []


def _by_length(turn: VoiceTurn, ear: _Ear, limits: Limits) -> Iterable[Sign]:
    length_s = turn.end_s - turn.start_s
    if length_s < limits.review_short_s:
        unheard = ear.margin(turn.voice, turn.start_s, turn.end_s) is None
        yield (SHORT_UNHEARD if unheard else SHORT), f"shorter than {limits.review_short_s:g} s"


def _by_overlap(overlap: float) -> Iterable[Sign]:
    if overlap > OVERLAP_SHARE:
        yield OVERLAP * overlap, f"somebody else talks too in {overlap:.0%} of it"


def _by_text(turn: VoiceTurn, before: VoiceTurn | None, cast: Cast) -> Iterable[Sign]:
    text = turn.text
    if before is not None and text[:1].islower() and not before.text.endswith(SENTENCE_END):
        yield MID_SENTENCE, "starts in the middle of a sentence"
    sentences = _texts(turn.words)
    for asked, answer in pairwise(sentences):
        if asked.endswith("?") and ANSWER.match(answer):
            yield OWN_ANSWER, f'answers its own question: "{_cut(answer)}"'
            break
    role = cast.roles.get(cast.labels.get(turn.voice, ""))
    lower = text.lower().replace("’", "'")
    for phrases, whose, others in ((HOST_PHRASES_SURE, "host", Role.GUEST), (GUEST_PHRASES, "guest", Role.HOST)):
        said = next((found.group() for phrase in phrases if (found := re.search(phrase, lower))), None)
        if role is others and said:
            yield WRONG_PHRASE, f'"{said}" is what a {whose} says'


def _by_clearness(turn: VoiceTurn) -> Iterable[Sign]:
    scores = [word.score for word in turn.words if word.score is not None]
    mean = float(np.mean(scores)) if scores else 1.0
    if mean < UNCLEAR_SCORE:
        yield UNCLEAR * _ramp(mean, UNCLEAR_SCORE, 0.2), f"the recogniser is unsure of its words (score {mean:.2f})"


def _ramp(value: float, harmless: float, full: float) -> float:
    """0 at `harmless` and beyond, 1 at `full` and beyond, straight in between."""
    return float(np.clip((harmless - value) / (harmless - full), 0.0, 1.0))


def _shares(turns: Sequence[VoiceTurn]) -> dict[int, float]:
    seconds: dict[int, float] = {}
    for turn in turns:
        spoken_s = sum(word.end_s - word.start_s for word in turn.words)
        seconds[turn.voice] = seconds.get(turn.voice, 0.0) + spoken_s
    total_s = sum(seconds.values()) or 1.0
    return {voice: own / total_s for voice, own in seconds.items()}


def _runs(words: Sequence[Word]) -> list[Sequence[Word]]:
    """The words of each sentence."""
    ends = [place for place, word in enumerate(words, start=1) if word.text.endswith(SENTENCE_END)]
    edges = sorted({0, *ends, len(words)})
    return [words[first:last] for first, last in pairwise(edges)]


def _sentences(words: Sequence[Word]) -> list[tuple[float, float]]:
    return [(run[0].start_s, run[-1].end_s) for run in _runs(words)]


def _texts(words: Sequence[Word]) -> list[str]:
    return [" ".join(word.text for word in run) for run in _runs(words)]


def _cut(text: str, most: int = 40) -> str:
    """Whole words of at most `most` characters together."""
    fitting = [length for length in accumulate(len(word) + 1 for word in text.split()) if length <= most]
    return text if len(text) <= most else f"{text[: fitting[-1] - 1 if fitting else most]}..."
