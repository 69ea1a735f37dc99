"""Refuse early: say that a disk is too small before an hour of work has filled it."""

from __future__ import annotations

from pathlib import Path

from shared import machine
from shared.errors import NoSpaceError

GB = 10**9
HEADROOM_BYTES = 256 * 1024**2  # logs, the job database, and whoever else writes on this disk


def demand_space(folder: Path, needed_bytes: float, what_for: str, *, setting: str) -> None:
    """Refuse work that the folder's disk has no room for.

    folder        where the bytes will go; it need not exist yet
    needed_bytes  an estimate; a little headroom is added to it
    what_for      completes "there is no room for ..."
    setting       the variable that names the folder, e.g. TRAINER_WORK_DIR
    raises        NoSpaceError with GB needed, GB free, and what to do
    """
    needed, free = needed_bytes + HEADROOM_BYTES, free_bytes(folder)
    if needed > free:
        raise NoSpaceError(
            f"there is no room for {what_for}: about {in_gb(needed)} needed, {in_gb(free)} free in {folder}. "
            f"Free space there, or point {setting} to a larger disk, and submit the job again"
        )


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder, or of the nearest parent that exists."""
    return machine.disk(folder).free_bytes


def in_gb(count: float) -> str:
    return f"{count / GB:.2f} GB" if count < 10 * GB else f"{count / GB:.0f} GB"
