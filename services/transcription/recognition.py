"""The stories of a whole show: which voice is in all recordings, and who is the host of each by voice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.transcription import revisions, voiceprints
from services.transcription.audio_files import working_file
from services.transcription.hearing import Engine
from services.transcription.hosts import MEASURED
from services.transcription.lineage import lineage_of
from services.transcription.roles import recognise_all, roles_of
from services.transcription.settings import Limits
from services.transcription.voiceprints import FOUND, spans_sha256
from shared import keys, recordings
from shared.corrections import HostsFound, ShowRequest
from shared.errors import ArtifactMissingError, BadAudioError, NotFoundError
from shared.jobs import JobContext
from shared.schemas import Enrolment, HostMethod, Role, Show, Transcript, Voiceprint
from shared.store import Store, load, made_from
from shared.transcripts import current, transcribed

LISTENED_TO = 8  # recordings are enough to tell who is in all of them
BY_VOICE = (HostMethod.GUESSED, HostMethod.UNKNOWN, HostMethod.VOICEPRINT)


@dataclass(frozen=True)
class Heard:
    """One speaker of one recording, with the voice; lives as long as the job."""

    recording: str
    label: str
    vector: np.ndarray
    speech_s: float
    model: str
    spans_sha256: str


def find_host(
    request: ShowRequest, *, job: JobContext, store: Store, engine: Engine, limits: Limits = MEASURED
) -> HostsFound:
    """Learn the one voice that is in all recordings as the host's, then recognise it everywhere."""
    show = load(store, keys.show(request.show), Show)
    if store.exists(keys.voiceprint(show.slug)):
        return recognise(request, job=job, store=store, engine=engine, limits=limits)
    names = [name for name in transcribed(store, show.slug) if _has_audio(store, show.slug, name)]
    chosen = names[:LISTENED_TO]
    if len(chosen) < 2:
        return _not_found(names, "a voice that is in all recordings takes two of them at least")
    voices: list[Heard] = []
    for done, name in enumerate(chosen):
        job.check()
        job.progress("listening to voices", done, len(chosen), "recordings")
        voices += listen(store, current(store, show.slug, name), job, engine, limits.enrol_s)
    everywhere = voice_in_all(voices, chosen, limits.host_accept, limits.host_lead)
    if not everywhere:
        return _not_found(names, "no single voice is surely in all recordings")
    enrolments = [
        Enrolment(
            recording=one.recording,
            vector=tuple(one.vector.tolist()),
            speech_s=one.speech_s,
            spans_sha256=one.spans_sha256,
            by=FOUND,
        )
        for one in everywhere
    ]
    voiceprints.enrol(store, show.slug, enrolments, show.host, everywhere[0].model, job)
    return recognise(request, job=job, store=store, engine=engine, limits=limits)


def _not_found(names: list[str], why: str) -> HostsFound:
    return HostsFound(
        host_found=False,
        unknown=tuple(names),
        warnings=(f"{why}: say who the host is in one recording with `diary transcripts host`",),
    )


def voice_in_all(voices: list[Heard], names: list[str], accept: float, lead: float) -> list[Heard]:
    """The voice that is near in all recordings, or all but one of four and more; one entry per recording.

    Another voice that is as near everywhere, within `lead`, makes it nobody's.
    """
    needed = len(names) - (1 if len(names) >= 4 else 0)
    groups: list[tuple[float, list[Heard]]] = []
    for seed in voices:
        nearest = [
            max((one for one in voices if one.recording == name), key=lambda one: float(seed.vector @ one.vector))
            for name in {one.recording for one in voices}
        ]
        group = [one for one in nearest if float(seed.vector @ one.vector) >= accept]
        if len(group) >= needed:
            likeness = float(np.mean([seed.vector @ one.vector for one in group if one is not seed]))
            groups.append((likeness, group))
    if not groups:
        return []
    best, group = max(groups, key=lambda found: (len(found[1]), found[0]))
    members = {(one.recording, one.label) for one in group}
    rivals = [
        likeness
        for likeness, other in groups
        if len({(one.recording, one.label) for one in other} - members) > 0 and best - likeness < lead
    ]
    return [] if rivals else sorted(group, key=lambda one: one.recording)


def recognise(
    request: ShowRequest, *, job: JobContext, store: Store, engine: Engine, limits: Limits = MEASURED
) -> HostsFound:
    """Give every recording whose host no person set the roles that follow from the voiceprints; no words change."""
    show = load(store, keys.show(request.show), Show)
    known = list(voiceprints.all_of(store, show.slug).values())
    if not known:
        raise NotFoundError(
            f"{show.slug} has no voiceprint yet: say who the host is in one recording with `diary transcripts host`, "
            "or look for the voice that is in all with `diary transcripts find-host`"
        )
    names = transcribed(store, show.slug)
    recognised, unknown = [], []
    for done, name in enumerate(names):
        job.check()
        job.progress("recognising hosts", done, len(names), "recordings")
        if store.exists(keys.tombstone(show.slug, name)):
            continue
        head = current(store, show.slug, name)
        if (
            head.host_method in BY_VOICE
            and not _is_recognised(store, head, known)
            and _has_audio(store, show.slug, name)
        ):
            head = _recognise_one(store, head, known, show, job, engine, limits)
        if head.host_method is HostMethod.VOICEPRINT:
            recognised.append(name)
        elif head.host_method in BY_VOICE:
            unknown.append(name)
    return HostsFound(host_found=True, recognised=tuple(recognised), unknown=tuple(unknown))


