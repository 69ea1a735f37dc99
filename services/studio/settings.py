"""What an operator may set for studio."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.studio.care.retention import Rules
from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Each field is one STUDIO_* environment variable."""

    model_config = SettingsConfigDict(env_prefix="STUDIO_", frozen=True)

    port: int = Field(default=8765, ge=1, le=65535, description="port of the public door")
    ingest_url: str = Field(default="http://127.0.0.1:8766", description="where ingest answers")
    transcription_url: str = Field(default="http://127.0.0.1:8767", description="where transcription answers")
    trainer_url: str = Field(default="http://127.0.0.1:8768", description="where trainer answers")
    inference_url: str = Field(default="http://127.0.0.1:8769", description="where inference answers")
    service_token: SecretStr = Field(
        default=SecretStr(""), description="admin token shown to the other services; signs cookies"
    )
    max_upload_bytes: int = Field(default=8 * 1024**3, gt=0, description="largest file a person may upload")
    session_hours: float = Field(default=12.0, gt=0, le=24 * 90, description="hours that a browser stays signed in")
    concurrency: int = Field(default=16, ge=1, le=256, description="orders followed at once; they mostly wait")

    refresh_every_h: float = Field(
        default=0.0, ge=0, description="hours between refreshes of all sources of all shows; 0: only when a person asks"
    )
    collect_every_h: float = Field(
        default=6.0, ge=0, description="hours between collections of what nobody needs; 0: only when an admin asks"
    )
    keep_checkpoints_h: float = Field(
        default=0.0, ge=0, description="hours that resumable checkpoints (optimizer state) outlive the end of their run"
    )
    keep_abandoned_days: float = Field(
        default=30.0,
        gt=0,
        description="days after its last checkpoint, or its last resuming, when an unfinished run counts as abandoned",
    )
    keep_working_days: float | None = Field(
        default=None,
        gt=0,
        description="days that 16 kHz working copies of transcribed recordings are kept; unset: for ever. Adding the "
        "same file again makes a new one",
    )
    keep_uploads_h: float = Field(
        default=72.0, gt=0, description="hours that an upload is kept which no job has taken over"
    )
    grace_h: float = Field(
        default=24.0, ge=24, description="hours that data is kept which no manifest names: one may still come"
    )

    @property
    def retention(self) -> Rules:
        return Rules(
            grace=timedelta(hours=self.grace_h),
            finished=timedelta(hours=self.keep_checkpoints_h),
            abandoned=timedelta(days=self.keep_abandoned_days),
            working=timedelta(days=self.keep_working_days) if self.keep_working_days is not None else None,
            uploads=timedelta(hours=self.keep_uploads_h),
        )
