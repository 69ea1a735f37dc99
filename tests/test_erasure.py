"""An erasure in a whole stack: afterwards no object of the store and no database holds anything of the recording."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.studio.care.lineage import damage, walk
from services.studio.machine.local import Stack
from shared import keys
from shared.client import ServiceClient
from shared.errors import NotFoundError, RemoteJobError
from shared.schemas import Adapter, Dataset, Episode, Job, Recording, Tombstone, Voiceprint
from shared.store import S3Store, load, point
from shared.subscriptions import RefreshResult
from tests import kit
from tests.conftest import free_port_base
from tests.studio.test_cli import as_json, diary

pytestmark = [pytest.mark.s3, pytest.mark.timeout(300)]

TITLE, GUEST, FILE = "The Vermilion Kettle Hour", "Quentin Vermeer", "kettle-zero.mp3"
FACT = "He keeps nine samovars."
VECTOR = (0.280157, 0.959954)
NOISE = b"ID3 vermilion kettles " + bytes(at * 11 % 251 for at in range(3000))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("erasure")
    _put(home / "folder" / "talks" / f"{TITLE}.mp3")
    settings = {"INGEST_FOLDER": str(home / "folder")}
    stack = kit.scripted_stack(home, free_port_base(), settings, step_s=0)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="module")
def made(stack: Stack) -> dict[str, Any]:
    """A show from recordings to an episode, and all that a recording may leave elsewhere."""
    client, store = kit.studio_client(stack), kit.store_of(stack)
    kit.create_show(client, "lamp")
    order = kit.order(client, "lamp")
    order["sources"][0] = {**kit.upload(client, NOISE, FILE), "guest": GUEST, "title": TITLE}
    made = client.result(client.wait(client.submit("/v1/pipelines", order)))
    _leave_more(client, store, made["recordings"][0])
    return made


def _put(path: Path) -> None:
    """The same recording in the operator's folder, there for a while."""
    path.parent.mkdir(parents=True)
    path.write_bytes(NOISE)
    os.utime(path, (1_700_000_000,) * 2)


def refresh(client: ServiceClient, **wishes: object) -> RefreshResult:
    asked = {"show": "lamp", "source": client.call("GET", "/v1/shows/lamp/sources").json()[0]["id"], **wishes}
    return RefreshResult.model_validate(client.result(client.wait(client.submit("/v1/refreshes", asked))))


def _leave_more(client: ServiceClient, store: S3Store, recording: str) -> None:
    """The same file again, a source that lists it, a try that failed, a file nobody took over, a voiceprint, a fact."""
    again = client.submit("/v1/recordings", {"show": "lamp", **kit.upload(client, NOISE, FILE), "title": TITLE})
    assert client.result(client.wait(again))["recording"] == recording
    client.call("POST", "/v1/shows/lamp/sources", json={"address": "talks", "kind": "folder"})
    assert refresh(client, dry_run=True).first[0].title == TITLE
    assert refresh(client).new == 1 and store.list(keys.items("lamp"))
    failed = {"show": "lamp", **kit.upload(client, b"", FILE), "title": TITLE, "guest": GUEST}
    assert client.wait(client.submit("/v1/recordings", failed)).problem
    kit.upload(client, NOISE, FILE)
    client.call("PATCH", f"/v1/shows/lamp/recordings/{recording}", json={"facts": [FACT]})
    voice = load(store, keys.voiceprint("lamp"), Voiceprint).model_copy(update={"vector": VECTOR})
    point(store, keys.voiceprint("lamp"), voice.model_dump_json().encode())


def secrets_of(store: S3Store, recording: str) -> list[str]:
    """What stands somewhere because of the recording."""
    found = load(store, keys.recording("lamp", recording), Recording)
    blobs = [blob for blob in (found.original, found.working, found.web) if blob]  # all scripted peaks are the same
    word = hashlib.sha256(NOISE).hexdigest()[:6]  # the scripted engine says it in each turn
    return [
        *(TITLE, GUEST, FILE, FACT, "vermilion kettles", f" {word}", f'"{word}"'),
        *(str(part) for part in VECTOR),
        *(blob.sha256 for blob in blobs),
    ]


def in_the_store(store: S3Store, secrets: list[str]) -> set[tuple[str, str]]:
    objects = {key: key.encode() + b"\n" + store.get(key) for key in store.list("")}
    return {(text, key) for key, data in objects.items() for text in secrets if text.encode() in data}


def in_the_databases(stack: Stack, secrets: list[str]) -> set[tuple[str, str]]:
    """Byte by byte, journals too."""
    files = [path for path in (stack.home / "state").rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix == ".sqlite"]) == 5
    data = {path.name: path.read_bytes() for path in files}
    return {
        (text, name)
        for name, held in data.items()
        for text in secrets
        for form in kit.texts_as_stored(text)
        if form in held
    }


def in_the_logs(stack: Stack, secrets: list[str]) -> set[tuple[str, str]]:
    """Of our services and engines; the S3 server's own log names the keys that are deleted."""
    logs = [path for path in (stack.home / "logs").rglob("*") if path.is_file() and path.name != "s3.log"]
    assert logs
    return {(text, path.name) for path in logs for text in secrets if text.encode() in path.read_bytes()}


