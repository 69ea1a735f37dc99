"""What an operator may set for ingest."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Each field is one INGEST_* environment variable."""

    model_config = SettingsConfigDict(env_prefix="INGEST_", frozen=True)

    max_bytes: int = Field(default=8 * 1024**3, gt=0, description="largest original file")
    max_duration_s: float = Field(default=8 * 3600, gt=0, description="longest recording")
    min_duration_s: float = Field(default=5.0, ge=0, description="shortest recording")
    private_networks: str = Field(
        default="",
        description="networks that are not public and may be fetched from all the same, such as 10.1.0.0/16,fd00::/8",
    )
    ffmpeg: str = Field(default="", description="ffmpeg program; the one of imageio-ffmpeg when empty")
    ffmpeg_limit_s: float = Field(default=3600.0, gt=0, description="longest time one conversion may take")
    engine_command: str = Field(
        default="", description="command of the engine's process as in a shell; this Python when empty"
    )
