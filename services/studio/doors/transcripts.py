"""Single revisions of transcripts, and transcripts as files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.studio.doors.attachments import as_file
from services.studio.formats import FORMS, file_name
from services.studio.library import Library
from shared.errors import ArtifactMissingError, BadInputError, NotFoundError
from shared.schemas import Transcript
from shared.service import viewer
from shared.tokens import Access, Token


def transcripts_door(library: Library) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/transcripts/{recording}", tags=["transcripts"])

    @router.get("/revisions/{revision}")
    def revision(show: str, recording: str, revision: str, token: Token = Depends(viewer)) -> Transcript:
        """Any revision, also one that is not current."""
        token.demand(Access.VIEWER, show)
        return read(library, show, recording, revision)

    @router.get("/export")
    def export(
        show: str,
        recording: str,
        form: Annotated[str, Query(alias="format")] = "vtt",
        revision: str | None = None,
        token: Token = Depends(viewer),
    ) -> Response:
        """The transcript as a file: vtt, srt, rttm, txt, html (clean read), csv or json."""
        token.demand(Access.VIEWER, show)
        if form not in FORMS:
            raise BadInputError(f"there is no form {form[:40]!r}; choose of {', '.join(FORMS)}")
        found = library.recording(show, recording)
        written = FORMS[form].write(read(library, show, recording, revision), found)
        media_type = f"{FORMS[form].media_type}; charset=utf-8"
        return Response(written.encode(), media_type=media_type, headers=as_file(file_name(found, form)))

    return router


def read(library: Library, show: str, recording: str, revision: str | None) -> Transcript:
    try:
        return library.transcript(show, recording, revision)
    except ArtifactMissingError as error:
        if revision is None:
            raise
        raise NotFoundError(
            f"there is no revision {revision!r} of {recording}; `diary transcripts history` names those there are"
        ) from error
