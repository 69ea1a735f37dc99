"""`diary doctor`: what this machine has and lacks, each finding with what to do about it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass

import httpx

from services.studio.local import SERVICES, Stack
from services.studio.processes import demand_free_port
from shared.errors import ConflictError

NEEDED_DISK_GB = 10
PYTHONS = ((3, 11), (3, 12))


@dataclass(frozen=True)
class Finding:
    what: str
    ok: bool
    detail: str


def examine(stack: Stack) -> list[Finding]:
    return [python(), disk(stack), *environments(stack), *services(stack)]


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info[:2] in PYTHONS
    return Finding("python", ok, version if ok else f"{version}; install Python 3.11 or 3.12 and run `make install`")


def disk(stack: Stack) -> Finding:
    free_gb = shutil.disk_usage(stack.home.parent if not stack.home.exists() else stack.home).free / 1e9
    ok = free_gb >= NEEDED_DISK_GB
    detail = f"{free_gb:.0f} GB free" + ("" if ok else f"; free some: {NEEDED_DISK_GB} GB are needed")
    return Finding("disk", ok, detail)


def environments(stack: Stack) -> list[Finding]:
    found = []
    for name in (*SERVICES, "engine-cpu"):
        ok = stack.python_of(name).exists()
        found.append(Finding(f"environment {name}", ok, "installed" if ok else "missing; run `make install`"))
    return found


def services(stack: Stack) -> list[Finding]:
    return [service(stack, name) for name in ("s3", *SERVICES)]


def service(stack: Stack, name: str) -> Finding:
    """Up and healthy, or down with a free port, or down with the port taken by somebody."""
    if stack.python_of("studio").exists():
        try:
            if httpx.get(stack.program(name).health, timeout=2.0).status_code < 400:
                return Finding(name, True, f"answers at {stack.url(name)}")
        except httpx.HTTPError:
            pass
    try:
        demand_free_port(stack.port_of(name), name)
    except ConflictError as error:
        return Finding(name, False, str(error))
    return Finding(name, True, "not running; `make up` starts it")
