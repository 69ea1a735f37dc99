"""A whole stack for tests: real service processes, real S3 and workflow library, scripted engines."""

from __future__ import annotations

import base64
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from services.studio.machine.local import Stack
from shared.client import ServiceClient
from shared.errors import ServiceUnavailableError
from shared.schemas import Job
from shared.store import S3Store
from tests.shared.test_render import base_model

ENGINES = ("ingest", "transcription", "trainer", "inference")
STAGES = ("ingest", "transcribe", "train", "write")


def scripted_stack(home: Path, port: int, settings: Mapping[str, str] | None = None, *, step_s: float = 0.25) -> Stack:
    """A stack whose engines are scripted; `step_s` seconds per piece of work."""
    python = sys.executable
    commands = {
        f"{service.upper()}_ENGINE_COMMAND": engine_command(service)
        for service in ("ingest", "transcription", "trainer")
    }
    commands["INFERENCE_ENGINE_COMMAND"] = f"{python} -m tests.fakes vllm --model {{model}}"
    slow = {"FAKE_STEP_S": str(step_s), "FAKE_VLLM_TURN_S": str(step_s)}
    quick = {f"{service}_LEASE_MIN_HOLD_S": "1" for service in ("TRANSCRIPTION", "TRAINER", "INFERENCE")}
    unasked = {"STUDIO_COLLECT_EVERY_H": "0", "STUDIO_REFRESH_EVERY_H": "0"}  # at a full sixth hour, whatever test runs
    return Stack(
        home,
        port,
        python_of=lambda name: Path(python),
        settings={**commands, **slow, **quick, **unasked, **(settings or {})},
        base_model=tiny_base_model(home / "base"),
    )


def engine_command(service: str) -> str:
    """Starts the scripted engine of a service that talks over a pipe."""
    return f"{sys.executable} -m tests.fakes {service}"


def tiny_base_model(folder: Path) -> Path:
    """A folder that looks like a small chat model: a byte-level tokenizer and a config, no weights."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    base_model(folder, "chatml")
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 2048, "num_hidden_layers": 4}))
    (folder / "revision.json").write_text(json.dumps({"name": "tests/tiny", "revision": "r" * 64}))
    return folder


def studio_client(stack: Stack) -> ServiceClient:
    return ServiceClient("studio", stack.url("studio"), stack.admin_token())


def store_of(stack: Stack) -> S3Store:
    keys = json.loads((stack.home / "secrets" / "s3.json").read_text())
    return S3Store(stack.url("s3"), keys["access"], keys["secret"], "diary")


def create_show(client: ServiceClient, slug: str) -> str:
    body = {"slug": slug, "title": "The Lamplight Hour", "host": "Mara Quill"}
    client.call("POST", "/v1/shows", json=body)
    return slug


def order(client: ServiceClient, show: str, *, audio: int = 2, words: int = 40, steps: int = 6) -> dict[str, Any]:
    """A pipeline order: `audio` recordings of noise and two published transcripts."""
    sources = []
    for number in range(audio):
        noise = b"ID3" + bytes((number * 7 + at) % 251 for at in range(3000)) + show.encode()
        sources.append({**upload(client, noise, f"{number}.mp3"), "guest": f"Spoken Guest {number}"})
    for guest in ("Ann Ash", "Bob Birch"):
        text = f"title: With {guest}\nguest: {guest}\n\n" + talk(guest)
        sources.append(upload(client, text.encode(), f"{guest}.txt"))
    return {
        "show": show,
        "sources": sources,
        "host_is": "S1" if audio else None,
        "dataset": {"max_length": 512},
        "training": {"steps": steps, "checkpoint_every": 2},
        "episode": {"guest": "Orla", "words": words},
    }


def talk(guest: str) -> str:
    """Unlike any other guest's: what recordings have in common is a repeated span, and stays out of training."""
    name = guest.split()[0]
    turns = [
        ("Mara Quill", f"Welcome, {name}. Who are you?"),
        (guest, f"I am {guest}, and I, {name}, count cups."),
        ("Mara Quill", f"How many, {name}?"),
        (guest, f"More than {name} did yesterday, {name} would like fewer."),
    ]
    return "\n".join(f"{who}: {text}" for who, text in turns * 2) + "\n"


