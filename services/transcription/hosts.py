"""The story of the hosts' voices: a person says who the host is, or one voice is in all recordings; then it is known.

Only hosts and co-hosts have voiceprints. Each is the mean of what single recordings taught; a recording teaches what
its current transcript says, so that taking a word back unlearns the voice.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.transcription import revisions, voiceprints
from services.transcription.audio_files import working_file
from services.transcription.corrections import hosted
from services.transcription.hearing import Engine, Voice
from services.transcription.lineage import lineage_of
from services.transcription.settings import Limits
from services.transcription.transcript import speaker_meant
from services.transcription.voiceprints import Wanted, spans_sha256
from shared import keys, recordings
from shared.errors import BadAudioError
from shared.jobs import JobContext
from shared.schemas import HostMethod, Recording, Role, SetHostRequest, Show, Transcript, TranscriptResult
from shared.store import Store, load, made_from
from shared.transcripts import current

MEASURED = Limits()


def set_host(
    request: SetHostRequest, *, job: JobContext, store: Store, engine: Engine, limits: Limits = MEASURED
) -> TranscriptResult:
    """Take a person's word for who the host is: learn the voice, and give everybody the role that follows.

    The other recordings of the show find their host by this voice from now on. A repeat changes nothing.
    """
    show = load(store, keys.show(request.show), Show)
    recording = recordings.read(store, show.slug, request.recording)
    transcript = current(store, show.slug, recording.id)
    label = speaker_meant(transcript, request)
    heard: dict[str, Voice] = {}
    warnings: tuple[str, ...] = ()
    if not _is_settled(transcript, label):
        wanted = _wanted(transcript, label, show.host, "host", job.actor)
        heard, warnings = _hear(recording, [wanted], job, store, engine, limits)
        warnings += voiceprints.unlike(store, show.slug, heard)

    def with_host(head: Transcript) -> Transcript | None:
        meant = speaker_meant(head, request)
        return None if _is_settled(head, meant) else _set_revision(head, meant, show, recording, warnings, job, store)

    job.check()
    transcript = revisions.move_head(store, show.slug, recording.id, with_host)
    learn(show.slug, recording.id, job=job, store=store, engine=engine, limits=limits, heard=heard)
    return revisions.result(transcript)


def learn(
    show: str,
    name: str,
    *,
    job: JobContext,
    store: Store,
    engine: Engine,
    limits: Limits = MEASURED,
    heard: Mapping[str, Voice] | None = None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Have the voiceprints hold what a recording's current transcript teaches, and nothing it does not teach any more.

    heard     voices that were listened to already, by `spans_sha256`
    returns   names whose voiceprint changed, and what a person should know
    """
    facts, recording = load(store, keys.show(show), Show), recordings.read(store, show, name)
    wanted = _taught(store, current(store, show, name), facts.host)
    known = heard or {}
    unheard = [one for one in wanted if one.spans_sha256 not in known and not voiceprints.holds(store, show, one, name)]
    found, warnings = _hear(recording, unheard, job, store, engine, limits)
    voices = {**known, **found}
    changed = voiceprints.teach(store, show, recording, wanted, voices, job)
    return changed, warnings


def _taught(store: Store, transcript: Transcript, host: str) -> list[Wanted]:
    """Whose voice a person's word names in a transcript: the host, and co-hosts who have a name."""
    found = []
    line = list(revisions.chain(store, transcript))
    for speaker in transcript.speakers:
        if speaker.role is Role.HOST and transcript.host_method is HostMethod.SET:
            by = next((one.lineage.actor for one in line if one.kind == "correction"), transcript.lineage.actor)
            found.append(_wanted(transcript, speaker.label, host, "host", by))
        elif speaker.role is Role.CO_HOST and speaker.name and (said_by := _who_said(line, speaker.label)):
            found.append(_wanted(transcript, speaker.label, speaker.name, "co-host", said_by))
    return found


def _who_said(line: list[Transcript], label: str) -> str | None:
    """Who made a speaker a co-host; None if a voiceprint did."""
    for revision in line:
        for edit in revision.change.edits if revision.change else ():
            if edit.get("kind") == "role" and edit.get("speaker") == label and edit.get("role") == Role.CO_HOST:
                return revision.lineage.actor
    return None


def _wanted(transcript: Transcript, label: str, name: str, role: str, by: str) -> Wanted:
    spans = tuple((turn.start_s, turn.end_s) for turn in transcript.turns if turn.speaker == label)
    return Wanted(name, role, spans, spans_sha256(spans), by)


def _hear(
    recording: Recording, wanted: list[Wanted], job: JobContext, store: Store, engine: Engine, limits: Limits
) -> tuple[dict[str, Voice], tuple[str, ...]]:
    """The voices by `spans_sha256`, and why one was not learnt."""
    found: dict[str, Voice] = {}
    warnings = []
    for one in wanted:
        whose = "the host's" if one.role == "host" else f"{one.name}'s"
        if recording.working is None:
            warnings.append(f"{whose} voice was not learnt: this recording has no audio")
            continue
        try:
            voice = engine.embed(working_file(recording, job, store), one.spans, job)
        except BadAudioError as error:
            warnings.append(f"{whose} voice was not learnt: {error}")
            continue
        if voice.speech_s < limits.enrol_s:
            warnings.append(
                f"{whose} voice was not learnt: {voice.speech_s:.0f} s of speech, {limits.enrol_s:.0f} s are needed"
            )
            continue
        found[one.spans_sha256] = voice
    return found, tuple(warnings)


def _is_settled(transcript: Transcript, label: str) -> bool:
    return transcript.host_method is HostMethod.SET and any(
        speaker.label == label and speaker.role is Role.HOST for speaker in transcript.speakers
    )


def _set_revision(
    head: Transcript,
    label: str,
    show: Show,
    recording: Recording,
    warnings: tuple[str, ...],
    job: JobContext,
    store: Store,
) -> Transcript:
    parent = made_from(store, keys.transcript(show.slug, recording.id, head.id))
    changed = hosted(head, label, show.host, recording.guest)
    return changed.model_copy(
        update={
            "schema_version": 2,
            "id": revisions.revision_id({"parent": head.id, "host": label}),
            "parent": head.id,
            "kind": "correction",
            "change": None,
            "restores": None,
            "warnings": (*changed.warnings, *warnings),
            "lineage": lineage_of(job, parent, {"host": label}, {}),
        }
    )
