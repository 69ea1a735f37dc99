"""AI episodes as files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.studio.attachments import as_file
from services.studio.episode_exports import FORMS, file_name
from services.studio.library import Library
from shared.errors import BadInputError
from shared.service import viewer
from shared.tokens import Access, Token


def episodes_door(library: Library) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/episodes/{name}", tags=["episodes"])

    @router.get("/export")
    def export(
        show: str,
        name: str,
        form: Annotated[str, Query(alias="format")] = "md",
        token: Token = Depends(viewer),
    ) -> Response:
        """The episode as a file: json, md, txt, vtt, inst or html, each with its AI mark and what it was made from."""
        token.demand(Access.VIEWER, show)
        if form not in FORMS:
            raise BadInputError(f"there is no form {form[:40]!r}; choose of {', '.join(FORMS)}")
        episode = library.episode(show, name)
        media_type = f"{FORMS[form].media_type}; charset=utf-8"
        written = FORMS[form].write(episode).encode()
        return Response(written, media_type=media_type, headers=as_file(file_name(episode, form)))

    return router
