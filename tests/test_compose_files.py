"""The compose files and Dockerfiles, as the tools read them: no Docker engine needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from services.studio.machine.local import ROOT, SERVICES

TOOLS = Path(sys.executable).parent
GPU_SERVICES = ("transcription", "trainer", "inference")
GPU = ("compose.yaml",)
CPU = ("compose.yaml", "compose.cpu.yaml")
DOCKERFILES = sorted(ROOT.glob("services/*/Dockerfile"))
SILENCE = {  # the switch of every library of ours that would tell somebody
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "PYANNOTE_METRICS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "DENO_NO_UPDATE_CHECK": "1",
}


def rendered(*files: str, **settings: str) -> dict[str, Any]:
    """What compose makes of the files, with the defaults and without a .env."""
    return _rendered(files, tuple(settings.items()))


@cache
def _rendered(files: tuple[str, ...], settings: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    named = [part for file in files for part in ("--file", file)]
    command = [str(TOOLS / "docker-compose"), "--env-file", os.devnull, *named, "--profile", "*", "config"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.devnull, "ENV_FILE": "no-such-file", **dict(settings)}
    done = subprocess.run(
        [*command, "--format", "json"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"]


@pytest.mark.parametrize("files", [GPU, CPU], ids=["gpu", "cpu"])
def test_the_files_parse_without_a_word(files: tuple[str, ...]):
    assert {*rendered(*files)} == {*SERVICES, "minio", "tls"}


def test_each_gpu_service_reserves_the_one_gpu_and_no_other_does():
    for name, service in rendered(*GPU, GPU="3").items():
        devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        expected = [{"driver": "nvidia", "device_ids": ["3"], "capabilities": ["gpu"]}] if name in GPU_SERVICES else []
        assert devices == expected, name


def test_without_a_gpu_nothing_reserves_one():
    assert not [name for name, service in rendered(*CPU).items() if service.get("deploy")]


def test_only_studio_and_the_proxy_of_a_profile_have_a_port_and_studio_only_on_loopback():
    ports = {name: service["ports"] for name, service in rendered(*GPU).items() if service.get("ports")}

    assert {*ports} == {"studio", "tls"}
    assert [port["host_ip"] for port in ports["studio"]] == ["127.0.0.1"]
    assert rendered(*GPU)["tls"]["profiles"] == ["tls"]


@pytest.mark.parametrize("files", [GPU, CPU], ids=["gpu", "cpu"])
def test_every_container_is_locked(files: tuple[str, ...]):
    for name, service in rendered(*files).items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged") and service.get("pid") is None and service.get("ipc") is None, name
        assert service.get("cap_add") in (None, ["NET_BIND_SERVICE"] if name == "tls" else None), name
        assert service["logging"]["options"]["max-size"], name
        assert service["restart"] == "unless-stopped", name


@pytest.mark.parametrize("files", [GPU, CPU], ids=["gpu", "cpu"])
def test_third_party_telemetry_is_off_everywhere(files: tuple[str, ...]):
    services = rendered(*files)
    for name in SERVICES:
        environment = services[name]["environment"]
        assert {key: environment.get(key) for key in SILENCE} == SILENCE, name
    assert services["minio"]["environment"]["MINIO_UPDATE"] == "off"
    assert services["minio"]["environment"]["MINIO_CALLHOME_ENABLE"] == "off"


def test_no_secret_is_a_variable():
    for name, service in rendered(*GPU).items():
        for variable, value in service.get("environment", {}).items():
            is_path = str(value).startswith("/run/secrets/")
            assert is_path or not re.search(r"TOKEN|SECRET|PASSWORD|ACCESS_KEY", variable), (name, variable)


def test_a_service_gets_only_the_secrets_it_needs():
    given = {name: {one["target"] for one in service.get("secrets", [])} for name, service in rendered(*GPU).items()}

    assert "/run/secrets/admin_token" in given["studio"] and "/run/secrets/hf_token" not in given["studio"]
    for name in ("ingest", *GPU_SERVICES):
        assert not {one for one in given[name] if "admin" in one or "service_token" in one}, name


def test_an_image_for_the_cpu_is_never_taken_for_one_with_cuda():
    for name in SERVICES:
        assert rendered(*CPU)[name]["image"] == f"{rendered(*GPU)[name]['image']}-cpu"


def test_the_trainer_can_compile_triton_kernels_and_engines_cache_them_where_programs_may_lie():
    trainer = (ROOT / "services" / "trainer" / "Dockerfile").read_text().rsplit("FROM ", 1)[1]
    assert {"gcc", "libc6-dev", "python3-dev"} <= set(trainer.split())
    for name in ("trainer", "inference"):
        text = (ROOT / "services" / name / "Dockerfile").read_text()
        assert "TRITON_CACHE_DIR=/state/" in text and "TORCHINDUCTOR_CACHE_DIR=/state/" in text


def test_every_image_is_pinned_by_digest_or_is_ours():
    for name, service in rendered(*GPU, IMAGE_PREFIX="team/diary", VERSION="9.9").items():
        expected = rf"team/diary/{name}:9\.9" if name in SERVICES else r".+@sha256:[0-9a-f]{64}"
        assert re.fullmatch(expected, service["image"]), (name, service["image"])


@pytest.mark.parametrize("files", [GPU, CPU], ids=["gpu", "cpu"])
def test_every_base_image_is_pinned_by_digest(files: tuple[str, ...]):
    for name in SERVICES:
        base = rendered(*files)[name]["build"]["args"]["BASE_IMAGE"]
        assert re.fullmatch(r".+@sha256:[0-9a-f]{64}", base), (name, base)


def test_all_images_but_inference_share_one_base_and_the_dockerfiles_agree():
    for name in SERVICES:
        base = rendered(*GPU)[name]["build"]["args"]["BASE_IMAGE"]
        assert f"ARG BASE_IMAGE={base}\n" in (ROOT / "services" / name / "Dockerfile").read_text()
    bases = {rendered(*GPU)[name]["build"]["args"]["BASE_IMAGE"] for name in SERVICES if name != "inference"}
    assert len(bases) == 1


def test_everything_starts_in_the_order_of_health_and_nothing_runs_once():
    services = rendered(*GPU)
    for name in SERVICES:
        conditions = {other: about["condition"] for other, about in services[name]["depends_on"].items()}
        assert conditions.pop("minio") == "service_healthy", name
        assert set(conditions.values()) <= {"service_started"}, name
    assert {*services["studio"]["depends_on"]} == {"minio", *SERVICES} - {"studio"}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_ends_as_the_one_user_with_a_health_check(path: Path):
    last = path.read_text().rsplit("FROM ", 1)[1]

    assert re.findall(r"^USER (.+)$", last, re.MULTILINE)[-1] == "2000:0"
    assert "HEALTHCHECK" in last and "org.opencontainers.image.version" in last
    assert not re.search(r"RUN --mount|COPY --(link|chmod)|<<|^# syntax", path.read_text(), re.MULTILINE)


def test_there_is_one_image_per_service():
    assert [path.parent.name for path in DOCKERFILES] == sorted(SERVICES)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_hadolint_has_nothing_to_say(path: Path):
    done = subprocess.run(
        [str(TOOLS / "hadolint"), "--config", ".ci/hadolint.yaml", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_compose_lint_has_nothing_to_say():
    arguments = ["check", "--strict-config", "--fail-on", "low", "--config", ".ci/compose-lint.yml", "compose.yaml"]
    done = subprocess.run(
        [str(TOOLS / "compose-lint"), *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
