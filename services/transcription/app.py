"""Wiring and the HTTP door of transcription: a recording becomes a transcript; a person says who the host is."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from services.transcription import job
from services.transcription.engine import SpeechEngine
from services.transcription.settings import Settings
from shared.schemas import SetHostRequest, TranscribeRequest
from shared.service import JobRoute, job_service, open_lease, open_store, serve
from shared.store import Store


def create_app(store: Store, engine: SpeechEngine, settings: Settings) -> FastAPI:
    transcribe = partial(job.run, store=store, engine=engine, limits=settings.limits)
    set_host = partial(job.set_host, store=store, engine=engine, limits=settings.limits)
    routes = [
        JobRoute("/v1/transcripts", "transcribe", TranscribeRequest, transcribe),
        JobRoute("/v1/hosts", "host", SetHostRequest, set_host),
    ]
    return job_service("transcription", settings, store, routes, engines={"speech engine": engine})


def main() -> FastAPI:
    """Wire the real store and whisperX."""
    settings = Settings()
    engine = SpeechEngine.from_settings(settings, open_lease("transcription", settings))
    return create_app(open_store(), engine, settings)


if __name__ == "__main__":
    serve("transcription", main, Settings().port)
