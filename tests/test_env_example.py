"""`.env.example` explains every setting of every service; `python -m tests.test_env_example` writes that part anew."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services.inference.settings import Settings as InferenceSettings
from services.ingest.settings import Settings as IngestSettings
from services.studio.machine.local import ROOT
from services.studio.settings import Settings as StudioSettings
from services.trainer.settings import Settings as TrainerSettings
from services.transcription.settings import Settings as TranscriptionSettings
from shared.settings import DiarySettings, HubSettings, ModelsFolder, ServiceSettings, StoreSettings
from tests.test_compose_files import TOOLS
from tests.test_compose_files import rendered as compose

EXAMPLE = ROOT / ".env.example"
COMPOSE_FILES = (ROOT / "compose.yaml", ROOT / "compose.cpu.yaml")
CLASSES: dict[str, type[ServiceSettings]] = {
    "studio": StudioSettings,
    "ingest": IngestSettings,
    "transcription": TranscriptionSettings,
    "trainer": TrainerSettings,
    "inference": InferenceSettings,
}
NAME = "NAME"  # stands for a service in capitals
NAMES = [service.upper() for service in CLASSES]
MARK = "# ==== every setting of every service"
HEAD = f"""{MARK}, written by `python -m tests.test_env_example`, with the default of its image ====
# Folders, ports and addresses are laid out by the images and by compose.yaml: leave those.
# A secret is no line here but a file in secrets/, named like its variable in lower case: docs/containers.md.
"""
SHARED_TITLE = f"""# ---- every service has these: NAME is one of the five services in capitals ----
# {", ".join(NAMES)}
"""
LINE = re.compile(r"^#([A-Z0-9_]+)=(.*)$", re.MULTILINE)
COMPOSE_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)")
COMPOSE_DEFAULT = re.compile(r"\$\{([A-Z0-9_]+):?-([^}]*)\}")
FOR_TESTS = {"ENV_FILE"}


# ---- the part that is written ----------------------------------------------------------------------------------------


def rendered() -> str:
    sections = [HEAD, f"{SHARED_TITLE}{''.join(shared_entry(name) for name in shared_names())}"]
    for service, settings in CLASSES.items():
        own = [name for name in settings.model_fields if name not in shared_names() or name in settings.__annotations__]
        sections.append(section(service, settings, [name for name in own if name not in ModelsFolder.model_fields]))
    sections.append(section("the object store", StoreSettings, list(StoreSettings.model_fields)))
    sections.append(section("the model hub", HubSettings, list(HubSettings.model_fields)))
    return "\n".join(sections)


def section(title: str, settings: type[DiarySettings], names: list[str]) -> str:
    """Entries of one class; what is no service's own is looked up at inference, which has it all."""
    service = title if title in CLASSES else "inference"
    return f"# ---- {title} ----\n" + "".join(entry(service, settings, name) for name in names)


def shared_names() -> list[str]:
    return [name for name in ServiceSettings.model_fields if name not in ModelsFolder.model_fields]


def entry(service: str, settings: type[DiarySettings], name: str) -> str:
    field = settings.model_fields[name]
    variable = variable_of(settings, name, field)
    elsewhere = secret(service, variable, field) or set_by_compose(service, variable)
    if elsewhere:
        return f"# {sentence(field)} {variable}: {elsewhere}.\n"
    return f"# {sentence(field)}\n#{variable}={default_of(service, variable, field)}\n"


def shared_entry(name: str) -> str:
    """One entry for all services: the value that their images agree on, else the usual one and who differs."""
    field = ServiceSettings.model_fields[name]
    variable = f"{NAME}_{name}".upper()
    if is_secret(field):
        return f"# {sentence(field)} {variable}: a secret, e.g. the file secrets/inference_{name}.\n"
    values = {who: default_of(who, variable.replace(NAME, who.upper(), 1), field) for who in sharing(name)}
    value = values["ingest"]
    notes = [f"{who}: {other}" for who, other in values.items() if other != value]
    notes += [f"{who}: see there" for who in CLASSES if who not in values]
    remark = f" ({'; '.join(notes)})" if notes else ""
    return f"# {sentence(field)}{remark}\n#{variable}={value}\n"


def sharing(name: str) -> list[str]:
    """The services that take a shared setting as it is."""
    return [service for service, settings in CLASSES.items() if name not in settings.__annotations__]


def secret(service: str, variable: str, field: FieldInfo) -> str:
    """Which file holds it; empty for a setting that is no secret."""
    given = {Path(one["target"]).name: one["source"] for one in compose("compose.yaml")[service]["secrets"]}
    name = variable.lower()
    if name in given:
        return f"a secret, the file secrets/{given[name]} that `make env` makes"
    return f"a secret, the file secrets/{name}" if is_secret(field) else ""


