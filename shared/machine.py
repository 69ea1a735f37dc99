"""What this machine has: GPUs, disks, memory, programs. The one place that asks for it; nothing is judged here.

Only the standard library: `python3 -m services.studio.machine.host` uses it before anything is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

COMMAND_TIMEOUT_S = 20.0  # without persistence mode, the first nvidia-smi wakes every GPU up
GPU_QUERY = ("nvidia-smi", "--query-gpu=name,compute_cap,driver_version,memory.total", "--format=csv,noheader")
DOCKER_FORMAT = "{{.ServerVersion}}|{{.DockerRootDir}}|{{range $name, $_ := .Runtimes}}{{$name}} {{end}}"
GPU_NODES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))  # of Linux's driver, and of Windows' inside WSL
_NUMBERS = re.compile(r"\d+(?:[._-]\d+)*")

Version = tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """What a command said; status None: there is no such program, or it hung."""

    status: int | None
    text: str


@dataclass(frozen=True)
class Gpu:
    """One line of nvidia-smi.

    capability    (8, 9) for compute capability 8.9
    memory_mib    None where the GPU shares the machine's memory, or does not say
    """

    name: str
    capability: Version
    driver: str
    memory_mib: int | None


@dataclass(frozen=True)
class Gpus:
    """All GPUs, or what is wrong with asking for them; neither: no GPU here."""

    found: tuple[Gpu, ...] = ()
    trouble: str = ""


@dataclass(frozen=True)
class Disk:
    """The disk that a folder is on, or will be on."""

    device: int
    free_bytes: int


@dataclass(frozen=True)
class Docker:
    """A Docker engine and what belongs to it; None: not there, or not for this user."""

    engine: str | None
    compose: str | None
    root: Path | None
    runtimes: tuple[str, ...]
    toolkit: str | None
    trouble: str = ""


def run(command: Sequence[str]) -> Answer:
    """Run a short command without a shell; its output and its complaints as one text."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=COMMAND_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        return Answer(None, "")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Answer(None, f"{command[0]}: {error}")
    return Answer(done.returncode, (done.stdout + done.stderr).strip())


def numbers(text: str) -> Version:
    """The first version in a text: `v22.21.0` is (22, 21, 0); empty if there is none."""
    match = _NUMBERS.search(text)
    return tuple(int(part) for part in re.split(r"[._-]", match.group())) if match else ()


def dotted(version: Version) -> str:
    return ".".join(map(str, version))


# ---- GPUs ----------------------------------------------------------------------------------------------------------


def gpus() -> Gpus:
    """The GPUs that this machine, or this container, shows."""
    found = read_gpus(run(GPU_QUERY))
    if found == Gpus() and any(node.exists() for node in GPU_NODES):
        return Gpus(trouble="nothing: there is a GPU's device node but no nvidia-smi")
    return found


def read_gpus(answer: Answer) -> Gpus:
    """Make sense of nvidia-smi: CSV lines when all is well, else a sentence."""
    if answer.status is None:
        return Gpus(trouble=answer.text)
    if answer.status == 0:
        rows = [[field.strip() for field in line.split(",")] for line in answer.text.splitlines()]
        rows = [row for row in rows if len(row) == 4]
        if rows:
            return Gpus(tuple(Gpu(name, numbers(cap), driver, _mib(memory)) for name, cap, driver, memory in rows))
    lines = answer.text.splitlines()
    return Gpus(trouble=lines[0] if lines else f"nvidia-smi ended with status {answer.status}")


def _mib(text: str) -> int | None:
    found = numbers(text)
    return found[0] if found else None


# ---- disks and memory ----------------------------------------------------------------------------------------------


def disk(folder: Path) -> Disk:
    """The disk of a folder, or of its nearest parent that exists."""
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return Disk(existing.stat().st_dev, shutil.disk_usage(existing).free)


def disks(folders: Iterable[Path]) -> dict[Path, Disk]:
    return {folder: disk(folder) for folder in folders}


def memory_bytes() -> int:
    """Memory of the machine, also inside a container that may use less."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# ---- programs and packages -----------------------------------------------------------------------------------------


HERE = Path(sys.prefix)  # the Python environment that runs this


def program(name: str, environment: Path = HERE) -> str | None:
    """Path of a program: in a Python environment (where pip puts programs), else on PATH."""
    return shutil.which(name, path=str(environment / "bin")) or shutil.which(name)


def package_version(package: str, environment: Path = HERE) -> str | None:
    """Version of a package in a Python environment."""
    folders = [str(folder) for folder in environment.glob("lib/python3*/site-packages")]
    return next((found.version for found in distributions(name=package, path=folders)), None)


def packaged_ffmpeg(environment: Path = HERE) -> str | None:
    """The ffmpeg inside the package imageio-ffmpeg, found without importing it."""
    found = environment.glob("lib/python3*/site-packages/imageio_ffmpeg/binaries/ffmpeg-*")
    return next((str(file) for file in found), None)


def docker() -> Docker:
    """The Docker engine of this machine, as far as this user may ask."""
    toolkit = run(("nvidia-ctk", "--version"))
    compose = run(("docker", "compose", "version", "--short"))
    asked = run(("docker", "info", "--format", DOCKER_FORMAT))
    return read_docker(asked, compose, toolkit)


def read_docker(asked: Answer, compose: Answer, toolkit: Answer) -> Docker:
    """Make sense of `docker info` (engine|root|runtimes), `docker compose version` and `nvidia-ctk --version`."""
    lines = asked.text.splitlines()
    fields = lines[0].split("|") if asked.status == 0 and lines else []
    engine, root, runtimes = fields if len(fields) == 3 and fields[0] else ("", "", "")
    return Docker(
        engine=engine or None,
        compose=compose.text if compose.status == 0 else None,
        root=Path(root) if root else None,
        runtimes=tuple(runtimes.split()),
        toolkit=toolkit.text.splitlines()[0] if toolkit.status == 0 and toolkit.text else None,
        trouble="" if engine or not lines else lines[-1],
    )
