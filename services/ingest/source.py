"""What yt-dlp is told, what it may bring, and what its errors mean: pure, yt-dlp itself is called by the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from services.ingest.audio import Limits, working_bytes
from shared import urls
from shared.errors import BadInputError, DiaryError, NoSpaceError, SourceUnavailableError
from shared.space import demand_space

SOCKET_TIMEOUT_S = 20.0
RETRIES = 3
AUDIO_BYTES_PER_S = 16_000  # 128 kbit/s, where a site tells the duration only
BUSY = (429, 500, 502, 503, 504)
FORMAT = "ba[protocol^=http]/ba[protocol^=m3u8]/b[protocol^=http]/b[protocol^=m3u8]"


def options(original: Path, limits: Limits, progress: Callable[..., None], log: object) -> dict[str, Any]:
    """yt-dlp, kept on a short lead: one file, its name is ours, no other program, no configuration of the machine."""

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

    return {
        "outtmpl": {"default": str(original).replace("%", "%%")},
        "restrictfilenames": True,
        "format": FORMAT,
        "noplaylist": True,
        "playlistend": 2,
        "max_filesize": limits.max_bytes,
        "progress_hooks": [watch_size],
        "socket_timeout": SOCKET_TIMEOUT_S,
        "retries": RETRIES,
        "fragment_retries": RETRIES,
        "extractor_retries": RETRIES,
        "skip_unavailable_fragments": False,
        "overwrites": True,
        "continuedl": False,
        "cachedir": False,
        "usenetrc": False,
        "enable_file_urls": False,
        "external_downloader": None,
        "hls_prefer_native": True,
        "ffmpeg_location": str(original.parent / "no-ffmpeg-for-yt-dlp"),
        "postprocessors": [],
        "fixup": "never",
        "updatetime": False,
        "quiet": True,
        "noprogress": True,
        "no_warnings": True,
        "color": {"stdout": "never", "stderr": "never"},
        "logger": log,
    }


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
    if info.get("is_live"):
        raise BadInputError("the URL is a live stream; add it when it has ended")
    if (info.get("duration") or 0) > limits.max_duration_s:
        raise BadInputError(
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


def too_large(limits: Limits) -> BadInputError:
    return BadInputError(
        f"the file is larger than {limits.max_bytes / 1024**2:.0f} MiB; add a smaller one, or raise INGEST_MAX_BYTES"
    )


def explain(error: BaseException, hide: urls.Hide) -> DiaryError:
    causes = list(_causes(error))
    ours = next((cause for cause in causes if isinstance(cause, DiaryError)), None)
    if ours:
        return ours
    text = hide(str(error)).removeprefix("ERROR: ").split("; please report this issue")[0]
    codes = (getattr(cause, "status", None) for cause in causes)
    status = next((code for code in codes if isinstance(code, int)), None)
    kinds = {type(cause).__name__ for cause in causes}
    if "No space left on device" in text:
        return NoSpaceError("the work folder's disk is full; free some space and run the job again")
    if status in BUSY:
        return SourceUnavailableError(f"the site is busy or broken (HTTP {status}); the job waits and tries again")
    if status in (401, 403):
        return BadInputError(f"the site does not let us in (HTTP {status}); download it yourself and upload the file")
    if status in (404, 410):
        return BadInputError(f"nothing is at the URL (HTTP {status}); check the address")
    if "Did not get any data blocks" in text:
        return BadInputError("the file at the URL is empty (0 bytes); check the address")
    if "UnsupportedError" in kinds:
        return BadInputError(
            "no audio or video was found at the URL; give the address of one episode or its audio file"
        )
    if kinds & {"TransportError", "IncompleteRead", "ContentTooShortError"} or "content too short" in text:
        return SourceUnavailableError(f"the download broke off ({text}); the job waits and tries again")
    return BadInputError(f"yt-dlp cannot fetch the URL: {text}; download it yourself and upload the file")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it, also where yt-dlp keeps it aside."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        found = waiting.pop(0)
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        aside = getattr(found, "exc_info", None)
        kept = aside[1] if isinstance(aside, tuple) else None
        waiting += [kept, getattr(found, "cause", None), found.__cause__, found.__context__]
