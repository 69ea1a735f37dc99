"""What the product needs of a machine, and judgements of what a machine has: tables of minimum values, pure functions.

Every finding says what was looked at, whether it will do, and if not, what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from shared.machine import Disk, Docker, Gpu, Gpus, Version, numbers

if TYPE_CHECKING:
    from shared.models import HubModel

GB = 10**9


@dataclass(frozen=True)
class Finding:
    """What was looked at, and what to do if it is not ok.

    service   whose finding it is; empty for the machine's
    stops     nothing that was asked for can work: the service refuses to start
    """

    what: str
    ok: bool
    detail: str
    service: str = ""
    stops: bool = False


# ---- GPUs ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cuda:
    """A CUDA release inside an image. Drivers (Linux) as in NVIDIA's table.

    made_for   the driver that was released with it
    least      the first driver of its "minor version compatibility": fewer features, and NVIDIA's container toolkit
               starts such an image on some data centre cards only
    source     CUDA Toolkit release notes, "CUDA Toolkit and Corresponding Driver Versions"; and the page
               "Minor Version Compatibility" of NVIDIA's CUDA compatibility guide
    """

    version: str
    made_for: Version
    least: Version


CUDA_12_8 = Cuda("12.8", (570, 26), (525, 60, 13))
CUDA_13_0 = Cuda("13.0", (580, 65, 6), (580,))
CUDA_OF = {  # CTranslate2 and torch 2.8; torch 2.13; vLLM's image (CUDA 13 by default since 0.20)
    "transcription": CUDA_12_8,
    "trainer": CUDA_13_0,
    "inference": CUDA_13_0,
}
TESTED_CAPABILITY = (8, 0)  # bfloat16 and FlashAttention begin here
LEAST_CAPABILITY = (7, 5)  # CUDA 13 and the CUDA 12.8 builds of torch have no code for older GPUs
HOPELESS = ("compute_cap", "communicate with the NVIDIA driver", "No devices were found", "version mismatch")
PLANNED_GPU_MIB = 22 * 1024  # cards sold as 24 GB; an estimate for the default 7B model, 16 bit, LoRA


def judge_gpus(gpus: Gpus, services: Sequence[str], *, demanded: bool = False) -> list[Finding]:
    """Whether these services can use this machine's GPUs.

    services   of CUDA_OF: each image brings a CUDA of its own
    demanded   the settings leave no choice but a GPU: one that surely cannot work stops the service
    """
    if gpus.trouble:
        hopeless = any(text in gpus.trouble for text in HOPELESS)
        return [Finding("GPU", False, _trouble(gpus.trouble), stops=demanded and hopeless)]
    if not gpus.found:
        if not demanded:
            return [Finding("GPU", True, "no GPU seen: small models on the CPU")]
        advice = "install NVIDIA's driver and container toolkit, or start without a GPU (compose.cpu.yaml)"
        return [Finding("GPU", False, f"the settings demand a GPU, and none is seen; {advice}", stops=True)]
    unfit = all(_too_old(gpu) for gpu in gpus.found)
    return [
        *(Finding(f"GPU {number}", *_card(gpu), stops=demanded and unfit) for number, gpu in enumerate(gpus.found)),
        *(_driver(gpus.found[0].driver, service, demanded) for service in services),
    ]


def _trouble(text: str) -> str:
    if "compute_cap" in text:
        return f"the driver is older than every image needs; install {_dotted(CUDA_13_0.made_for)} or newer"
    return (
        f"nvidia-smi says: {text.rstrip('. ')}. Install or repair NVIDIA's driver and restart the machine; "
        "in a container, look at NVIDIA's container toolkit too"
    )


def _too_old(gpu: Gpu) -> bool:
    return bool(gpu.capability) and gpu.capability < LEAST_CAPABILITY


def _card(gpu: Gpu) -> tuple[bool, str]:
    """Compute capability first, then memory."""
    memory = "memory unknown" if gpu.memory_mib is None else f"{gpu.memory_mib / 1024:.0f} GiB"
    about = f"{gpu.name}, {memory}, compute capability {_dotted(gpu.capability) or 'unknown'}"
    if _too_old(gpu):
        return False, f"{about}: too old for these images (8.0 is needed); use another GPU, or none (compose.cpu.yaml)"
    if gpu.capability < TESTED_CAPABILITY:
        return False, f"{about}: untested, 8.0 is needed for bfloat16; it may be slow or fail"
    if gpu.memory_mib is not None and gpu.memory_mib < PLANNED_GPU_MIB:
        return False, f"{about}: the default 7B model is planned for 24 GB (estimate); set BASE_MODEL to a smaller one"
    return True, about


def _driver(driver: str, service: str, demanded: bool) -> Finding:
    cuda, version = CUDA_OF[service], numbers(driver)
    what, table = f"GPU driver for {service}", "from NVIDIA's table"
    if version and version < cuda.least:
        needed = f"{driver} is too old for CUDA {cuda.version}: install {_dotted(cuda.made_for)} or newer ({table})"
        return Finding(what, False, needed, stops=demanded)
    if version < cuda.made_for:
        detail = (
            f"{driver} is older than CUDA {cuda.version}: untested; {_dotted(cuda.made_for)} or newer is safe ({table})"
        )
        return Finding(what, False, detail)
    return Finding(what, True, f"{driver}; CUDA {cuda.version} needs {_dotted(cuda.made_for)} ({table})")


def _dotted(version: Version) -> str:
    return ".".join(
        f"{part:02d}" if place == 2 and len(version) == 3 else str(part) for place, part in enumerate(version)
    )


# ---- disks, memory, models -----------------------------------------------------------------------------------------

IMAGES_GB = 50  # all images unpacked, for a GPU; half of it is vLLM's: estimate
OBJECTS_GB = 20  # a show of some hundred hours as original audio and working copies: estimate
CPU_IMAGES_GB = 20  # all images without a GPU: estimate
LOCAL_GB = 10  # environments, small models and the demo, without Docker
MODELS_GB = 17  # all models of the GPU profile, for those who cannot read the catalogue
STATE_GB = {"studio": 1, "ingest": 10, "transcription": 5, "trainer": 10, "inference": 2}  # work files: estimates
MEMORY_GB = 8  # all services with the small models: estimate


@dataclass(frozen=True)
class Need:
    """Bytes that will be written below a folder."""

    folder: Path
    bytes: int
    why: str


def judge_disks(needs: Sequence[Need], disks: Mapping[Path, Disk]) -> list[Finding]:
    """One finding per disk: whether it holds all that will be written to it.

    disks   of each need's folder
    """
    per_device: dict[int, list[Need]] = {}
    for need in needs:
        per_device.setdefault(disks[need.folder].device, []).append(need)
    return [_disk(needs_here, disks[needs_here[0].folder].free_bytes) for needs_here in per_device.values()]


def _disk(needs: Sequence[Need], free_bytes: int) -> Finding:
    needed = sum(need.bytes for need in needs)
    parts = ", ".join(f"{need.why} {_gb(need.bytes)}" for need in needs if need.bytes)
    folders = " and ".join(dict.fromkeys(str(need.folder) for need in needs))
    ok = free_bytes >= needed
    detail = f"{_gb(free_bytes)} free; about {_gb(needed)} wanted: {parts}"
    return Finding(f"disk of {folders}", ok, detail + ("" if ok else "; free some, or use a larger disk"))


def judge_memory(memory_bytes: int) -> Finding:
    ok = memory_bytes >= MEMORY_GB * GB * 0.9  # a machine sold with 8 GB shows a little less
    advice = "" if ok else f"; {MEMORY_GB} GB are planned for: give Docker, or the machine, more"
    return Finding("memory", ok, _gb(memory_bytes) + advice)


def judge_models(
    models: Sequence[HubModel], present: Sequence[HubModel], *, token: bool, offline: bool
) -> list[Finding]:
    """What will be downloaded, and whether its owner's conditions stand in the way.

    models    that the settings name
    present   those of them that are here already
    token     a Hugging Face token is at hand
    offline   downloads are switched off
    """
    return [_model(model, model in present, token, offline) for model in models]


def _model(model: HubModel, here: bool, token: bool, offline: bool) -> Finding:
    what = f"model {model.name}"
    if here:
        return Finding(what, True, "is here")
    size = f"size unknown, see {model.page}" if model.size_bytes is None else _gb(model.size_bytes)
    about = f"{model.purpose}, {size}, licence {model.licence}"
    if offline:
        return Finding(what, False, f"{about}: missing, and HF_HUB_OFFLINE is set; run `make models` first")
    if model.gated and not token:
        advice = f"accept its conditions at {model.gated}, then put a token of yours into secrets/hf_token"
        return Finding(what, False, f"{about}: gated; {advice}")
    if model.gated:
        return Finding(what, True, f"{about}: will be downloaded, if the token's owner accepted {model.gated}")
    return Finding(what, True, f"{about}: will be downloaded")


def _gb(count: float) -> str:
    return f"{count / GB:.0f} GB" if count >= 10 * GB else f"{count / GB:.1f} GB"


# ---- what fetches recordings ---------------------------------------------------------------------------------------

YT_DLP_OLD_DAYS = 60  # sites change; yt-dlp itself calls 90 days outdated


@dataclass(frozen=True)
class Runtime:
    """A JavaScript runtime that yt-dlp can use, best first; source: yt_dlp/utils/_jsruntime.py of 2026.8.19."""

    name: str
    command: tuple[str, str]
    least: Version


RUNTIMES = (
    Runtime("deno", ("deno", "--version"), (2, 3, 0)),
    Runtime("node", ("node", "--version"), (22,)),
    Runtime("quickjs", ("qjs", "--help"), (2023, 12, 9)),
    Runtime("bun", ("bun", "--version"), (1, 2, 11)),
)
ENABLED_RUNTIMES = ("deno",)  # yt-dlp as a library uses no other unless told: others do not shut the site's code in


def judge_yt_dlp(version: str | None, today: date) -> Finding:
    """Its version is a date; an old one breaks as sites change."""
    if version is None:
        return Finding("yt-dlp", False, "is missing; run `make install`, or use the ingest image")
    days = (today - date(*numbers(version)[:3])).days
    if days <= YT_DLP_OLD_DAYS:
        return Finding("yt-dlp", True, version)
    advice = "take a newer release, or `make lock UPGRADE=1` and install or build ingest again"
    return Finding("yt-dlp", False, f"{version} is {days} days old and sites have changed since; {advice}")


def judge_javascript(answers: Mapping[str, str]) -> Finding:
    """Whether yt-dlp has a JavaScript runtime, which YouTube asks for.

    answers   what each runtime that is here said about its version, by name
    """
    here = {runtime: numbers(answers[runtime.name]) for runtime in RUNTIMES if runtime.name in answers}
    fit = [
        runtime
        for runtime, version in here.items()
        if version >= runtime.least or "QuickJS-ng" in answers[runtime.name]
    ]
    for runtime in fit:
        if runtime.name in ENABLED_RUNTIMES:
            detail = f"{runtime.name} {_plain(here[runtime])}; {_plain(runtime.least)} or newer is needed"
            return Finding("JavaScript for yt-dlp", True, detail)
    found = ", ".join(f"{runtime.name} {_plain(version)}" for runtime, version in here.items()) or "nothing"
    wanted = " or ".join(
        f"{runtime.name} {_plain(runtime.least)}" for runtime in RUNTIMES if runtime.name in ENABLED_RUNTIMES
    )
    advice = f"found {found}; install {wanted} or newer, or YouTube will give little or nothing"
    return Finding("JavaScript for yt-dlp", False, advice)


def _plain(version: Version) -> str:
    return ".".join(map(str, version))


def judge_ffmpeg(path: str | None) -> Finding:
    if path is None:
        return Finding("ffmpeg", False, "is missing; install it, or set INGEST_FFMPEG to its path")
    return Finding("ffmpeg", True, path)


# ---- Docker --------------------------------------------------------------------------------------------------------

LEAST_ENGINE = (20, 10)
LEAST_COMPOSE = (2, 24, 4)  # !reset and !override in compose.cpu.yaml


def judge_docker(docker: Docker, *, gpu: bool) -> list[Finding]:
    """The engine, Compose, and the toolkit that lets containers see a GPU.

    gpu   this machine has one
    """
    if docker.engine is None:
        why = docker.trouble or "there is none here; `make up` runs without it"
        return [Finding("Docker", not docker.trouble, why)]
    found = [
        _at_least("Docker", docker.engine, LEAST_ENGINE, "upgrade it"),
        _at_least("Docker Compose", docker.compose or "", LEAST_COMPOSE, "install the plugin docker-compose-v2"),
    ]
    return [*found, _toolkit(docker)] if gpu else found


def _at_least(what: str, version: str, least: Version, advice: str) -> Finding:
    ok = numbers(version) >= least
    detail = version if ok else f"{version or 'missing'}; {_plain(least)} or newer is needed: {advice}"
    return Finding(what, ok, detail)


def _toolkit(docker: Docker) -> Finding:
    what = "NVIDIA container toolkit"
    if "nvidia" in docker.runtimes or docker.toolkit:
        return Finding(what, True, docker.toolkit or "Docker knows the nvidia runtime")
    advice = "install nvidia-container-toolkit, then `sudo nvidia-ctk runtime configure --runtime=docker`"
    return Finding(what, False, f"is missing, so containers see no GPU; {advice} and restart Docker")
