"""Jobs in a browser: the list with its filters, one job with what it made and its log, stopping and doing it again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.studio.app import create_app
from services.studio.doors.job_logs import ServiceLines
from services.studio.doors.status import ServiceStatus
from services.studio.settings import Settings
from shared.errors import BadInputError
from shared.tokens import TokenBook, new_token
from tests.fakes import MemoryStore, ScriptedCrew
from tests.kit import until
from tests.studio.a_dataset import put_dataset
from tests.studio.a_door import serving

LINE = {"at": "2026-01-01T10:00:00.000Z", "level": "warning", "service": "trainer", "message": "trying <b>again</b>"}
DOWNLOADING = {"name": "owner/large", "state": "downloading", "done_gb": 4.2, "total_gb": 14.5, "eta_s": 720.0}


class FailingCrew(ScriptedCrew):
    """Datasets are built; training fails."""

    def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
        logging.getLogger("tests.crew").info("asked the %s", service)
        if service == "trainer" and path == "/v1/adapters":
            raise BadInputError("the device has no room for it; train with a lower rank")
        return super().ask(job, step, service, path, request, result_type)


def app_of(tmp_path: Path, statuses: list[ServiceStatus] | None = None) -> tuple[FastAPI, dict[str, str]]:
    settings = Settings(
        state_dir=tmp_path / "state", work_dir=tmp_path / "work", tokens_file=tmp_path / "tokens.json",
        collect_every_h=0,
    )  # fmt: skip
    secrets, book = {}, TokenBook(settings.tokens_file)
    for name, role, show in (("ann", "admin", None), ("vi", "viewer", "lamp"), ("one", "editor", "otherland")):
        secrets[name], token = new_token(name, role, show)  # type: ignore[arg-type]
        book.add(token)
    store = MemoryStore()
    put_dataset(store)
    told = [
        ServiceLines(service="trainer", lines=(LINE,)),
        ServiceLines(service="ingest", away="ingest does not answer; start it with `make up`"),
    ]
    app = create_app(store, FailingCrew(), settings, statuses=lambda: statuses or [], ask_logs=lambda trace_id: told)
    return app, secrets


@pytest.fixture
def studio(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[tuple[str, dict[str, str]]]:
    caplog.set_level(logging.INFO)
    app, secrets = app_of(tmp_path)
    with serving(app) as url:
        yield url, secrets


def order(url: str, secret: str, path: str, body: dict[str, Any]) -> str:
    """Id of a job that has ended."""
    headers = {"Authorization": f"Bearer {secret}"}
    job = httpx.post(url + path, json=body, headers=headers).json()
    ended = ("done", "failed")
    until(lambda: httpx.get(f"{url}/v1/jobs/{job['id']}", headers=headers).json()["state"] in ended, "it ends")
    return str(job["id"])


def test_a_failed_job_tells_its_fix_its_log_and_can_be_tried_again(studio, visit: Callable[..., Any]):
    url, secrets = studio
    job = order(url, secrets["ann"], "/v1/adapters", {"show": "lamp", "dataset": "d9", "epochs": 1.5})
    here = visit(url)
    page = here.sign_in(secrets["ann"], f"/jobs/{job}")
    page.get_by_text("job started").wait_for()
    here.look("job")

    assert page.get_by_text("train with a lower rank").first.is_visible()
    assert page.get_by_text("trying <b>again</b>").is_visible(), "what services log is text"
    assert page.get_by_text("asked the trainer").is_visible()
    assert page.get_by_text("ingest tells nothing: ingest does not answer").is_visible()
    asked = page.locator(".facts", has_text="epochs")
    assert "1.5" in asked.inner_text() and "d9" in asked.inner_text()
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url(lambda address: "/jobs/" in address and job not in address)


def test_the_list_is_filtered_and_leads_to_each_job(studio, visit: Callable[..., Any]):
    url, secrets = studio
    made = order(url, secrets["ann"], "/v1/datasets", {"show": "lamp"})
    order(url, secrets["ann"], "/v1/adapters", {"show": "lamp", "dataset": "d9"})
    here = visit(url)
    page = here.sign_in(secrets["ann"], "/jobs")
    here.look("jobs")
    rows = page.locator("tbody tr")
    assert rows.count() == 2 and "Train a model" in rows.first.inner_text(), "the newest first"

    page.get_by_label("State").select_option("done")
    page.get_by_role("button", name="Show these").click()
    page.wait_for_url("**state=done*")
    assert rows.count() == 1
    rows.get_by_role("link", name="Build a dataset").click()
    page.wait_for_url(f"**/jobs/{made}")
    page.goto(url + "/jobs?kind=write")
    assert page.get_by_text("No job is like that").is_visible()


def test_a_viewer_of_the_show_reads_and_stops_nothing(studio, visit: Callable[..., Any]):
    url, secrets = studio
    job = order(url, secrets["ann"], "/v1/adapters", {"show": "lamp", "dataset": "d9"})
    here = visit(url, "phone", "dark")
    page = here.sign_in(secrets["vi"], f"/jobs/{job}")
    page.get_by_text("job started").wait_for()
    here.look("job-phone")

    assert page.get_by_role("button", name="Try again").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[tuple[TestClient, dict[str, str]]]:
    app, secrets = app_of(tmp_path)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        until(lambda: client.get("/health/ready").status_code == 200, "the app is ready")
        yield client, secrets


def sign_in(client: TestClient, secret: str) -> None:
    assert client.post("/login", data={"token": secret, "next": "/"}).status_code == 200


def test_jobs_of_another_show_are_seen_nowhere(client):
    client, secrets = client
    queued = client.post(
        "/v1/datasets", json={"show": "lamp"}, headers={"Authorization": f"Bearer {secrets['ann']}"}
    ).json()
    sign_in(client, secrets["one"])

    assert queued["id"] not in client.get("/jobs").text
    for path in ("/jobs?show=lamp", f"/jobs/{queued['id']}", f"/jobs/{queued['id']}/log", f"/jobs/{queued['id']}/card"):
        assert client.get(path).status_code == 403


def test_a_job_of_all_shows_is_nothing_for_a_token_of_one(client):
    client, secrets = client
    ann, one = ({"Authorization": f"Bearer {secrets[name]}"} for name in ("ann", "one"))
    job = client.post("/v1/collections", json={"dry_run": True}, headers=ann).json()["id"]
    sign_in(client, secrets["one"])

    for path in (f"/jobs/{job}", f"/jobs/{job}/card", f"/jobs/{job}/log"):
        assert client.get(path).status_code == 403, path
    assert client.get(f"/v1/jobs/{job}", headers=one).status_code == 403
    assert client.delete(f"/v1/jobs/{job}", headers=one).status_code == 403
    assert client.get(f"/v1/jobs/{job}", headers=ann).status_code == 200


@pytest.mark.parametrize(
    ("then", "to"),
    [("/shows/lamp?a=b", "/shows/lamp?a=b"), ("//evil.example", "/"), ("/shows/\u65e5", "/shows/%E6%97%A5")],
)
def test_a_job_that_is_done_leads_on_within_studio(client, then: str, to: str):
    client, secrets = client
    ann = {"Authorization": f"Bearer {secrets['ann']}"}
    job = client.post("/v1/datasets", json={"show": "lamp"}, headers=ann).json()["id"]
    until(lambda: client.get(f"/v1/jobs/{job}", headers=ann).json()["state"] == "done", "it is done")
    sign_in(client, secrets["vi"])

    assert client.get(f"/jobs/{job}/card", params={"then": then}).headers["hx-redirect"] == to


def test_a_job_that_is_tried_again_twice_with_one_key_is_one_more_job(client):
    client, secrets = client
    ann = {"Authorization": f"Bearer {secrets['ann']}"}
    job = client.post("/v1/adapters", json={"show": "lamp", "dataset": "d9"}, headers=ann).json()["id"]
    until(lambda: client.get(f"/v1/jobs/{job}", headers=ann).json()["state"] == "failed", "it fails")
    twice = [client.post(f"/v1/jobs/{job}/retry", headers=ann | {"Idempotency-Key": "again-12345"}) for _ in range(2)]

    assert [answer.status_code for answer in twice] == [202, 202]
    assert {answer.json()["id"] for answer in twice} == {"again-12345"}


def test_a_filter_that_is_none_says_which_there_are(client):
    client, secrets = client
    sign_in(client, secrets["ann"])
    answer = client.get("/jobs?state=odd")

    assert answer.status_code == 422 and "queued, running, done" in answer.text
    assert "Nothing has run yet" in client.get("/jobs").text


def test_many_jobs_come_in_pages(client):
    client, secrets = client
    headers = {"Authorization": f"Bearer {secrets['ann']}"}
    for _ in range(52):
        assert client.post("/v1/datasets", json={"show": "lamp"}, headers=headers).status_code == 202
    sign_in(client, secrets["ann"])

    first, second = (client.get(f"/jobs?kind=dataset&page={page}").text for page in (1, 2))

    assert first.count('<th scope="row">') == 50 and 'rel="next"' in first and 'rel="prev"' not in first
    assert second.count('<th scope="row">') == 2 and 'rel="prev"' in second and 'rel="next"' not in second


@pytest.fixture
def busy_studio(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """One of whose services a model is on its way to, and one that is away."""
    statuses = [
        ServiceStatus(service="inference", state="ready", version="0.1.0", models=(DOWNLOADING,)),
        ServiceStatus(service="trainer", state="away", note="trainer does not answer; start it with `make up`"),
    ]
    app, secrets = app_of(tmp_path, statuses)
    with serving(app) as url:
        yield url, secrets


def test_services_tell_how_they_are_and_models_how_far(busy_studio, visit: Callable[..., Any]):
    url, secrets = busy_studio
    here = visit(url)
    page = here.sign_in(secrets["vi"], "/status")
    page.get_by_role("heading", name="studio").wait_for()
    here.look("status")

    assert page.get_by_text("owner/large downloading 4.2/14.5 GB, 12 min left").is_visible()
    assert page.get_by_text("trainer does not answer").is_visible()
    assert page.get_by_role("heading", name="studio").inner_text().endswith("ready")
