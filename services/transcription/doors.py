"""What transcription answers at once: corrections and what they say, histories, comparisons, whose voice is known."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends, Request, Response

from services.transcription import editing, revisions, voiceprints
from services.transcription.comparing import compare
from shared.corrections import Comparison, CorrectionRequest, CorrectionResult, FollowUpRequest, RevisionSummary
from shared.errors import ArtifactMissingError, NotFoundError
from shared.schemas import Record, Transcript, Voiceprint
from shared.service import JobRoute, actor_of, editor, queue, viewer
from shared.store import Store
from shared.tokens import Access, Token
from shared.voiceprints import enrolments_of


class KnownVoice(Record):
    """Whose voice a show knows, and what taught it; the voice itself is never told."""

    name: str | None
    role: str
    model: str
    speech_s: float
    recordings: tuple[str, ...]
    since: datetime


def corrections_door(store: Store, follow_up: JobRoute) -> APIRouter:
    """Corrections, each followed by a job where something hangs on it."""
    router = APIRouter(prefix="/v1", tags=["transcripts"])

    @router.post("/corrections", status_code=201)
    def correct(
        correction: CorrectionRequest, request: Request, response: Response, token: Token = Depends(editor)
    ) -> CorrectionResult:
        """Make edits of a transcript, as one revision; 409 tells what others changed meanwhile."""
        token.demand(Access.EDITOR, correction.show)
        request.app.state.readiness.demand()
        corrected = editing.correct(correction, store=store, actor=actor_of(request, token))
        if not editing.needs_follow_up(store, corrected):
            return editing.result(corrected)
        body = FollowUpRequest(show=corrected.show, recording=corrected.recording, revision=corrected.id)
        key = f"follow-up.{corrected.show}.{corrected.recording}.{corrected.id}"
        job = queue(follow_up, body, request, response, token, key[:160])
        return editing.result(corrected, follow_up=job.id)

    @router.get("/history/{show}/{recording}")
    def history(show: str, recording: str, token: Token = Depends(viewer)) -> list[RevisionSummary]:
        """Revisions of a transcript, newest first."""
        token.demand(Access.VIEWER, show)
        return revisions.history(store, show, recording)

    @router.get("/comparisons/{show}/{recording}")
    def comparison(show: str, recording: str, before: str, after: str, token: Token = Depends(viewer)) -> Comparison:
        """What one revision says or attributes differently from another."""
        token.demand(Access.VIEWER, show)
        return compare(_revision(store, show, recording, before), _revision(store, show, recording, after))

    return router


def _revision(store: Store, show: str, recording: str, name: str) -> Transcript:
    try:
        return revisions.read(store, show, recording, name)
    except ArtifactMissingError as error:
        raise NotFoundError(
            f"there is no revision {name!r} of {recording}; `diary transcripts history` names those there are"
        ) from error


def voiceprints_door(store: Store) -> APIRouter:
    """Whose voice is known; and forgetting it."""
    router = APIRouter(prefix="/v1/voiceprints/{show}", tags=["voiceprints"])

    @router.get("")
    def known(show: str, token: Token = Depends(viewer)) -> list[KnownVoice]:
        token.demand(Access.VIEWER, show)
        return [_told(one) for one in voiceprints.all_of(store, show).values()]

    @router.delete("", status_code=204)
    def forget_host(show: str, token: Token = Depends(editor)) -> None:
        """Forget the host's voice; transcripts stay as they are, later ones have to be told again."""
        token.demand(Access.EDITOR, show)
        voiceprints.forget(store, show, "host", "")

    @router.delete("/{name:path}", status_code=204)  # a name may have a slash
    def forget_co_host(show: str, name: str, token: Token = Depends(editor)) -> None:
        token.demand(Access.EDITOR, show)
        voiceprints.forget(store, show, "co-host", name)

    return router


def _told(one: Voiceprint) -> KnownVoice:
    taught = enrolments_of(one)
    return KnownVoice(
        name=one.name,
        role=one.role,
        model=one.model,
        speech_s=one.speech_s,
        recordings=tuple(enrolment.recording for enrolment in taught),
        since=min((enrolment.at for enrolment in taught), default=one.lineage.made_at),
    )
