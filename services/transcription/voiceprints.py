"""The voiceprints of a show in the store: what each recording teaches, their mean, who is learnt and unlearnt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.transcription.alignment import Times
from services.transcription.hearing import Voice
from services.transcription.lineage import lineage_of
from shared import keys
from shared.errors import ArtifactMissingError, ConflictError, NotFoundError
from shared.jobs import JobContext
from shared.schemas import Enrolment, Recording, Voiceprint
from shared.store import Store, load, made_from, parse
from shared.voiceprints import DIFFERENT_VOICE_COSINE, cosine, enrolments_of, with_enrolments, without

FOUND = "the voice in all recordings"  # `by` of an enrolment that no person asked for


@dataclass(frozen=True)
class Wanted:
    """Somebody whose voice a recording teaches, and where they talk in it."""

    name: str
    role: str
    spans: tuple[Times, ...]
    spans_sha256: str
    by: str


def spans_sha256(spans: Sequence[Times]) -> str:
    return hashlib.sha256(json.dumps([list(span) for span in spans]).encode()).hexdigest()


def all_of(store: Store, show: str) -> dict[str, Voiceprint]:
    """By key: the host's, then the co-hosts'."""
    found = [key for key in (keys.voiceprint(show), *store.list(keys.voiceprints(show))) if store.exists(key)]
    return {key: load(store, key, Voiceprint) for key in found}


def key_of(show: str, role: str, name: str) -> str:
    return keys.voiceprint(show) if role == "host" else keys.co_host(show, name)


def holds(store: Store, show: str, wanted: Wanted, recording: str) -> bool:
    """Whether a voiceprint was taught by just these spans."""
    known = all_of(store, show).get(key_of(show, wanted.role, wanted.name))
    return known is not None and any(
        one.recording == recording and one.spans_sha256 == wanted.spans_sha256 for one in known.enrolments
    )


def unlike(store: Store, show: str, heard: Mapping[str, Voice]) -> tuple[str, ...]:
    """That a voice is not the one the show's host had until now."""
    known = all_of(store, show).get(keys.voiceprint(show))
    warnings = []
    for voice in heard.values():
        if known is not None and known.model == voice.model:
            alike = cosine(known.vector, voice.vector)
            if alike < DIFFERENT_VOICE_COSINE:
                warnings.append(f"this voice is unlike the host's earlier voiceprint ({alike:.2f}), which it replaced")
    return tuple(warnings)


def teach(
    store: Store,
    show: str,
    recording: Recording,
    wanted: Sequence[Wanted],
    voices: Mapping[str, Voice],
    job: JobContext,
) -> tuple[str, ...]:
    """Enrol what a recording teaches, drop what it does not teach any more; returns names that changed.

    voices   of `wanted`, by `spans_sha256`; one that is wanted and was not heard is not learnt, and not kept either
             unless it was taught by the same spans
    """
    changed = []
    by_key = {key_of(show, one.role, one.name): one for one in wanted}
    for key in dict.fromkeys((*all_of(store, show), *by_key)):
        one = by_key.get(key)
        voice = voices.get(one.spans_sha256) if one else None

        def taught(
            known: Voiceprint | None, one: Wanted | None = one, voice: Voice | None = voice
        ) -> Voiceprint | None:
            return _taught(store, known, recording.id, one, voice, show, job)

        if (name := _rewrite(store, key, taught)) is not None:
            changed.append(name)
    return tuple(changed)


def _taught(
    store: Store,
    known: Voiceprint | None,
    recording: str,
    wanted: Wanted | None,
    voice: Voice | None,
    show: str,
    job: JobContext,
) -> Voiceprint | None:
    before = enrolments_of(known) if known else ()
    own = next((one for one in before if one.recording == recording), None)
    if own is not None and wanted is None and own.by == FOUND:
        return known
    if own is not None and wanted is not None and own.spans_sha256 == wanted.spans_sha256:
        return known
    if wanted is None or voice is None:
        return without(known, recording) if known and own else known
    comparable = known is not None and known.model == voice.model
    others = [one for one in before if one.recording != recording] if comparable else []
    new = Enrolment(
        recording=recording,
        vector=voice.vector,
        speech_s=voice.speech_s,
        spans_sha256=wanted.spans_sha256,
        by=wanted.by,
    )
    return _of(store, show, [*others, new], wanted.name, wanted.role, voice.model, job)


def _of(
    store: Store, show: str, enrolments: Sequence[Enrolment], name: str, role: str, model: str, job: JobContext
) -> Voiceprint:
    sources = made_from(store, *(keys.recording(show, one.recording) for one in enrolments))
    empty = {"show": show, "model": model, "vector": (), "speech_s": 0.0, "name": name or None, "role": role}
    lineage = lineage_of(job, sources, {}, {"voice": model})
    return with_enrolments(Voiceprint.model_validate({**empty, "lineage": lineage}), enrolments)


def enrol(store: Store, show: str, enrolments: Sequence[Enrolment], name: str, model: str, job: JobContext) -> None:
    """Have the host's voiceprint be the mean of these."""
    _rewrite(store, keys.voiceprint(show), lambda known: _of(store, show, enrolments, name, "host", model, job))


def forget(store: Store, show: str, role: str, name: str) -> None:
    """raises NotFoundError, naming whose voices are known"""
    key = key_of(show, role, name)
    known = all_of(store, show)
    if key not in known:
        names = ", ".join(one.name or f"the {one.role}" for one in known.values()) or "nobody's"
        raise NotFoundError(f"{show} has no voiceprint of {name or 'its host'}; it knows {names}")
    store.delete(key)


def _rewrite(store: Store, key: str, change: Callable[[Voiceprint | None], Voiceprint | None]) -> str | None:
    """Change a voiceprint by compare-and-swap; returns whose it is if it changed."""
    while True:
        try:
            data, tag = store.read(key)
            known: Voiceprint | None = parse(data, key, Voiceprint)
        except ArtifactMissingError:
            known, tag = None, ""
        wanted = change(known)
        named = wanted or known
        if wanted == known or named is None:
            return None
        name = named.name or named.role
        if wanted is None:
            store.delete(key)
            return name
        if known is None:
            if store.create(key, wanted.model_dump_json().encode()):
                return name
            continue
        try:
            store.replace(key, wanted.model_dump_json().encode(), tag)
        except ConflictError:
            continue
        return name
