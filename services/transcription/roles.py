"""Who is the host: by voice if there is a voiceprint, else guessed from what is said, never from who is first. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.schemas import Role, Voiceprint

_THANKS = r"\b(thanks|thank you)( so much| very much)?"
HOST_PHRASES = (
    r"\bwelcome (back )?to\b",
    r"\b(my|our) guest\b",
    _THANKS + r" for (joining|coming)\b",
    r"\bjoining (me|us)\b",
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
CLEAR_LEAD = 1.0


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


def guess_host(said: Mapping[str, Sequence[str]], host: str) -> str | None:
    """The speaker who talks most like a host; None where nobody clearly does, or only one talks.

    said   texts of each speaker's turns, by label
    host   the host's name: who says "I'm NAME" is the host, who is only called so by others gets points too
    """
    if len(said) < 2:
        return None
    questions = {label: sum(text.count("?") for text in texts) for label, texts in said.items()}
    asked = sum(questions.values())
    points = {label: _points(" ".join(texts), host) for label, texts in said.items()}
    for label in points:
        points[label] += QUESTION_POINTS * questions[label] / asked if asked else 0.0
    first, second = sorted(points, key=lambda label: points[label], reverse=True)[:2]
    return first if points[first] - points[second] >= CLEAR_LEAD else None


def roles_of(speech_s: Mapping[str, float], host: str | None) -> dict[str, Role]:
    """The host, the one who talks most besides (the guest), and others; all unknown where there is no host."""
    if host is None:
        return dict.fromkeys(speech_s, Role.UNKNOWN)
    others = sorted((label for label in speech_s if label != host), key=lambda label: -speech_s[label])
    return {
        label: Role.HOST if label == host else Role.GUEST if label == others[0] else Role.OTHER for label in speech_s
    }


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
