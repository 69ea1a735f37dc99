"""What an operator may set: each field is one INFERENCE_* environment variable."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from services.inference.lengths import Limits
from shared.models import base_folder
from shared.settings import ServiceSettings

CPU_ENGINE = (
    ".venvs/engine-cpu/bin/python -m vllm.entrypoints.openai.api_server --model {model} --dtype float32 --enforce-eager"
    " --block-size 32"  # turns are short: of the usual 128 tokens, a prompt would be read again up to the last 127
)

VOICES = ".venvs/speech/bin/python -m services.inference.speech_engine"


class Settings(ServiceSettings):
    """The defaults are the offline profile: a small real model on two CPU cores.

    On a GPU host set at least base_model, engine_command (`vllm serve {model} --gpu-memory-utilization 0.9`),
    engine_environment, max_model_len, and longer turns.
    """

    model_config = SettingsConfigDict(env_prefix="INFERENCE_", frozen=True)

    base_model: str = Field(
        default="", description="hub model as owner/name@commit, or a folder; empty: the small one of the trainer"
    )
    engine_command: str = Field(
        default=CPU_ENGINE, description="program that serves {model}; we add address and limits"
    )
    engine_environment: dict[str, str] = Field(
        default={"VLLM_TARGET_DEVICE": "cpu", "VLLM_CPU_KVCACHE_SPACE": "1", "TORCHDYNAMO_DISABLE": "1"},
        description="variables of the engine's process (JSON)",
    )
    vllm_url: str | None = Field(
        default=None,
        description="a vLLM fleet to use instead of an engine of our own; each server by its own address, separated by "
        "spaces: an episode stays on one",
    )
    vllm_key: SecretStr | None = Field(default=None, description="bearer key of that fleet")
    adapter_dir: Path = Field(
        default=Path(".run/adapters"), description="adapters fetched for the engine; it reads them"
    )
    max_model_len: int = Field(default=2048, ge=256, description="tokens of prompt and turn together")
    max_lora_rank: int = Field(default=16, ge=1, description="highest rank of an adapter; a rank that vLLM supports")
    max_loras: int = Field(default=2, ge=1, description="adapters in the engine's memory at once")
    concurrency: int = Field(
        default=4, ge=1, le=64, description="jobs at once: the engine says the turns of several episodes in one batch"
    )
    ready_timeout_s: float = Field(default=600.0, gt=0, description="an engine that is not ready by then has failed")
    request_timeout_s: float = Field(default=600.0, gt=0, description="a turn that takes longer has failed")

    host_min_tokens: int = Field(default=6, ge=1, description="shortest turn of the host")
    host_max_tokens: int = Field(default=60, ge=8, description="longest turn of the host; 300 on a GPU")
    guest_min_tokens: int = Field(default=12, ge=1, description="shortest turn of the guest")
    guest_max_tokens: int = Field(default=80, ge=16, description="longest turn of the guest; 600 on a GPU")
    attempts: int = Field(default=5, ge=1, le=20, description="times a turn is asked for before the best one is kept")
    top_p: float = Field(default=0.95, gt=0, le=1, description="nucleus sampling")
    scoring_tokens: int = Field(
        default=2000,
        ge=0,
        description="tokens read again for the report's perplexities and for answers in host turns; 0: not asked for",
    )

    speech_command: str = Field(
        default=VOICES, description="program that speaks episodes, on the CPU; see services/inference/speech_engine.py"
    )
    speech_host_voice: str = Field(default="heart", description="stock voice of the host")
    speech_guest_voice: str = Field(
        default="heart-low", description="stock voice of the guest, another than the host's"
    )
    speech_notice_voice: str = Field(default="heart", description="stock voice that says what the episode is")

    @model_validator(mode="after")
    def _two_voices(self) -> Settings:
        if self.speech_host_voice == self.speech_guest_voice:
            raise ValueError("host and guest would have one voice: set INFERENCE_SPEECH_GUEST_VOICE to another one")
        return self

    @model_validator(mode="after")
    def _each_server_by_its_address(self) -> Settings:
        for url in self.vllm_urls:
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
                raise ValueError(f"INFERENCE_VLLM_URL: {url!r} is not a URL; write it like http://vllm-0.vllm:8000")
        return self

    @property
    def vllm_urls(self) -> tuple[str, ...]:
        """The servers of the fleet; none where the engine is our own."""
        return tuple(dict.fromkeys(url.rstrip("/") for url in (self.vllm_url or "").split()))

    @property
    def base_folder(self) -> Path:
        return base_folder(self.base_model, self.models_dir)

    @property
    def host(self) -> Limits:
        return Limits(self.host_min_tokens, self.host_max_tokens)

    @property
    def guest(self) -> Limits:
        return Limits(self.guest_min_tokens, self.guest_max_tokens)

    @property
    def speech_voices(self) -> dict[str, str]:
        return {
            "notice": self.speech_notice_voice,
            "host": self.speech_host_voice,
            "guest": self.speech_guest_voice,
        }

    @property
    def on_cpu(self) -> bool:
        """Whether an engine of ours is vLLM's build for CPUs."""
        return self.engine_environment.get("VLLM_TARGET_DEVICE") == "cpu"

    def speech_environment(self) -> dict[str, Any]:
        """Variables of the process that speaks: none of vLLM's."""
        return super().child_environment()

    def child_environment(self) -> dict[str, Any]:
        return {
            **super().child_environment(),
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
            "VLLM_DO_NOT_TRACK": "1",
            "PYTHONDONTWRITEBYTECODE": "",  # three processes import the same libraries: compile them once
            "VLLM_CPU_OMP_THREADS_BIND": str(max(os.sched_getaffinity(0))),
            **self.engine_environment,
        }
