"""Each service's own key of the object store: what it may do follows from shared/keys.py, and a real server holds it to
that. That the whole product lives within its policies is shown by every test with a stack: they are the default."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.studio.machine import policies
from services.studio.machine.local import BUCKET, SERVICES, Stack
from shared import keys
from shared.errors import BadInputError, NotAllowedError
from shared.store import S3Store
from tests import kit
from tests.conftest import free_port_base, s3_server

OTHERS = tuple(name for name in SERVICES if name != "studio")
WRITTEN = {
    "ingest": [
        keys.recording("lamp", "r1"),
        keys.refresh("lamp", "s1"),
        keys.item("lamp", "i1"),
        keys.transcript("lamp", "r1", "t1"),
        keys.transcript_head("lamp", "r1"),
    ],
    "transcription": [
        keys.transcript("lamp", "r1", "t2"),
        keys.transcript_head("lamp", "r1"),
        keys.voiceprint("lamp"),
        keys.co_host("lamp", "Ada"),
        keys.repeats("lamp"),
    ],
    "trainer": [
        keys.dataset("lamp", "d1"),
        keys.run("lamp", 1),
        keys.checkpoint("lamp", 1, 8),
        keys.adapter("lamp", "lamp.r1.c8"),
    ],
    "inference": [
        keys.commission("lamp", "e1"),
        keys.episode_turn("lamp", "e1", 0),
        keys.episode("lamp", "e1"),
        keys.questions("lamp", "e1"),
        keys.episode_spoken("lamp", "e1"),
        keys.episode_audio("lamp", "e1"),
    ],
    "studio": [
        keys.upload("u1"),
        keys.importing("i1"),
        keys.show("lamp"),
        keys.source("lamp", "s1"),
        keys.source_secret("lamp", "s1"),
        keys.edits("lamp", "r1"),
        keys.tombstone("lamp", "r1"),
        keys.classification("lamp", "c1"),
        keys.glossary("lamp"),
        keys.guest("lamp", "g1"),
        keys.comparison("lamp", "c1"),
        keys.absence("lamp", "a1"),
    ],
}


def allowed(service: str, action: str) -> list[str]:
    """Resources of a policy for an action, without the bucket's name."""
    statements = policies.policy(service, "b")["Statement"]
    found = [resource for one in statements if action in one["Action"] for resource in one["Resource"]]
    return [resource.removeprefix("arn:aws:s3:::b").removeprefix("/") for resource in found]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_write_what_the_map_says_it_writes(service: str):
    for key in (*WRITTEN[service], keys.blob("0" * 64), keys.probe("p1")):
        assert keys.writer(key) in (service, "any") or "/transcripts/" in key
        assert any(_matches(pattern, key) for pattern in keys.written_by(service)), key


@pytest.mark.parametrize("service", OTHERS)
def test_a_service_may_write_nothing_that_only_others_write(service: str):
    foreign = {key for other in SERVICES for key in WRITTEN[other]} - {*WRITTEN[service]}
    if service in ("ingest", "transcription"):
        foreign = {key for key in foreign if "/transcripts/" not in key}

    assert [key for key in foreign if any(_matches(pattern, key) for pattern in keys.written_by(service))] == []


def test_only_what_a_service_takes_away_itself_may_it_remove():
    probes = "probes/*"

    assert {service: {*allowed(service, "s3:DeleteObject")} - {probes} for service in OTHERS} == {
        "ingest": {"uploads/*", "shows/*/recordings/*", "shows/*/erased/*", "shows/*/transcripts/*"},
        "transcription": {"uploads/*", "shows/*/voiceprint.json", "shows/*/voiceprints/*"},
        "trainer": {"shows/*/checkpoints/*"},
        "inference": {"shows/*/episodes/*/commission.json"},
    }
    assert allowed("studio", "s3:DeleteObject") == ["*"], "it erases and collects"


def test_addresses_of_private_feeds_are_read_by_ingest_and_studio_alone():
    readers = [
        name for name in SERVICES if any(_matches(at, "secrets/sources/lamp/s1.json") for at in keys.read_by(name))
    ]

    assert readers == ["ingest", "studio"]


def test_studio_alone_makes_the_bucket_and_ends_writes_that_broke_off():
    for action in ("s3:CreateBucket", "s3:ListBucketMultipartUploads"):
        assert [name for name in SERVICES if allowed(name, action)] == ["studio"]


def test_a_second_time_keeps_the_keys_and_no_two_services_share_one(tmp_path: Path):
    written = policies.prepare(tmp_path, "diary")
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}

    policies.prepare(tmp_path, "diary")

    secrets = tmp_path / "secrets"
    assert {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert len({(secrets / f"{name}_s3_secret_key").read_text() for name in SERVICES}) == 5
    assert json.loads((tmp_path / "dist" / "s3" / "ingest.json").read_text()) == policies.policy("ingest", "diary")
    assert [path.name for path in written] == [*(f"{name}.json" for name in keys.SERVICES), "seaweedfs.json"]
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700


def _matches(pattern: str, key: str) -> bool:
    """As the IAM policy language matches: `*` is any text."""
    head, *rest = pattern.split("*")
    if not key.startswith(head):
        return False
    at = len(head)
    for part in rest[:-1]:
        found = key.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return not rest or (key.endswith(rest[-1]) and len(key) - len(rest[-1]) >= at)


def test_a_stack_of_an_older_version_keeps_its_operators_key_and_gets_one_for_each_service(tmp_path: Path):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "s3.json").write_text(json.dumps({"access": "old-access", "secret": "old-secret"}))
    (secrets / "s3-config.json").write_text(json.dumps({"identities": [{"name": "diary", "actions": ["Admin"]}]}))

    stack = Stack(tmp_path, 20000)
    stack._s3_config()

    identities = json.loads((secrets / "s3-config.json").read_text())["identities"]
    assert [one["name"] for one in identities] == ["operator", *SERVICES]
    assert identities[0]["credentials"] == [{"accessKey": "old-access", "secretKey": "old-secret"}]
    assert [one.get("actions") for one in identities] == [["Admin"], *[None] * 5]
    assert stat.S_IMODE((secrets / "s3-config.json").stat().st_mode) == 0o600


