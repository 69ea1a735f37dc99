"""What was heard on the tracks of a recording, one per speaker -> one Transcript. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from services.transcription.doubts import doubt_of_words
from services.transcription.hearing import TrackHeard, TracksHeard
from services.transcription.roles import guess_host, roles_of
from services.transcription.settings import Limits
from services.transcription.transcript import labels_of, turn_of
from services.transcription.turns import SENTENCE_END, VoiceTurn
from shared.schemas import (
    HostMethod,
    LanguageHeard,
    Lineage,
    Recording,
    Role,
    Show,
    Speaker,
    Track,
    Transcript,
    Word,
)

UTTERANCE_GAP_S = 0.6


def track_transcript(
    revision: str, show: Show, recording: Recording, heard: TracksHeard, lineage: Lineage, limits: Limits
) -> Transcript:
    """Everything that was heard, as a revision. Who speaks is certain; the host is whose track says so.

    heard   one entry per track of the recording, in their order
    """
    turns = turns_of_tracks(heard.tracks)
    labels = labels_of(turns)
    named = {label: recording.tracks[track] for track, label in labels.items()}
    speech_s = {label: round(heard.tracks[track].speech_s, 2) for track, label in labels.items()}
    host, method, about_host = find_host(turns, labels, named, show)
    roles = roles_of_tracks(named, speech_s, host)
    doubts = [doubt_of_words(turn, overlap_of(turn, heard.tracks)) for turn in turns]
    silent = [track.speaker for place, track in enumerate(recording.tracks) if place not in labels]
    return Transcript(
        id=revision,
        recording=recording.id,
        show=show.slug,
        kind="machine",
        language=heard.language,
        language_heard=_language_heard(heard),
        guest=recording.guest or _only_guest(named, roles),
        duration_s=heard.duration_s,
        speakers=tuple(
            Speaker(label=label, role=roles[label], name=track.speaker, speech_s=speech_s[label])
            for label, track in named.items()
        ),
        host_method=method,
        turns=tuple(
            turn_of(f"t{place}", turn, labels[turn.voice], roles, doubt, limits)
            for place, (turn, doubt) in enumerate(zip(turns, doubts, strict=True), start=1)
        ),
        engines={**heard.engines, "diariser": "one track per speaker"},
        warnings=(*heard.warnings, *(f"nobody was heard on the track of {name}" for name in silent), *about_host),
        lineage=lineage,
    )


# ---- turns -----------------------------------------------------------------------------------------------------------


def turns_of_tracks(tracks: Sequence[TrackHeard]) -> list[VoiceTurn]:
    """What was said on all tracks, in order of time; the voice is the track.

    Each track is cut into utterances at pauses and at ends of sentences, and these are ordered by their start: what
    one says inside of a long speech of another stands after the sentence that it falls into. No word is lost.
    """
    utterances = [
        (words[0].start_s, track, words) for track, heard in enumerate(tracks) for words in _utterances(heard.words)
    ]
    utterances.sort(key=lambda one: one[:2])
    return [
        VoiceTurn(track, tuple(word for _, _, words in run for word in words))
        for track, run in groupby(utterances, key=lambda one: one[1])
    ]


def _utterances(words: Sequence[Word]) -> list[list[Word]]:
    found: list[list[Word]] = []
    for word in words:
        before = found[-1][-1] if found else None
        if before is None or before.text.endswith(SENTENCE_END) or word.start_s - before.end_s >= UTTERANCE_GAP_S:
            found.append([])
        found[-1].append(word)
    return found


def overlap_of(turn: VoiceTurn, tracks: Sequence[TrackHeard]) -> float:
    """Share of a turn's time in which the speaker of another track talks too, 0 to 1."""
    others = sorted(span for track, heard in enumerate(tracks) if track != turn.voice for span in heard.talk)
    shared_s, reached_s = 0.0, turn.start_s
    for start_s, end_s in others:
        from_s, to_s = max(start_s, reached_s), min(end_s, turn.end_s)
        if to_s > from_s:
            shared_s += to_s - from_s
            reached_s = to_s
    length_s = turn.end_s - turn.start_s
    return min(shared_s / length_s, 1.0) if length_s > 0 else 0.0


# ---- who is who ------------------------------------------------------------------------------------------------------


def find_host(
    turns: Sequence[VoiceTurn], labels: Mapping[int, str], named: Mapping[str, Track], show: Show
) -> tuple[str | None, HostMethod, list[str]]:
    """The host's label, how it was found, and what a person should do: the track that has the role, or the name of the
    show's host; else guessed from what is said."""
    for known in (
        [label for label, track in named.items() if track.role == "host"],
        [label for label, track in named.items() if track.role is None and _same(track.speaker, show.host)],
    ):
        if known:
            return known[0], HostMethod.NAMED, []
    said = {label: [turn.text for turn in turns if labels[turn.voice] == label] for label in named}
    if guess := guess_host(said, show.host):
        advice = f"{guess} is only guessed to be the host, from the text: confirm it with `diary transcripts host`"
        return guess, HostMethod.GUESSED, [advice]
    advice = "nobody is known as the host: say who it is with `diary transcripts host`"
    return None, HostMethod.UNKNOWN, [advice]


def roles_of_tracks(named: Mapping[str, Track], speech_s: Mapping[str, float], host: str | None) -> dict[str, Role]:
    """What each track says of its speaker, the usual roles for those that say nothing. A second host is a co-host."""
    told = {label: Role(track.role) for label, track in named.items() if track.role is not None and label != host}
    co_hosts = [label for label, role in told.items() if role is Role.HOST]
    return {**roles_of(speech_s, host, co_hosts), **told, **dict.fromkeys(co_hosts, Role.CO_HOST)}


def _only_guest(named: Mapping[str, Track], roles: Mapping[str, Role]) -> str | None:
    guests = [track.speaker for label, track in named.items() if roles[label] is Role.GUEST]
    return guests[0] if len(guests) == 1 else None


def _same(name: str, other: str) -> bool:
    return name.strip().casefold() == other.strip().casefold()


def _language_heard(heard: TracksHeard) -> LanguageHeard | None:
    if heard.confidence is None:
        return None
    return LanguageHeard(language=heard.language, confidence=heard.confidence)
