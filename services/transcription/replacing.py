"""The stories of one order over all transcripts of a show: find and replace, another name, taking such a thing back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence

from services.transcription import editing, revisions
from services.transcription.corrections import plain
from shared.corrections import (
    BatchResult,
    CorrectionRequest,
    Edit,
    EditText,
    FoundPlace,
    Rename,
    RenameRequest,
    ReplaceRequest,
    ReplaceResult,
    Undo,
    UndoBatchRequest,
)
from shared.errors import ArtifactMissingError, BadInputError, ConflictError
from shared.jobs import JobContext
from shared.schemas import Transcript
from shared.store import Store
from shared.transcripts import current, transcribed

PLACES_TOLD = 200
_EDGES = re.compile(r"^(\W*)(.*?)(\W*)$", re.S)

FollowUp = Callable[[str, str, JobContext], None]


def replace(request: ReplaceRequest, *, job: JobContext, store: Store, follow_up: FollowUp) -> ReplaceResult:
    """Other words wherever some are said; a dry run only lists the places. Each transcript gets one revision.

    follow_up   times the words that changed (show, recording, job)
    raises      BadInputError if there is no word to look for
    """
    wanted = request.find.split()
    if not any(map(_letters, wanted)):
        raise BadInputError(f"{request.find!r} holds no word to look for")
    names = request.recordings or transcribed(store, request.show)
    batch = batch_of(job)
    places: list[FoundPlace] = []
    changed: list[str] = []
    conflicts: list[str] = []
    found = 0
    for done, name in enumerate(names):
        job.check()
        job.progress("replacing" if not request.dry_run else "looking", done, len(names), "transcripts")
        transcript = current(store, request.show, name)
        if _is_of(store, transcript, batch):
            changed.append(name)  # by a try before this one
            follow_up(request.show, name, job)
            continue
        here = list(places_in(transcript, request))
        found += len(here)
        places += here[: PLACES_TOLD - len(places)]
        if not here:
            continue
        changed.append(name)
        edits = tuple(EditText(turn=place.turn, text=place.after) for place in here)
        if not request.dry_run and not _change(store, transcript, edits, request.reason, batch, job):
            conflicts.append(name)
        elif not request.dry_run:
            follow_up(request.show, name, job)
    return ReplaceResult(
        found=found,
        recordings=len(changed),
        places=tuple(places),
        batch=None if request.dry_run else batch,
        conflicts=tuple(conflicts),
    )


def rename(request: RenameRequest, *, job: JobContext, store: Store, follow_up: FollowUp) -> BatchResult:
    """Another name wherever a speaker has one; co-hosts' voiceprints go with the name."""
    batch = batch_of(job)
    changed, left = [], []
    for name, transcript in _each(store, request.show, job, "renaming"):
        labels = [speaker.label for speaker in transcript.speakers if speaker.name == request.name]
        edits = tuple(Rename(speaker=label, name=request.to) for label in labels)
        if _is_of(store, transcript, batch) or (
            edits and _change(store, transcript, edits, request.reason, batch, job)
        ):
            changed.append(name)
            follow_up(request.show, name, job)
        elif edits:
            left.append(f"{name}: somebody changed it meanwhile")
    if not changed and not left:
        raise BadInputError(f"nobody is called {request.name!r} in the transcripts of {request.show}")
    return BatchResult(batch=batch, changed=tuple(changed), left_alone=tuple(left))


def undo_batch(request: UndoBatchRequest, *, job: JobContext, store: Store, follow_up: FollowUp) -> BatchResult:
    """Take an order back where it is the last change; where people went on since, say so."""
    changed, left = [], []
    for name, transcript in _each(store, request.show, job, "undoing"):
        line = [one for one in revisions.chain(store, transcript) if one.kind not in revisions.BY_ITSELF]
        mine = [one for one in line if one.change and one.change.batch == request.batch]
        if not mine or any(revisions.is_undo(one) and one.restores == mine[0].parent for one in line):
            continue
        if line[0].id != mine[0].id or not _change(store, transcript, (Undo(),), "", None, job):
            left.append(f"{name}: changed since by {line[0].lineage.actor}; undo that first")
        else:
            changed.append(name)
            follow_up(request.show, name, job)
    if not changed and not left:
        raise BadInputError(f"no transcript of {request.show} was changed by {request.batch!r}, or all is taken back")
    return BatchResult(batch=request.batch, changed=tuple(changed), left_alone=tuple(left))


def batch_of(job: JobContext) -> str:
    """Name of what a job changes; a repeat of the job has the same."""
    return "b" + hashlib.sha256(job.id.encode()).hexdigest()[:12]


def _each(store: Store, show: str, job: JobContext, stage: str) -> Iterator[tuple[str, Transcript]]:
    names = transcribed(store, show)
    for done, name in enumerate(names):
        job.check()
        job.progress(stage, done, len(names), "transcripts")
        try:
            yield name, current(store, show, name)
        except ArtifactMissingError:
            continue  # erased since it was listed


def _change(
    store: Store, transcript: Transcript, edits: Sequence[Edit], reason: str, batch: str | None, job: JobContext
) -> bool:
    """Whether the edits could be made; somebody else was faster if not."""
    request = CorrectionRequest(
        show=transcript.show, recording=transcript.recording, base=transcript.id, edits=tuple(edits), reason=reason
    )
    try:
        editing.correct(request, store=store, actor=job.actor, batch=batch)
    except ConflictError:
        return False
    return True


def _is_of(store: Store, transcript: Transcript, batch: str) -> bool:
    return any(one.change and one.change.batch == batch for one in revisions.chain(store, transcript))


# ---- places. Pure. ---------------------------------------------------------------------------------------------------


def places_in(transcript: Transcript, request: ReplaceRequest) -> Iterator[FoundPlace]:
    """Turns that say the words, with the text before and after; each turn once, with all its places."""
    wanted = [_form(word, request.match_case) for word in request.find.split() if _letters(word)]
    for turn in transcript.turns:
        texts = turn.text.split()
        forms = [_form(text, request.match_case) for text in texts]
        after = _replaced(texts, forms, wanted, request.replace.split())
        if after != texts:
            yield FoundPlace(
                recording=transcript.recording,
                turn=turn.id,
                start_s=turn.start_s,
                before=turn.text,
                after=" ".join(after),
            )


def _replaced(texts: Sequence[str], forms: Sequence[str], wanted: Sequence[str], new: Sequence[str]) -> list[str]:
    """The words with `new` wherever `wanted` is said; what stands before and after it, such as a comma, stays."""
    out: list[str] = []
    place = 0
    while place < len(texts):
        if list(forms[place : place + len(wanted)]) == list(wanted):
            before, after = _edges(texts[place])[0], _edges(texts[place + len(wanted) - 1])[2]
            said = list(new)
            said[0] = before + said[0]
            said[-1] += after
            out += said
            place += len(wanted)
        else:
            out.append(texts[place])
            place += 1
    return out


def _edges(text: str) -> tuple[str, str, str]:
    found = _EDGES.match(text)
    return (found.group(1), found.group(2), found.group(3)) if found else ("", text, "")


def _letters(text: str) -> str:
    return _edges(text)[1]


def _form(text: str, match_case: bool) -> str:
    return _letters(text) if match_case else plain(text)
