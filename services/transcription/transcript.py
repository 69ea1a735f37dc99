"""Turns of voices -> a Transcript with speakers, roles, review flags and warnings; and its correction. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.transcription.diarisation import likeness
from services.transcription.doubts import RARER_SHARE, Cast, Doubt, doubts_of
from services.transcription.hearing import Heard, Voices
from services.transcription.roles import Recognition, contradicted, guess_host, recognise_all, roles_of
from services.transcription.settings import Limits
from services.transcription.turns import VoiceTurn, build_turns
from shared.errors import BadInputError
from shared.schemas import (
    HostMethod,
    LanguageHeard,
    Lineage,
    Recording,
    Role,
    SetHostRequest,
    Show,
    Speaker,
    Transcript,
    Turn,
    Voiceprint,
)

NEAR_TURN_S = 3.0
UNSURE_BELOW = 0.04  # under `same_voice`: a real pair and a ghost look the same there


# ---- machine revision ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HostFound:
    """`co_hosts`: label -> name, of those who were recognised."""

    label: str | None
    method: HostMethod
    scores: Mapping[str, float]
    warnings: tuple[str, ...]
    co_hosts: Mapping[str, str | None] = field(default_factory=dict)


def machine_transcript(
    revision: str,
    show: Show,
    recording: Recording,
    heard: Heard,
    voices: Voices,
    voiceprint: Voiceprint | None,
    lineage: Lineage,
    limits: Limits,
    co_hosts: Sequence[Voiceprint] = (),
) -> Transcript:
    """Everything that was heard, as a revision.

    voiceprint   the host's; those of co-hosts beside it
    lineage      its parameters name the number of speakers that were asked for, 0 if that was to be found out
    """
    voice_turns = build_turns(heard.words, voices.spans, voices.evidence)
    labels = labels_of(voice_turns)
    found = find_host(voice_turns, labels, voices, voiceprint, show, limits, co_hosts)
    speech_s = _speech_s(voice_turns, labels)
    roles = roles_of(speech_s, found.label, found.co_hosts)
    names = {**_names(roles, show, recording), **found.co_hosts}
    speakers = tuple(
        Speaker(
            label=label,
            role=roles[label],
            name=names.get(label),
            speech_s=round(seconds, 2),
            host_score=found.scores.get(label),
        )
        for label, seconds in speech_s.items()
    )
    cast = Cast(labels, roles, lineage.parameters["speakers"], likeness(np.array(voices.centroids)))
    doubts = doubts_of(voice_turns, voices.evidence, cast, limits)
    confidence = heard.confidence
    return Transcript(
        id=revision,
        recording=recording.id,
        show=show.slug,
        kind="machine",
        language=heard.language,
        language_heard=None if confidence is None else LanguageHeard(language=heard.language, confidence=confidence),
        guest=recording.guest,
        duration_s=heard.duration_s,
        speakers=speakers,
        host_method=found.method,
        turns=tuple(
            turn_of(f"t{place}", turn, labels[turn.voice], roles, doubt, limits)
            for place, (turn, doubt) in enumerate(zip(voice_turns, doubts, strict=True), start=1)
        ),
        engines={**heard.engines, "diariser": voices.diariser or voices.model, "voices": voices.model},
        warnings=(*heard.warnings, *voices.warnings, *_voice_warnings(cast, speech_s, limits), *found.warnings),
        lineage=lineage,
    )


def find_host(
    turns: Sequence[VoiceTurn],
    labels: Mapping[int, str],
    voices: Voices,
    voiceprint: Voiceprint | None,
    show: Show,
    limits: Limits,
    co_hosts: Sequence[Voiceprint] = (),
) -> HostFound:
    """By voice where the show's voiceprint decides, else by what is said, marked as a guess."""
    recognition, known, warnings = _by_voice(labels, voices, voiceprint, co_hosts, limits)
    scores = {labels[voice]: round(score, 4) for voice, score in enumerate(recognition.scores) if voice in labels}
    said = {label: [turn.text for turn in turns if labels[turn.voice] == label] for label in labels.values()}
    if recognition.host is not None:
        label = labels[recognition.host]
        if other := contradicted(said, show.host, label):
            warnings += (f"{label} has the host's voice, but {other} talks like the host: listen to both",)
        return HostFound(label, HostMethod.VOICEPRINT, scores, warnings, known)
    guess = guess_host({label: texts for label, texts in said.items() if label not in known}, show.host)
    if guess is None:
        settle = "nobody is known as the host: say who it is with `diary transcripts host`"
        return HostFound(None, HostMethod.UNKNOWN, scores, (*warnings, settle), known)
    settle = f"{guess} is only guessed to be the host, from the text: confirm it with `diary transcripts host`"
    return HostFound(guess, HostMethod.GUESSED, scores, (*warnings, settle), known)


