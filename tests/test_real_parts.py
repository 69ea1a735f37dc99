"""A tiny run of the whole story through every real engine: yt-dlp/ffmpeg, whisperX, S3, TRL/peft, vLLM with a LoRA."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.studio.machine.local import ROOT, Stack, prepare_base_model, venv_python
from shared.client import ServiceClient
from tests import kit
from tests.conftest import demand_environments, free_port_base

pytestmark = [pytest.mark.real, pytest.mark.s3, pytest.mark.timeout(900)]

SCRIPT = """title: A Short Talk
guest: Ben Marsh

# interview
Mara Quill: Welcome back to The Lamplight Hour, I'm Mara Quill. Ben, who are you, and why are you awake?
Ben Marsh: I bake bread for a small town, and the bread does not like to wait for the sun to come up.
Mara Quill: What is the first thing that you do in the dark, before anybody else is up?
Ben Marsh: I put my hands in the flour and I listen to the radio. It is always the same old song at three.
Mara Quill: And is there anybody out there who buys bread at that time of the night?
Ben Marsh: A nurse, two drivers, and one fox. The fox does not pay, but he is never late.
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    demand_environments("studio", "ingest", "transcription", "trainer", "inference", "engine-cpu", "speech")
    prepare_base_model()
    settings = {"INGEST_PRIVATE_NETWORKS": "127.0.0.0/8"}
    stack = Stack(tmp_path_factory.mktemp("real"), free_port_base(), settings=settings)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def speak(folder: Path, script: str) -> Path:
    """One short interview as an mp3, in two voices."""
    (folder / "talk.txt").write_text(script)
    command = [venv_python("speech"), "-m", "examples.speak", "--out", folder, "--scripts", folder]
    subprocess.run([str(part) for part in command], cwd=ROOT, check=True, capture_output=True)
    return folder / "talk.mp3"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speak(tmp_path_factory.mktemp("spoken"), SCRIPT)


@pytest.fixture
def site(spoken: Path) -> Iterator[str]:
    """A web site with the recording, for yt-dlp."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(spoken.parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{spoken.name}"
    server.shutdown()


def test_the_whole_story_with_real_engines(stack: Stack, site: str):
    client = kit.studio_client(stack)
    kit.create_show(client, "lamplight")
    published = sorted((ROOT / "examples" / "published").glob("*.*"))[:3]
    sources = [{"url": site, "guest": "Ben Marsh"}]
    sources += [kit.upload(client, path.read_bytes(), path.name) for path in published]

    job = client.submit(
        "/v1/pipelines",
        {
            "show": "lamplight",
            "sources": sources,
            "host_is": "3",
            "dataset": {"max_length": 256},
            "training": {"steps": 2, "checkpoint_every": 1, "last_layers": 2, "examples_per_step": 1},
            "episode": {"guest": "Orla Finnegan", "about": "cinemas", "words": 40},
        },
    )
    result = client.result(client.wait(job))

    transcript = client.call("GET", f"/v1/shows/lamplight/transcripts/{result['recordings'][0]}").json()
    assert [speaker["role"] for speaker in transcript["speakers"]] == ["host", "guest"]
    assert transcript["host_method"] == "set" and "bread" in json.dumps(transcript["turns"])
    adapter = client.call("GET", f"/v1/shows/lamplight/adapters/{result['adapter']}").json()
    assert {"adapter_model.safetensors", "adapter_config.json", "loss.png", "metrics.jsonl"} <= set(adapter["files"])
    episode = client.call("GET", f"/v1/shows/lamplight/episodes/{result['episode']}").json()
    assert episode["canary"] is True and episode["fine_tuned"] is True
    roles = [turn["role"] for turn in episode["turns"]]
    assert roles[0] == "host" and all(one != other for one, other in itertools.pairwise(roles))
    assert all(turn["text"].strip() for turn in episode["turns"])
    assert_one_trace(stack, job.trace_id)


def assert_one_trace(stack: Stack, trace_id: str) -> None:
    """One trace id from the request to each engine."""
    logs = ["studio", "ingest", "transcription", "trainer", "inference"]
    logs += ["ingest-engine-downloads", "ingest-engine-sound", "transcription-engine", "trainer-engine"]
    for name in logs:
        assert trace_id in (stack.home / "logs" / f"{name}.log").read_text(errors="replace"), name


def test_the_base_model_writes_too_and_says_that_it_is_not_fine_tuned(stack: Stack):
    client: ServiceClient = kit.studio_client(stack)
    kit.create_show(client, "untrained")

    job = client.submit("/v1/episodes", {"show": "untrained", "guest": "Orla Finnegan", "words": 30, "adapter": "base"})
    result = client.result(client.wait(job))

    episode = client.call("GET", f"/v1/shows/untrained/episodes/{result['episode']}").json()
    assert episode["fine_tuned"] is False and "not fine-tuned" in episode["label"] and episode["canary"] is None