def is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def set_by_compose(service: str, variable: str) -> str:
    """What to do about a variable whose line in .env compose would override or name twice; empty for all others."""
    environment = compose("compose.yaml")[service]["environment"]
    if variable not in environment:
        return ""
    defaults = compose_defaults()
    if variable in defaults:
        return "see above"
    same = [name for name, default in defaults.items() if default == environment[variable]]
    return f"use {same[0]}" if same else "set by compose.yaml"


def compose_defaults() -> dict[str, str]:
    return dict(found for file in COMPOSE_FILES for found in COMPOSE_DEFAULT.findall(file.read_text()))


def variable_of(settings: type[DiarySettings], name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    return alias if isinstance(alias, str) else f"{settings.model_config.get('env_prefix', '')}{name}".upper()


def sentence(field: FieldInfo) -> str:
    text = field.description or ""
    assert text, f"a setting without a description: {field}"
    return text[0].upper() + text[1:].rstrip(".") + "."


def default_of(service: str, variable: str, field: FieldInfo) -> str:
    return in_image(service, variable) or as_text(field.default)


def as_text(default: Any) -> str:
    if default is None or default is PydanticUndefined:
        return ""
    if isinstance(default, dict):
        return json.dumps(default)
    return str(default).lower() if isinstance(default, bool) else str(default)


def in_image(service: str, variable: str) -> str | None:
    """What the service's Dockerfile sets."""
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    found = re.search(rf'\b{variable}=("[^"]*"|\S+)', text)
    return found.group(1).strip('"') if found else None


# ---- tests -----------------------------------------------------------------------------------------------------------


def parts() -> tuple[str, str]:
    """What a person wrote, and what is written from the settings."""
    text = EXAMPLE.read_text()
    return text[: text.index(MARK)], text[text.index(MARK) :]


def test_every_setting_of_every_service_is_explained():
    assert parts()[1] == rendered(), "run `python -m tests.test_env_example`"


def test_every_variable_of_the_compose_files_is_explained():
    used = {name for file in COMPOSE_FILES for name in COMPOSE_VARIABLE.findall(file.read_text())} - FOR_TESTS

    assert used <= {name for name, _ in LINE.findall(EXAMPLE.read_text())}


def test_the_defaults_of_the_example_are_those_of_the_compose_files():
    defaults = compose_defaults()
    by_hand = dict(LINE.findall(parts()[0]))

    for name in defaults.keys() & by_hand.keys() - {"DIARY_DOMAIN"}:
        assert by_hand[name] == defaults[name], name


def test_nothing_is_set_before_a_person_sets_it():
    assert not re.search(r"^[^#\s]", EXAMPLE.read_text(), re.MULTILINE)


def test_no_line_is_there_twice_and_none_is_a_secret():
    names = [name for name, _ in LINE.findall(EXAMPLE.read_text())]

    assert len(names) == len({*names})
    assert not {"S3_ACCESS_KEY", "S3_SECRET_KEY", "HF_TOKEN", "STUDIO_SERVICE_TOKEN", "INFERENCE_VLLM_KEY"} & {*names}


@pytest.mark.parametrize("more", ["", "9"], ids=["as written", "changed"])
def test_a_line_that_counts_arrives_in_the_container_of_its_service(tmp_path: Path, more: str):
    wanted = {(service, name): value + more for service, name, value in lines()}
    file = tmp_path / ".env"
    file.write_text("".join(f"{name}={value}\n" for (_, name), value in wanted.items()))

    services = compose_with(file)

    assert {(service, name): services[service]["environment"].get(name) for service, name in wanted} == wanted


def compose_with(file: Path) -> dict[str, Any]:
    """The services as compose renders them where `file` is the .env."""
    done = subprocess.run(
        [
            str(TOOLS / "docker-compose"),
            "--env-file",
            str(file),
            "--file",
            "compose.yaml",
            "config",
            "--format",
            "json",
        ],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, "ENV_FILE": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["services"])


def lines() -> list[tuple[str, str, str]]:
    """Each line below the mark as (service, variable, value); what all services are told, once for each of them."""
    found = []
    for name, value in LINE.findall(parts()[1]):
        prefix, rest = name.split("_", 1)
        if prefix == NAME:
            found += [(service, f"{service.upper()}_{rest}", value) for service in sharing(rest.lower())]
        else:
            found += [(service, name, value) for service in ([prefix.lower()] if prefix in NAMES else CLASSES)]
    return found


def write(path: Path) -> None:
    text = path.read_text()
    head = text[: text.index(MARK)] if MARK in text else text
    path.write_text(head + rendered())


if __name__ == "__main__":
    write(EXAMPLE)