# ---- a real server ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with s3_server(tmp_path_factory.mktemp("policies")) as stack:
        yield stack


def store_of(stack: Stack, service: str) -> S3Store:
    environment = stack.program(service).environment
    return S3Store(stack.url("s3"), environment["S3_ACCESS_KEY"], environment["S3_SECRET_KEY"], BUCKET)


@pytest.mark.s3
def test_each_service_has_a_key_of_its_own_and_none_the_operators(stack: Stack):
    operator = json.loads((stack.home / "secrets" / "s3.json").read_text())["access"]
    access = [stack.program(name).environment["S3_ACCESS_KEY"] for name in SERVICES]

    assert len({operator, *access}) == 6


@pytest.mark.s3
def test_a_bucket_that_is_not_there_is_made_by_studio_alone(tmp_path: Path):
    with s3_server(tmp_path) as empty:
        with pytest.raises(NotAllowedError, match=r"bucket diary.* start studio: it makes the bucket"):
            store_of(empty, "trainer").ensure_bucket()
        store_of(empty, "studio").ensure_bucket()
        store_of(empty, "trainer").ensure_bucket()


@pytest.mark.s3
def test_the_server_lets_each_service_write_its_own_and_refuses_what_is_others(stack: Stack):
    stores = {name: store_of(stack, name) for name in SERVICES}
    stores["studio"].ensure_bucket()
    written = {(name, key): stores[name].create(key, name.encode()) for name in SERVICES for key in WRITTEN[name]}

    assert [where for where, wrote in written.items() if not wrote] == [
        ("transcription", "shows/lamp/transcripts/r1/head")
    ]
    for name in OTHERS:
        own = {*WRITTEN[name]} | {key for key in WRITTEN["ingest"] + WRITTEN["transcription"] if "/transcripts/" in key}
        for key in {key for other in SERVICES for key in WRITTEN[other]} - own:
            with pytest.raises(NotAllowedError, match=f"may not do this at {key}.*make s3-policies"):
                stores[name].create(key, b"overwritten")
            with pytest.raises(NotAllowedError):
                stores[name].put_stream(key, io.BytesIO(b"x"), "text/plain")
    assert all(stores["studio"].get(key) != b"overwritten" for key in stores["studio"].list("shows/"))


@pytest.mark.s3
def test_pointers_change_probes_go_and_large_blobs_come_with_a_services_own_key(stack: Stack):
    store_of(stack, "studio").ensure_bucket()
    for number, name in enumerate(SERVICES):
        store, probe, blob = store_of(stack, name), keys.probe(name), keys.blob(f"{number}" * 64)
        assert store.stat(probe) is None
        assert store.create(probe, b"1")
        store.replace(probe, b"2", store.read(probe)[1])
        store.delete(probe)
        store.put_stream(blob, io.BytesIO(b"a" * 20_000_000), "application/octet-stream")
        assert store.sizes(blob)[blob].bytes == 20_000_000
        if name != "studio":
            with pytest.raises(NotAllowedError):
                store.delete(blob)
    studio = store_of(stack, "studio")
    assert studio.broken_off(datetime.now(UTC)) == ()
    studio.delete(keys.blob("0" * 64))


@pytest.mark.s3
def test_a_private_feeds_address_is_not_told_to_who_never_asks_for_it(stack: Stack):
    studio, secret = store_of(stack, "studio"), keys.source_secret("other", "s1")
    studio.ensure_bucket()
    studio.create(secret, b"https://me:pass@example.org/feed")

    assert store_of(stack, "ingest").get(secret)
    for name in ("transcription", "trainer", "inference"):
        with pytest.raises(NotAllowedError):
            store_of(stack, name).get(secret)


@pytest.mark.s3
def test_a_key_that_the_server_does_not_know_is_still_told_apart(stack: Stack):
    with pytest.raises(BadInputError, match="check S3_ACCESS_KEY"):
        S3Store(stack.url("s3"), "nobody", "wrong-secret", BUCKET).get("shows/a/show.json")


# ---- the whole story, each service with its own key ------------------------------------------------------------------


@pytest.mark.s3
@pytest.mark.timeout(180)
def test_the_story_from_interviews_to_an_episode_runs_and_a_recording_is_erased(tmp_path: Path):
    whole = kit.scripted_stack(tmp_path, free_port_base(), step_s=0.02)
    try:
        whole.up()
        client = kit.studio_client(whole)
        show = kit.create_show(client, "lamp")
        asked = kit.order(client, show)
        result = client.result(client.wait(client.submit("/v1/pipelines", asked)))
        kit.assert_whole(kit.store_of(whole), asked, result)

        recording = client.call("GET", f"/v1/shows/{show}/recordings").json()[0]["id"]
        answer = client.call("DELETE", f"/v1/shows/{show}/recordings/{recording}", params={"reason": "withdrawn"})
        client.result(client.wait(client.job(answer.json()["id"])))
        client.close()
    finally:
        whole.down()

    assert "AccessDenied" not in "".join((whole.home / "logs" / f"{name}.log").read_text() for name in SERVICES)
