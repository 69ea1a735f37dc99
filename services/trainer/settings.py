"""What an operator may set: each field is one TRAINER_* environment variable."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.models import base_folder
from shared.settings import ServiceSettings


def own_rank() -> int:
    """Which of several training processes this is, as accelerate's launcher tells it; 0 of one."""
    return int(os.environ.get("RANK", "0"))


class Settings(ServiceSettings):
    """The defaults are the offline profile: a small real model on two CPU cores.

    On a GPU host set base_model, such as `mistralai/Mistral-7B-Instruct-v0.3@<commit>`.
    """

    model_config = SettingsConfigDict(env_prefix="TRAINER_", frozen=True)

    base_model: str = Field(
        default="",
        description="hub model as owner/name@commit, or a folder; empty: the small packaged one, unpacked at the start",
    )
    engine_command: str = Field(default="", description="program of the training engine; this Python if empty")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where to train; auto takes a GPU if any"
    )
    cpu_last_layers: int = Field(
        default=10, ge=1, description="layers adapted on a CPU when a request does not say; on a GPU it is all of them"
    )
    stop_grace_s: float = Field(
        default=90.0,
        ge=0,
        description="seconds that a stop waits for a running training's checkpoint, less than the 2 minutes of the "
        "containers; 0: stop at once",
    )
    pod_template: str = Field(
        default="",
        description="PodTemplate in the trainer's namespace of Kubernetes: each training runs in a pod of it; empty: "
        "training runs in this service",
    )
    pod_gpus: int = Field(default=1, ge=0, description="GPUs of a pod of that template; 0: it trains on its CPU")
    pod_gpu_memory_gb: float = Field(
        default=24.0, gt=0, description="GB (10^9 bytes) of each of its GPUs; of the whole pod where it has none"
    )

    @property
    def base_folder(self) -> Path:
        return base_folder(self.base_model, self.models_dir)

    @property
    def engine_log(self) -> Path:
        return self.log_dir / "trainer-engine.log"


class PodSettings(Settings):
    """What the program of a training pod (services/trainer/pod.py) is told besides."""

    order: str = Field(description="what to train, a PodOrder as JSON; the trainer sets it")
    termination_log: Path = Field(
        default=Path("/dev/termination-log"), description="file that Kubernetes reads when the pod's program has ended"
    )
