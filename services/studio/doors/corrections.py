"""The door through which people correct transcripts: studio asks transcription at once, and passes its word on."""

from __future__ import annotations

from contextlib import closing
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from services.studio.crew import Crew
from shared.corrections import MOST_EDITS, Comparison, CorrectionRequest, CorrectionResult, Edit, RevisionSummary
from shared.schemas import Record
from shared.service import actor_of, editor, viewer
from shared.tokens import Access, Token

TRANSCRIPTION = "transcription"


class Corrections(Record):
    """Edits of one transcript, made as one revision. `base` is the revision that the person sees."""

    base: str
    edits: tuple[Edit, ...] = Field(min_length=1, max_length=MOST_EDITS)
    reason: str = Field(default="", max_length=300)


def corrections_door(crew: Crew) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/transcripts/{recording}", tags=["transcripts"])

    def ask(request: Request, token: Token, method: str, path: str, **options: Any) -> Any:
        with closing(crew.client(TRANSCRIPTION, actor_of(request, token))) as client:
            return client.call(method, path, **options).json()

    @router.post("/corrections", status_code=201)
    def correct(
        show: str, recording: str, corrections: Corrections, request: Request, token: Token = Depends(editor)
    ) -> CorrectionResult:
        """Correct a transcript: all edits or none. 409 tells who changed what since `base`."""
        token.demand(Access.EDITOR, show)
        wanted = CorrectionRequest(show=show, recording=recording, **dict(corrections))
        answer = ask(request, token, "POST", "/v1/corrections", json=wanted.model_dump(mode="json"))
        return CorrectionResult.model_validate(answer)

    @router.get("/history")
    def history(show: str, recording: str, request: Request, token: Token = Depends(viewer)) -> list[RevisionSummary]:
        """Its revisions, newest first: what was heard, and each change with who made it and why."""
        token.demand(Access.VIEWER, show)
        found = ask(request, token, "GET", f"/v1/history/{quote(show)}/{quote(recording)}")
        return [RevisionSummary.model_validate(one) for one in found]

    @router.get("/comparison")
    def comparison(
        show: str, recording: str, before: str, after: str, request: Request, token: Token = Depends(viewer)
    ) -> Comparison:
        """What one revision says, or attributes, differently from another."""
        token.demand(Access.VIEWER, show)
        path = f"/v1/comparisons/{quote(show)}/{quote(recording)}"
        return Comparison.model_validate(ask(request, token, "GET", path, params={"before": before, "after": after}))

    return router


def voiceprints_door(crew: Crew) -> APIRouter:
    """Whose voice a show knows, and forgetting it."""
    router = APIRouter(prefix="/v1/shows/{show}/voiceprints", tags=["voiceprints"])

    def ask(request: Request, token: Token, method: str, path: str) -> Any:
        with closing(crew.client(TRANSCRIPTION, actor_of(request, token))) as client:
            return client.call(method, f"/v1/voiceprints/{path}")

    @router.get("")
    def known(show: str, request: Request, token: Token = Depends(viewer)) -> list[dict[str, Any]]:
        """Hosts whose voice is known, which recordings taught it, since when. The voice itself is never told."""
        token.demand(Access.VIEWER, show)
        found: list[dict[str, Any]] = ask(request, token, "GET", quote(show)).json()
        return found

    @router.delete("", status_code=204)
    def forget_host(show: str, request: Request, token: Token = Depends(editor)) -> None:
        """Forget the host's voice. Transcripts stay as they are."""
        token.demand(Access.EDITOR, show)
        ask(request, token, "DELETE", quote(show))

    @router.delete("/{name:path}", status_code=204)  # a name may have a slash
    def forget_co_host(show: str, name: str, request: Request, token: Token = Depends(editor)) -> None:
        """Forget a co-host's voice, by name."""
        token.demand(Access.EDITOR, show)
        ask(request, token, "DELETE", f"{quote(show)}/{quote(name, safe='')}")

    return router
