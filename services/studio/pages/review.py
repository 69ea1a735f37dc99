"""The review: which recordings to look at, and the editor in which their transcripts are corrected by keyboard."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio.pages.frame import visitor
from services.studio.pages.reviewing import packed, queue_of
from services.studio.pages.sessions import Seat
from services.studio.pages.studio import Studio
from shared import keys
from shared.errors import ArtifactMissingError
from shared.schemas import Role, Transcript


def review_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/shows/{show}/review")
    def queue(show: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        record = studio.library.show(show)
        recordings = {one.id: one for one in studio.library.recordings(show)}
        seen = studio.glances.of(show)
        return studio.frame.page(
            request,
            "review.html",
            show=record,
            here="Review",
            queue=queue_of(seen.glances, recordings),
            recordings=len(recordings),
            transcripts=len(seen.glances),
            unread=seen.unread,
        )

    @router.get("/shows/{show}/recordings/{recording}/review")
    def editor(show: str, recording: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        found = studio.library.recording(show, recording)
        return studio.frame.page(
            request,
            "review_editor.html",
            show=studio.library.show(show),
            here="Review",
            recording=found,
            transcribed=studio.store.exists(keys.transcript_head(show, recording)),
            roles=[role.value for role in Role],
        )

    @router.get("/shows/{show}/recordings/{recording}/turns")
    def turns(show: str, recording: str, since: str = "", seat: Seat = Depends(visitor)) -> Response:
        """The current revision for the editor: all of it, or what is not as it was in the revision `since`."""
        found = studio.library.recording(show, recording)
        transcript = studio.library.transcript(show, recording)
        return _compact(packed(transcript, found, _earlier(studio, show, recording, since)))

    return router


def _earlier(studio: Studio, show: str, recording: str, since: str) -> Transcript | None:
    """The revision that a page has; None where it has none, or one that was erased: it gets everything."""
    if not since:
        return None
    try:
        return studio.library.transcript(show, recording, since)
    except ArtifactMissingError:
        return None


def _compact(facts: dict[str, Any]) -> Response:
    return Response(json.dumps(facts, separators=(",", ":"), ensure_ascii=False), media_type="application/json")
