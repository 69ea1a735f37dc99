"""A show in a store, sounds made by the tests, a web site, and the real engine where its environment is there."""

from __future__ import annotations

import importlib.util
import io
import shlex
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from services.ingest.engine import IngestEngine
from services.ingest.settings import Settings
from shared import keys
from shared.schemas import Show
from tests.fakes import FakeSite, MemoryStore

ENVIRONMENT = Path(".venvs/ingest/bin/python")


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
        private_networks="127.0.0.0/8",
        engine_command=f"{shlex.quote(engine_python)} -m services.ingest.engine",
    )


@pytest.fixture(scope="module")
def real_engine(settings: Settings) -> Iterator[IngestEngine]:
    engine = IngestEngine(settings)
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def ffmpeg(engine_python: str) -> str:
    """The program that the engine runs."""
    say = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
    return subprocess.run([engine_python, "-c", say], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web site of our own: its address and its folder."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(FakeSite, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
