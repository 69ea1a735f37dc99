"""`diary jobs` and `diary tokens` as somebody types them to a studio with a scripted crew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.studio.commands.jobs import in_a_line
from shared.errors import BadInputError
from tests.fakes import MemoryStore, ScriptedCrew
from tests.studio.a_dataset import put_dataset
from tests.studio.a_door import Desk, serving, studio_of

pytestmark = pytest.mark.timeout(240)


class FailingCrew(ScriptedCrew):
    """Training fails until it is told to work."""

    works = False

    def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
        if not self.works:
            raise BadInputError("the device has no room for it; train with a lower rank")
        return super().ask(job, step, service, path, request, result_type)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[Desk, FailingCrew]]:
    store, crew = MemoryStore(), FailingCrew()
    put_dataset(store)
    app, token = studio_of(tmp_path, store, crew)
    with serving(app) as url:
        yield Desk(url, token, tmp_path / "home"), crew


def test_a_failed_job_is_found_read_and_tried_again(desk: tuple[Desk, FailingCrew]):
    somebody, crew = desk
    assert somebody.diary("adapters", "train", "lamp", "d9").returncode == 1
    [failed] = json.loads(somebody.diary("jobs", "list", "--state", "failed", "--kind", "train", "--json").stdout)
    log = somebody.diary("jobs", "logs", failed["id"])
    as_json = json.loads(somebody.diary("jobs", "logs", failed["id"], "--json").stdout)
    crew.works = True
    again = somebody.diary("jobs", "retry", failed["id"], "--json")

    assert "studio" in log.stdout and "WARNING job failed: the device has no room for it" in log.stdout
    assert as_json["away"] == {} and any("train with a lower rank" in one["message"] for one in as_json["lines"])
    assert json.loads(again.stdout)["adapter"].startswith("lamplight.r1")
    assert json.loads(somebody.diary("jobs", "list", "--state", "cancelled", "--json").stdout) == []


def test_a_job_that_is_done_says_why_it_is_not_tried_again(desk: tuple[Desk, FailingCrew]):
    somebody, crew = desk
    crew.works = True
    assert somebody.diary("datasets", "build", "lamp", "--json").returncode == 0
    [done] = json.loads(somebody.diary("jobs", "list", "--json").stdout)

    refused = somebody.diary("jobs", "retry", done["id"])

    assert refused.returncode == 1 and "only a job that failed or was cancelled" in refused.stderr


def test_a_line_of_a_log_reads_well():
    line = {
        "at": "2026-01-01T10:00:00.000Z", "level": "error", "service": "trainer", "message": "job failed unexpectedly",
        "trace_id": "ab" * 16, "job": "j1", "kind": "train", "exception": "Traceback: KeyError",
    }  # fmt: skip

    assert in_a_line(line) == (
        "2026-01-01T10:00:00.000Z trainer       ERROR job failed unexpectedly kind=train\nTraceback: KeyError"
    )


def test_a_token_is_given_out_listed_and_revoked(desk: tuple[Desk, FailingCrew]):
    somebody, _ = desk
    given = somebody.diary("tokens", "add", "nia", "--role", "editor", "--show", "lamp", "--json")
    secret = json.loads(given.stdout)["secret"]
    listed = json.loads(somebody.diary("tokens", "list", "--json").stdout)
    unsure = somebody.diary("tokens", "revoke", "nia", stdin="n\n")
    nia = Desk(somebody.url, secret, somebody.home)

    assert "shown this once" in given.stderr
    assert {one["name"]: (one["role"], one["show"]) for one in listed}["nia"] == ("editor", "lamp")
    assert unsure.returncode == 1
    assert nia.diary("shows", "show", "lamp").returncode == 0
    assert json.loads(somebody.diary("tokens", "revoke", "nia", "--yes", "--json").stdout) == {"revoked": "nia"}
    assert nia.diary("shows", "show", "lamp").returncode == 1
