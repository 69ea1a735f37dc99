"""`diary doctor`: what this machine, or a whole stack, has and lacks; each finding with what to do about it."""

from __future__ import annotations

import sys

import httpx

from services.studio.machine import host
from services.studio.machine.local import SERVICES, Stack
from services.studio.machine.processes import demand_free_port
from shared import machine, preflight
from shared.client import ServiceClient
from shared.errors import ConflictError
from shared.models import catalogue
from shared.needs import GB, Finding, Need

PYTHONS = ((3, 11), (3, 12))
LOCAL_GB = 10  # environments, small models and the demo, without Docker


def ask(client: ServiceClient) -> list[Finding]:
    """What all services of a running stack say of their machines, through studio."""
    return [Finding(**found) for found in client.call("GET", "/v1/preflight").json()]


def examine(stack: Stack) -> list[Finding]:
    """This machine, for a local stack."""
    needs = [Need(stack.home, LOCAL_GB * GB, "environments, small models and the demo")]
    return [python(), *host.examine(needs), *models(), *fetching(stack), *environments(stack), *services(stack)]


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info[:2] in PYTHONS
    return Finding("python", ok, version if ok else f"{version}; install Python 3.11 or 3.12 and run `make install`")


def models() -> list[Finding]:
    """Those of the GPU profile, where there is a GPU; the small ones are inside the environments."""
    return preflight.hub_models(catalogue()) if machine.gpus().found else []


def fetching(stack: Stack) -> list[Finding]:
    """yt-dlp and its programs, as ingest's environment has them."""
    interpreter = stack.python_of("ingest")
    return preflight.fetching(environment=interpreter.parents[1]) if interpreter.exists() else []


def environments(stack: Stack) -> list[Finding]:
    found = []
    for name in (*SERVICES, "engine-cpu", "speech"):
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