def _recognise_one(
    store: Store, head: Transcript, known: list[Voiceprint], show: Show, job: JobContext, engine: Engine, limits: Limits
) -> Transcript:
    voices = listen(store, head, job, engine, 0.0)
    usable = [one for one in known if voices and one.model == voices[0].model]
    if not usable:
        return head
    centroids = np.stack([one.vector for one in voices])
    found = recognise_all(centroids, usable, accept=limits.host_accept, lead=limits.host_lead)
    labels = {place: voices[voice].label for place, voice in found.voices.items()}
    host = next((label for place, label in labels.items() if usable[place].role == "host"), None)
    if host is None:
        return head
    scores = next(found.scores[place] for place, one in enumerate(usable) if one.role == "host")
    host_scores = {one.label: round(score, 4) for one, score in zip(voices, scores, strict=True)}
    co_hosts = {label: usable[place].name for place, label in labels.items() if usable[place].role == "co-host"}
    guest = recordings.read(store, show.slug, head.recording).guest

    def with_roles(now: Transcript) -> Transcript | None:
        if now.host_method not in BY_VOICE or host not in {speaker.label for speaker in now.speakers}:
            return None
        return _recognised_revision(store, now, host, co_hosts, host_scores, show, guest, known, job)

    return revisions.move_head(store, show.slug, head.recording, with_roles)


def _recognised_revision(
    store: Store,
    head: Transcript,
    host: str,
    co_hosts: dict[str, str | None],
    scores: dict[str, float],
    show: Show,
    guest: str | None,
    known: list[Voiceprint],
    job: JobContext,
) -> Transcript:
    said = {speaker.label: speaker.name for speaker in head.speakers if speaker.role is Role.CO_HOST}
    co_hosts = {label: name for label, name in {**said, **co_hosts}.items() if label != host}
    roles = roles_of({speaker.label: speaker.speech_s for speaker in head.speakers}, host, co_hosts)
    names = {speaker.label: speaker.name for speaker in head.speakers if speaker.name != show.host}
    names |= {label: guest for label, role in roles.items() if role is Role.GUEST and guest and not names.get(label)}
    names |= {label: name for label, name in co_hosts.items() if name} | {host: show.host}
    speakers = tuple(
        speaker.model_copy(
            update={
                "role": roles[speaker.label],
                "name": names.get(speaker.label),
                "host_score": scores.get(speaker.label),
            }
        )
        for speaker in head.speakers
    )
    parent = made_from(store, keys.transcript(head.show, head.recording, head.id))
    parameters = {"voiceprints": _name(known)}
    return head.model_copy(
        update={
            "schema_version": 2,
            "id": revisions.revision_id({"parent": head.id, "host": host, **parameters}),
            "parent": head.id,
            "kind": "recognised",
            "host_method": HostMethod.VOICEPRINT,
            "speakers": speakers,
            "turns": tuple(turn.model_copy(update={"role": roles[turn.speaker]}) for turn in head.turns),
            "warnings": tuple(one for one in head.warnings if "diary transcripts host" not in one),
            "change": None,
            "restores": None,
            "lineage": lineage_of(job, parent, parameters, {}),
        }
    )


def listen(store: Store, transcript: Transcript, job: JobContext, engine: Engine, least_s: float) -> list[Heard]:
    """The voice of each speaker who talks for `least_s` at least; those who never talk long enough have none."""
    recording = recordings.read(store, transcript.show, transcript.recording)
    found = []
    for speaker in transcript.speakers:
        spans = tuple((turn.start_s, turn.end_s) for turn in transcript.turns if turn.speaker == speaker.label)
        try:
            voice = engine.embed(working_file(recording, job, store), spans, job)
        except BadAudioError:
            continue
        if voice.speech_s >= least_s:
            place = (transcript.recording, speaker.label)
            found.append(Heard(*place, np.array(voice.vector), voice.speech_s, voice.model, spans_sha256(spans)))
    return found


def _is_recognised(store: Store, head: Transcript, known: list[Voiceprint]) -> bool:
    """Whether just these voiceprints were looked for in a transcript, when it was heard or later."""
    for revision in revisions.chain(store, head):
        if revision.kind == "recognised":
            return revision.lineage.parameters.get("voiceprints") == _name(known)
        if revision.kind == "machine":
            heard_for = revision.lineage.parameters.get("voiceprint")
            return len(known) == 1 and heard_for == revisions.voiceprint_name(known[0])
    return False


def _name(known: list[Voiceprint]) -> list[str | None]:
    return [revisions.voiceprint_name(one) for one in known]


def _has_audio(store: Store, show: str, name: str) -> bool:
    """Audio that is here: a working copy may have been collected, or left out of an import."""
    try:
        working = recordings.read(store, show, name).working
    except ArtifactMissingError:
        return False
    return working is not None and store.exists(working.key)
