"""What an operator may set for studio."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Each field is one STUDIO_* environment variable."""

    model_config = SettingsConfigDict(env_prefix="STUDIO_", frozen=True)

    port: int = Field(default=8765, ge=1, le=65535, description="port of the public door")
    ingest_url: str = Field(default="http://127.0.0.1:8766", description="where ingest answers")
    transcription_url: str = Field(default="http://127.0.0.1:8767", description="where transcription answers")
    trainer_url: str = Field(default="http://127.0.0.1:8768", description="where trainer answers")
    inference_url: str = Field(default="http://127.0.0.1:8769", description="where inference answers")
    service_token: SecretStr = Field(default=SecretStr(""), description="admin token shown to the other services")
    max_upload_bytes: int = Field(default=4 * 1024**3, gt=0, description="largest file a person may upload")
    concurrency: int = Field(default=16, ge=1, le=256, description="orders followed at once; they mostly wait")
