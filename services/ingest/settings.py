"""What an operator may set for ingest."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
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
    folder: str = Field(
        default="", description="folder on this machine whose subfolders may be sources of a show; none when empty"
    )
    max_items: int = Field(default=10_000, ge=1, description="most items that are listed of one source, the newest")
    download_limit_s: float = Field(default=4 * 3600, gt=0, description="longest time one download may take")
    rate_limit_bytes_s: int = Field(default=0, ge=0, description="most bytes per second of a download, 0 for no limit")
    pause_s: float = Field(default=1.0, ge=0, description="seconds to wait between two requests to sites")
    cookies_file: Path | None = Field(
        default=None,
        description="cookies of a browser that is signed in, in Netscape's format (cookies.txt); it is only read",
    )
    po_token: SecretStr | None = Field(
        default=None,
        description="YouTube's proof-of-origin tokens as yt-dlp takes them, CLIENT.CONTEXT+TOKEN, separated by commas",
    )
    pot_provider_url: str = Field(
        default="",
        description="address of a bgutil proof-of-origin token provider. Lets yt-dlp load plugins: install the "
        "provider's (bgutil-ytdlp-pot-provider) into the environment of ingest",
    )
    sponsorblock: bool = Field(default=True, description="ask SponsorBlock which parts of YouTube videos are adverts")
    sponsorblock_url: str = Field(default="", description="your own SponsorBlock server; the public one when empty")
    ffmpeg: str = Field(default="", description="ffmpeg program; the one of imageio-ffmpeg when empty")
    ffmpeg_limit_s: float = Field(default=3600.0, gt=0, description="longest time one conversion may take")
    ffmpeg_memory_mb: int = Field(
        default=4096, ge=2048, description="addresses ffmpeg may reserve, in MB; it fills about 50 MB of them"
    )
    engine_command: str = Field(
        default="", description="command of the engine's process as in a shell; this Python when empty"
    )

    @property
    def downloads(self) -> Path:
        """Where downloads lie until they are whole; unlike a job's folder it outlives the service."""
        return self.work_dir / "downloads"
