"""A scripted ingest engine, sounds made by the tests, and the real engine where its environment is there."""

from __future__ import annotations

import importlib.util
import io
import shlex
import sys
import threading
import wave
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.ingest.audio import Converted
from services.ingest.engine import IngestEngine
from services.ingest.metadata import Downloaded
from services.ingest.settings import Settings
from shared import keys
from shared.engines import Watch
from shared.schemas import Show
from tests.fakes import MemoryStore

ENVIRONMENT = Path(".venvs/ingest/bin/python")


class ScriptedIngestEngine:
    """Downloads what the test says, converts by copying, fails when told; `calls` is what it was asked."""

    def __init__(self, *, pages: dict[str, bytes] | None = None, fails: Exception | None = None) -> None:
        self.pages = pages or {}
        self.fails = fails
        self.calls: list[str] = []

    def download(self, url: str, folder: Path, job: Watch) -> Downloaded:
        self.calls.append("download")
        original = folder / "download"
        original.write_bytes(self.pages[url])
        about: dict[str, Any] = {"title": "A title from the site", "uploader": "Lamplight"}
        return Downloaded(original=original, metadata=about, yt_dlp="2026.10")

    def convert(self, original: Path, folder: Path, job: Watch) -> Converted:
        self.calls.append("convert")
        if self.fails:
            raise self.fails
        working = folder / "working.flac"
        working.write_bytes(b"flac of " + original.read_bytes())
        return Converted(
            working=working,
            duration_s=12.5,
            media_type="audio/mpeg",
            metadata={"tags": {"title": "A title from the tags"}},
            ffmpeg="9.0",
        )


@pytest.fixture
def store() -> MemoryStore:
    show = Show(slug="lamplight", title="The Lamplight Hour", host="Mara Quill", rights="own")
    return MemoryStore({keys.show("lamplight"): show.model_dump_json().encode()})


# ---- sounds ------------------------------------------------------------------------------------------------------


def voice_wav(seconds: float, *, rate_hz: int = 44_100, level: float = 0.3) -> bytes:
    """A buzzing vowel with syllables, as a stereo 16 bit WAV file."""
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    buzz = sum(np.sin(2 * np.pi * 120 * harmonic * time_s) / harmonic for harmonic in range(1, 12))
    sound = level * buzz / 2 * (0.55 + 0.45 * np.sin(2 * np.pi * 3 * time_s))
    samples = np.repeat((np.clip(sound, -1, 1) * 32767).astype("<i2"), 2)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.tobytes())
    return file.getvalue()


# ---- the real engine ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def engine_python() -> str:
    if ENVIRONMENT.exists():
        return str(ENVIRONMENT.absolute())
    if all(importlib.util.find_spec(name) for name in ("yt_dlp", "imageio_ffmpeg")):
        return sys.executable
    pytest.skip(f"the real ingest engine needs {ENVIRONMENT}: run `make install`")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, engine_python: str) -> Settings:
    return Settings(
        log_dir=tmp_path_factory.mktemp("logs"),
        allow_private_hosts=True,
        engine_command=f"{shlex.quote(engine_python)} -m services.ingest.engine",
    )


@pytest.fixture(scope="module")
def real_engine(settings: Settings) -> Iterator[IngestEngine]:
    engine = IngestEngine(settings)
    yield engine
    engine.stop()


class _Quiet(SimpleHTTPRequestHandler):
    """A folder over HTTP, and a few addresses that misbehave."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/moved":
            self._answer(302, {"Location": "/talk.wav"})
        elif path == "/to-file":
            self._answer(302, {"Location": "file:///etc/passwd"})
        elif path == "/busy":
            self._answer(503, {"Retry-After": "1"})
        elif path == "/endless":
            self._endless()
        else:
            super().do_GET()

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "audio/mpeg")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"\xff\xfb" + bytes(65534))
        except OSError:
            return

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web site of our own: its address and its folder."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
