"""Wiring and the HTTP door of transcription: a recording becomes a transcript; a person says who the host is."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from services.transcription import job
from services.transcription.engine import SpeechEngine
from services.transcription.settings import Settings
from services.transcription.weights import needed, open_shelf
from shared import preflight
from shared.hub import open_hub
from shared.needs import Finding
from shared.preflight import Checks
from shared.schemas import SetHostRequest, TranscribeRequest
from shared.service import JobRoute, job_service, open_lease, open_store, serve
from shared.shelf import Shelf
from shared.store import Store


def create_app(
    store: Store, engine: SpeechEngine, settings: Settings, shelf: Shelf | None = None, checks: Checks = list
) -> FastAPI:
    transcribe = partial(job.run, store=store, engine=engine, limits=settings.limits)
    set_host = partial(job.set_host, store=store, engine=engine, limits=settings.limits)
    routes = [
        JobRoute("/v1/transcripts", "transcribe", TranscribeRequest, transcribe),
        JobRoute("/v1/hosts", "host", SetHostRequest, set_host),
    ]
    engines = {"speech engine": engine}
    return job_service("transcription", settings, store, routes, engines=engines, shelf=shelf, checks=checks)


def main() -> FastAPI:
    """Wire the real store and whisperX."""
    settings = Settings()
    shelf = shelf_of(settings)
    engine = SpeechEngine.from_settings(settings, open_lease("transcription", settings), shelf)
    return create_app(open_store(), engine, settings, shelf, partial(look, settings))


def shelf_of(settings: Settings) -> Shelf:
    return open_shelf(settings, open_hub("transcription", settings))


def look(settings: Settings) -> list[Finding]:
    """What transcription needs of its machine."""
    models = needed(settings)
    return [
        *preflight.gpu("transcription", settings.device),
        *preflight.volumes("transcription", settings, models),
        *preflight.hub_models(models),
    ]


if __name__ == "__main__":
    serve("transcription", main, Settings().port, lambda: shelf_of(Settings()))
