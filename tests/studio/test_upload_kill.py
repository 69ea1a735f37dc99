"""Real studio, real S3: a large upload in one request, studio killed in its middle, little memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from services.studio.doors.uploads import OFFSET_BODY
from services.studio.machine.local import Stack
from shared.uploads import pieces
from tests import kit
from tests.conftest import free_port_base

MIB = 1024 * 1024
SIZE = 320 * MIB

pytestmark = [pytest.mark.s3, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = kit.scripted_stack(tmp_path_factory.mktemp("uploads"), free_port_base())
    try:
        for name in ("s3", "studio"):
            stack.start(name)
            stack.wait_healthy(name)
        yield stack
    finally:
        stack.down()


def chunk(number: int) -> bytes:
    return number.to_bytes(8, "big") * (MIB // 8)


def test_after_a_kill_the_upload_goes_on_and_memory_stays_small(stack: Stack, tmp_path: Path):
    headers = {"Authorization": f"Bearer {stack.admin_token()}", "Tus-Resumable": "1.0.0"}
    store, client = kit.store_of(stack), httpx.Client(base_url=stack.url("studio"), headers=headers, timeout=60)
    begun = client.post("/v1/uploads", headers={"Upload-Length": str(SIZE)})
    place, key = begun.headers["location"], begun.json()["upload_key"]
    began_with, most = rss_mib(stack), 0.0

    def body(offset: int, killed_at: int | None) -> Iterator[bytes]:
        nonlocal most
        for number in range(offset // MIB, SIZE // MIB):
            if number == killed_at:
                kit.kill(stack, "studio")
            elif number % 8 == 0:
                most = max(most, rss_mib(stack))
            yield chunk(number)

    def send(offset: int, killed_at: int | None = None) -> httpx.Response:
        to_send = {"Upload-Offset": str(offset), "Content-Type": OFFSET_BODY}
        return client.patch(place, content=body(offset, killed_at), headers=to_send)

    with pytest.raises(httpx.HTTPError):
        send(0, killed_at=150)
    stack.start("studio")
    stack.wait_healthy("studio")
    kept = int(client.head(place).headers["Upload-Offset"])
    began_with = min(began_with, rss_mib(stack))
    done = send(kept)

    assert 100 * MIB <= kept <= 150 * MIB and done.headers["Upload-Offset"] == str(SIZE)
    assert most - began_with < 150, f"{began_with:.0f} MiB idle, {most:.0f} at most"
    there = (piece for part in pieces(store, key) for piece in blocks(store.get(part.key)))
    assert all(piece == chunk(number) for number, piece in enumerate(there))
    print(f"studio: {began_with:.0f} MiB idle, {most:.0f} MiB while {SIZE // MIB} MiB came; {kept // MIB} MiB kept")


def rss_mib(stack: Stack) -> float:
    pid = stack.program("studio").pid()
    assert pid is not None
    return psutil.Process(pid).memory_info().rss / MIB


def blocks(data: bytes) -> Iterator[bytes]:
    yield from (data[at : at + MIB] for at in range(0, len(data), MIB))
