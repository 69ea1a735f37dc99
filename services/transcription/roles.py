"""Who is the host, a co-host, a guest: by voice if there are voiceprints, else guessed from what is said, never from
who is first. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.schemas import Role, Voiceprint

_THANKS = r"\b(thanks|thank you)( so much| very much)?"
HOST_PHRASES_SURE = (  # nobody else says this
    _THANKS + r" for (joining|coming)\b",
    r"\bjoining (me|us)\b",
    r"\b(my|our) guest (today|tonight|is|this)\b",
)
HOST_PHRASES = (
    *HOST_PHRASES_SURE,
    r"\bwelcome (back )?to\b",
    r"\b(my|our) guest\b",
    r"\b(our|the|my) (listeners|viewers)\b",
    r"\bbrought to you by\b",
    r"\bthis (episode|show) is\b",
    r"\bsubscribe\b",
    r"\bin the (show )?intro\b",
    r"\btell (me|us) (about|how|what|why|when|where)\b",
    r"\bon (this|the) (show|podcast)\b",
)
GUEST_PHRASES = (
    _THANKS + r" for having (me|us)\b",
    r"\b(glad|happy|great|good|pleasure|honou?red) to be (here|on)\b",
)
PHRASE_POINTS, GUEST_POINTS, NAME_POINTS, QUESTION_POINTS = 2.0, 4.0, 6.0, 4.0
CLEAR_LEAD, STRONG_LEAD = 1.0, 6.0


@dataclass(frozen=True)
class Recognition:
    """Cosine of each voice to the host's voiceprint; `host` is the index of the one that surely is the host."""

    scores: tuple[float, ...]
    host: int | None


def recognise(centroids: np.ndarray, voiceprint: Voiceprint, *, accept: float, lead: float) -> Recognition:
    """Find the host among whole speakers.

    centroids     (K, D) unit length, of the same model as the voiceprint
    accept, lead  the host's cosine must reach the first and beat all others by the second
    """
    scores = centroids @ np.array(voiceprint.vector)
    ranked = np.sort(scores)[::-1]
    sure = ranked[0] >= accept and (len(ranked) == 1 or ranked[0] - ranked[1] >= lead)
    return Recognition(tuple(float(score) for score in scores), int(scores.argmax()) if sure else None)


@dataclass(frozen=True)
class Recognitions:
    """Cosine of each of P voiceprints to each of K voices; `voices` says whose voice it surely is.

    scores   P times K
    voices   voiceprint -> voice, both by index; a voice belongs to one voiceprint at most
    """

    scores: tuple[tuple[float, ...], ...]
    voices: Mapping[int, int]

    def of(self, voiceprint: int) -> Recognition:
        return Recognition(self.scores[voiceprint], self.voices.get(voiceprint))


def recognise_all(
    centroids: np.ndarray, voiceprints: Sequence[Voiceprint], *, accept: float, lead: float
) -> Recognitions:
    """Find several known people among whole speakers.

    Each is found as `recognise` finds one. A voice that is near to two of them belongs to the nearer one, if that leads
    as clearly, else to none.

    voiceprints   all of the model that made the centroids
    """
    found = [recognise(centroids, voiceprint, accept=accept, lead=lead) for voiceprint in voiceprints]
    voices: dict[int, int] = {}
    for person, one in enumerate(found):
        rivals = [other.scores[one.host] for other in found if other is not one and other.host == one.host is not None]
        if one.host is not None and all(one.scores[one.host] - rival >= lead for rival in rivals):
            voices[person] = one.host
    return Recognitions(tuple(one.scores for one in found), voices)


def guess_host(said: Mapping[str, Sequence[str]], host: str, lead: float = CLEAR_LEAD) -> str | None:
    """The speaker who talks most like a host; None where nobody clearly does, or only one talks.

    said   texts of each speaker's turns, by label
    host   the host's name: who says "I'm NAME" is the host, who is only called so by others gets points too
    lead   points by which one has to be ahead of all others
    """
    if len(said) < 2:
        return None
    questions = {label: sum(text.count("?") for text in texts) for label, texts in said.items()}
    asked = sum(questions.values())
    points = {label: _points(" ".join(texts), host) for label, texts in said.items()}
    for label in points:
        points[label] += QUESTION_POINTS * questions[label] / asked if asked else 0.0
    first, second = sorted(points, key=lambda label: points[label], reverse=True)[:2]
    return first if points[first] - points[second] >= lead else None


def contradicted(said: Mapping[str, Sequence[str]], host: str, label: str) -> str | None:
    """Who talks far more like the host than `label`, whose voice is the host's; None where nobody does."""
    guess = guess_host(said, host, STRONG_LEAD)
    return guess if guess != label else None


def roles_of(speech_s: Mapping[str, float], host: str | None, co_hosts: Collection[str] = ()) -> dict[str, Role]:
    """The host, co-hosts, the one who talks most besides (the guest), and others.

    Where nobody is known to be the host, the rest are unknown: any of them may be.
    """
    roles = {**dict.fromkeys(co_hosts, Role.CO_HOST), **({host: Role.HOST} if host is not None else {})}
    rest = sorted((label for label in speech_s if label not in roles), key=lambda label: -speech_s[label])
    for place, label in enumerate(rest):
        roles[label] = Role.UNKNOWN if host is None else Role.GUEST if place == 0 else Role.OTHER
    return {label: roles[label] for label in speech_s}


def _points(text: str, host: str) -> float:
    lower = text.lower().replace("’", "'")
    points = PHRASE_POINTS * sum(bool(re.search(phrase, lower)) for phrase in HOST_PHRASES)
    points -= GUEST_POINTS * sum(bool(re.search(phrase, lower)) for phrase in GUEST_PHRASES)
    name = re.escape(host.lower())
    if re.search(rf"\b(i'm|i am|my name is|your host,?|this is) {name}\b", lower):
        points += NAME_POINTS
    first_name = re.escape(host.lower().split()[0])
    if re.search(rf"\b(thanks|thank you|hello|hi|well),? {first_name}\b", lower):
        points -= GUEST_POINTS
    return points
