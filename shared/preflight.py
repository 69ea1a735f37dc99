"""What a service says about its machine when it starts, before any download; `GET /health/preflight` and `diary doctor`
ask again. Each function gathers facts (shared/machine.py) and has them judged (shared/needs.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from shared import machine, needs
from shared.errors import MachineUnfitError
from shared.models import TOKEN_ADVICE, HubModel, is_present
from shared.needs import GB, Finding, Need
from shared.settings import HubSettings, ServiceSettings

log = logging.getLogger(__name__)

Checks = Callable[[], list[Finding]]


def begin(service: str, checks: Checks) -> None:
    """Log every finding of a service that starts.

    raises   MachineUnfitError for what stops it: a GPU is demanded and none can work
    """
    found = of(service, checks)
    for finding in found:
        level = logging.ERROR if finding.stops else logging.INFO if finding.ok else logging.WARNING
        log.log(
            level, "preflight: %s: %s", finding.what, finding.detail, extra={"check": finding.what, "ok": finding.ok}
        )
    stopping = [f"{finding.what}: {finding.detail}" for finding in found if finding.stops]
    if stopping:
        raise MachineUnfitError(f"{service} cannot work on this machine. " + "; ".join(stopping))


def of(service: str, checks: Checks) -> list[Finding]:
    """The findings of a service's checks, with its name on them."""
    return [replace(finding, service=service) for finding in checks()]


def volumes(service: str, settings: ServiceSettings, models: Sequence[HubModel] = ()) -> list[Finding]:
    """Room for work files and for the models that are not here yet."""
    wanted = [Need(settings.work_dir, needs.STATE_GB[service] * GB, "work")]
    if models:
        wanted.append(models_need(HubSettings().models_dir, models))
    return needs.judge_disks(wanted, machine.disks(need.folder for need in wanted))


def models_need(folder: Path, models: Sequence[HubModel]) -> Need:
    """Bytes of models that must still be downloaded; those of unknown size count as nothing."""
    missing = [model for model in models if not is_present(folder, model)]
    return Need(folder, sum(model.size_bytes or 0 for model in missing), "models")


def gpu(service: str, device: str) -> list[Finding]:
    """Whether this service can use a GPU; nothing to say where it is told to use the CPU."""
    if device == "cpu":
        return []
    return needs.judge_gpus(machine.gpus(), service, demanded=device == "cuda")


def hub_models(models: Sequence[HubModel]) -> list[Finding]:
    """What will be downloaded and what stands in the way: a gate without a token, no network allowed."""
    hub = HubSettings()
    present = [model for model in models if is_present(hub.models_dir, model)]
    return judge_models(models, present, token=hub.token_at_hand, offline=hub.offline)


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
    size = f"size unknown, see {model.page}" if model.size_bytes is None else needs.in_gb(model.size_bytes)
    about = f"{model.purpose}, {size}, licence {model.licence}"
    if offline:
        return Finding(what, False, f"{about}: missing, and HF_HUB_OFFLINE is set; run `make models` first")
    if model.gated and not token:
        advice = f"accept its conditions at {model.gated}, then {TOKEN_ADVICE}"
        return Finding(what, False, f"{about}: gated; {advice}")
    if model.gated:
        return Finding(what, True, f"{about}: will be downloaded, if the token's owner accepted {model.gated}")
    return Finding(what, True, f"{about}: will be downloaded")


def fetching(ffmpeg: str = "", environment: Path = machine.HERE) -> list[Finding]:
    """yt-dlp, its JavaScript runtime and ffmpeg.

    ffmpeg        program named by the settings; the packaged one when empty
    environment   the Python environment to look into
    """
    today = datetime.now(UTC).date()
    found = {
        runtime.name: machine.run((path, runtime.command[1])).text
        for runtime in needs.RUNTIMES
        if (path := machine.program(runtime.command[0], environment))
    }
    return [
        needs.judge_yt_dlp(machine.package_version("yt-dlp", environment), today),
        needs.judge_javascript(found),
        needs.judge_ffmpeg(machine.program(ffmpeg) if ffmpeg else machine.packaged_ffmpeg(environment)),
    ]
