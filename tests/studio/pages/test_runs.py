"""Training in a browser: curves that grow while a run is under way, its checkpoints, and what it learnt from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.studio.crew import remote_job_id
from shared import keys
from shared.errors import BadInputError
from shared.schemas import Checkpoint, MetricPoint, Run
from shared.store import create_manifest, revise
from tests.fakes import MemoryStore, ScriptedCrew
from tests.kit import until
from tests.studio.a_dataset import judged, put_dataset, put_run
from tests.studio.a_door import serving, studio_of


class TrainingCrew(ScriptedCrew):
    """Trains run 2 with two checkpoints, as far as it is let; then it fails. Resumed, it makes one more."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._store = store
        self.go_on = threading.Event()

    def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
        claim = Run(number=2, job=remote_job_id(job.id, "train"), request=request)
        if request.resume is None:
            create_manifest(self._store, keys.run("lamp", 2), claim)
            self._work(job, 6)
            self._work(job, 12)
        else:
            revise(self._store, keys.run("lamp", 2), Run, lambda known: known.model_copy(update={"job": claim.job}))
            self._work(job, 18)
        raise BadInputError("the device has no room for it; train with a lower rank")

    def _work(self, job: Any, until: int) -> None:
        metrics = curve(until)
        checkpoint = Checkpoint(show="lamp", run=2, step=until, job="j", dataset="d9", files={}, metrics=tuple(metrics))
        create_manifest(self._store, keys.checkpoint("lamp", 2, until), checkpoint)
        figures = {"loss": 1.5, "tokens_per_s": 6890.0, "memory_gb": 18.7, "held_out_loss": metrics[-1].eval_loss or 0}
        while not self.go_on.wait(0.1):
            job.check()
            job.progress("train: training", until + 2, 24, "steps", figures=figures)
        self.go_on.clear()


def curve(steps: int) -> list[MetricPoint]:
    return [
        MetricPoint(
            step=step,
            tokens=15 * step,
            train_loss=3.2 - 1.2 * step / (step + 8) if step else None,
            eval_loss=3.0 - 0.05 * min(step, 12) + 0.04 * max(0, step - 12) if step % 6 == 0 else None,
            seconds=2.0 * step,
            memory_gb=18.2,
            judged=judged("Bob", "Cleo") if step % 6 == 0 else None,
        )
        for step in range(steps + 1)
    ]


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_dataset(store)
    put_run(store, 1, tuple(curve(24)), kept=12)
    return store


@pytest.fixture
def studio(tmp_path: Path, store: MemoryStore) -> Iterator[tuple[str, str, TrainingCrew]]:
    crew = TrainingCrew(store)
    app, secret = studio_of(tmp_path, store, crew)
    with serving(app) as url:
        yield url, secret, crew


def drawn(page: Any) -> None:
    page.wait_for_selector("#curves canvas")


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("phone", "dark")])
def test_a_run_that_is_over_shows_curves_checkpoints_and_what_it_learnt_from(
    studio: tuple[str, str, TrainingCrew], visit: Callable[..., Any], size: str, scheme: str
):
    url, secret, _ = studio
    here = visit(url, size, scheme)
    page = here.sign_in(secret, "/shows/lamp/runs/1")
    drawn(page)
    here.look(f"run-{size}")

    assert "at step 12" in page.locator("#curves").get_attribute("aria-label")
    best = page.locator("#checkpoint-table tr", has_text="the trained model")
    assert "lowest loss" in best.inner_text() and "12" in best.inner_text()
    assert page.get_by_role("columnheader", name="Cleo").is_visible()
    said = page.locator("details", has_text="the trained model")
    assert "Of lamps." in said.inner_text()
    assert page.get_by_role("link", name="Dataset d9", exact=True).get_attribute("href") == "/shows/lamp/datasets/d9"
    assert page.get_by_text("judged by, not learnt").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_run_under_way_is_followed_from_training_it_to_its_failure_and_on(
    studio: tuple[str, str, TrainingCrew], visit: Callable[..., Any]
):
    url, secret, crew = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/datasets/d9")
    page.get_by_label("Epochs, at most").fill("2")
    page.get_by_role("button", name="Train a model").click()
    page.get_by_role("link", name="Training run 2: its curves").click()
    drawn(page)
    until(lambda: page.locator("[data-live=tokens_per_s]").inner_text() == "6,890", "the job's figures are shown")
    assert page.locator("[data-live=step]").inner_text() == "8"
    assert page.locator("[data-live=memory_gb]").inner_text() == "18.7"
    here.look("run-under-way")

    crew.go_on.set()
    until(lambda: page.locator("[data-live=step]").inner_text() == "14", "it goes on")
    page.locator("#checkpoint-table").get_by_role("rowheader", name="12").wait_for()
    curves = page.locator("#curves")
    until(lambda: "step 14" in (curves.get_attribute("aria-label") or ""), "the curve grows between checkpoints")

    crew.go_on.set()
    page.get_by_role("heading", name="It stopped at step 12").wait_for()
    page.wait_for_load_state()
    assert page.get_by_text("train with a lower rank").first.is_visible()
    here.look("run-stopped")
    page.get_by_role("button", name="Resume at step 12").click()
    page.get_by_text("also after a restart or a crash").wait_for()
    until(lambda: page.locator("[data-live=step]").inner_text() == "20", "it goes on with its number and its curve")
    page.locator("#checkpoint-table").get_by_role("rowheader", name="18").wait_for()
    assert page.locator("#checkpoint-table").get_by_role("rowheader", name="6", exact=True).is_visible()
    crew.go_on.set()
    page.get_by_role("heading", name="It stopped at step 18").wait_for()
    page.wait_for_load_state()
    page.get_by_role("button", name="Train anew").click()
    page.wait_for_url("**/jobs/*")
    assert page.get_by_text("epochs").is_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Do it again").wait_for()


def test_a_stopped_run_without_checkpoints_says_why_it_cannot_go_on(
    studio: tuple[str, str, TrainingCrew], store: MemoryStore, visit: Callable[..., Any]
):
    put_run(store, 2, ())
    url, secret, _ = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/runs/2")

    assert page.get_by_text("stopped before its first checkpoint").is_visible()
    assert page.get_by_role("button", name="Resume").count() == 0
    assert page.get_by_role("button", name="Train anew").is_visible()


def test_the_list_leads_to_each_run(studio: tuple[str, str, TrainingCrew], visit: Callable[..., Any]):
    url, secret, _ = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/runs")
    here.look("runs")

    row = page.locator("tr", has_text="run 1")
    assert "lamp.r1.c12" in row.inner_text() and "2.400 at step 12" in row.inner_text()
    row.get_by_role("link", name="run 1").click()
    page.wait_for_url("**/runs/1")
    drawn(page)


def test_without_a_run_the_list_says_what_comes_first(tmp_path: Path, visit: Callable[..., Any]):
    store = MemoryStore()
    put_dataset(store)
    app, secret = studio_of(tmp_path, store, ScriptedCrew())
    with serving(app) as url:
        page = visit(url).sign_in(secret, "/shows/lamp/runs")
        assert page.get_by_role("link", name="to the datasets").is_visible()
