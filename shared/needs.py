"""What the product needs of a machine, and judgements of what a machine has: tables of minimum values, pure functions.

Every finding says what was looked at, whether it will do, and if not, what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from shared.machine import Disk, Gpu, Gpus, Version, dotted, numbers

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

DRIVER: Version = (580,)  # CUDA 13 of the trainer's torch and of vLLM, so the whole stack; NVIDIA's CUDA release notes
USELESS_DRIVER: dict[str, Version] = {"transcription": (525, 60, 13)}  # older ones cannot run its CUDA 12.8 at all
TESTED_CAPABILITY = (8, 0)  # bfloat16 and FlashAttention begin here
LEAST_CAPABILITY = (7, 5)  # CUDA 13 and the CUDA 12.8 builds of torch have no code for older GPUs
HOPELESS = ("compute_cap", "communicate with the NVIDIA driver", "No devices were found", "version mismatch")
PLANNED_GPU_MIB = 22 * 1024  # cards sold as 24 GB; an estimate for the default 7B model, 16 bit, LoRA


def judge_gpus(gpus: Gpus, service: str = "", *, demanded: bool = False) -> list[Finding]:
    """Whether a service, or the whole stack, can use this machine's GPUs.

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
        _driver(gpus.found[0].driver, service, demanded),
    ]


def _trouble(text: str) -> str:
    if "compute_cap" in text:
        return f"the driver is too old; install {dotted(DRIVER)} or newer"
    return (
        f"nvidia-smi says: {text.rstrip('. ')}. Install or repair NVIDIA's driver and restart the machine; "
        "in a container, look at NVIDIA's container toolkit too"
    )


def _too_old(gpu: Gpu) -> bool:
    return bool(gpu.capability) and gpu.capability < LEAST_CAPABILITY


def _card(gpu: Gpu) -> tuple[bool, str]:
    """Compute capability first, then memory."""
    memory = "memory unknown" if gpu.memory_mib is None else f"{gpu.memory_mib / 1024:.0f} GiB"
    about = f"{gpu.name}, {memory}, compute capability {dotted(gpu.capability) or 'unknown'}"
    if _too_old(gpu):
        return False, f"{about}: too old for these images (8.0 is needed); use another GPU, or none (compose.cpu.yaml)"
    if gpu.capability < TESTED_CAPABILITY:
        return False, f"{about}: untested, 8.0 is needed for bfloat16; it may be slow or fail"
    if gpu.memory_mib is not None and gpu.memory_mib < PLANNED_GPU_MIB:
        return False, f"{about}: the default 7B model is planned for 24 GB (estimate); set BASE_MODEL to a smaller one"
    return True, about


def _driver(driver: str, service: str, demanded: bool) -> Finding:
    version, wanted = numbers(driver), f"{dotted(DRIVER)} or newer"
    if version >= DRIVER:
        return Finding("GPU driver", True, f"{driver}; {wanted} is needed")
    useless = bool(version) and version < USELESS_DRIVER.get(service, DRIVER)
    seen = f"{driver} is too old" if version else "its version is unknown"
    return Finding("GPU driver", False, f"{seen}; install {wanted}", stops=demanded and useless)


# ---- disks ---------------------------------------------------------------------------------------------------------

STATE_GB = {"studio": 1, "ingest": 10, "transcription": 5, "trainer": 10, "inference": 2}  # work files: estimates


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
    parts = ", ".join(f"{need.why} {in_gb(need.bytes)}" for need in needs if need.bytes)
    folders = " and ".join(dict.fromkeys(str(need.folder) for need in needs))
    ok = free_bytes >= needed
    detail = f"{in_gb(free_bytes)} free; about {in_gb(needed)} wanted: {parts}"
    return Finding(f"disk of {folders}", ok, detail + ("" if ok else "; free some, or use a larger disk"))


def in_gb(count: float) -> str:
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
    advice = "run `make update-ytdlp`, or take a newer release"
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
            detail = f"{runtime.name} {dotted(here[runtime])}; {dotted(runtime.least)} or newer is needed"
            return Finding("JavaScript for yt-dlp", True, detail)
    found = ", ".join(f"{runtime.name} {dotted(version)}" for runtime, version in here.items()) or "nothing"
    wanted = " or ".join(
        f"{runtime.name} {dotted(runtime.least)}" for runtime in RUNTIMES if runtime.name in ENABLED_RUNTIMES
    )
    advice = f"found {found}; install {wanted} or newer, or YouTube will give little or nothing"
    return Finding("JavaScript for yt-dlp", False, advice)


def judge_ffmpeg(path: str | None) -> Finding:
    if path is None:
        return Finding("ffmpeg", False, "is missing; install it, or set INGEST_FFMPEG to its path")
    return Finding("ffmpeg", True, path)
