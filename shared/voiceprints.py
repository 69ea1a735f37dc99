"""What a voiceprint is made of: the mean of what recordings taught, and the same without one of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shared import keys
from shared.schemas import Enrolment, Voiceprint

DIFFERENT_VOICE_COSINE = 0.8
UNKNOWN_SPANS = "0" * 64


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Of two vectors of unit length."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def enrolments_of(known: Voiceprint) -> tuple[Enrolment, ...]:
    """What taught it; of schema 1, whose vector is that of the recording which its lineage names."""
    if known.enrolments:
        return known.enrolments
    prefix = keys.recordings(known.show)
    named = [source.key for source in known.lineage.made_from if source.key.startswith(prefix)]
    return tuple(
        Enrolment(
            recording=key.removeprefix(prefix).removesuffix(".json"),
            vector=known.vector,
            speech_s=known.speech_s,
            spans_sha256=UNKNOWN_SPANS,
            by=known.lineage.actor,
            at=known.lineage.made_at,
        )
        for key in named[:1]
    )


def with_enrolments(known: Voiceprint, enrolments: Sequence[Enrolment]) -> Voiceprint:
    """A voiceprint taught by just these: the mean of those that agree with the newest, weighted by their speech.

    Who is unlike the newest was somebody else: kept, for a word that is taken back, and not counted.
    """
    ordered = tuple(sorted(enrolments, key=lambda one: one.recording))
    newest = max(ordered, key=lambda one: one.at)
    agreeing = [one for one in ordered if cosine(one.vector, newest.vector) >= DIFFERENT_VOICE_COSINE] or [newest]
    return known.model_copy(
        update={
            "schema_version": 2,
            "vector": _mean(agreeing),
            "speech_s": sum(one.speech_s for one in agreeing),
            "enrolments": ordered,
        }
    )


def without(known: Voiceprint, recording: str) -> Voiceprint | None:
    """As if a recording had never taught it; None if nothing else did."""
    others = tuple(one for one in enrolments_of(known) if one.recording != recording)
    if not others:
        return None
    named = {keys.recording(known.show, one.recording) for one in others}
    made_from = tuple(source for source in known.lineage.made_from if source.key in named)
    lineage = known.lineage.model_copy(update={"made_from": made_from})
    return with_enrolments(known.model_copy(update={"lineage": lineage}), others)


def _mean(enrolments: Sequence[Enrolment]) -> tuple[float, ...]:
    if len(enrolments) == 1:
        return enrolments[0].vector
    total = [
        math.fsum(value * one.speech_s for value, one in zip(values, enrolments, strict=True))
        for values in zip(*(one.vector for one in enrolments), strict=True)
    ]
    length = math.sqrt(math.fsum(value * value for value in total))
    return tuple(value / length for value in total)
