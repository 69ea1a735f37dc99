"""Wiring and the HTTP door of inference: a brief becomes an AI episode."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import FastAPI

from services.inference import job, rendering, revising
from services.inference.engine import VllmEngine
from services.inference.settings import Settings
from services.inference.speech_engine import VoiceEngine
from shared import preflight
from shared.hub import open_hub
from shared.models import parse_model
from shared.needs import Finding
from shared.preflight import Checks
from shared.renderings import RenderRequest
from shared.schemas import EpisodeRequest, RevisionRequest
from shared.service import JobRoute, job_service, open_lease, open_store, serve
from shared.shelf import Shelf, base_want, unpacked_elsewhere
from shared.store import Store


def create_app(
    store: Store,
    engine: VllmEngine,
    voices: VoiceEngine,
    settings: Settings,
    shelf: Shelf | None = None,
    checks: Checks = list,
) -> FastAPI:
    parts: dict[str, Any] = {"store": store, "engine": engine, "settings": settings}
    render = partial(rendering.run, store=store, engine=voices, settings=settings)
    return job_service(
        "inference",
        settings,
        store,
        [
            JobRoute("/v1/episodes", "write", EpisodeRequest, partial(job.run, **parts)),
            JobRoute("/v1/episode-revisions", "revise", RevisionRequest, partial(revising.run, **parts)),
            JobRoute("/v1/renderings", "render", RenderRequest, render),
        ],
        engines={"vLLM": engine, "voices": voices},
        shelf=shelf,
        checks=checks,
    )


def main() -> FastAPI:
    """Wire the real store and vLLM."""
    settings = Settings()
    shelf = open_shelf(settings)
    engine = VllmEngine(settings, open_lease("inference", settings), shelf)
    voices = VoiceEngine.from_settings(settings)
    return create_app(open_store(), engine, voices, settings, shelf, partial(look, settings))


def open_shelf(settings: Settings) -> Shelf:
    """The base model, fetched from the hub; the weights of the packaged one lie in the trainer's environment."""
    return Shelf([base_want(settings.base_model, open_hub("inference", settings), unpacked_elsewhere)])


def look(settings: Settings) -> list[Finding]:
    """What writing needs of its machine; less where a vLLM fleet does it."""
    if settings.vllm_urls:
        return preflight.volumes("inference", settings)
    model = parse_model(settings.base_model)
    models = [model] if model else []
    return [
        *preflight.gpu("inference", "cpu" if settings.on_cpu else "cuda"),
        *preflight.volumes("inference", settings, models),
        *preflight.hub_models(models),
    ]


if __name__ == "__main__":
    serve("inference", main, Settings().port, lambda: open_shelf(Settings()))
