"""Doors of studio in this process: for tests of HTTP that need no whole stack."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from services.studio.app import create_app
from services.studio.crew import Crew
from services.studio.machine.local import ROOT
from services.studio.settings import Settings
from shared.service import JobRoute, job_service
from shared.settings import ServiceSettings
from shared.store import Store
from shared.tokens import Role, TokenBook, new_token
from tests.conftest import free_port_base
from tests.kit import healthy, until

Headers = dict[str, str]


def app_of(
    tmp_path: Path, store: Store, routers: Sequence[APIRouter], routes: Sequence[JobRoute] = ()
) -> tuple[FastAPI, dict[str, str]]:
    """An app, and the secrets of its tokens: ann (admin), ed and mel (editors), vi (viewer), one (of another show)."""
    settings = ServiceSettings(
        state_dir=tmp_path / "state", work_dir=tmp_path / "work", tokens_file=tmp_path / "tokens.json"
    )
    people: dict[str, tuple[Role, str | None]] = {
        "ann": ("admin", None),
        "ed": ("editor", None),
        "mel": ("editor", None),
        "vi": ("viewer", None),
        "one": ("editor", "otherland"),
    }
    book, secrets = TokenBook(settings.tokens_file), {}
    for name, (role, show) in people.items():
        secrets[name], token = new_token(name, role, show)
        book.add(token)
    return job_service("studio", settings, store, routes, routers=routers), secrets


def studio_of(tmp_path: Path, store: Store, crew: Crew) -> tuple[FastAPI, str]:
    """All of studio's doors before a crew, and an admin's secret."""
    settings = Settings(
        state_dir=tmp_path / "state",
        work_dir=tmp_path / "work",
        tokens_file=tmp_path / "tokens.json",
        collect_every_h=0,
        max_upload_bytes=100 * 1024 * 1024,
    )
    secret, token = new_token("ann", "admin")
    TokenBook(settings.tokens_file).add(token)
    return create_app(store, crew, settings), secret


@dataclass(frozen=True)
class Desk:
    """Where somebody types `diary` commands to a studio.

    home   holds their state folder
    """

    url: str
    token: str
    home: Path

    def command(self, *arguments: str) -> dict[str, Any]:
        """Arguments for subprocess."""
        own = {"DIARY_URL": self.url, "DIARY_TOKEN": self.token, "XDG_STATE_HOME": str(self.home)}
        environment = {**os.environ, **own, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        return {"args": [sys.executable, "-m", "services.studio.cli", *arguments], "env": environment, "text": True}

    def diary(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(**self.command(*arguments), input=stdin, capture_output=True, check=False)


def door_of(tmp_path: Path, store: Store, *routers: APIRouter) -> tuple[TestClient, dict[str, Headers]]:
    """A client of the app, not started: no jobs; and each person's headers."""
    app, secrets = app_of(tmp_path, store, routers)
    return TestClient(app), {name: {"Authorization": f"Bearer {secret}"} for name, secret in secrets.items()}


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The app behind a real socket; gives its URL."""
    port = free_port_base(1)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    until(lambda: healthy(f"{url}/health/ready"), "the app serves")
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive(), "the next app would share its job library with one that still stops"
