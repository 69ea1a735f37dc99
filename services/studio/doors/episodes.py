"""AI episodes as files, and as something to listen to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from services.studio.doors.attachments import as_file
from services.studio.doors.media import CHANGING, answer
from services.studio.episode_exports import FORMS, file_name
from services.studio.library import Library
from services.studio.question_sheets import markdown
from shared import keys
from shared.errors import BadInputError
from shared.renderings import EpisodeAudio
from shared.service import viewer
from shared.store import Store, load
from shared.tokens import Access, Token


def episodes_door(library: Library, store: Store) -> APIRouter:
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

    def heard(show: str, name: str, token: Token = Depends(viewer)) -> EpisodeAudio:
        token.demand(Access.VIEWER, show)
        library.episode(show, name)
        return load(store, keys.episode_audio(show, name), EpisodeAudio)

    @router.get("/rendering")
    def rendering(audio: EpisodeAudio = Depends(heard)) -> EpisodeAudio:
        """What there is to listen to: its chapters, where each turn lies in it, whose voices."""
        return audio

    @router.head("/audio", include_in_schema=False)
    @router.get("/audio")
    def sound(request: Request, download: bool = False, audio: EpisodeAudio = Depends(heard)) -> Response:
        """The episode spoken, mono MP3 with its AI mark inside, whole or the range that is asked for."""
        file = f"{audio.show}-{audio.episode}.mp3" if download else None
        gone = (
            f"the audio of episode {audio.episode} is not stored, an import of text leaves it out; speak it again with "
            "`diary episodes render`"
        )
        return answer(store, request, audio.mp3, gone, file, CHANGING)

    return router


def questions_door(library: Library) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/questions/{name}", tags=["episodes"])

    @router.get("/export")
    def export(show: str, name: str, token: Token = Depends(viewer)) -> Response:
        """The host's questions as Markdown, with their AI mark and room for the answers."""
        token.demand(Access.VIEWER, show)
        sheet = library.question_sheet(show, name)
        headers = as_file(f"{sheet.show}-{sheet.id}-questions.md")
        return Response(markdown(sheet).encode(), media_type="text/markdown; charset=utf-8", headers=headers)

    return router
