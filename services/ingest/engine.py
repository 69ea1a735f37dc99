"""yt-dlp and ffmpeg in a process of their own, so that a cancel ends them at once.

The near side is `IngestEngine`; the far side is this file run as a program, and the only place that imports yt_dlp and
imageio_ffmpeg. Nothing goes through a shell; yt-dlp runs no other program but deno, which it gives no rights; ffmpeg
opens the one file it is given.
"""

from __future__ import annotations

import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import httpx

from services.ingest import conversion, metadata, source
from services.ingest.audio import Converted, Limits
from services.ingest.metadata import Downloaded
from services.ingest.settings import Settings
from shared import urls
from shared.engines import PipeEngine, Reporter, Watch, serve
from shared.errors import BadAudioError, BadInputError, EngineFailedError

LOG_HEAD, LOG_TAIL = 400, 200
USER_AGENT = "Mozilla/5.0 (compatible; diary-of-ai-ceo)"


class IngestEngine:
    """The near side: what the service calls. One child process, without a lease: nothing here needs the GPU."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = Limits(
            max_bytes=settings.max_bytes,
            max_duration_s=settings.max_duration_s,
            min_duration_s=settings.min_duration_s,
            ffmpeg_limit_s=settings.ffmpeg_limit_s,
        )
        self._process = PipeEngine(
            "the ingest engine",
            shlex.split(settings.engine_command) or [sys.executable, "-m", "services.ingest.engine"],
            lease=None,
            log_file=settings.log_dir / "ingest-engine.log",
            environment={**settings.child_environment(), "YTDLP_NO_PLUGINS": "1"},
            idle_s=settings.engine_idle_s,
        )

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def download(self, url: str, folder: Path, job: Watch) -> Downloaded:
        """Fetch the one recording behind a URL into `folder`.

        raises   BadInputError: may not be fetched, nothing there, a list, too large; SourceUnavailableError: later
        """
        urls.check_url(url)
        arguments = {
            "url": url,
            "folder": str(folder.absolute()),
            "limits": self._limits.model_dump(),
            "private_networks": self._settings.private_networks,
        }
        return Downloaded.model_validate(self._process.call("download", arguments, job))

    def convert(self, original: Path, folder: Path, job: Watch) -> Converted:
        """Make the 16 kHz mono FLAC working copy of a file.

        raises   BadAudioError naming what is wrong with the file and what to do
        """
        arguments = {
            "original": str(original.absolute()),
            "folder": str(folder.absolute()),
            "limits": self._limits.model_dump(),
            "ffmpeg": self._settings.ffmpeg,
        }
        return Converted.model_validate(self._process.call("convert", arguments, job))

    def stop(self) -> None:
        self._process.stop()


# ---- the far side: yt-dlp ----------------------------------------------------------------------------------------


def download(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Check where the URL leads, ask yt-dlp what is there, refuse what is too much, then fetch it."""
    from yt_dlp import YoutubeDL
    from yt_dlp.version import __version__

    url, allowed = arguments["url"], urls.networks_of(arguments["private_networks"])
    hide = urls.hider(url)
    limits = Limits.model_validate(arguments["limits"])
    original = Path(arguments["folder"]) / "download"
    original.unlink(missing_ok=True)
    reporter.progress("looking up the URL")
    with _guarded_connections(allowed), _explained(hide):
        _preflight(url, allowed)
        with YoutubeDL(cast(Any, source.options(original, limits, reporter.progress, _RedactedLog(hide)))) as ydl:
            info = source.only_one(ydl.extract_info(url, download=False))
            source.refuse_too_much(info, limits)
            source.demand_space_for(info, original.parent)
            ydl.process_ie_result(info, download=True)
    if not original.exists():
        raise BadInputError(
            f"nothing was downloaded from the URL; larger than {limits.max_bytes} bytes (INGEST_MAX_BYTES)? "
            "Otherwise download it yourself and upload the file"
        )
    found = Downloaded(original=original, metadata=metadata.from_info(info, hide), yt_dlp=__version__)
    return found.model_dump(mode="json")


class _RedactedLog:
    """yt-dlp's messages for the engine's log, without the secrets of URLs."""

    def __init__(self, hide: urls.Hide) -> None:
        self._hide = hide

    def debug(self, message: str) -> None:
        pass

    info = debug

    def warning(self, message: str) -> None:
        print(f"yt-dlp: {self._hide(message)}", file=sys.stderr, flush=True)

    error = warning


def _preflight(url: str, allowed: urls.Networks) -> None:
    """Follow the redirects by hand before yt-dlp sees the URL; answers are closed before their body is read."""

    def check(host: str) -> None:
        urls.check_host(host, _resolve, allowed)

    def redirect(address: str) -> str | None:
        with client.stream("GET", address) as response:
            return response.headers.get("location") if response.is_redirect else None

    with httpx.Client(timeout=source.SOCKET_TIMEOUT_S, headers={"User-Agent": USER_AGENT}) as client:
        try:
            urls.follow(url, redirect, check)
        except httpx.TransportError as error:
            host = urls.check_url(url)
            why = urls.redact_text(str(error)) or type(error).__name__
            raise BadInputError(f"{host} does not answer ({why}); check the address, or try again later") from None
        except httpx.InvalidURL as error:
            raise BadInputError(f"{urls.redact(url)} is not a valid URL ({error}); copy it again") from None


def _resolve(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise BadInputError(f"the host {host} is not known ({error}); check the address and the network") from error
    return sorted({str(address[4][0]) for address in found})


@contextmanager
def _guarded_connections(allowed: urls.Networks) -> Iterator[None]:
    """While we download, no socket of this process connects to a private address that is not allowed.

    The address is checked where it is used: no later redirect, playlist or change of DNS gets around it.
    """
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not urls.may_be_reached(address[0], allowed):
            raise BadInputError(urls.private_host("the server", address[0]))
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]


@contextmanager
def _explained(hide: urls.Hide) -> Iterator[None]:
    """Turn yt-dlp's errors into ours. Not chained: what it quotes may hold the URL's secrets, and traces are logged."""
    from yt_dlp.utils import YoutubeDLError

    try:
        yield
    except YoutubeDLError as error:
        problem = source.explain(error, hide)
    else:
        return
    raise problem from None


# ---- the far side: ffmpeg ----------------------------------------------------------------------------------------


def convert(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    return conversion.convert(_ffmpeg(arguments["ffmpeg"]), arguments, reporter)


def mix(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    return conversion.mix(_ffmpeg(arguments["ffmpeg"]), arguments, reporter)


def _ffmpeg(program: str) -> str:
    if program:
        return program
    import imageio_ffmpeg

    return cast(str, imageio_ffmpeg.get_ffmpeg_exe())


if __name__ == "__main__":
    serve({"download": download, "convert": convert, "mix": mix})
