"""Wiring and the HTTP door of ingest: files, addresses and whole sources become recordings."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from services.ingest import biographies, job
from services.ingest.engine import IngestEngine
from services.ingest.refresh import refresh
from services.ingest.settings import Settings
from shared import preflight
from shared.guests import GuestRequest
from shared.needs import Finding
from shared.preflight import Checks
from shared.schemas import IngestRequest
from shared.service import JobRoute, job_service, open_store, serve
from shared.store import Store
from shared.subscriptions import RefreshRequest


def create_app(store: Store, engine: IngestEngine, settings: Settings, checks: Checks = list) -> FastAPI:
    run = partial(job.run, store=store, engine=engine, downloads=settings.downloads)
    again = partial(refresh, store=store, engine=engine, settings=settings)
    return job_service(
        "ingest",
        settings,
        store,
        [
            JobRoute("/v1/recordings", "ingest", IngestRequest, run),
            JobRoute("/v1/refreshes", "refresh", RefreshRequest, again),
            JobRoute("/v1/guests", "guest", GuestRequest, partial(biographies.run, engine=engine)),
        ],
        engines=engine.processes,
        checks=checks,
    )


def main() -> FastAPI:
    """Wire the real store, yt-dlp and ffmpeg."""
    settings = Settings()
    return create_app(open_store(), IngestEngine(settings), settings, partial(look, settings))


def look(settings: Settings) -> list[Finding]:
    """What ingest needs of its machine."""
    return [*preflight.volumes("ingest", settings), *preflight.fetching(settings.ffmpeg)]


if __name__ == "__main__":
    serve("ingest", main, Settings().port)
