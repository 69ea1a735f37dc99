"""Makes what a later version must be able to open: `python -m tests.upgrade_fixture` before a release.

Writes tests/fixtures/v{VERSION}/: a show as its export, the job database of every service with a finished, a running
and a queued job, and the uploads that the unfinished ones still need. Never change one that was released.
"""

from __future__ import annotations

import json
import lzma
import sqlite3
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from services.studio.machine.local import ROOT, SERVICES, Stack
from shared.client import ServiceClient
from shared.schemas import JobState
from shared.version import VERSION
from tests import kit
from tests.conftest import free_port_base

SHOW = "lamp"
NEVER_S = 600.0


def folder_of(version: str) -> Path:
    return ROOT / "tests" / "fixtures" / f"v{version}"


def main() -> int:
    out = folder_of(VERSION)
    if out.exists():
        print(f"{out} exists; raise the version first", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as home:
        make(Path(home), out)
    for path in sorted(out.iterdir()):
        print(f"{path.name:20} {path.stat().st_size / 1000:.0f} kB")
    return 0


def make(home: Path, out: Path) -> None:
    port = free_port_base()
    quick = kit.scripted_stack(home, port, step_s=0)
    try:
        quick.up()
        client = kit.studio_client(quick)
        kit.create_show(client, SHOW)
        made = client.result(
            client.wait(client.submit("/v1/pipelines", kit.order(client, SHOW, audio=1, words=20, steps=2)))
        )
        show = b"".join(client.stream("GET", f"/v1/shows/{SHOW}/export"))
        for name in SERVICES:
            quick.program(name).stop()

        slow = kit.scripted_stack(home, port, {"STUDIO_CONCURRENCY": "1"}, step_s=NEVER_S)
        slow.up()
        uploads = queue_two_each(slow, made)
    finally:
        quick.down()
    out.mkdir(parents=True)
    (out / "show.tar.xz").write_bytes(lzma.compress(show))
    (out / "uploads.json").write_text(json.dumps(uploads, indent=1) + "\n")
    pack_databases(home / "state", out / "jobs.tar.xz")


def queue_two_each(stack: Stack, made: dict[str, str]) -> dict[str, str]:
    """Order two jobs of every service: one begins and does not end, one waits. Returns the uploads they need in hex."""
    studio = kit.studio_client(stack)
    files = {
        "noise.mp3": b"ID3" + bytes(range(200)),
        "Cleo Cedar.txt": f"guest: Cleo Cedar\n\n{kit.talk('Cleo')}".encode(),
    }
    uploads = {name: kit.upload(studio, data, name) for name, data in files.items()}
    training = {"show": SHOW, "dataset": made["dataset"], "steps": 2, "checkpoint_every": 2}
    orders: dict[str, tuple[str, list[dict[str, Any]]]] = {
        "ingest": ("/v1/recordings", [{"show": SHOW, **upload} for upload in uploads.values()]),
        "transcription": (
            "/v1/transcripts",
            [{"show": SHOW, "recording": made["recordings"][0], "speakers": n} for n in (1, 3)],
        ),
        "trainer": ("/v1/adapters", [{**training, "seed": seed} for seed in (1, 2)]),
        "inference": ("/v1/episodes", [{"show": SHOW, "guest": guest, "words": 20} for guest in ("Ida", "Jo")]),
        "studio": ("/v1/datasets", [{"show": SHOW, "max_length": length} for length in (256, 384)]),
    }
    for service, (path, requests) in orders.items():
        client = ServiceClient(service, stack.url(service), stack.admin_token())
        for number, request in enumerate(requests):
            client.submit(path, request, idempotency_key=f"upgrade-{service}-{number}")
            wanted = JobState.RUNNING if number == 0 else JobState.QUEUED
            kit.until(lambda: client.job(f"upgrade-{service}-{number}").state is wanted, f"{service} {wanted}")  # noqa: B023
    return {upload["upload_key"]: files[name].hex() for name, upload in uploads.items()}


def pack_databases(state: Path, out: Path) -> None:
    """Each database as one compact file, without a journal."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(out, "w:xz") as tar:
        for service in SERVICES:
            compact = Path(folder) / f"{service}.sqlite"
            with sqlite3.connect(state / f"{service}.sqlite") as database:
                database.execute("VACUUM INTO ?", (str(compact),))
            member = tarfile.TarInfo(compact.name)
            member.size = compact.stat().st_size
            with compact.open("rb") as file:
                tar.addfile(member, file)


if __name__ == "__main__":
    sys.exit(main())
