"""Wiring and the HTTP door of trainer: transcripts become a dataset, a dataset becomes a LoRA adapter."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from services.trainer import job
from services.trainer.cluster import Cluster, end_job, pod_device, train_in_a_pod
from services.trainer.engine import TrainingEngine, packaged
from services.trainer.settings import Settings
from shared import preflight
from shared.hub import open_hub
from shared.models import parse_model
from shared.needs import Finding
from shared.preflight import Checks
from shared.schemas import DatasetRequest, Job, TrainRequest
from shared.service import JobRoute, job_service, open_lease, open_store, serve
from shared.shelf import Shelf, base_want
from shared.store import Store


def create_app(
    store: Store,
    engine: TrainingEngine,
    settings: Settings,
    shelf: Shelf | None = None,
    checks: Checks = list,
    cluster: Cluster | None = None,
) -> FastAPI:
    """The trainer; with a cluster, trainings run in pods of their own."""
    here = partial(job.train, store=store, engine=engine)
    train = here if cluster is None else partial(train_in_a_pod, store=store, engine=engine, cluster=cluster)
    routes = [
        JobRoute("/v1/datasets", "dataset", DatasetRequest, partial(job.build, store=store, engine=engine)),
        JobRoute(
            "/v1/adapters",
            "train",
            TrainRequest,
            train,
            settle=partial(job.with_settings, store=store),
        ),
    ]
    return job_service(
        "trainer",
        settings,
        store,
        routes,
        engines={"training engine": engine},
        shelf=shelf,
        checks=checks,
        before_stop=partial(engine.save, settings.stop_grace_s),
        after_cancel=partial(end_pods, cluster),
    )


def end_pods(cluster: Cluster | None, job: Job) -> None:
    """Its Job may go on where no worker follows it: after a kill, or before another worker has taken it over."""
    if cluster is not None and job.kind == "train" and job.show is not None:
        end_job(job.show, job.id, cluster)


def main() -> FastAPI:
    """Wire the real store, TRL and peft."""
    settings = Settings()
    shelf = open_shelf(settings)
    cluster = Cluster.from_environment(settings.pod_template) if settings.pod_template else None
    elsewhere = pod_device(settings) if cluster else None
    engine = TrainingEngine.from_settings(settings, open_lease("trainer", settings), shelf, elsewhere)
    return create_app(open_store(), engine, settings, shelf, partial(look, settings), cluster)


def open_shelf(settings: Settings) -> Shelf:
    """The base model, fetched from the hub or unpacked."""
    return Shelf([base_want(settings.base_model, open_hub("trainer", settings), partial(packaged, settings))])


def look(settings: Settings) -> list[Finding]:
    """What training needs of its machine, where it is this one."""
    model = parse_model(settings.base_model)
    models = [model] if model else []
    return [
        *([] if settings.pod_template else preflight.gpu("trainer", settings.device)),
        *preflight.volumes("trainer", settings, models),
        *preflight.hub_models(models),
    ]


if __name__ == "__main__":
    serve("trainer", main, Settings().port, lambda: open_shelf(Settings()))
