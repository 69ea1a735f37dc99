"""Wiring and the HTTP door of transcription: recordings become transcripts, and people correct them."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import FastAPI

from services.transcription import following, hosts, importing, job, recognition, repeats, replacing, revisions
from services.transcription.doors import corrections_door, voiceprints_door
from services.transcription.engine import SpeechEngine
from services.transcription.settings import Settings
from services.transcription.weights import needed, open_shelf
from shared import preflight
from shared.corrections import (
    FollowUpRequest,
    ImportTranscriptRequest,
    RenameRequest,
    ReplaceRequest,
    ShowRequest,
    UndoBatchRequest,
)
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
    heard: dict[str, Any] = {"store": store, "engine": engine, "limits": settings.limits}
    follow_up = JobRoute(None, "follow-up", FollowUpRequest, partial(following.run, **heard, learn=hosts.learn))
    changing: dict[str, Any] = {"store": store, "follow_up": partial(following.follow, **heard, learn=hosts.learn)}
    routes = [
        JobRoute("/v1/transcripts", "transcribe", TranscribeRequest, partial(job.run, **heard)),
        JobRoute("/v1/hosts", "host", SetHostRequest, partial(hosts.set_host, **heard)),
        JobRoute("/v1/hosts/found", "find-host", ShowRequest, partial(recognition.find_host, **heard)),
        JobRoute("/v1/recognitions", "recognise", ShowRequest, partial(recognition.recognise, **heard)),
        JobRoute("/v1/replacements", "replace", ReplaceRequest, partial(replacing.replace, **changing)),
        JobRoute("/v1/renamings", "rename", RenameRequest, partial(replacing.rename, **changing)),
        JobRoute("/v1/undone-batches", "undo-batch", UndoBatchRequest, partial(replacing.undo_batch, **changing)),
        JobRoute("/v1/repeats", "repeats", ShowRequest, partial(repeats.run, store=store)),
        JobRoute(
            "/v1/transcript-files",
            "import-transcript",
            ImportTranscriptRequest,
            partial(importing.run, store=store, offer=revisions.offer),
        ),
        follow_up,
    ]
    routers = [corrections_door(store, follow_up), voiceprints_door(store)]
    engines = {"speech engine": engine}
    return job_service(
        "transcription", settings, store, routes, engines=engines, shelf=shelf, routers=routers, checks=checks
    )


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
