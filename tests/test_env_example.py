"""`.env.example` explains every setting of every service; `python -m tests.test_env_example` writes that part anew."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services.inference.settings import Settings as InferenceSettings
from services.ingest.settings import Settings as IngestSettings
from services.studio.local import ROOT
from services.studio.settings import Settings as StudioSettings
from services.trainer.settings import Settings as TrainerSettings
from services.transcription.settings import Settings as TranscriptionSettings
from shared.settings import DiarySettings, ServiceSettings

EXAMPLE = ROOT / ".env.example"
MARK = "# ==== every setting of every service"
HEAD = f"""{MARK}, written by `python -m tests.test_env_example`, with the default of its image ====
# Folders, ports and addresses are laid out by the images and by compose.yaml: leave those.
"""
CLASSES: dict[str, type[ServiceSettings]] = {
    "studio": StudioSettings,
    "ingest": IngestSettings,
    "transcription": TranscriptionSettings,
    "trainer": TrainerSettings,
    "inference": InferenceSettings,
}
COMPOSE_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)")
FOR_TESTS = {"ENV_FILE", "UV_TORCH_BACKEND"}


def rendered() -> str:
    sections = [HEAD]
    for service, settings in CLASSES.items():
        own, shared = split(settings)
        sections.append(f"# ---- {service} ----\n" + "".join(entry(service, settings, name) for name in own))
        if service == "studio":
            text = "".join(entry(service, settings, name) for name in shared)
            sections.append(f"# ---- every service has these, under its own prefix (here studio's) ----\n{text}")
    return "\n".join(sections)


def split(settings: type[ServiceSettings]) -> tuple[list[str], list[str]]:
    """Names of the fields of one service, and of those that all share and it does not change."""
    same = [name for name in ServiceSettings.model_fields if name not in settings.__annotations__]
    return [name for name in settings.model_fields if name not in same], same


def entry(service: str, settings: type[DiarySettings], name: str) -> str:
    field = settings.model_fields[name]
    variable = variable_of(settings, name, field)
    default = in_image(service, variable) or as_text(field.default)
    return f"# {sentence(field)}\n#{variable}={default}\n"


def variable_of(settings: type[DiarySettings], name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    return alias if isinstance(alias, str) else f"{settings.model_config.get('env_prefix', '')}{name}".upper()


def sentence(field: FieldInfo) -> str:
    text = field.description or ""
    assert text, f"a setting without a description: {field}"
    return text[0].upper() + text[1:].rstrip(".") + "."


def as_text(default: Any) -> str:
    if isinstance(default, SecretStr) or default is None or default is PydanticUndefined:
        return ""
    if isinstance(default, dict):
        return json.dumps(default)
    return str(default).lower() if isinstance(default, bool) else str(default)


def in_image(service: str, variable: str) -> str | None:
    """What the service's Dockerfile sets."""
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    found = re.search(rf'\b{variable}=("[^"]*"|\S+)', text)
    return found.group(1).strip('"') if found else None


def test_every_setting_of_every_service_is_explained():
    text = EXAMPLE.read_text()

    assert text[text.index(MARK) :] == rendered(), "run `python -m tests.test_env_example`"


def test_every_variable_of_the_compose_files_is_explained():
    files = (ROOT / "compose.yaml", ROOT / "compose.cpu.yaml")
    used = {name for file in files for name in COMPOSE_VARIABLE.findall(file.read_text())} - FOR_TESTS
    explained = set(re.findall(r"^#([A-Z0-9_]+)=", EXAMPLE.read_text(), re.MULTILINE))

    assert used <= explained


def test_the_defaults_of_the_example_are_those_of_the_compose_files():
    defaults = dict(
        found
        for file in (ROOT / "compose.yaml", ROOT / "compose.cpu.yaml")
        for found in re.findall(r"\$\{([A-Z0-9_]+):-([^}]*)\}", file.read_text())
    )
    example = dict(re.findall(r"^#([A-Z0-9_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))

    for name in defaults.keys() & example.keys() - {"DIARY_DOMAIN"}:
        assert example[name] == defaults[name], name


def test_nothing_is_set_before_a_person_sets_it():
    assert not re.search(r"^[^#\s]", EXAMPLE.read_text(), re.MULTILINE)


def write(path: Path) -> None:
    text = path.read_text()
    head = text[: text.index(MARK)] if MARK in text else text
    path.write_text(head + rendered())


if __name__ == "__main__":
    write(EXAMPLE)
