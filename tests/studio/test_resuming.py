"""Orders to go on with a stopped training run, and trying a training again: studio's doors before a crew that waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.studio import pipeline
from services.studio.crew import remote_job_id
from shared import keys
from shared.errors import BadInputError
from shared.schemas import Checkpoint, DatasetResult, PipelineRequest, Run, TrainOptions, TrainRequest
from shared.store import create_manifest, load, revise
from tests.fakes import FakeJob, MemoryStore, ScriptedCrew
from tests.kit import until
from tests.studio.a_dataset import points, put_dataset, put_run
from tests.studio.a_door import studio_of


class WaitingCrew(ScriptedCrew):
    """Claims or takes over a run and waits, until it is let fail or is cancelled."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._store = store
        self.wished: list[TrainRequest] = []
        self.fail = threading.Event()

    def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
        if path != "/v1/adapters":
            return super().ask(job, step, service, path, request, result_type)
        self._take(request, remote_job_id(job.id, step))
        self.wished.append(request)
        while not self.fail.wait(0.05):
            job.check()
        job.check()  # one that was cancelled leaves the failure to whom it is meant for
        self.fail.clear()
        raise BadInputError("the device has no room for it")

    def _take(self, request: TrainRequest, job_id: str) -> None:
        if request.resume is None:
            number = len(self._store.list(keys.runs("lamp"))) + 1
            create_manifest(self._store, keys.run("lamp", number), Run(number=number, job=job_id, request=request))
            self._store_checkpoint(number)
            return
        key = keys.run("lamp", request.resume)
        revise(
            self._store,
            key,
            Run,
            lambda known: known.model_copy(update={"job": job_id, "jobs_before": (*known.jobs_before, known.job)}),
        )

    def _store_checkpoint(self, number: int) -> None:
        metrics = points(3.0, None, 2.0)
        checkpoint = Checkpoint(show="lamp", run=number, step=2, job="j", dataset="d9", files={}, metrics=metrics)
        create_manifest(self._store, keys.checkpoint("lamp", number, 2), checkpoint)


class Door:
    """Studio as an admin uses it."""

    def __init__(self, client: TestClient, secret: str) -> None:
        self.client, self.headers = client, {"Authorization": f"Bearer {secret}"}

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.post(path, json=body, headers={**self.headers, **headers})

    def get(self, path: str) -> Any:
        return self.client.get(path, headers=self.headers).json()

    def stop(self, job_id: str) -> None:
        self.client.delete(f"/v1/jobs/{job_id}", headers=self.headers)
        self.ended(job_id)

    def ended(self, job_id: str) -> dict[str, Any]:
        until(lambda: self.get(f"/v1/jobs/{job_id}")["state"] in ("done", "failed", "cancelled"), "the job ends")
        found: dict[str, Any] = self.get(f"/v1/jobs/{job_id}")
        return found


@pytest.fixture
def store() -> MemoryStore:
    """A show whose run 1 was stopped at step 2, and whose run 2 is finished."""
    store = MemoryStore()
    put_dataset(store)
    put_run(store, 1, points(3.0, None, 2.0))
    put_run(store, 2, points(3.0, None, 2.0), kept=2)
    revise(store, keys.run("lamp", 1), Run, lambda known: known.model_copy(update={"request": BEGUN}))
    return store


BEGUN = TrainRequest(show="lamp", dataset="d9", steps=8, lora_rank=8, continue_from="lamp.r2.c2")
RESUME = {"show": "lamp", "dataset": "d9", "resume": 1}


@pytest.fixture
def studio(tmp_path: Path, store: MemoryStore) -> Iterator[tuple[Door, WaitingCrew]]:
    crew = WaitingCrew(store)
    app, secret = studio_of(tmp_path, store, crew)
    with TestClient(app) as client:
        door = Door(client, secret)
        until(lambda: client.get("/health/ready").status_code == 200, "studio is ready")
        yield door, crew


def test_an_order_to_resume_is_queued_with_all_settings_of_its_run(studio: tuple[Door, WaitingCrew]):
    door, crew = studio

    job = door.post("/v1/adapters", RESUME).json()

    until(lambda: crew.wished, "the trainer is asked")
    assert crew.wished == [BEGUN.model_copy(update={"resume": 1})]
    until(lambda: door.get("/v1/shows/lamp/runs/1")["job"] == job["id"], "the run is the order's")


@pytest.mark.parametrize(
    ("wish", "status", "said"),
    [
        ({"resume": 7}, 404, "has no run 7"),
        ({"resume": 2}, 409, "is finished; train a new run with `continue_from` its adapter lamp.r2.c2"),
        ({"resume": 0}, 422, "resume"),
        ({"dataset": "d8"}, 422, "order it with dataset d9"),
        ({"steps": 4}, 422, "begun for 8 steps"),
    ],
)
def test_what_speaks_against_resuming_is_told_at_once(
    studio: tuple[Door, WaitingCrew], wish: dict[str, Any], status: int, said: str
):
    door, crew = studio

    answer = door.post("/v1/adapters", {**RESUME, **wish})

    assert answer.status_code == status and said in answer.json()["detail"]
    assert door.get("/v1/jobs") == [] and crew.wished == []


