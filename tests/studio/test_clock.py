"""Studio's clock: what nobody needs goes, and what is new comes, once per period, whoever of the replicas asks."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from services.studio.app import create_app
from services.studio.clock import order_collection, order_refreshes
from services.studio.doors.care import work_folder
from services.studio.settings import Settings
from shared import keys
from shared.jobs import Jobs
from shared.schemas import JobState
from tests.fakes import MemoryStore, ScriptedCrew
from tests.kit import until
from tests.studio.a_show import put_show


def settings(tmp_path: Path, every_h: float) -> Settings:
    return Settings(
        state_dir=tmp_path / "state",
        work_dir=tmp_path / "work",
        tokens_file=tmp_path / "tokens.json",
        collect_every_h=every_h,
    )


def test_optimizer_state_of_a_finished_run_goes_by_itself(tmp_path: Path):
    store = MemoryStore()
    put_show(store)
    store.grow_old(hours=25)

    with TestClient(create_app(store, ScriptedCrew(), settings(tmp_path, every_h=1 / 3600))) as client:
        jobs: Jobs = client.app.state.jobs  # type: ignore[attr-defined]
        until(lambda: not store.list(keys.checkpoints("lamp", 1)), "the checkpoints are gone")
        until(lambda: any(job.state is JobState.DONE for job in jobs.list()), "the collection is done")

        assert {(job.kind, job.actor) for job in jobs.list()} == {("collect", "studio")}


def test_two_replicas_order_one_collection_and_zero_hours_orders_none(tmp_path: Path):
    with TestClient(create_app(MemoryStore(), ScriptedCrew(), settings(tmp_path, every_h=0))) as client:
        jobs: Jobs = client.app.state.jobs  # type: ignore[attr-defined]
        assert jobs.list() == []

        order_collection(jobs, 7)
        order_collection(jobs, 7)

        assert [job.id for job in jobs.list()] == ["collect-00000007"]
        until(lambda: jobs.list()[0].state.ended, "it ends")


def test_every_source_of_every_show_is_refreshed_once_per_period(tmp_path: Path):
    store = MemoryStore()
    for show in ("lamp", "moon"):
        put_show(store, show)
        for source in ("s1", "s2"):
            store.objects[keys.source(show, source)] = b"{}"
    crew = ScriptedCrew(grown={"s1": ["rec-a"], "s2": []})
    with TestClient(create_app(store, crew, settings(tmp_path, every_h=0))) as client:
        jobs: Jobs = client.app.state.jobs  # type: ignore[attr-defined]

        order_refreshes(jobs, store, 7)
        order_refreshes(jobs, store, 7)
        until(lambda: all(job.state is JobState.DONE for job in jobs.list()), "all are done")

        assert sorted(job.id for job in jobs.list()) == [
            f"refresh-{show}-{source}-00000007" for show in ("lamp", "moon") for source in ("s1", "s2")
        ]


def test_what_a_killed_import_left_in_the_work_folder_goes_at_the_start(tmp_path: Path):
    chosen = settings(tmp_path, every_h=0)
    left = work_folder(chosen) / "tmp123"
    left.mkdir(parents=True)
    (left / "0").write_bytes(b"half a blob")

    with TestClient(create_app(MemoryStore(), ScriptedCrew(), chosen)):
        assert not left.exists()
