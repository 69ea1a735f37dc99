"""The story of a correction: what the person sees is still current, or they are told what others changed."""

from __future__ import annotations

from typing import Any

from services.transcription import revisions
from services.transcription.corrections import Person, apply, doubtful
from services.transcription.revisions import BY_ITSELF
from shared import keys, recordings
from shared.corrections import CorrectionRequest, CorrectionResult, Edit, Restore, Undo
from shared.errors import ArtifactMissingError, BadInputError, ConflictError, NotFoundError
from shared.schemas import Change, HostMethod, Lineage, MadeFrom, Role, Show, Transcript, now
from shared.store import Store, load, made_from
from shared.version import VERSION

CHANGES_TOLD = 20


def correct(request: CorrectionRequest, *, store: Store, actor: str, batch: str | None = None) -> Transcript:
    """Make a correction current. A repeat of the same request finds its revision.

    raises   ConflictError, with what changed since, if `base` is not what is current; BadInputError for edits that
             cannot be made; ArtifactMissingError for an unknown recording or one without a transcript
    """
    show = load(store, keys.show(request.show), Show)
    recording = recordings.read(store, request.show, request.recording)
    person = Person(actor, now(), host=show.host, guest=recording.guest)

    def corrected(head: Transcript) -> Transcript | None:
        if (made := _made_before(store, request, head, actor)) is not None:
            return made
        _demand_based_on(store, request, head)
        return _correction(store, request, head, person, batch)

    return revisions.move_head(store, request.show, request.recording, corrected)


def result(transcript: Transcript, follow_up: str | None = None) -> CorrectionResult:
    return CorrectionResult(
        transcript=transcript.id,
        recording=transcript.recording,
        parent=transcript.parent,
        summary=transcript.change.summary if transcript.change else "",
        state=transcript.state,
        needs_review=doubtful(transcript),
        follow_up=follow_up,
    )


def needs_follow_up(store: Store, transcript: Transcript) -> bool:
    """Whether edited words wait for exact times, or a person's word for a host is to be learnt, or unlearnt."""
    if any(turn.estimated for turn in transcript.turns):
        return True
    before = revisions.read(store, transcript.show, transcript.recording, transcript.parent or transcript.id)
    return any(
        one.host_method is HostMethod.SET or any(speaker.role is Role.CO_HOST for speaker in one.speakers)
        for one in (before, transcript)
    )


def _correction(
    store: Store, request: CorrectionRequest, head: Transcript, person: Person, batch: str | None
) -> Transcript:
    first, *others = request.edits
    if isinstance(first, Undo | Restore) and not others:
        restored = _restored(store, head, first)
        changed = restored.model_copy(update={"restores": restored.id})
        summary = f"back to {restored.id}" if isinstance(first, Restore) else "undone: " + _last_change(store, head)
    else:
        changed, summary = apply(head, request.edits, person)
        changed = changed.model_copy(update={"restores": None})
    change = Change(
        edits=_as_data(request.edits), summary=summary, reason=request.reason, by=person.name, at=person.at, batch=batch
    )
    return changed.model_copy(
        update={
            "schema_version": 2,
            "id": _revision(request, head.id, person.name),
            "parent": head.id,
            "kind": "correction",
            "change": change,
            "lineage": Lineage(
                made_from=_sources(store, head), by="transcription", version=VERSION, job="", actor=person.name
            ),
        }
    )


def _restored(store: Store, head: Transcript, edit: Undo | Restore) -> Transcript:
    if isinstance(edit, Undo):
        return revisions.before_last_change(store, head)
    try:
        found = revisions.read(store, head.show, head.recording, edit.revision)
    except ArtifactMissingError as error:
        raise NotFoundError(
            f"there is no revision {edit.revision!r} of {head.recording}; `diary transcripts history` names them"
        ) from error
    if found.id == head.id:
        raise BadInputError(f"nothing to change: {found.id} is current already")
    return found


def _last_change(store: Store, head: Transcript) -> str:
    target = revisions.before_last_change(store, head)
    undone = [one for one in revisions.chain(store, head) if one.parent == target.id and one.kind == "correction"]
    return revisions.summary(undone[-1]).summary if undone else "the change before"


def _demand_based_on(store: Store, request: CorrectionRequest, head: Transcript) -> None:
    """raises ConflictError if somebody changed what the person sees; better times and recognised roles are no change"""
    later = []
    for revision in revisions.chain(store, head):
        if revision.id == request.base:
            break
        later.append(revision)
    changes = [revision for revision in later if revision.kind not in BY_ITSELF]
    if not changes:
        return
    told = [revisions.summary(revision) for revision in reversed(changes[:CHANGES_TOLD])]
    last = told[-1]
    raise ConflictError(
        f"{last.by} changed this transcript meanwhile ({last.summary}); look at it again, then make your change on "
        f"{head.id}",
        [one.model_dump(mode="json") for one in told],
    )


def _made_before(store: Store, request: CorrectionRequest, head: Transcript, actor: str) -> Transcript | None:
    """The current revision, if it is what this very request made: an answer that was lost is asked for again."""
    for revision in revisions.chain(store, head):
        if revision.parent is None or revision.id == request.base:
            return None
        if revision.kind not in BY_ITSELF:
            return head if revision.id == _revision(request, revision.parent, actor) else None
    return None


def _revision(request: CorrectionRequest, parent: str, actor: str) -> str:
    edits = list(_as_data(request.edits))
    return revisions.revision_id({"parent": parent, "edits": edits, "reason": request.reason, "by": actor})


def _as_data(edits: tuple[Edit, ...]) -> tuple[dict[str, Any], ...]:
    return tuple(edit.model_dump(mode="json") for edit in edits)


def _sources(store: Store, head: Transcript) -> tuple[MadeFrom, ...]:
    return made_from(store, keys.transcript(head.show, head.recording, head.id))
