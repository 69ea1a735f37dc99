"""Data care over HTTP and through the `diary` command: two real stores, real services, scripted engines."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.studio.care.holdings import survey
from services.studio.care.lineage import damage, recordings_behind, walk
from services.studio.machine.local import Stack
from shared import keys
from shared.client import ServiceClient
from shared.errors import RemoteJobError
from tests import kit
from tests.conftest import free_port_base
from tests.studio.test_cli import as_json, diary

pytestmark = [pytest.mark.s3, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = kit.scripted_stack(tmp_path_factory.mktemp("care"), free_port_base(), step_s=0)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="module")
def made(stack: Stack) -> dict[str, Any]:
    """A show from recordings to an episode; the names of what was made."""
    client = kit.studio_client(stack)
    kit.create_show(client, "lamp")
    return client.result(client.wait(client.submit("/v1/pipelines", kit.order(client, "lamp"))))


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Another machine: a store of its own, and the services that import needs."""
    stack = kit.scripted_stack(tmp_path_factory.mktemp("second"), free_port_base(), step_s=0)
    try:
        for name in ("s3", "studio"):
            stack.start(name)
            stack.wait_healthy(name)
        yield stack
    finally:
        stack.down()


def test_storage_tells_bytes_by_show_and_kind(stack: Stack, made: dict[str, Any]):
    usage = as_json(diary(stack, "storage", "--json"))
    alone = as_json(diary(stack, "storage", "lamp", "--json"))
    table = diary(stack, "storage")

    store = kit.store_of(stack)
    assert usage["bytes"] == sum(stored.bytes for stored in store.sizes("").values())
    assert alone["shows"] == usage["shows"] and usage["shows"][0]["show"] == "lamp"
    kinds = {kind["kind"]: kind["bytes"] for kind in usage["shows"][0]["kinds"]}
    assert kinds.keys() >= {"original audio", "working copies", "transcripts", "datasets", "adapters", "episodes"}
    assert all(kinds.values())
    assert table.returncode == 0 and "working copies" in table.stdout
    assert "diary shows create nowhere" in diary(stack, "storage", "nowhere").stderr


def test_only_admins_collect_and_a_dry_run_is_the_default(stack: Stack, made: dict[str, Any]):
    viewer = (stack.home / "secrets" / "viewer.token").read_text().strip()
    before = kit.store_of(stack).list("")

    refused = diary(stack, "storage", "gc", token=viewer)
    told = as_json(diary(stack, "storage", "gc", "--json"))
    table = diary(stack, "storage", "gc")

    assert refused.returncode == 1 and "needs admin" in refused.stderr
    assert told["dry_run"] and told["objects"] == 2  # manifests of the checkpoints after steps 4 and 6
    assert "nothing was removed" in table.stdout and "run 1 is finished" in table.stdout
    assert "goes once it is 24 h old" in table.stdout
    assert kit.store_of(stack).list("") == before


def test_a_show_moves_into_a_second_stack_whole(stack: Stack, second: Stack, made: dict[str, Any], tmp_path: Path):
    file, again = tmp_path / "lamp.tar", tmp_path / "again.tar"

    exported = as_json(diary(stack, "shows", "export", "lamp", str(file), "--json"))
    brought = as_json(diary(second, "shows", "import", str(file), "--json"))
    as_json(diary(second, "shows", "export", "lamp", str(again), "--json"))
    repeated = diary(second, "shows", "import", str(file))

    here, there = kit.store_of(stack), kit.store_of(second)
    named = {blob.key for found in survey(here).named.values() for blob in found}
    own = [key for key in here.list("") if key.startswith("shows/") or key in named]  # not of a checkpoint that went
    assert exported["objects"] == brought["new"] == len(own) and brought["left_out"] == 0
    assert there.list("shows/") + there.list("blobs/") == here.list("shows/") + sorted(named)
    assert all(there.get(key) == here.get(key) for key in own)
    assert again.read_bytes() == file.read_bytes()
    links = walk(there, keys.episode("lamp", made["episode"]))
    assert damage(links) == [] and len(recordings_behind(links)) == len(made["recordings"])
    assert "is here already" in repeated.stdout
    assert as_json(diary(second, "episodes", "show", "lamp", made["episode"], "--json"))["adapter"] == made["adapter"]


