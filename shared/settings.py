"""Fields that all services share. A service's own class adds its knobs and sets the prefix of their variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

SILENCE = {  # no library of ours tells anybody what this machine does
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "DENO_NO_UPDATE_CHECK": "1",
    "DO_NOT_TRACK": "1",
    "PYANNOTE_METRICS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
}


class DiarySettings(BaseSettings):
    """Variables, and below them files: a secret may lie in DIARY_SECRETS_DIR, named as its variable in lower case."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        folder = os.environ.get("DIARY_SECRETS_DIR")
        files = (SecretsSettingsSource(settings_cls, secrets_dir=folder),) if folder else ()
        return (init_settings, env_settings, *files)


class StoreSettings(DiarySettings):
    """The object store; the same variables for every service."""

    model_config = SettingsConfigDict(env_prefix="S3_", frozen=True)

    url: str = Field(default="http://127.0.0.1:8733", description="S3 endpoint")
    bucket: str = Field(default="diary", description="bucket, made when it is missing")
    access_key: str = Field(default="", description="S3 access key")
    secret_key: SecretStr = Field(default=SecretStr(""), description="S3 secret key")


class ModelsFolder(DiarySettings):
    """Where models lie; the same variable for every service."""

    model_config = SettingsConfigDict(populate_by_name=True)

    models_dir: Path = Field(
        default=Path(".run/models"),
        validation_alias="DIARY_MODELS_DIR",
        description="folder of all models, shared by transcription, trainer and inference",
    )


class HubSettings(ModelsFolder):
    """The model hub; its own library knows the same variables."""

    model_config = SettingsConfigDict(env_prefix="HF_", frozen=True)

    offline: bool = Field(
        default=False, validation_alias="HF_HUB_OFFLINE", description="never download: models are there, or an error"
    )
    token: SecretStr | None = Field(default=None, description="the hub's token, for models with conditions to accept")
    token_path: Path | None = Field(default=None, description="file that holds the token, instead of the token itself")

    @property
    def token_at_hand(self) -> bool:
        if self.token and self.token.get_secret_value().strip():
            return True
        return self.token_path is not None and self.token_path.is_file() and self.token_path.stat().st_size > 1


class ServiceSettings(ModelsFolder):
    """What every service needs to run; subclasses set `env_prefix` to their name, e.g. TRANSCRIPTION_."""

    model_config = SettingsConfigDict(frozen=True)

    port: int = Field(
        default=8080, ge=1, le=65535, description="port to listen on (address: DIARY_BIND, loopback if unset)"
    )
    state_dir: Path = Field(default=Path(".run/state"), description="job database (SQLite) when no database_url is set")
    work_dir: Path = Field(default=Path(".run/work"), description="scratch files of jobs, removed when they end")
    log_dir: Path = Field(default=Path(".run/logs"), description="logs of engines")
    tokens_file: Path = Field(default=Path(".run/secrets/tokens.json"), description="hashed bearer tokens")
    database_url: SecretStr | None = Field(default=None, description="Postgres URL of the job state, for replicas")
    worker: str = Field(default="1", description="stable name of this worker; must differ between replicas")
    concurrency: int = Field(default=1, ge=1, le=64, description="jobs at once in this worker")
    silent_after_s: float = Field(default=60.0, gt=0, description="a worker silent for longer loses its jobs to others")
    show_jobs: int = Field(
        default=0, ge=0, description="jobs of one show here that have not ended, at most; 0 for no limit"
    )
    show_gpu_hours: float = Field(
        default=0.0, ge=0, description="GPU hours here of one show in a day, then new jobs are refused; 0 for no limit"
    )
    lease_dir: Path | None = Field(
        default=None, description="folder of the GPU lease; unset where every pod has its own"
    )
    lease_min_hold_s: float = Field(default=20.0, ge=0, description="seconds a holder may go on although others wait")
    engine_idle_s: float = Field(default=300.0, gt=0, description="an engine without work is stopped after this")

    def child_environment(self) -> dict[str, Any]:
        """Variables of an engine's process: it tells nobody what it does, and its threads do not spin."""
        return {
            "OMP_WAIT_POLICY": "PASSIVE",
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count() or 1)),
            "HF_HUB_OFFLINE": "1",  # what comes from the hub, shared/hub.py has brought
            **SILENCE,
            "TOKENIZERS_PARALLELISM": "false",
        }
