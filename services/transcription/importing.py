"""The story of a transcript that a person brings for a recording that is here: a file becomes a revision."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from services.transcription.lineage import lineage_of
from services.transcription.revisions import revision_id
from shared import keys, published, recordings, uploads
from shared.corrections import ImportTranscriptRequest
from shared.errors import BadInputError, ConflictError, JobCancelledError, NotFoundError
from shared.jobs import JobContext
from shared.roles import build_transcript
from shared.schemas import (
    Change,
    HostMethod,
    Lineage,
    Recording,
    Role,
    Show,
    Transcript,
    TranscriptResult,
    TranscriptState,
)
from shared.spoken import ANONYMOUS
from shared.store import Store, create_manifest, load, made_from, parse

Offer = Callable[[Store, Transcript], TranscriptResult]

FORMS = "WebVTT, SRT, JSON of whisperX, or a transcript's own JSON as this product exports it"
LATE_S = 5.0


def run(request: ImportTranscriptRequest, *, job: JobContext, store: Store, offer: Offer) -> TranscriptResult:
    """Read an uploaded file as a transcript of a recording; a broken one leaves nothing behind.

    The revision's name follows from the content, it is written once, the upload goes last: safe to repeat.
    offer    makes a revision current unless people worked on the one that is
    raises   BadInputError naming the fix; NotFoundError without such a recording
    """
    uploads.demand_key(request.upload_key)
    uploads.upload_bytes(store, request.upload_key)  # one that is not finished is refused, and may go on
    try:
        found = job.step("import", lambda: _import(request, job, store, offer).model_dump(mode="json"))
    except (BadInputError, ConflictError, NotFoundError, JobCancelledError):
        uploads.forget_upload(store, request.upload_key)
        raise
    job.step("forget the upload", lambda: uploads.forget_upload(store, request.upload_key))
    return TranscriptResult.model_validate(found)


def _import(request: ImportTranscriptRequest, job: JobContext, store: Store, offer: Offer) -> TranscriptResult:
    show = load(store, keys.show(request.show), Show)
    recording = recordings.read(store, show.slug, request.recording)
    job.progress("reading the transcript")
    data = _fetch(request, job, store)
    sha256 = hashlib.sha256(data).hexdigest()
    parts = {"file": sha256, "recording": recording.id, "host": show.host, "guest": recording.guest}
    revision = revision_id(parts)
    sources = made_from(store, keys.recording(show.slug, recording.id))
    lineage = lineage_of(job, sources, {"file": sha256}, {})
    transcript = read(data, request.filename, recording, show, revision, lineage)
    job.check()
    key = keys.transcript(show.slug, recording.id, revision)
    create_manifest(store, key, transcript)
    return offer(store, load(store, key, Transcript))


def _fetch(request: ImportTranscriptRequest, job: JobContext, store: Store) -> bytes:
    size = uploads.upload_bytes(store, request.upload_key)
    if size is not None and size > published.MAX_BYTES:
        raise BadInputError(f"the transcript is larger than {published.MAX_BYTES // 1024**2} MiB; send its text alone")
    path = job.work_dir / "transcript"
    uploads.fetch_upload(store, request.upload_key, path)
    return path.read_bytes()


# ---- file -> revision. Pure. -----------------------------------------------------------------------------------------


def read(data: bytes, filename: str, recording: Recording, show: Show, revision: str, lineage: Lineage) -> Transcript:
    """The revision that a file of any form is. raises BadInputError naming the fix"""
    if not published.is_text(data[: published.SNIFF_BYTES]):
        raise BadInputError(f"the file is no transcript: neither {FORMS}")
    text = published.decode(data)
    own = text.lstrip().startswith("{") and '"turns"' in text and '"host_method"' in text
    transcript = _own(data, filename) if own else _of_others(text, recording, show, revision, lineage)
    host_known = any(speaker.role is Role.HOST for speaker in transcript.speakers)
    return transcript.model_copy(
        update={
            "id": revision,
            "recording": recording.id,
            "show": show.slug,
            "parent": None,
            "kind": "import",
            "guest": recording.guest or transcript.guest,
            "duration_s": recording.duration_s or transcript.duration_s,
            "host_method": HostMethod.NAMED if host_known else HostMethod.UNKNOWN,
            "state": TranscriptState.MACHINE,
            "judged_by": None,
            "judged_at": None,
            "restores": None,
            "change": Change(summary=f"imported from {' '.join(filename.split())[:100] or 'a file'}", by=lineage.actor),
            "warnings": (*transcript.warnings, *_late(transcript, recording)),
            "lineage": lineage,
        }
    )


def _own(data: bytes, filename: str) -> Transcript:
    """Our own export: words, roles and review stay; who approved it elsewhere has not approved it here."""
    transcript = parse(data, filename or "the file", Transcript)
    labels = {speaker.label for speaker in transcript.speakers}
    unknown = sorted({turn.speaker for turn in transcript.turns} - labels)
    if unknown or not transcript.turns:
        wrong = f"turns of {', '.join(unknown)}, who is none of its speakers" if unknown else "no turns"
        raise BadInputError(f"the transcript has {wrong}; export it again with `diary transcripts export`")
    return transcript


def _of_others(text: str, recording: Recording, show: Show, revision: str, lineage: Lineage) -> Transcript:
    published.demand_real_talk(text)
    found = published.parse_beside_audio(text)
    if found.times == "estimated" and recording.working is not None:
        raise BadInputError(f"the file does not say when anything is said, but the recording has audio; give {FORMS}")
    transcript = build_transcript(found, recording, show, revision, lineage)
    nameless = [name for name in found.speakers if ANONYMOUS.fullmatch(name)]
    if not nameless:
        return transcript
    settle = "not everybody has a name in it: say who the host is with `diary transcripts host`"
    return transcript.model_copy(update={"warnings": (*transcript.warnings, settle)})


def _late(transcript: Transcript, recording: Recording) -> Sequence[str]:
    end_s = max(turn.end_s for turn in transcript.turns)
    if recording.duration_s is None or end_s <= recording.duration_s + LATE_S:
        return ()
    return [f"it ends at {end_s:.0f} s, the recording at {recording.duration_s:.0f} s: is it of this recording?"]
