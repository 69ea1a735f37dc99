"""Bad input through the front door: a clear error that names the fix, and nothing left behind in the store."""

from __future__ import annotations

import io
import math
import struct
import sys
import wave
from collections.abc import Iterator

import httpx
import pytest

from services.studio.machine.local import Stack
from shared.client import ServiceClient
from shared.errors import BadInputError, NotFoundError, NoTokenError, RemoteJobError
from tests import kit
from tests.conftest import free_port_base

pytestmark = [pytest.mark.s3, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Scripted engines, but for ingest: its real one judges the files."""
    real_ingest = {"INGEST_ENGINE_COMMAND": f"{sys.executable} -m services.ingest.engine"}
    stack = kit.scripted_stack(tmp_path_factory.mktemp("bad"), free_port_base(), real_ingest, step_s=0)
    try:
        stack.up()
        client = kit.studio_client(stack)
        kit.create_show(client, "lamplight")
        client.close()
        yield stack
    finally:
        stack.down()


def wav(seconds: float, loudness: float) -> bytes:
    """A 16 kHz mono tone."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        samples = (round(loudness * 20000 * math.sin(at / 8)) for at in range(round(16000 * seconds)))
        out.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return file.getvalue()


BAD_FILES = {
    "not audio": (bytes(range(256)) * 40, "audio"),
    "empty": (b"", "empty"),
    "two seconds": (wav(2, 1.0), r"2\.0 s"),
    "silence": (wav(20, 0.0), "silent"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_recording_is_refused_and_nothing_of_it_stays(stack: Stack, client: ServiceClient, name: str):
    data, explanation = BAD_FILES[name]
    store = kit.store_of(stack)
    before = set(store.list(""))

    upload = client.call("POST", "/v1/uploads", content=data).json()
    job = client.submit("/v1/recordings", {"show": "lamplight", **upload, "filename": "talk.mp3"})

    with pytest.raises(RemoteJobError, match=explanation):
        client.result(client.wait(job))
    assert set(store.list("")) == before


def test_a_good_file_passes_the_same_way_and_twice_is_one_recording(client: ServiceClient):
    results = []
    for _ in range(2):
        upload = client.call("POST", "/v1/uploads", content=wav(20, 1.0)).json()
        job = client.submit("/v1/recordings", {"show": "lamplight", **upload, "filename": "talk.wav"})
        results.append(client.result(client.wait(job)))

    assert results[0]["recording"] == results[1]["recording"]
    assert [result["new"] for result in results] == [True, False]


def test_an_unknown_show_names_the_command_that_creates_it(client: ServiceClient):
    with pytest.raises(NotFoundError, match="diary shows create nowhere"):
        client.submit("/v1/datasets", {"show": "nowhere"})
    with pytest.raises(NotFoundError, match="diary shows create"):
        client.call("GET", "/v1/shows/nowhere")


def test_a_wrong_token_and_a_viewers_write_are_refused(stack: Stack):
    viewer = (stack.home / "secrets" / "viewer.token").read_text().strip()
    body = {"slug": "other", "title": "Other", "host": "Nobody"}

    with pytest.raises(NoTokenError, match="DIARY_TOKEN"):
        ServiceClient("studio", stack.url("studio"), "diary_wrong").call("POST", "/v1/shows", json=body)
    with pytest.raises(RemoteJobError, match="needs editor"):
        ServiceClient("studio", stack.url("studio"), viewer).call("POST", "/v1/shows", json=body)
    with pytest.raises(RemoteJobError, match="needs editor"):
        ServiceClient("studio", stack.url("studio"), viewer).submit("/v1/datasets", {"show": "lamplight"})


def test_an_empty_show_cannot_become_a_dataset_and_an_unknown_adapter_cannot_write(client: ServiceClient):
    kit.create_show(client, "empty")
    for path, body, explanation in (
        ("/v1/datasets", {"show": "empty"}, "empty|no transcript|recordings"),
        ("/v1/episodes", {"show": "empty", "guest": "Orla", "adapter": "empty.r9.c9"}, "no adapter"),
        ("/v1/transcripts", {"show": "empty", "recording": "0000"}, "diary recordings add"),
    ):
        with pytest.raises((RemoteJobError, NotFoundError, BadInputError), match=explanation):
            client.result(client.wait(client.submit(path, body)))


def test_secrets_stay_out_of_the_logs(stack: Stack):
    logs = "".join(
        path.read_text(errors="replace") for path in (stack.home / "logs").iterdir() if path.name != "s3.log"
    )
    secrets = [path.read_text().strip() for path in (stack.home / "secrets").glob("*.token")]

    assert secrets and not [secret for secret in secrets if secret in logs]


def test_only_loopback_listens(stack: Stack):
    reply = httpx.get(stack.url("studio") + "/openapi.json")

    assert reply.status_code == 200
    assert "/v1/pipelines" in reply.json()["paths"]