def test_a_run_whose_checkpoints_were_collected_is_refused(studio: tuple[Door, WaitingCrew], store: MemoryStore):
    door, _ = studio
    store.delete(keys.checkpoint("lamp", 1, 2))

    answer = door.post("/v1/adapters", RESUME)

    assert answer.status_code == 422 and "no checkpoint to go on from" in answer.json()["detail"]


def test_a_run_that_an_order_works_on_or_waits_for_is_not_given_to_another(studio: tuple[Door, WaitingCrew]):
    door, _ = studio
    first = door.post("/v1/adapters", RESUME, **{"Idempotency-Key": "order-0001"}).json()

    second = door.post("/v1/adapters", RESUME)
    repeat = door.post("/v1/adapters", RESUME, **{"Idempotency-Key": "order-0001"})
    door.stop(first["id"])
    third = door.post("/v1/adapters", RESUME)

    assert second.status_code == 409 and f"diary jobs follow {first['id']}" in second.json()["detail"]
    assert (repeat.status_code, repeat.json()["id"]) == (202, first["id"]), "a repeat is the same order"
    assert third.status_code == 202


def test_trying_a_stopped_training_again_goes_on_with_its_run(studio: tuple[Door, WaitingCrew]):
    door, crew = studio
    first = door.post("/v1/adapters", {"show": "lamp", "dataset": "d9", "epochs": 2}).json()
    until(lambda: crew.wished, "the trainer is asked")
    door.stop(first["id"])

    second = door.post(f"/v1/jobs/{first['id']}/retry").json()
    until(lambda: len(crew.wished) == 2, "the trainer is asked again")
    crew.fail.set()
    door.ended(second["id"])
    door.post(f"/v1/jobs/{first['id']}/retry")
    until(lambda: len(crew.wished) == 3, "the older order leads to the run too")

    assert [wish.resume for wish in crew.wished] == [None, 3, 3] and crew.wished[1].epochs == 2
    assert [run["number"] for run in door.get("/v1/shows/lamp/runs")] == [1, 2, 3]


def test_a_training_that_left_nothing_to_go_on_from_is_tried_from_the_start(
    studio: tuple[Door, WaitingCrew], store: MemoryStore
):
    door, crew = studio
    first = door.post("/v1/adapters", {"show": "lamp", "dataset": "d9"}).json()
    until(lambda: crew.wished, "the trainer is asked")
    door.stop(first["id"])
    store.delete(keys.checkpoint("lamp", 3, 2))

    door.post(f"/v1/jobs/{first['id']}/retry")

    until(lambda: len(crew.wished) == 2, "the trainer is asked again")
    assert crew.wished[1].resume is None


def test_the_whole_story_tried_again_goes_on_with_its_run(studio: tuple[Door, WaitingCrew], store: MemoryStore):
    door, crew = studio
    first = door.post("/v1/pipelines", {"show": "lamp", "training": {"steps": 4}}).json()
    until(lambda: crew.wished, "the trainer is asked")
    run = load(store, keys.run("lamp", 3), Run)
    put_dataset(store, id=run.request.dataset)
    door.stop(first["id"])

    door.post(f"/v1/jobs/{first['id']}/retry")

    until(lambda: len(crew.wished) == 2, "the trainer is asked again")
    assert crew.wished[1] == run.request.model_copy(update={"resume": 3})


def test_an_order_for_the_whole_story_may_name_a_run_and_takes_its_settings(studio: tuple[Door, WaitingCrew]):
    door, _ = studio

    refused = door.post("/v1/pipelines", {"show": "lamp", "training": {"resume": 2}})
    taken = door.post("/v1/pipelines", {"show": "lamp", "training": {"resume": 1, "steps": 9}})

    assert refused.status_code == 409 and taken.status_code == 202
    asked = door.client.app.state.jobs.request(taken.json()["id"]).training  # type: ignore[attr-defined]
    assert (asked.resume, asked.steps, asked.lora_rank, asked.continue_from) == (1, 9, 8, "lamp.r2.c2")


@pytest.mark.parametrize(("dataset", "resume"), [("d9", 1), ("d10", None)])
def test_the_whole_story_trains_anew_once_its_dataset_has_become_another(
    store: MemoryStore, tmp_path: Path, dataset: str, resume: int | None
):
    class Building(ScriptedCrew):
        def _answer(self, path: str, request: Any) -> Any:
            built = DatasetResult(dataset=dataset, key="k", tokens=9, examples=1)
            return built if path == "/v1/datasets" else super()._answer(path, request)

    crew, order = Building(), PipelineRequest(show="lamp", training=TrainOptions(resume=1, steps=9))

    pipeline.run(order, job=FakeJob(tmp_path), store=store, crew=crew)

    [wish] = dict(crew.asked)["train"]
    assert (wish.dataset, wish.resume, wish.steps) == (dataset, resume, 9)
