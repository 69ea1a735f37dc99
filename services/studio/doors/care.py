"""The doors of data care: what is stored, what may go, a show as a file, a recording taken out."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from services.studio import pipeline
from services.studio.care import collection, erasure
from services.studio.care.archive import MAX_LIST_BYTES, Only, read_list, tar_size
from services.studio.care.collection import COLLECT, CollectionRequest
from services.studio.care.erasure import EraseRequest, Erasure
from services.studio.care.exports import take_stock, tar_bytes
from services.studio.care.holdings import survey
from services.studio.care.imports import ImportResult, bring_in, compare, result
from services.studio.care.memories import Memories
from services.studio.care.storage import Usage, usage
from services.studio.care.traces import ERASE
from services.studio.doors.bodies import BodyReader
from services.studio.settings import Settings
from shared.schemas import Job
from shared.service import IMPORTS, JobRoute, editor, queue, viewer
from shared.store import Store
from shared.tokens import Access, Token

log = logging.getLogger(__name__)

IMPORTS_AT_ONCE = 2


def collections(store: Store, settings: Settings) -> JobRoute:
    """`POST /v1/collections`: for admins, as it removes things."""

    def demand(request: CollectionRequest) -> None:
        if request.show is not None:
            pipeline.demand_show(store, request.show)

    run = partial(collection.run, store=store, rules=settings.retention)
    words = "Remove what no manifest names and nobody needs; with `dry_run` only say what would go."
    return JobRoute("/v1/collections", COLLECT, CollectionRequest, run, demand, Access.ADMIN, words=words)


def erasures(store: Store, memories: Memories) -> JobRoute:
    """Queued by `DELETE /v1/shows/SHOW/recordings/ID`; refused while anything works with the recording."""

    def demand(request: EraseRequest) -> None:
        pipeline.demand_show(store, request.show)
        erasure.demand_idle(store, memories, request)

    return JobRoute(
        None, ERASE, EraseRequest, partial(erasure.run, store=store, memories=memories), demand, Access.ADMIN
    )


def erasures_door(store: Store, memories: Memories, route: JobRoute) -> APIRouter:
    router = APIRouter(tags=["shows"])

    @router.get("/v1/shows/{show}/recordings/{name}/erasure")
    def preview(show: str, name: str, token: Token = Depends(editor)) -> Erasure:
        """What erasing this recording would remove, mark and forget; nothing is changed."""
        token.demand(Access.EDITOR, show)
        pipeline.demand_show(store, show)
        return erasure.preview(store, memories, show, name)

    @router.delete("/v1/shows/{show}/recordings/{name}", status_code=202)
    def erase(
        show: str,
        name: str,
        request: Request,
        response: Response,
        reason: Annotated[str, Query(max_length=300)] = "",
        token: Token = Depends(editor),
        idempotency_key: str | None = Header(default=None),
    ) -> Job:
        """Erase a recording for good: audio, transcripts, what is known of it; for admins, as it removes things."""
        token.demand(Access.ADMIN, show)
        pipeline.demand_show(store, show)
        body = EraseRequest(show=show, recording=name, reason=reason)
        return queue(route, body, request, response, token, idempotency_key)

    return router


def doors(store: Store, settings: Settings) -> list[APIRouter]:
    return [storage_door(store), exports_door(store), imports_door(store, settings)]


def storage_door(store: Store) -> APIRouter:
    router = APIRouter(tags=["storage"])

    @router.get("/v1/storage")
    def storage(show: str | None = None, token: Token = Depends(viewer)) -> Usage:
        """Bytes and objects by show and kind; of one show for a token that is for one show."""
        show = show or token.show
        token.demand(Access.VIEWER, show)
        if show is not None:
            pipeline.demand_show(store, show)
        return usage(survey(store), show)

    return router


# ---- a show as a file -----------------------------------------------------------------------------------------------


def exports_door(store: Store) -> APIRouter:
    router = APIRouter(tags=["shows"])

    @router.get("/v1/shows/{show}/export")
    def export(show: str, only: Only = "all", token: Token = Depends(editor)) -> StreamingResponse:
        """The show as a tar file; `only=text` leaves out audio and checkpoints."""
        token.demand(Access.EDITOR, show)
        stock = take_stock(store, show, only)
        headers = {
            "Content-Length": str(tar_size(stock.export)),
            "Content-Disposition": f'attachment; filename="{show}.tar"',
        }
        return StreamingResponse(tar_bytes(store, stock), media_type="application/x-tar", headers=headers)

    return router


def imports_door(store: Store, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["shows"])
    limiter = anyio.CapacityLimiter(IMPORTS_AT_ONCE)
    work = work_folder(settings)

    def allow(token: Token, show: str) -> None:
        token.demand(Access.EDITOR, show)

    @router.post(IMPORTS, status_code=201)
    async def bring(request: Request, token: Token = Depends(editor)) -> ImportResult:
        """Send the tar file of an export as the request body. The same file again changes nothing."""
        body = BodyReader(request.stream(), None)
        take = partial(bring_in, cast(BinaryIO, body), store, work, "STUDIO_WORK_DIR", partial(allow, token))
        try:
            return await anyio.to_thread.run_sync(take, limiter=limiter)
        finally:
            await body.drain()

    @router.post(f"{IMPORTS}/checks")
    async def check(request: Request, token: Token = Depends(editor)) -> ImportResult:
        """Send the `export.json` of a file to learn what an import would bring, before sending all of it."""
        body = BodyReader(request.stream(), MAX_LIST_BYTES, "that is no export.json: it is too large")

        def look() -> ImportResult:
            export = read_list(body.read())
            allow(token, export.show)
            return result(export, store, compare(export, store))

        return await anyio.to_thread.run_sync(look, limiter=limiter)

    return router


def work_folder(settings: Settings) -> Path:
    """Of this worker's imports; it is emptied at the start."""
    return settings.work_dir / f"imports-{settings.worker}"
