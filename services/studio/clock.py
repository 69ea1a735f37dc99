"""What studio orders by itself, at every full period: a collection of what nobody needs, refreshes of the sources.

No replica is told apart: an order's key follows from the period, so whoever comes second finds the same job, also
after a restart.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import APIRouter, FastAPI

from services.studio.care.collection import COLLECT, CollectionRequest
from services.studio.doors.care import work_folder
from services.studio.settings import Settings
from shared.errors import DiaryError
from shared.jobs import DATABASE_TROUBLES, Jobs
from shared.schemas import Record
from shared.store import Store
from shared.subscriptions import RefreshRequest
from shared.telemetry import new_trace_id

log = logging.getLogger(__name__)

REFRESH = "refresh"

Order = Callable[[int], None]
"""Number of a period -> its jobs are queued."""


def clock(store: Store, settings: Settings) -> APIRouter:
    """No door, but a life."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        shutil.rmtree(work_folder(settings), ignore_errors=True)  # left by a kill
        jobs = app.state.jobs
        hands = (
            (settings.collect_every_h, partial(order_collection, jobs)),
            (settings.refresh_every_h, partial(order_refreshes, jobs, store)),
        )
        ticking = [asyncio.create_task(_tick(hours * 3600, order)) for hours, order in hands if hours]
        yield
        for task in ticking:
            task.cancel()

    return APIRouter(lifespan=lifespan)


async def _tick(period_s: float, order: Order) -> None:
    while True:
        await asyncio.sleep(period_s - time.time() % period_s)
        await asyncio.to_thread(order, round(time.time() / period_s))


def order_collection(jobs: Jobs, number: int) -> None:
    _order(jobs, COLLECT, CollectionRequest(dry_run=False), f"{COLLECT}-{number:08d}")


def order_refreshes(jobs: Jobs, store: Store, number: int) -> None:
    """One job per source; ingest works through them one after the other."""
    try:
        sources = [key for key in store.list("shows/") if key.split("/")[2:3] == ["sources"]]
    except DiaryError as error:
        log.warning("the sources could not be listed, the next period tries again: %s", error)
        return
    for key in sources:
        _, show, _, name = key.split("/")
        source = name.removesuffix(".json")
        _order(jobs, REFRESH, RefreshRequest(show=show, source=source), f"{REFRESH}-{show}-{source}-{number:08d}")


def _order(jobs: Jobs, kind: str, request: Record, key: str) -> None:
    try:
        jobs.submit(kind, request, actor="studio", trace_id=new_trace_id(), idempotency_key=key)
    except (DiaryError, *DATABASE_TROUBLES) as error:
        log.warning("%s could not be ordered, the next period tries again: %s", key, error)
