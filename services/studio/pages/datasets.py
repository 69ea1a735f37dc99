"""Datasets: building one, whether it is enough, what is in and what is out, how it reads, and training on it."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio.dataset_page import (
    VERDICTS,
    as_seen,
    counts,
    estimate_sentence,
    figures,
    figures_sentence,
    leak_sentences,
    totals_of,
    withdrawn_sentence,
    without_report,
)
from services.studio.doors.datasets import examples_are_there, samples_of
from services.studio.pages.frame import visitor
from services.studio.pages.sessions import Seat
from services.studio.pages.standing import new_since
from services.studio.pages.studio import Studio, jobs_of
from shared.jobs import Jobs
from shared.schemas import Adapter, Dataset, DatasetOptions, Job, TrainOptions


def datasets_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    library = studio.library

    @router.get("/shows/{show}/datasets")
    def datasets(show: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        record = library.show(show)
        found = sorted(library.datasets(show), key=lambda one: one.lineage.made_at, reverse=True)
        seen = studio.glances.of(show)
        running, failed = newest_orders(jobs_of(request), show, "dataset")
        return studio.frame.page(
            request,
            "datasets.html",
            show=record,
            here="Datasets",
            datasets=found,
            changed=len(new_since(found[0], seen)) if found else 0,
            transcribed=len(seen.glances) + seen.unread,
            running=running,
            failed=failed,
            recordings=library.recordings(show),
            options=DatasetOptions(),
            verdicts=VERDICTS,
            figures_sentence=figures_sentence,
        )

    @router.get("/shows/{show}/datasets/{name}")
    def dataset(show: str, name: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        found = library.dataset(show, name)
        report = found.report
        return studio.frame.page(
            request,
            "dataset.html",
            show=library.show(show),
            here="Datasets",
            dataset=found,
            report=report,
            verdict=VERDICTS[report.enough] if report else "",
            withdrawn=withdrawn_sentence(found) if found.source_withdrawn else "",
            without_report=without_report(found),
            figures=figures(found, report) if report else counts(found),
            estimate=estimate_sentence(report.estimate) if report else "",
            left_out=report.left_out if report else totals_of(found.left_out),
            leaks=leak_sentences(report) if report else (),
            titles={one.id: one.title for one in library.recordings(show)},
            can_train=examples_are_there(studio.store, found),
            runs=[run for run in library.runs(show) if run.request.dataset == name],
            parents=parents_for(found, library.adapters(show)),
            defaults=TrainOptions(),
            place=f"/v1/shows/{show}/datasets/{name}",
        )

    @router.get("/shows/{show}/datasets/{name}/samples")
    def samples(show: str, name: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        """Read apart from the page: the longest example is found by reading them all."""
        found = library.dataset(show, name)
        read = samples_of(studio.store, found)
        return studio.frame.page(
            request, "dataset_samples.html", show=library.show(show), dataset=found, samples=read, as_seen=as_seen
        )

    return router


def parents_for(dataset: Dataset, adapters: list[Adapter]) -> list[Adapter]:
    """Trained models that training may begin with, the newest first: those of the same base model."""
    fitting = [one for one in adapters if one.base_revision == dataset.base_revision and not one.source_withdrawn]
    return sorted(fitting, key=lambda one: one.lineage.made_at, reverse=True)


def newest_orders(jobs: Jobs, show: str, kind: str) -> tuple[list[Job], Job | None]:
    """Jobs of a kind that are not over, and the newest one if it failed."""
    found = jobs.list(show=show, kind=kind, limit=20)
    failed = found[0] if found and found[0].problem else None
    return [job for job in found if not job.state.ended], failed
