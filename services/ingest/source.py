"""What yt-dlp is told, and what it may bring: pure, yt-dlp itself is called by the engine."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from pydantic import ConfigDict, Field

from services.ingest.audio import Limits, working_bytes
from shared.errors import BadAudioError, BadInputError
from shared.schemas import Record
from shared.space import demand_space

SOCKET_TIMEOUT_S = 20.0
RETRIES = 3
AUDIO_BYTES_PER_S = 16_000  # 128 kbit/s, where a site tells the duration only
FORMAT = "ba[protocol^=http]/ba[protocol^=m3u8]/b[protocol^=http]/b[protocol^=m3u8]"


class Manners(Record):
    """How we behave towards sites, and what opens them: from the settings.

    cookies_file   read, never written; yt-dlp gets its text
    po_token       as yt-dlp takes it, several separated by commas
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    pause_s: float = 0.0
    rate_limit_bytes_s: int = 0
    cookies_file: Path | None = None
    po_token: str = Field(default="", repr=False)
    pot_provider_url: str = ""
    sponsorblock: bool = True
    sponsorblock_url: str = ""
    max_items: int = 10_000

    @property
    def helpers(self) -> tuple[str, ...]:
        """Servers of the operator's own, wherever they are."""
        return tuple(url for url in (self.pot_provider_url, self.sponsorblock_url) if url)


def options(
    original: Path,
    limits: Limits,
    manners: Manners,
    progress: Callable[..., None],
    log: object,
    *,
    deno: str = "",
    validator: str = "",
) -> dict[str, Any]:
    """yt-dlp for one recording: one file, its name is ours.

    deno        path of the JavaScript runtime
    validator   ETag or date of the file: a server that has another one by now sends it whole, not the missing end
    """
    fits: list[bool] = []  # asked once, when the server has told the length

    def watch_size(status: dict[str, Any]) -> None:
        done = status.get("downloaded_bytes") or 0
        if done > limits.max_bytes:
            raise too_large(limits)
        total = status.get("total_bytes") or status.get("total_bytes_estimate")
        if total and not fits:
            demand_space_for({"filesize": total - done}, original.parent)
            fits.append(True)
        progress("downloading", done, total, "bytes")

    return _tame(manners, original.parent, log, deno) | {
        "outtmpl": {"default": str(original).replace("%", "%%")},
        "format": FORMAT,
        "noplaylist": True,
        "playlistend": 2,
        "extract_flat": "in_playlist",
        "max_filesize": limits.max_bytes,
        "progress_hooks": [watch_size],
        "overwrites": True,
        "continuedl": True,
        "http_headers": {"If-Range": validator} if validator else {},
    }


def look_options(manners: Manners, folder: Path, log: object, *, deno: str = "") -> dict[str, Any]:
    """yt-dlp for a list: its entries as the list shows them, none is opened or downloaded."""
    tame = _tame(manners, folder, log, deno)
    dated = {"youtubetab": {"approximate_date": [""]}}  # "2 months ago" as a day: filters have something to go by
    return tame | {
        "extractor_args": tame["extractor_args"] | dated,
        "extract_flat": "in_playlist",
        "skip_download": True,
        "playlistend": manners.max_items + 1,
        "ignore_no_formats_error": True,
    }


def _tame(manners: Manners, folder: Path, log: object, deno: str) -> dict[str, Any]:
    """On a short lead: no other program but deno, no configuration of the machine, nothing fetched to be run."""
    extractor_args: dict[str, dict[str, list[str]]] = {}
    if manners.po_token:
        tokens = [token.strip() for token in manners.po_token.split(",") if token.strip()]
        extractor_args["youtube"] = {"po_token": tokens}
    if manners.pot_provider_url:
        extractor_args["youtubepot-bgutilhttp"] = {"base_url": [manners.pot_provider_url]}
    return {
        "restrictfilenames": True,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "retries": RETRIES,
        "fragment_retries": RETRIES,
        "extractor_retries": RETRIES,
        "skip_unavailable_fragments": False,
        "sleep_interval_requests": manners.pause_s,
        "ratelimit": manners.rate_limit_bytes_s or None,
        "cachedir": False,
        "cookiefile": cookies(manners.cookies_file),
        "usenetrc": False,
        "enable_file_urls": False,
        "external_downloader": None,
        "js_runtimes": {"deno": {"path": deno}} if deno else {},
        "remote_components": [],
        "extractor_args": extractor_args,
        "hls_prefer_native": True,
        "ffmpeg_location": str(folder / "no-ffmpeg-for-yt-dlp"),
        "postprocessors": [],
        "fixup": "never",
        "updatetime": False,
        "quiet": True,
        "noprogress": True,
        "no_warnings": True,
        "color": {"stdout": "never", "stderr": "never"},
        "logger": log,
    }


def cookies(file: Path | None) -> io.StringIO | None:
    """The cookies as text: yt-dlp writes what it is given, and is given no file of the operator's."""
    if file is None:
        return None
    try:
        return io.StringIO(file.read_text("utf-8", errors="replace"))
    except OSError as error:
        raise BadInputError(
            f"the cookies of INGEST_COOKIES_FILE cannot be read ({error.strerror}: {file}); put the file there, in "
            "Netscape's format, or unset the variable"
        ) from error


def only_one(info: Any) -> dict[str, Any]:
    while info and info.get("_type") in ("playlist", "multi_video"):
        entries = [entry for entry in info.get("entries") or () if entry]
        if len(entries) != 1:
            found = "more than one recording" if entries else "no recording"
            raise BadInputError(f"the URL leads to a list with {found}; give the URL of one recording")
        info = entries[0]
    if not info:
        raise BadInputError("no recording was found at the URL; give the address of one episode or of its audio file")
    return cast(dict[str, Any], info)


def refuse_too_much(info: dict[str, Any], limits: Limits) -> None:
    if info.get("is_live") or info.get("live_status") == "is_live":
        raise BadInputError("the URL is a live stream; add it when it has ended")
    if info.get("live_status") == "is_upcoming":
        raise BadInputError("the video is not published yet; add it when it has been")
    if (info.get("duration") or 0) > limits.max_duration_s:
        raise BadAudioError(
            f"the recording is longer than {limits.max_duration_s / 3600:g} h; split it, or raise INGEST_MAX_DURATION_S"
        )
    if (info.get("filesize") or 0) > limits.max_bytes:
        raise too_large(limits)


def demand_space_for(info: dict[str, Any], folder: Path) -> None:
    """Refuse what the work folder has no room for, by what the site tells of it. raises NoSpaceError"""
    duration_s = info.get("duration") or 0
    size = info.get("filesize") or info.get("filesize_approx") or AUDIO_BYTES_PER_S * duration_s
    needed = size + working_bytes(size, duration_s)
    demand_space(folder, needed, "the download and its working copy", setting="INGEST_WORK_DIR")


def too_large(limits: Limits) -> BadAudioError:
    return BadAudioError(
        f"the file is larger than {limits.max_bytes / 1024**2:.0f} MiB; add a smaller one, or raise INGEST_MAX_BYTES"
    )