def _by_voice(
    labels: Mapping[int, str],
    voices: Voices,
    voiceprint: Voiceprint | None,
    co_hosts: Sequence[Voiceprint],
    limits: Limits,
) -> tuple[Recognition, dict[str, str | None], tuple[str, ...]]:
    """The host, the co-hosts by label, and warnings; voices without words are nobody's."""
    known = [one for one in (voiceprint, *co_hosts) if one is not None and one.model == voices.model]
    warnings = tuple(
        f"{_whose(one)} voiceprint is of {one.model}, voices here are of {voices.model}: set {one.role} again"
        for one in (voiceprint, *co_hosts)
        if one is not None and one not in known
    )
    found = recognise_all(np.array(voices.centroids), known, accept=limits.host_accept, lead=limits.host_lead)
    names: dict[str, str | None] = {}
    host = Recognition((), None)
    for place, one in enumerate(known):
        voice = found.voices.get(place)
        voice = voice if voice in labels else None
        if one is voiceprint:
            host = Recognition(found.scores[place], voice)
        elif voice is not None:
            names[labels[voice]] = one.name
    if host.scores and host.host is None:
        best = max(host.scores)
        warnings += (
            f"no voice is surely the host's (nearest {best:.2f}, needed {limits.host_accept:.2f} and a clear lead)",
        )
    return host, names, warnings


def _whose(voiceprint: Voiceprint) -> str:
    return "the host's" if voiceprint.role == "host" else f"{voiceprint.name or 'a co-host'}'s"


def labels_of(turns: Sequence[VoiceTurn]) -> dict[int, str]:
    """S1, S2, ... in order of appearance."""
    voices = dict.fromkeys(turn.voice for turn in turns)
    return {voice: f"S{place}" for place, voice in enumerate(voices, start=1)}


def _speech_s(turns: Sequence[VoiceTurn], labels: Mapping[int, str]) -> dict[str, float]:
    seconds = dict.fromkeys(labels.values(), 0.0)
    for turn in turns:
        seconds[labels[turn.voice]] += sum(word.end_s - word.start_s for word in turn.words)
    return seconds


def _names(roles: Mapping[str, Role], show: Show, recording: Recording) -> dict[str, str | None]:
    known = {Role.HOST: show.host, Role.GUEST: recording.guest}
    return {label: name for label, role in roles.items() if (name := known.get(role))}


def turn_of(name: str, turn: VoiceTurn, label: str, roles: Mapping[str, Role], doubt: Doubt, limits: Limits) -> Turn:
    doubtful = doubt.doubt >= limits.review_doubt
    return Turn(
        id=name,
        speaker=label,
        role=roles[label],
        start_s=turn.start_s,
        end_s=turn.end_s,
        text=turn.text,
        words=turn.words,
        overlap=doubt.overlap,
        needs_review=doubtful,
        review_reasons=doubt.reasons if doubtful else (),
        doubt=doubt.doubt,
    )


def _voice_warnings(cast: Cast, speech_s: Mapping[str, float], limits: Limits) -> list[str]:
    """Voices that may be one person, or none; where nobody said how many talk, we ask earlier."""
    labels, warnings = cast.labels, []
    if len(labels) < cast.expected:
        warnings.append(
            f"{len(labels)} speaker(s) were heard, {cast.expected} were expected: check the number of speakers"
        )
    same = limits.same_voice - (0.0 if cast.expected else UNSURE_BELOW)
    alike = cast.alike if cast.alike is not None else np.zeros((0, 0))
    for first, second in zip(*np.nonzero(np.triu(alike >= same)), strict=True):
        if first in labels and second in labels:
            pair = f"{labels[first]} and {labels[second]}"
            warnings.append(f"{pair} may be one person (voices {alike[first, second]:.2f} alike)")
    total_s = sum(speech_s.values())
    for label, seconds in speech_s.items():
        if seconds < RARER_SHARE * total_s:
            warnings.append(
                f"{label} says only {seconds:.0f} s: it may be one person with another speaker, or none at all"
            )
    return warnings


# ---- correction ----------------------------------------------------------------------------------------------------


def speaker_meant(transcript: Transcript, request: SetHostRequest) -> str:
    """Label of the speaker that a person named, by label or by a second at which they talk.

    raises   BadInputError, naming the speakers there are
    """
    labels = [speaker.label for speaker in transcript.speakers]
    if (request.speaker is None) == (request.at_s is None):
        raise BadInputError(f"say who the host is by exactly one of speaker ({', '.join(labels)}) and at_s (a second)")
    if request.speaker is not None:
        if request.speaker not in labels:
            raise BadInputError(
                f"there is no speaker {request.speaker!r} in this transcript; choose of {', '.join(labels)}"
            )
        return request.speaker
    at_s = request.at_s or 0.0
    away = {turn: max(turn.start_s - at_s, at_s - turn.end_s, 0.0) for turn in transcript.turns}
    nearest = min(away, key=lambda turn: away[turn], default=None)
    if nearest is None or away[nearest] > NEAR_TURN_S:
        raise BadInputError(f"nobody talks at {at_s:g} s; name another second, or a speaker of {', '.join(labels)}")
    return nearest.speaker
