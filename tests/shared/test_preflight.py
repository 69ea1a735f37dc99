"""What a service says at its start: every finding is logged, and only a GPU that cannot work keeps it from starting."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from shared import preflight
from shared.errors import MachineUnfitError
from shared.models import TOKEN_ADVICE, HubModel, folder_of, name_folder
from shared.needs import GB, Finding
from shared.service import job_service
from shared.settings import ServiceSettings
from shared.tokens import TokenBook, new_token
from tests.fakes import MemoryStore

FINE = Finding("disk of /state", True, "90 GB free")
SMALL = Finding("GPU 0", False, "NVIDIA L4: small")
STOPS = Finding("GPU driver", False, "535.1 is too old; install 580 or newer", stops=True)
GATED = HubModel("owner/voices", "a" * 40, size_bytes=33_000_000, licence="CC-BY-4.0", gated="https://hub/owner/voices")
OPEN = HubModel("owner/words", "b" * 40, size_bytes=14 * GB, licence="Apache-2.0", purpose="base model")


def client_of(tmp_path: Path, *findings: Finding) -> tuple[TestClient, dict[str, str]]:
    settings = ServiceSettings(
        state_dir=tmp_path / "state", work_dir=tmp_path / "work", tokens_file=tmp_path / "tokens.json"
    )
    secret, token = new_token("vi", "viewer")
    TokenBook(settings.tokens_file).add(token)
    app = job_service("toy", settings, MemoryStore(), [], checks=lambda: list(findings))
    return TestClient(app), {"Authorization": f"Bearer {secret}"}


def test_findings_are_logged_at_the_start_and_told_to_viewers(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    client, viewer = client_of(tmp_path, FINE, SMALL)

    with client:
        told = client.get("/health/preflight", headers=viewer)
        stranger = client.get("/health/preflight")

    levels = {record.getMessage(): record.levelname for record in caplog.records}
    assert levels["preflight: disk of /state: 90 GB free"] == "INFO"
    assert levels["preflight: GPU 0: NVIDIA L4: small"] == "WARNING"
    assert [(found["service"], found["what"], found["ok"]) for found in told.json()] == [
        ("toy", "disk of /state", True),
        ("toy", "GPU 0", False),
    ]
    assert stranger.status_code == 401


def test_a_gpu_that_cannot_work_stops_the_start_and_says_what_to_do(tmp_path: Path):
    client, _ = client_of(tmp_path, FINE, STOPS)

    with pytest.raises(MachineUnfitError, match=r"toy cannot work .* install 580 or newer"), client:
        pass


def test_only_models_that_are_not_here_need_room(tmp_path: Path):
    here = HubModel("owner/here", "a" * 40, size_bytes=5)
    missing = HubModel("owner/missing", "b" * 40, size_bytes=7)
    folder_of(tmp_path, here).mkdir()
    name_folder(folder_of(tmp_path, here), here.name, here.revision)

    need = preflight.models_need(tmp_path, [here, missing, HubModel("owner/unknown", "c" * 40)])

    assert (need.folder, need.bytes) == (tmp_path, 7)


def test_real_checks_of_this_machine_find_something_about_each(tmp_path: Path):
    settings = ServiceSettings(work_dir=tmp_path / "work")

    assert preflight.gpu("trainer", "cpu") == []
    assert preflight.gpu("trainer", "auto")
    assert preflight.volumes("trainer", settings)[0].what == f"disk of {tmp_path / 'work'}"
    assert [found.what for found in preflight.fetching()] == ["yt-dlp", "JavaScript for yt-dlp", "ffmpeg"]


@pytest.mark.parametrize(
    ("model", "here", "token", "offline", "ok", "words"),
    [
        (OPEN, False, False, False, True, "base model, 14 GB, licence Apache-2.0: will be downloaded"),
        (OPEN, False, False, True, False, "make models"),
        (OPEN, True, False, True, True, "is here"),
        (GATED, False, False, False, False, "accept its conditions at https://hub/owner/voices"),
        (GATED, False, False, False, False, TOKEN_ADVICE),
        (GATED, False, True, False, True, "accepted https://hub/owner/voices"),
        (GATED, True, False, False, True, "is here"),
        (HubModel("some/model", "c" * 40), False, False, False, True, "size unknown"),
    ],
)
def test_what_will_be_downloaded_and_what_stands_in_the_way(model, here, token, offline, ok, words):
    [found] = preflight.judge_models([model], [model] if here else [], token=token, offline=offline)

    assert found.ok is ok and words in found.detail and found.what == f"model {model.name}"
