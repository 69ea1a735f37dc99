"""A feed of 200 items through the real ingest service: each comes once, also when the service is killed half way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.studio.machine.local import Stack
from shared import keys
from shared.client import ServiceClient
from shared.schemas import Recording
from shared.store import load
from shared.subscriptions import RefreshResult
from tests import kit
from tests.conftest import free_port_base
from tests.ingest.conftest import voice_wav
from tests.ingest.site import NETWORK, Served, Site, episode, feed

pytestmark = [pytest.mark.s3, pytest.mark.real, pytest.mark.timeout(900)]

ITEMS = 200


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, engine_python: str) -> Iterator[Stack]:
    settings = {
        "INGEST_ENGINE_COMMAND": f"{engine_python} -m services.ingest.engine",
        "INGEST_PRIVATE_NETWORKS": NETWORK,
        "INGEST_MIN_DURATION_S": "0.2",
        "INGEST_PAUSE_S": "0",
    }
    stack = kit.scripted_stack(tmp_path_factory.mktemp("feed"), free_port_base(), settings, step_s=0)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture
def client(stack: Stack) -> Iterator[ServiceClient]:
    client = kit.studio_client(stack)
    yield client
    client.close()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    sounds = [f"{site.url}/{number}.wav" for number in range(ITEMS)]
    for number in range(ITEMS):
        loudness = 0.2 + number / 1000  # no two are the same
        site.files[f"/{number}.wav"] = Served(
            voice_wav(0.5, rate_hz=16_000, level=loudness), "audio/wav", f'"{number}"'
        )
    episodes = [episode(number, sound, seconds=1, size=32_000) for number, sound in enumerate(sounds)]
    site.files["/feed.xml"] = Served(feed("The Lamplight Hour", *episodes), "application/rss+xml", '"v1"')
    yield site
    site.close()


def downloads(site: Site) -> int:
    return sum(asked.path.endswith(".wav") for asked in site.asked)


def test_two_hundred_items_come_once_in_spite_of_a_kill_and_a_second_refresh_downloads_nothing(
    stack: Stack, client: ServiceClient, site: Site
):
    show, store = kit.create_show(client, "feed"), kit.store_of(stack)
    source = client.call("POST", f"/v1/shows/{show}/sources", json={"address": f"{site.url}/feed.xml"}).json()["id"]
    refresh = {"show": show, "source": source}

    job = client.submit("/v1/refreshes", refresh)
    kit.until(lambda: len(store.list(keys.items(show))) >= ITEMS // 2, "half of it is here", 400)
    kit.kill(stack, "ingest")
    there = len(store.list(keys.items(show)))
    stack.start("ingest")
    first = RefreshResult.model_validate(client.result(client.wait(job)))

    assert there < ITEMS, "the kill came too late to prove anything"
    recordings = [load(store, key, Recording) for key in store.list(keys.recordings(show))]
    assert len(recordings) == ITEMS and len({recording.title for recording in recordings}) == ITEMS
    assert len(first.recordings) == ITEMS and first.failed == ()

    asked = downloads(site)
    second = RefreshResult.model_validate(client.result(client.wait(client.submit("/v1/refreshes", refresh))))

    assert (second.known, second.new, second.recordings) == (ITEMS, 0, ())
    assert site.of("/feed.xml")[-1].headers["if-none-match"] == '"v1"', "an unchanged feed is not even sent again"
    assert downloads(site) == asked
    assert len(store.list(keys.recordings(show))) == ITEMS