def upload(client: ServiceClient, data: bytes, filename: str) -> dict[str, str]:
    key = client.call("POST", "/v1/uploads", content=data).json()["upload_key"]
    return {"upload_key": key, "filename": filename}


def until(condition: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
    """Wait for something to become true, and return it."""
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.05)
    return found


def healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).status_code == 200
    except httpx.HTTPError:
        return False


def at_stage(client: ServiceClient, job: Job, stage: str, timeout_s: float = 120.0) -> None:
    """Wait until the pipeline is in a stage (or beyond waiting: the job's end fails the test)."""

    def there() -> bool:
        try:
            now = client.job(job.id)
        except ServiceUnavailableError:
            return False  # studio was just killed and is on its way back
        assert not now.state.ended, f"{now.state} before {stage}: {now.problem}"
        return now.progress is not None and now.progress.stage.startswith(stage)

    until(there, f"stage {stage}", timeout_s)


def kill(stack: Stack, name: str) -> None:
    stack.program(name).signal(signal.SIGKILL)
    until(lambda: stack.program(name).pid() is None, f"{name} is dead", 10)


def engine_pids(stack: Stack, services: Sequence[str] = ENGINES) -> dict[str, int]:
    """First process of each engine that runs now, by service."""
    found = {}
    for service in services:
        engines = httpx.get(stack.url(service) + "/health/live", timeout=30).json()["engines"]
        if engines:
            found[service] = next(iter(engines.values()))
    return found


def assert_whole(store: S3Store, asked: dict[str, Any], result: dict[str, Any]) -> None:
    """Everything the order asked for is there, once."""
    show, steps = asked["show"], asked["training"]["steps"]
    names = [key.removeprefix(f"shows/{show}/") for key in store.list(f"shows/{show}/")]
    recordings = [name for name in names if name.startswith("recordings/")]
    heads = [name for name in names if name.endswith("/head")]
    turns = sorted(name for name in names if "/turns/" in name)
    assert len(recordings) == len(heads) == len(asked["sources"])
    revisions = [name for name in names if name.startswith("transcripts/") and name.endswith(".json")]
    assert len(revisions) == len(asked["sources"]) + (1 if asked["host_is"] else 0)
    checkpoints = [name for name in names if name.startswith("checkpoints/")]
    assert len(checkpoints) == len(set(checkpoints)) and checkpoints[-1].endswith(f"{steps:08d}.json")
    assert len([name for name in names if name.startswith("datasets/")]) == 1
    assert [name for name in names if name.startswith("adapters/")] == [f"adapters/{result['adapter']}.json"]
    assert [name for name in names if name.startswith("runs/")] == ["runs/1.json"]
    assert result["adapter"] == f"{show}.r1.c{steps}"
    assert [name for name in names if name.endswith("episode.json")] == [f"episodes/{result['episode']}/episode.json"]
    assert [int(name[-10:-5]) for name in turns] == list(range(len(turns)))
    episode = json.loads(store.get(f"shows/{show}/episodes/{result['episode']}/episode.json"))
    assert [turn["index"] for turn in episode["turns"]] == list(range(len(turns)))
    assert [turn["role"] for turn in episode["turns"][:2]] == ["host", "guest"]
    assert not [source for source in asked["sources"] if store.exists(source["upload_key"])]


def texts_as_stored(text: str) -> set[bytes]:
    """The bytes by which a text can stand in a file: plain, as JSON writes it, or inside of base64 at any place."""
    forms = {text.encode(), json.dumps(text)[1:-1].encode()}
    for plain in list(forms):
        for before in range(3):  # three bytes are four letters: cut those that share bits with what is around
            letters = base64.b64encode(bytes(before) + plain).rstrip(b"=")
            first = -(-8 * before // 6)
            last = len(letters) - (1 if (before + len(plain)) % 3 else 0)
            forms.add(letters[first:last])
    return forms