def test_an_erasure_leaves_nothing_even_if_studio_is_killed_in_it(stack: Stack, made: dict[str, Any]):
    client, store = kit.studio_client(stack), kit.store_of(stack)
    recording, others = made["recordings"][0], made["recordings"][1:]
    secrets = secrets_of(store, recording)
    assert {text for text, _ in in_the_store(store, secrets)} == set(secrets)
    assert {text for text, _ in in_the_databases(stack, secrets)} >= {TITLE, GUEST, FILE}
    kept = {key: store.get(key) for key in store.list("shows/lamp/") if any(other in key for other in others)}

    told = client.call("GET", f"/v1/shows/lamp/recordings/{recording}/erasure").json()
    answer = client.call("DELETE", f"/v1/shows/lamp/recordings/{recording}", params={"reason": "withdrawn"})
    kit.until(lambda: store.exists(keys.tombstone("lamp", recording)), "the tombstone stands")
    kit.kill(stack, "studio")
    stack.start("studio")
    stack.wait_healthy("studio")
    done = client.result(client.wait(Job.model_validate(answer.json())))

    assert answer.status_code == 202 and answer.headers["location"] == answer.json()["links"]["self"]
    assert told["title"] == TITLE and {"pipeline", "ingest", "transcribe"} <= {job["kind"] for job in told["jobs"]}
    assert in_the_store(store, secrets) == set()
    assert in_the_databases(stack, secrets) == set()
    assert in_the_logs(stack, secrets) == set()
    assert kept and all(store.get(key) == data for key, data in kept.items())
    assert done["marked"] == told["marked"] and client.job(answer.json()["id"]).result == done
    assert load(store, keys.tombstone("lamp", recording), Tombstone).descendants == tuple(done["marked"])


def test_what_was_made_from_it_says_so(stack: Stack, made: dict[str, Any]):
    client, store, recording = kit.studio_client(stack), kit.store_of(stack), made["recordings"][0]

    dataset = load(store, keys.dataset("lamp", made["dataset"]), Dataset)
    adapter = load(store, keys.adapter("lamp", made["adapter"]), Adapter)
    episode = load(store, keys.episode("lamp", made["episode"]), Episode)

    assert dataset.source_withdrawn == adapter.source_withdrawn == episode.source_withdrawn == (recording,)
    assert store.list("shows/lamp/checkpoints/") == [] and not store.exists(dataset.train.key)
    assert damage(walk(store, keys.episode("lamp", made["episode"]))) == []
    for noun in ("datasets", "adapters", "episodes"):
        assert client.call("GET", f"/v1/shows/lamp/{noun}").json()[0]["source_withdrawn"] == [recording]
    with pytest.raises(RemoteJobError, match=r"cannot be trained on any more.*diary datasets build lamp"):
        training = {"show": "lamp", "dataset": made["dataset"], "steps": 2, "checkpoint_every": 2}
        client.result(client.wait(client.submit("/v1/adapters", training)))


def test_a_source_that_lists_it_does_not_bring_it_back_nor_name_it(stack: Stack, made: dict[str, Any]):
    client, store = kit.studio_client(stack), kit.store_of(stack)

    result = refresh(client, retry=True)

    assert (result.erased, result.new, result.recordings) == (1, 0, ())
    assert in_the_store(store, [TITLE, FILE]) == set() == in_the_databases(stack, [TITLE, FILE])


def test_a_second_erasure_and_the_same_file_again_are_refused_with_what_happened(stack: Stack, made: dict[str, Any]):
    client, recording = kit.studio_client(stack), made["recordings"][0]

    with pytest.raises(NotFoundError, match="was erased on"):
        client.call("DELETE", f"/v1/shows/lamp/recordings/{recording}")
    again = client.submit("/v1/recordings", {"show": "lamp", **kit.upload(client, NOISE, "again.mp3")})
    with pytest.raises(RemoteJobError, match=r"was erased from lamp.*--again"):
        client.result(client.wait(again))
    viewer = ServiceClient("studio", stack.url("studio"), (stack.home / "secrets" / "viewer.token").read_text().strip())
    with pytest.raises(RemoteJobError, match="needs editor"):
        viewer.call("DELETE", f"/v1/shows/lamp/recordings/{made['recordings'][1]}")
    with pytest.raises(RemoteJobError, match="needs admin"):
        viewer.call("POST", "/v1/forgettings", json={"show": "lamp", "words": ["x"]})


def test_the_command_shows_asks_and_erases(stack: Stack, made: dict[str, Any]):
    recording = made["recordings"][2]

    asked = diary(stack, "recordings", "remove", "lamp", recording)
    done = as_json(diary(stack, "recordings", "remove", "lamp", recording, "--yes", "--json"))
    again = diary(stack, "recordings", "remove", "lamp", recording, "--yes")

    assert asked.returncode == 1 and "objects that go" in asked.stderr and "Erase it?" in asked.stderr
    assert done["recording"] == recording and done["objects"] > 2
    assert again.returncode == 1 and "was erased on" in again.stderr
    dataset = as_json(diary(stack, "datasets", "show", "lamp", made["dataset"], "--json"))
    assert sorted(dataset["source_withdrawn"]) == sorted([made["recordings"][0], recording])
    assert json.dumps(dataset).count("Ann Ash") == 0
