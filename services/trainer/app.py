"""Wiring and the HTTP door of trainer: transcripts become a dataset, a dataset becomes a LoRA adapter."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from services.trainer import job
from services.trainer.engine import TrainingEngine
from services.trainer.settings import Settings
from shared.schemas import DatasetRequest, TrainRequest
from shared.service import JobRoute, job_service, open_lease, open_store, serve
from shared.store import Store


def create_app(store: Store, engine: TrainingEngine, settings: Settings) -> FastAPI:
    routes = [
        JobRoute("/v1/datasets", "dataset", DatasetRequest, partial(job.build, store=store, engine=engine)),
        JobRoute("/v1/adapters", "train", TrainRequest, partial(job.train, store=store, engine=engine)),
    ]
    return job_service("trainer", settings, store, routes, engines={"training engine": engine})


def main() -> FastAPI:
    """Wire the real store, TRL and peft."""
    settings = Settings()
    engine = TrainingEngine.from_settings(settings, open_lease("trainer", settings))
    return create_app(open_store(), engine, settings)


if __name__ == "__main__":
    serve("trainer", main, Settings().port)