def test_a_text_export_says_what_it_leaves_out(stack: Stack, made: dict[str, Any], tmp_path: Path):
    file = tmp_path / "text.tar"

    said = diary(stack, "shows", "export", "lamp", str(file), "--only", "text")

    assert said.returncode == 0 and "does not hold 3 audio files" in said.stdout
    assert file.stat().st_size and not list(tmp_path.glob("*.part"))


def test_a_refusal_reaches_who_still_sends(stack: Stack, second: Stack, made: dict[str, Any], tmp_path: Path):
    """The answer comes although the rest of a large body was not wanted."""
    as_json(diary(second, "shows", "create", "other", "--title", "Other", "--host", "Mara", "--json"))
    body = (b"no tar file " * 100_000 for _ in range(20))
    viewer = (stack.home / "secrets" / "viewer.token").read_text().strip()

    with pytest.raises(RemoteJobError, match="no whole tar file"):
        kit.studio_client(second).call("POST", "/v1/imports", content=body, timeout=60)
    with pytest.raises(RemoteJobError, match="needs editor"):
        ServiceClient("studio", stack.url("studio"), viewer).call("POST", "/v1/imports", content=b"")
    missing = diary(second, "shows", "import", str(tmp_path / "nowhere.tar"))
    assert missing.returncode != 0 and "there is no file" in missing.stderr


def test_an_import_whose_client_leaves_shows_nothing(stack: Stack, second: Stack, made: dict[str, Any], tmp_path: Path):
    """Another show, half sent."""
    client = kit.studio_client(stack)
    kit.create_show(client, "half")
    client.result(client.wait(client.submit("/v1/pipelines", kit.order(client, "half", audio=0))))
    file = tmp_path / "half.tar"
    as_json(diary(stack, "shows", "export", "half", str(file), "--json"))
    data = file.read_bytes()

    def half() -> Iterator[bytes]:
        yield data[: len(data) // 2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kit.studio_client(second).call("POST", "/v1/imports", content=half(), timeout=60)

    kit.until(lambda: not list((second.home / "work").glob("imports-1/*")), "the work folder is empty")
    assert kit.store_of(second).list("shows/half/") == []
    brought = as_json(diary(second, "shows", "import", str(file), "--json"))
    assert brought["new"] > 0 and "half" in [show["slug"] for show in as_json(diary(second, "shows", "list", "--json"))]


def test_a_collection_removes_and_a_kill_in_the_middle_loses_nothing(stack: Stack, made: dict[str, Any]):
    client, store = kit.studio_client(stack), kit.store_of(stack)
    job = client.submit("/v1/collections", {"dry_run": False})
    stack.program("studio").signal(signal.SIGKILL)
    kit.until(lambda: stack.program("studio").pid() is None, "studio is dead", 10)
    stack.start("studio")
    stack.wait_healthy("studio")

    done = client.result(client.wait(job))

    assert done["objects"] >= 2 and store.list("shows/lamp/checkpoints/") == []
    assert damage(walk(store, keys.episode("lamp", made["episode"]))) == []
    again = as_json(diary(stack, "storage", "gc", "--yes", "--json"))
    assert again["objects"] == 0 and again["waiting"]


def test_a_token_of_one_show_collects_and_exports_that_show_only(stack: Stack, made: dict[str, Any]):
    from shared.tokens import TokenBook, new_token

    secret, token = new_token("of-lamp", "admin", "lamp")
    TokenBook(stack.home / "secrets" / "tokens.json").add(token)
    client = ServiceClient("studio", stack.url("studio"), secret)

    assert client.submit("/v1/collections", {"show": "lamp"}).kind == "collect"
    with pytest.raises(RemoteJobError, match="only, not 'every show'"):
        client.submit("/v1/collections", {"dry_run": False})
    with pytest.raises(RemoteJobError, match="for the show 'lamp' only"):
        list(client.stream("GET", "/v1/shows/half/export"))
    assert [held["show"] for held in client.call("GET", "/v1/storage").json()["shows"]] == ["lamp"]
