"""The `diary` command against a running stack with scripted engines: what a person types, what a script reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.studio.machine.local import ROOT, Stack
from tests import kit
from tests.conftest import free_port_base

pytestmark = [pytest.mark.s3, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = kit.scripted_stack(tmp_path_factory.mktemp("cli"), free_port_base(), step_s=0)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def diary(stack: Stack, *arguments: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "DIARY_URL": stack.url("studio"),
        "DIARY_TOKEN": token or stack.admin_token(),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "services.studio.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def as_json(done: subprocess.CompletedProcess[str]):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_noun_from_a_file_to_an_episode(stack: Stack, tmp_path: Path):
    audio = tmp_path / "talk.mp3"
    audio.write_bytes(b"ID3" + bytes(range(200)) * 20)
    texts = []
    for guest in ("Ann Ash", "Bob Birch", "Cleo Cedar"):
        texts.append(tmp_path / f"{guest}.txt")
        texts[-1].write_text(f"title: With {guest}\nguest: {guest}\n\n{kit.talk(guest)}")
    as_json(diary(stack, "shows", "create", "lamp", "--title", "Lamp", "--host", "Mara Quill", "--json"))

    added = as_json(diary(stack, "recordings", "add", "lamp", str(audio), "--guest", "Dan Date", "--json"))
    for text in texts:
        as_json(diary(stack, "recordings", "add", "lamp", str(text), "--json"))
    told = as_json(diary(stack, "transcripts", "make", "lamp", added["recording"], "--host-is", "S1", "--json"))
    again = diary(stack, "transcripts", "make", "lamp")
    dataset = as_json(diary(stack, "datasets", "build", "lamp", "--json"))
    adapter = as_json(diary(stack, "adapters", "train", "lamp", dataset["dataset"], "--steps", "2", "--json"))
    episode = as_json(diary(stack, "episodes", "write", "lamp", "--guest", "Orla", "--words", "30", "--json"))

    assert told["host_method"] == "set"
    assert again.returncode == 0 and again.stdout == "", "all have a transcript"
    assert len(as_json(diary(stack, "recordings", "list", "lamp", "--json"))) == 4
    shown = as_json(diary(stack, "episodes", "show", "lamp", episode["episode"], "--json"))
    assert shown["adapter"] == adapter["adapter"] and shown["turns"][0]["role"] == "host"
    jobs = as_json(diary(stack, "jobs", "list", "--json"))
    assert {job["kind"] for job in jobs} == {
        *("ingest", "transcribe", "host", "recognise", "dataset", "train", "write")
    }


def test_a_person_gets_tables_and_errors_that_name_the_fix(stack: Stack):
    as_json(diary(stack, "shows", "create", "plain", "--title", "Plain", "--host", "Mara", "--json"))

    listed = diary(stack, "shows", "list")
    unknown = diary(stack, "recordings", "list", "nowhere")
    missing = diary(stack, "recordings", "add", "plain", "no-such-file.mp3")
    stranger = diary(stack, "shows", "list", token="diary_wrong")

    assert listed.returncode == 0 and "Plain" in listed.stdout
    assert unknown.returncode == 1 and "diary shows create" in unknown.stderr
    assert missing.returncode != 0 and "neither a URL nor a file" in missing.stderr
    assert stranger.returncode == 1 and "DIARY_TOKEN" in stranger.stderr


def test_no_wait_returns_a_job_that_can_be_followed(stack: Stack):
    as_json(diary(stack, "shows", "create", "later", "--title", "Later", "--host", "Mara", "--json"))

    job = as_json(diary(stack, "datasets", "build", "later", "--no-wait", "--json"))
    followed = diary(stack, "jobs", "follow", job["id"])

    assert job["state"] in ("queued", "running", "failed")
    assert followed.returncode == 1 and "error:" in followed.stderr


def test_the_status_of_all_services_as_a_table_and_as_json(stack: Stack):
    told = as_json(diary(stack, "status", "--json", token=(stack.home / "secrets" / "viewer.token").read_text()))
    shown = diary(stack, "status")

    assert [service["service"] for service in told] == ["studio", "ingest", "transcription", "trainer", "inference"]
    assert {service["state"] for service in told} == {"ready"} and all(service["version"] for service in told)
    assert [service["models"] for service in told[3:]] == [[{"name": "tests/tiny", "state": "ready"}]] * 2
    assert shown.returncode == 0 and "inference" in shown.stdout and "ready" in shown.stdout
