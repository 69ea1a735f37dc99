"""Wiring and the HTTP door of inference: a brief becomes an AI episode."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from services.inference import job
from services.inference.engine import VllmEngine
from services.inference.settings import Settings
from shared.schemas import EpisodeRequest
from shared.service import JobRoute, job_service, open_lease, open_store, serve
from shared.store import Store


def create_app(store: Store, engine: VllmEngine, settings: Settings) -> FastAPI:
    run = partial(job.run, store=store, engine=engine, settings=settings)
    return job_service(
        "inference", settings, store, [JobRoute("/v1/episodes", "write", EpisodeRequest, run)], engines={"vLLM": engine}
    )


def main() -> FastAPI:
    """Wire the real store and vLLM."""
    settings = Settings()
    return create_app(open_store(), VllmEngine(settings, open_lease("inference", settings)), settings)


if __name__ == "__main__":
    serve("inference", main, Settings().port)
