"""What the tests with the real speech engine share: the engine in its own environment, audio, and a show in a store."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.transcription.engine import SpeechEngine
from services.transcription.settings import Settings
from shared import keys
from shared.schemas import Recording, Show, Transcript
from shared.store import create_manifest, load, put_blob
from shared.working_copy import FILTER
from tests.fakes import MemoryStore
from tests.transcription.conftest import lineage

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venvs" / "transcription" / "bin" / "python"
SPEAKER = ROOT / ".venvs" / "speech" / "bin" / "python"
SCRIPTS = ROOT / "examples" / "spoken"
AUDIO = ROOT.parent / "shared" / "audio"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeechEngine]:
    if not PYTHON.exists():
        pytest.skip(f"no {PYTHON.relative_to(ROOT)}: make it with `make .venvs/transcription/.installed`")
    command = f"{PYTHON} -m services.transcription.engine"
    settings = Settings(engine_command=command, device="cpu", log_dir=tmp_path_factory.mktemp("logs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        engine = SpeechEngine.from_settings(settings, lease=None)
        yield engine
        engine.stop()


def flac(source: Path, target: Path, before: tuple[str, ...] = ()) -> bytes:
    """The 16 kHz mono working copy that ingest would make."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="no ffmpeg package here").get_ffmpeg_exe()
    command = [ffmpeg, "-v", "error", "-y", *before, "-i", str(source), "-af", FILTER, str(target)]
    subprocess.run(command, check=True)
    return target.read_bytes()


def shared_audio(name: str) -> Path:
    path = AUDIO / name
    if not path.exists():
        pytest.skip(f"no ../shared/audio/{name} beside this checkout")
    return path


def demo_speech(folder: Path, scripts: Path = SCRIPTS) -> list[Path]:
    """The demo's recordings as mp3 with a .reference.json each; DEMO_SPEECH names a folder that has them already."""
    folder = Path(os.environ.get("DEMO_SPEECH") or folder)
    if not list(folder.glob("*.mp3")):
        if not SPEAKER.exists():
            pytest.skip(f"no {SPEAKER.relative_to(ROOT)}: make it with `make .venvs/speech/.installed`")
        command = [str(SPEAKER), "-m", "examples.speak", "--out", str(folder), "--scripts", str(scripts)]
        subprocess.run(command, check=True, cwd=ROOT)
    return sorted(folder.glob("*.mp3"))


def store_with(audio: bytes, recording_id: str = "nasa", host: str = "Kenna") -> MemoryStore:
    store = MemoryStore()
    create_manifest(store, keys.show("houston"), Show(slug="houston", title="A Talk Show", host=host))
    add(store, audio, recording_id)
    return store


def add(store: MemoryStore, audio: bytes, recording_id: str) -> None:
    working = put_blob(store, audio, "audio/flac")
    recording = Recording(
        id=recording_id,
        show="houston",
        title="Talk",
        guest="Lisa",
        source="file",
        original=working,
        working=working,
        lineage=lineage(),
    )
    create_manifest(store, keys.recording("houston", recording_id), recording)


def head(store: MemoryStore, recording: str = "nasa") -> Transcript:
    revision = store.get(keys.transcript_head("houston", recording)).decode()
    return load(store, keys.transcript("houston", recording, revision), Transcript)


def joined(parts: list[Path], target: Path) -> bytes:
    listing = target.with_suffix(".txt")
    listing.write_text("".join(f"file '{path}'\n" for path in parts))
    return flac(listing, target, before=("-f", "concat", "-safe", "0"))


def flac_of_filter(sound: str, target: Path) -> bytes:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="no ffmpeg package here").get_ffmpeg_exe()
    subprocess.run([ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-t", "5", "-i", sound, str(target)], check=True)
    return target.read_bytes()
