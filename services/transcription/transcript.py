"""Turns of voices -> a Transcript with speakers, roles, review flags and warnings; and its correction. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.transcription.diarisation import likeness
from services.transcription.hearing import Heard, Voices
from services.transcription.roles import Recognition, guess_host, recognise, roles_of
from services.transcription.settings import Limits
from services.transcription.turns import VoiceTurn, build_turns
from shared.errors import BadInputError
from shared.schemas import (
    HostMethod,
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


# ---- machine revision ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HostFound:
    label: str | None
    method: HostMethod
    scores: Mapping[str, float]
    warnings: tuple[str, ...]


def machine_transcript(
    revision: str,
    show: Show,
    recording: Recording,
    heard: Heard,
    voices: Voices,
    voiceprint: Voiceprint | None,
    lineage: Lineage,
    limits: Limits,
) -> Transcript:
    """Everything that was heard, as a revision.

    lineage   its parameters name the language and the number of speakers that were asked for
    """
    voice_turns = build_turns(heard.words, voices.spans)
    labels = _labels(voice_turns)
    found = find_host(voice_turns, labels, voices, voiceprint, show, limits)
    speech_s = _speech_s(voice_turns, labels)
    roles = roles_of(speech_s, found.label)
    names = _names(roles, show, recording)
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
    warnings = (
        *heard.warnings,
        *_voice_warnings(voices, labels, lineage.parameters["speakers"], limits),
        *found.warnings,
    )
    return Transcript(
        id=revision,
        recording=recording.id,
        show=show.slug,
        kind="machine",
        language=lineage.parameters["language"],
        guest=recording.guest,
        duration_s=heard.duration_s,
        speakers=speakers,
        host_method=found.method,
        turns=tuple(_turn(turn, labels[turn.voice], roles, len(speakers), limits) for turn in voice_turns),
        engines={**heard.engines, "diariser": voices.model},
        warnings=warnings,
        lineage=lineage,
    )


def find_host(
    turns: Sequence[VoiceTurn],
    labels: Mapping[int, str],
    voices: Voices,
    voiceprint: Voiceprint | None,
    show: Show,
    limits: Limits,
) -> HostFound:
    """By voice where the show's voiceprint decides, else by what is said, marked as a guess."""
    recognition, warnings = _by_voice(labels, voices, voiceprint, limits)
    scores = {labels[voice]: round(score, 4) for voice, score in enumerate(recognition.scores) if voice in labels}
    if recognition.host is not None and recognition.host in labels:
        return HostFound(labels[recognition.host], HostMethod.VOICEPRINT, scores, warnings)
    said = {label: [turn.text for turn in turns if labels[turn.voice] == label] for label in labels.values()}
    guess = guess_host(said, show.host)
    if guess is None:
        settle = "nobody is known as the host: say who it is with `diary transcripts host`"
        return HostFound(None, HostMethod.UNKNOWN, scores, (*warnings, settle))
    settle = f"{guess} is only guessed to be the host, from the text: confirm it with `diary transcripts host`"
    return HostFound(guess, HostMethod.GUESSED, scores, (*warnings, settle))


def _by_voice(
    labels: Mapping[int, str], voices: Voices, voiceprint: Voiceprint | None, limits: Limits
) -> tuple[Recognition, tuple[str, ...]]:
    if voiceprint is None:
        return Recognition((), None), ()
    if voiceprint.model != voices.model:
        return Recognition((), None), (
            f"the host's voiceprint is of {voiceprint.model}, voices here are of {voices.model}: set the host again",
        )
    found = recognise(np.array(voices.centroids), voiceprint, accept=limits.host_accept, lead=limits.host_lead)
    if found.host is None or found.host not in labels:
        best = max(found.scores)
        return found, (
            f"no voice is surely the host's (nearest {best:.2f}, needed {limits.host_accept:.2f} and a clear lead)",
        )
    return found, ()


def _labels(turns: Sequence[VoiceTurn]) -> dict[int, str]:
    """S1, S2, ... in order of appearance."""
    voices = dict.fromkeys(turn.voice for turn in turns)
    return {voice: f"S{place}" for place, voice in enumerate(voices, start=1)}


def _speech_s(turns: Sequence[VoiceTurn], labels: Mapping[int, str]) -> dict[str, float]:
    seconds = dict.fromkeys(labels.values(), 0.0)
    for turn in turns:
        seconds[labels[turn.voice]] += sum(word.end_s - word.start_s for word in turn.words)
    return seconds


def _names(roles: Mapping[str, Role], show: Show, recording: Recording) -> dict[str, str]:
    known = {Role.HOST: show.host, Role.GUEST: recording.guest}
    return {label: name for label, role in roles.items() if (name := known.get(role))}


def _turn(turn: VoiceTurn, label: str, roles: Mapping[str, Role], speakers: int, limits: Limits) -> Turn:
    reasons = []
    if turn.end_s - turn.start_s < limits.review_short_s:
        reasons.append(f"shorter than {limits.review_short_s:g} s")
    if speakers > 1 and turn.margin < limits.review_margin:
        reasons.append(f"two voices are nearly as likely (margin {turn.margin:.2f})")
    return Turn(
        speaker=label,
        role=roles[label],
        start_s=turn.start_s,
        end_s=turn.end_s,
        text=turn.text,
        words=turn.words,
        needs_review=bool(reasons),
        review_reasons=tuple(reasons),
    )


def _voice_warnings(voices: Voices, labels: Mapping[int, str], expected: int, limits: Limits) -> list[str]:
    warnings = []
    if len(labels) < expected:
        warnings.append(f"{len(labels)} speaker(s) were heard, {expected} were expected: check the number of speakers")
    alike = likeness(np.array(voices.centroids))
    for first, second in zip(*np.nonzero(np.triu(alike >= limits.same_voice)), strict=True):
        if first in labels and second in labels:
            pair = f"{labels[first]} and {labels[second]}"
            warnings.append(f"{pair} may be one person (voices {alike[first, second]:.2f} alike)")
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


def with_host(
    transcript: Transcript,
    label: str,
    revision: str,
    show: Show,
    recording: Recording,
    warnings: Sequence[str],
    lineage: Lineage,
) -> Transcript:
    """The same turns with the roles that follow from who is the host, as a correction of `transcript`."""
    weight = {s.label: s.speech_s or _turns_s(transcript, s.label) for s in transcript.speakers}
    roles = roles_of(weight, label)
    kept = {s.label: s.name for s in transcript.speakers if s.name != show.host}
    names = {**kept, **_names(roles, show, recording)}
    return transcript.model_copy(
        update={
            "id": revision,
            "parent": transcript.id,
            "kind": "correction",
            "host_method": HostMethod.SET,
            "speakers": tuple(
                speaker.model_copy(update={"role": roles[speaker.label], "name": names.get(speaker.label)})
                for speaker in transcript.speakers
            ),
            "turns": tuple(turn.model_copy(update={"role": roles[turn.speaker]}) for turn in transcript.turns),
            "warnings": (*(w for w in transcript.warnings if "diary transcripts host" not in w), *warnings),
            "lineage": lineage,
        }
    )


def _turns_s(transcript: Transcript, label: str) -> float:
    return sum(turn.end_s - turn.start_s for turn in transcript.turns if turn.speaker == label)
