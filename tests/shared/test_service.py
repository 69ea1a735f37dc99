"""The app that every service is: tokens, jobs over HTTP, problems, events, health, metrics, one trace id."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field

from shared.errors import BadAudioError, ConflictError, StoreUnavailableError
from shared.schemas import WritingEstimate
from shared.service import JobRoute, Readiness, job_service
from shared.settings import ServiceSettings
from shared.tokens import Role, TokenBook, new_token
from tests.fakes import AwayStore, MemoryStore, TwoWinnersStore

TRACE = "ab" * 16
SLOW_WORDS = 999  # never said to their end


class Order(BaseModel):
    show: str = "lamplight"
    words: int = Field(default=3, ge=1)


class Done(BaseModel):
    words: int
    trace_id: str


def write(order: Order, *, job) -> Done:
    if order.words == 13:
        raise BadAudioError("this recording is silent; choose another file")
    while order.words == SLOW_WORDS:
        job.check()
        time.sleep(0.02)
    job.progress("writing", order.words, order.words, "words", figures={"tokens_per_s": 7.5})
    return Done(words=order.words, trace_id=job.trace_id)


def client_of(
    tmp_path: Path, store: MemoryStore, show_jobs: int = 0, **tokens: tuple[Role, str | None]
) -> tuple[TestClient, dict[str, dict]]:
    settings = ServiceSettings(
        state_dir=tmp_path / "state",
        work_dir=tmp_path / "work",
        tokens_file=tmp_path / "tokens.json",
        show_jobs=show_jobs,
    )
    book, headers = TokenBook(settings.tokens_file), {}
    for name, (role, show) in tokens.items():
        secret, token = new_token(name, role, show)
        book.add(token)
        headers[name] = {"Authorization": f"Bearer {secret}"}
    app = job_service("toy", settings, store, [JobRoute("/v1/episodes", "write", Order, write)])
    return TestClient(app), headers


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[TestClient, dict[str, dict]]]:
    client, headers = client_of(
        tmp_path,
        MemoryStore(),
        ann=("admin", None),
        ed=("editor", None),
        vi=("viewer", None),
        one=("editor", "otherland"),
    )
    with client:
        _until(lambda: client.get("/health/ready").status_code == 200)
        yield client, headers


def ended(client: TestClient, headers: dict, job_id: str) -> dict:
    _until(lambda: client.get(f"/v1/jobs/{job_id}", headers=headers).json()["state"] in ("done", "failed", "cancelled"))
    return client.get(f"/v1/jobs/{job_id}", headers=headers).json()


def test_a_job_is_accepted_followed_and_done_under_one_trace(door):
    client, tokens = door

    reply = client.post(
        "/v1/episodes", json={"words": 5}, headers={**tokens["ed"], "traceparent": f"00-{TRACE}-{'1' * 16}-01"}
    )
    job = ended(client, tokens["vi"], reply.json()["id"])

    assert reply.status_code == 202 and reply.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["result"] == {"words": 5, "trace_id": TRACE}
    assert (job["actor"], job["state"], reply.headers["x-trace-id"]) == ("ed", "done", TRACE)


def test_events_tell_progress_and_the_end(door):
    client, tokens = door
    job_id = client.post("/v1/episodes", json={}, headers=tokens["ed"]).json()["id"]

    lines = client.get(f"/v1/jobs/{job_id}/events", headers=tokens["vi"]).text.splitlines()

    assert lines[-3] == "event: end"
    told = json.loads(lines[-2].removeprefix("data: "))
    assert told["state"] == "done" and told["progress"]["figures"] == {"tokens_per_s": 7.5}


def test_the_same_key_is_one_job_and_a_bad_key_is_explained(door):
    client, tokens = door
    headers = {**tokens["ed"], "Idempotency-Key": "order-0001"}

    first = client.post("/v1/episodes", json={"words": 2}, headers=headers)
    again = client.post("/v1/episodes", json={"words": 2}, headers=headers)
    other = client.post("/v1/episodes", json={"words": 4}, headers=headers)
    bad = client.post("/v1/episodes", json={}, headers={**tokens["ed"], "Idempotency-Key": "a b"})

    assert first.json()["id"] == again.json()["id"] == "order-0001"
    assert (other.status_code, bad.status_code) == (409, 422)


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        (None, "POST", "/v1/episodes", 401),
        ("stranger", "POST", "/v1/episodes", 401),
        ("vi", "POST", "/v1/episodes", 403),
        ("one", "POST", "/v1/episodes", 403),
        ("vi", "GET", "/v1/jobs", 200),
        ("vi", "GET", "/v1/jobs/none-such", 404),
        (None, "GET", "/metrics", 401),
        (None, "GET", "/health/live", 200),
        ("ann", "POST", "/v1/episodes", 202),
    ],
)
def test_who_may_do_what(door, who, method, path, status):
    client, tokens = door
    headers = tokens.get(who, {"Authorization": "Bearer diary_wrong"}) if who else {}

    reply = client.request(method, path, headers=headers, json={} if method == "POST" else None)

    assert reply.status_code == status
    if status >= 400:
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["detail"] and reply.json()["trace_id"]


def test_only_an_admin_acts_for_others(door):
    client, tokens = door
    behalf = {"X-Diary-On-Behalf-Of": "carla"}

    admins = client.post("/v1/episodes", json={}, headers={**tokens["ann"], **behalf}).json()
    editors = client.post("/v1/episodes", json={}, headers={**tokens["ed"], **behalf}).json()

    assert (admins["actor"], editors["actor"]) == ("carla", "ed")


def test_a_wrong_field_is_named_and_a_failed_job_carries_its_advice(door):
    client, tokens = door

    wrong = client.post("/v1/episodes", json={"words": 0}, headers=tokens["ed"])
    failed = client.post("/v1/episodes", json={"words": 13}, headers=tokens["ed"])
    job = ended(client, tokens["vi"], failed.json()["id"])

    assert wrong.status_code == 422 and wrong.json()["detail"].startswith("words:")
    assert job["state"] == "failed"
    assert job["problem"]["title"] == "BadAudio" and "choose another file" in job["problem"]["detail"]


def test_metrics_count_jobs(door):
    client, tokens = door
    ended(client, tokens["ed"], client.post("/v1/episodes", json={}, headers=tokens["ed"]).json()["id"])

    text = client.get("/metrics", headers=tokens["vi"]).text

    assert 'diary_job_seconds_count{kind="write"} 1.0' in text


def test_an_unsafe_store_keeps_the_service_from_taking_work(tmp_path: Path):
    client, tokens = client_of(tmp_path, TwoWinnersStore(), ed=("editor", None))
    with client:
        _until(lambda: "conditional put" in client.get("/health/ready").json()["detail"])
        reply = client.post("/v1/episodes", json={}, headers=tokens["ed"])

    assert reply.status_code == 503 and "conditional" in reply.json()["detail"]


def _until(condition, timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_token_for_one_show_sees_no_other_shows_jobs(door):
    client, tokens = door
    job_id = client.post("/v1/episodes", json={"show": "lamplight"}, headers=tokens["ed"]).json()["id"]

    own = client.get("/v1/jobs", headers=tokens["one"])
    named = client.get("/v1/jobs?show=lamplight", headers=tokens["one"])
    direct = client.get(f"/v1/jobs/{job_id}", headers=tokens["one"])

    assert own.json() == [] and (named.status_code, direct.status_code) == (403, 403)


def test_a_body_is_not_read_for_strangers_nor_beyond_its_limit(door):
    client, tokens = door
    flood = b"x" * (2 * 1024 * 1024)

    assert client.post("/v1/episodes", content=flood).status_code == 401
    refused = client.post("/v1/episodes", content=flood, headers=tokens["ed"])
    assert refused.status_code == 422 and "/v1/uploads" in refused.json()["detail"]


def test_readiness_follows_the_store_down_and_up_again():
    store = AwayStore()
    readiness = Readiness(store)
    readiness.check()
    readiness.demand()

    store.away = True
    readiness.check_again()
    with pytest.raises(StoreUnavailableError, match="make up"):
        readiness.demand()

    store.away = False
    readiness.check_again()
    readiness.demand()


# ---- what an order leaves open ---------------------------------------------------------------------------------------


class Settling:
    """Settles an open order by what is usual at that time; refuses all while it is `shut`."""

    usual, asked, shut = 5, 0, False

    def demand(self, order: Order) -> None:
        if self.shut:
            raise ConflictError("somebody else does it right now")

    def again(self, job_id: str, order: Order) -> Order:
        return order.model_copy(update={"words": order.words + 1})

    def settle(self, order: Order) -> Order:
        return order if order.words != 3 else order.model_copy(update={"words": self.usual})

    def estimate(self, order: Order) -> WritingEstimate:
        self.asked += 1
        if order.words == 77:
            raise StoreUnavailableError("the object store does not answer; start it with `make up`")
        return WritingEstimate(adapter="base", words=order.words, minutes=1.0, tokens=9)


@pytest.fixture
def settling(tmp_path: Path) -> Iterator[tuple[TestClient, dict, Settling]]:
    settings = ServiceSettings(
        state_dir=tmp_path / "state", work_dir=tmp_path / "work", tokens_file=tmp_path / "tokens.json"
    )
    secret, token = new_token("ed", "editor", None)
    TokenBook(settings.tokens_file).add(token)
    rules = Settling()
    route = JobRoute(
        "/v1/episodes",
        "write",
        Order,
        write,
        demand=rules.demand,
        settle=rules.settle,
        again=rules.again,
        estimate=rules.estimate,
    )
    with TestClient(job_service("toy", settings, MemoryStore(), [route])) as client:
        _until(lambda: client.get("/health/ready").status_code == 200)
        yield client, {"Authorization": f"Bearer {secret}"}, rules


def test_what_an_order_leaves_open_is_settled_once_when_it_is_queued(settling):
    client, headers, _ = settling

    reply = client.post("/v1/episodes", json={}, headers=headers)

    assert reply.json()["estimate"]["words"] == 5
    assert ended(client, headers, reply.json()["id"])["result"]["words"] == 5


def test_an_open_order_sent_again_is_the_same_job_although_it_would_be_settled_otherwise_now(settling):
    client, headers, rules = settling
    again = {**headers, "Idempotency-Key": "order-0002"}
    first = client.post("/v1/episodes", json={}, headers=again)
    rules.usual = 6

    second = client.post("/v1/episodes", json={}, headers=again)
    named = client.post("/v1/episodes", json={"words": 6}, headers=again)

    assert (first.json()["id"], second.status_code, named.status_code) == (second.json()["id"], 202, 409)
    assert ended(client, headers, "order-0002")["result"]["words"] == 5


def test_an_order_that_cannot_be_estimated_is_not_queued(settling):
    client, headers, _ = settling

    reply = client.post("/v1/episodes", json={"words": 77}, headers=headers)

    assert reply.status_code == 503
    assert client.get("/v1/jobs", headers=headers).json() == []


def test_an_order_sent_again_is_the_same_job_although_a_new_one_would_be_refused_now(settling):
    client, headers, rules = settling
    again = {**headers, "Idempotency-Key": "order-0003"}
    first = client.post("/v1/episodes", json={}, headers=again)
    rules.shut = True

    second = client.post("/v1/episodes", json={}, headers=again)

    assert (second.status_code, second.json()["id"]) == (202, first.json()["id"])
    assert client.post("/v1/episodes", json={}, headers=headers).status_code == 409


# ---- trying again ----------------------------------------------------------------------------------------------------


def failed_job(client: TestClient, headers: dict) -> dict:
    queued = client.post("/v1/episodes", json={"words": 13}, headers=headers).json()
    return ended(client, headers, queued["id"])


def test_a_job_that_failed_is_asked_for_again_as_a_new_one_with_the_same_request(door):
    client, tokens = door
    job = failed_job(client, tokens["ed"])

    reply = client.post(f"/v1/jobs/{job['id']}/retry", headers=tokens["ann"])
    again = ended(client, tokens["vi"], reply.json()["id"])

    assert reply.status_code == 202 and reply.headers["location"] == f"/v1/jobs/{again['id']}"
    assert again["id"] != job["id"] and again["trace_id"] != job["trace_id"]
    assert (again["kind"], again["show"], again["actor"]) == (job["kind"], job["show"], "ann")
    assert "choose another file" in again["problem"]["detail"], "it was asked for the same 13 words"


def test_what_a_job_is_tried_again_with_its_route_says(settling):
    client, headers, _ = settling
    job = failed_job(client, headers)

    again = client.post(f"/v1/jobs/{job['id']}/retry", headers=headers).json()

    assert ended(client, headers, again["id"])["result"]["words"] == 14


def test_a_job_that_is_done_is_not_tried_again(door):
    client, tokens = door
    queued = client.post("/v1/episodes", json={}, headers=tokens["ed"]).json()
    ended(client, tokens["ed"], queued["id"])

    reply = client.post(f"/v1/jobs/{queued['id']}/retry", headers=tokens["ed"])

    assert reply.status_code == 409 and "only a job that failed or was cancelled" in reply.json()["detail"]


@pytest.mark.parametrize(("who", "status"), [("vi", 403), ("one", 403), ("stranger", 401)])
def test_only_an_editor_of_its_show_tries_a_job_again(door, who: str, status: int):
    client, tokens = door
    job = failed_job(client, tokens["ed"])
    headers = tokens.get(who, {"Authorization": "Bearer diary_wrong"})

    assert client.post(f"/v1/jobs/{job['id']}/retry", headers=headers).status_code == status
    assert len(client.get("/v1/jobs", headers=tokens["ed"]).json()) == 1


def test_a_job_that_nobody_knows_cannot_be_tried_again(door):
    client, tokens = door

    assert client.post("/v1/jobs/none-such/retry", headers=tokens["ed"]).status_code == 404


# ---- lists and logs --------------------------------------------------------------------------------------------------


def test_jobs_are_listed_by_state_and_kind_and_page_by_page(door):
    client, tokens = door
    failed = failed_job(client, tokens["ed"])["id"]
    done = []
    for _ in range(3):
        done.append(client.post("/v1/episodes", json={}, headers=tokens["ed"]).json()["id"])
        ended(client, tokens["ed"], done[-1])

    def listed(query: str) -> list[str]:
        return [job["id"] for job in client.get(f"/v1/jobs?{query}", headers=tokens["vi"]).json()]

    assert listed("state=failed") == [failed]
    assert listed("state=done") == done[::-1]
    assert listed("kind=write&limit=2") == [done[2], done[1]]
    assert listed("kind=write&limit=2&skip=2") == [done[0], failed]
    assert listed("kind=none-such") == []


def test_the_log_of_a_trace_is_for_admins_of_every_show(door, caplog: pytest.LogCaptureFixture):
    client, tokens = door
    caplog.set_level("INFO")
    sent = {**tokens["ed"], "traceparent": f"00-{TRACE}-{'1' * 16}-01"}
    job = ended(client, tokens["ed"], client.post("/v1/episodes", json={"words": 13}, headers=sent).json()["id"])

    told = client.get(f"/v1/logs?trace_id={TRACE}", headers=tokens["ann"]).json()

    of_the_job = [line for line in told if line.get("job") == job["id"]]
    assert [line["message"] for line in of_the_job][:1] == ["job started"]
    assert "choose another file" in of_the_job[-1]["message"] and of_the_job[-1]["show"] == "lamplight"
    for who, status in (("vi", 403), ("ed", 403), ("one", 403)):
        assert client.get(f"/v1/logs?trace_id={TRACE}", headers=tokens[who]).status_code == status
    assert client.get("/v1/logs?trace_id=all", headers=tokens["ann"]).status_code == 422
    assert client.get(f"/v1/logs?trace_id={'0' * 32}", headers=tokens["ann"]).json() == []


def test_an_order_beyond_the_quota_of_its_show_is_refused_with_what_helps(tmp_path: Path):
    client, tokens = client_of(tmp_path, MemoryStore(), show_jobs=1, ed=("editor", None))
    slow = {"words": SLOW_WORDS}
    with client:
        _until(lambda: client.get("/health/ready").status_code == 200)
        first = client.post("/v1/episodes", json=slow, headers={**tokens["ed"], "Idempotency-Key": "order-0001"})
        refused = client.post("/v1/episodes", json={"words": 2}, headers=tokens["ed"])
        again = client.post("/v1/episodes", json=slow, headers={**tokens["ed"], "Idempotency-Key": "order-0001"})
        other = client.post("/v1/episodes", json={"show": "otherland"}, headers=tokens["ed"])

    assert (first.status_code, refused.status_code, again.status_code, other.status_code) == (202, 429, 202, 202)
    assert refused.headers["retry-after"] == "5" and refused.json()["title"] == "Quota"
    assert "TOY_SHOW_JOBS" in refused.json()["detail"]
