"""Keeps the rooms apart: services never import each other, heavy libraries stay in engine.py and in functions."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SERVICES = ("ingest", "transcription", "trainer", "inference", "studio")
HEAVY = {
    "torch", "torchaudio", "transformers", "peft", "trl", "accelerate", "datasets", "vllm", "whisperx", "pyannote",
    "faster_whisper", "ctranslate2", "resemblyzer", "librosa", "pocketsphinx", "yt_dlp", "imageio_ffmpeg", "gguf",
    "hibari", "pyworld",
}  # fmt: skip
ROOMS = {"app.py", "job.py", "engine.py", "settings.py"}
SOURCES = sorted([*ROOT.glob("shared/**/*.py"), *ROOT.glob("services/**/*.py")])


def is_engine(path: Path) -> bool:
    """A service with a second engine has a second such file: speech_engine.py."""
    return path.name == "engine.py" or path.name.endswith("_engine.py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def top_level_nodes(path: Path) -> list[ast.stmt]:
    return ast.parse(path.read_text()).body


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_room_may(path: Path):
    place = path.relative_to(ROOT).parts
    own = place[1] if place[0] == "services" and len(place) > 2 else None

    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "services":
            assert own is not None and parts[1] == own, f"{path} imports {name}: services never import each other"
        if parts[0] in HEAVY:
            assert is_engine(path), f"{path} imports {name}: heavy libraries belong to engine.py"
        if parts[0] == "huggingface_hub":
            assert path.name == "hub.py", f"{path} imports {name}: models come through shared/hub.py"
        if parts[0] == "dbos":
            assert place == ("shared", "jobs.py"), f"{path} imports the workflow library"
        if parts[0] == "minio":
            assert place == ("shared", "store.py"), f"{path} imports the S3 client"
        if parts[0] == "lightkube":
            assert place == ("services", "trainer", "cluster.py"), f"{path} imports the Kubernetes client"


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if is_engine(path)], ids=lambda path: f"{path.parent.name} {path.stem}"
)
def test_heavy_libraries_are_imported_inside_functions(path: Path):
    for node in top_level_nodes(path):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        assert not {name.split(".")[0] for name in names} & HEAVY, f"{path}: {names} at import time"


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "studio"])
def test_every_service_has_the_same_rooms(service: str):
    assert {path.name for path in (ROOT / "services" / service).glob("*.py")} >= ROOMS


def test_no_room_is_a_junk_drawer():
    assert not [path for path in SOURCES if path.stem in ("utils", "helpers", "misc", "common")]


def test_broad_excepts_live_in_job_runners_only():
    broad = re.compile(r"except (Exception|BaseException)\b|except:")
    found = {str(path.relative_to(ROOT)) for path in SOURCES if broad.search(path.read_text())}

    assert found <= {"shared/jobs.py", "shared/engines.py", "shared/service.py"}


def test_every_environment_read_is_in_settings_or_a_runner():
    allowed = {"shared/settings.py", "shared/engines.py", "shared/leash.py", "shared/service.py"}
    allowed |= {f"services/studio/machine/{name}.py" for name in ("env", "local", "processes")}
    allowed |= {"services/studio/commands/terminal.py"}
    found = {str(path.relative_to(ROOT)) for path in SOURCES if "os.environ" in path.read_text()}

    assert {path for path in found if not path.endswith(("settings.py", "engine.py"))} <= allowed
