"""Making sense of what nvidia-smi and Docker answer, and asking this machine for real."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shared import machine
from shared.machine import Answer, Docker, Gpu, Gpus
from shared.space import GB

NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running."
)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            Answer(0, "NVIDIA H100 80GB HBM3, 9.0, 580.95.05, 81559 MiB"),
            Gpus((Gpu("NVIDIA H100 80GB HBM3", (9, 0), "580.95.05", 81559),)),
        ),
        (
            Answer(0, "NVIDIA RTX A6000, 8.6, 570.124.06, 49140 MiB\nTesla T4, 7.5, 570.124.06, 15360 MiB"),
            Gpus((Gpu("NVIDIA RTX A6000", (8, 6), "570.124.06", 49140), Gpu("Tesla T4", (7, 5), "570.124.06", 15360))),
        ),
        (Answer(0, "NVIDIA GB10, 12.1, 580.82.09, [N/A]"), Gpus((Gpu("NVIDIA GB10", (12, 1), "580.82.09", None),))),
        (Answer(None, ""), Gpus()),
        (Answer(0, "No devices were found"), Gpus(trouble="No devices were found")),
        (Answer(9, NO_DRIVER + "\n"), Gpus(trouble=NO_DRIVER)),
        (
            Answer(2, 'Field "compute_cap" is not a valid field to query.\n\n'),
            Gpus(trouble='Field "compute_cap" is not a valid field to query.'),
        ),
        (Answer(255, ""), Gpus(trouble="nvidia-smi ended with status 255")),
    ],
    ids=["one", "several", "shared memory", "no nvidia-smi", "no devices", "no driver", "driver of 2021", "silent"],
)
def test_nvidia_smi_is_understood(answer: Answer, expected: Gpus):
    assert machine.read_gpus(answer) == expected


def test_docker_is_understood_with_and_without_an_engine():
    compose, none = Answer(0, "2.39.1"), Answer(None, "")
    toolkit = Answer(0, "NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80")

    up = machine.read_docker(Answer(0, "28.3.2|/var/lib/docker|io.containerd.runc.v2 nvidia runc "), compose, toolkit)
    away = machine.read_docker(Answer(1, "||\nCannot connect to the Docker daemon"), compose, none)
    absent = machine.read_docker(none, none, none)

    assert up == Docker(
        "28.3.2",
        "2.39.1",
        Path("/var/lib/docker"),
        ("io.containerd.runc.v2", "nvidia", "runc"),
        "NVIDIA Container Toolkit CLI version 1.17.8",
    )
    assert (away.engine, away.root, away.trouble) == (None, None, "Cannot connect to the Docker daemon")
    assert absent == Docker(None, None, None, (), None)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v22.21.0", (22, 21, 0)),
        ("deno 2.5.4 (stable, release, x86_64-unknown-linux-gnu)", (2, 5, 4)),
        ("QuickJS version 2025-09-13", (2025, 9, 13)),
        ("2026.8.19", (2026, 8, 19)),
        ("20.10.24+dfsg1", (20, 10, 24)),
        ("[N/A]", ()),
    ],
)
def test_versions_are_read(text: str, version: tuple[int, ...]):
    assert machine.numbers(text) == version


def test_a_folder_that_is_not_there_yet_is_on_its_parents_disk(tmp_path: Path):
    later, parent = machine.disk(tmp_path / "later" / "still"), machine.disk(tmp_path)

    assert later.device == parent.device and parent.free_bytes > 0
    assert abs(later.free_bytes - parent.free_bytes) < GB, "others write to this disk too"


def test_a_hanging_or_missing_program_is_an_answer_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "COMMAND_TIMEOUT_S", 0.2)

    hanging = machine.run((sys.executable, "-c", "import time; time.sleep(20)"))

    assert hanging.status is None and "timed out" in hanging.text
    assert machine.run(("no-such-program",)) == Answer(None, "")


def test_this_environment_knows_its_own_packages_and_programs():
    assert machine.package_version("pydantic")
    assert machine.package_version("no-such-package") is None
    assert machine.program(Path(sys.executable).name)
    assert machine.memory_bytes() > 100 * 1024**2
