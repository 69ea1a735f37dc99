"""yt-dlp and ffmpeg in a process of their own, so that a cancel ends them at once.

The near side is `IngestEngine`; the far side is this file run as a program, and the only place that imports yt_dlp and
imageio_ffmpeg. Nothing goes through a shell; yt-dlp runs no other program but deno, which it gives no rights; ffmpeg
opens the one file it is given.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from services.ingest import catalogue, conversion, fetching, metadata, pages, partial, source, troubles
from services.ingest.audio import Converted, Limits, Mixed, TrackFile
from services.ingest.catalogue import Catalogue
from services.ingest.metadata import Downloaded
from services.ingest.settings import Settings
from services.ingest.source import Manners
from services.ingest.timed import TimedWatch, TimeIsUpError
from services.ingest.troubles import RedactedLog
from shared import urls
from shared.engines import PipeEngine, Reporter, Watch, serve
from shared.errors import BadInputError, DiaryError, TooSlowError

FETCH_LIMIT_S = 600.0
PAGE_LIMIT_S = 60.0  # a page nested without end takes its parser minutes; that ends with the process
MAX_CAPTION_BYTES = 8 * 1024**2


class IngestEngine:
    """The near side: what the service calls. Two child processes, without a lease: nothing here needs the GPU."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = Limits(
            max_bytes=settings.max_bytes,
            max_duration_s=settings.max_duration_s,
            min_duration_s=settings.min_duration_s,
            ffmpeg_limit_s=settings.ffmpeg_limit_s,
            ffmpeg_memory_mb=settings.ffmpeg_memory_mb,
        )
        self._manners = Manners(
            pause_s=settings.pause_s,
            rate_limit_bytes_s=settings.rate_limit_bytes_s,
            cookies_file=settings.cookies_file.absolute() if settings.cookies_file else None,
            po_token=settings.po_token.get_secret_value() if settings.po_token else "",
            pot_provider_url=settings.pot_provider_url,
            sponsorblock=settings.sponsorblock,
            sponsorblock_url=settings.sponsorblock_url,
            max_items=settings.max_items,
        )
        self.network = self._engine("the download engine", "downloads")
        self.sound = self._engine("the sound engine", "sound")  # of its own: nobody waits behind a slow site

    def _engine(self, name: str, log_name: str) -> PipeEngine:
        settings = self._settings
        plugins = {} if settings.pot_provider_url else {"YTDLP_NO_PLUGINS": "1"}
        return PipeEngine(
            name,
            shlex.split(settings.engine_command) or [sys.executable, "-m", "services.ingest.engine"],
            lease=None,
            log_file=settings.log_dir / f"ingest-engine-{log_name}.log",
            environment={**settings.child_environment(), **plugins},
            idle_s=settings.engine_idle_s,
        )

    @property
    def processes(self) -> dict[str, PipeEngine]:
        """By name, for the service to tell and to stop."""
        return {self.network.name: self.network, self.sound.name: self.sound}

    def look(
        self, address: str, kind: str, folder: Path, job: Watch, *, etag: str = "", modified: str = ""
    ) -> Catalogue:
        """List what is at an address.

        kind             `feed`, `site`, or `auto`: a feed if the address answers with one, else a site for yt-dlp
        folder           for files on the way
        etag, modified   of the last answer: a feed that is still the same is not sent again
        raises           BadInputError: may not be fetched, nothing there, broken; SourceUnavailableError: later
        """
        listed = folder / "catalogue.json"
        asked = {"kind": kind, "etag": etag, "modified": modified, "listed": str(listed.absolute())}
        self._fetch("look", address, folder, job, self._settings.download_limit_s, asked)
        found = Catalogue.model_validate_json(listed.read_bytes())
        listed.unlink()
        return found

    def download(self, url: str, folder: Path, job: Watch) -> Downloaded:
        """Fetch the one recording behind a URL into `folder`; what an earlier try left there is gone on with.

        raises   BadInputError: may not be fetched, nothing there, a list, too large, too slow;
                 SourceUnavailableError: later
        """
        asked = {"limits": self._limits.model_dump()}
        return Downloaded.model_validate(
            self._fetch("download", url, folder, job, self._settings.download_limit_s, asked)
        )

    def fetch(self, url: str, folder: Path, name: str, max_bytes: int, job: Watch) -> Path:
        """Fetch a small file that belongs to a recording: chapters, a published transcript.

        raises   BadInputError, SourceUnavailableError
        """
        limit_s = min(FETCH_LIMIT_S, self._settings.download_limit_s)
        self._fetch("fetch", url, folder, job, limit_s, {"name": name, "max_bytes": max_bytes})
        return folder / name

    def read_page(self, url: str, folder: Path, job: Watch) -> str:
        """The text of a web page, or of a plain text; paragraphs are parted by empty lines.

        raises   BadInputError: may not be fetched, too large, neither of both, no text; TooSlowError;
                 SourceUnavailableError: later
        """
        written = folder / "page.txt"
        limit_s = min(PAGE_LIMIT_S, self._settings.download_limit_s)
        self._fetch("read_page", url, folder, job, limit_s, {"written": str(written.absolute())})
        text = written.read_text("utf-8")
        written.unlink()
        return text

    def _fetch(
        self, op: str, url: str, folder: Path, job: Watch, limit_s: float, more: dict[str, Any]
    ) -> dict[str, Any]:
        urls.check_url(url)
        arguments = {
            "url": url,
            "folder": str(folder.absolute()),
            "private_networks": self._settings.private_networks,
            "manners": self._manners.model_dump(mode="json"),
            **more,
        }
        try:
            return self.network.call(op, arguments, TimedWatch(job, limit_s))
        except TimeIsUpError as error:
            raise TooSlowError(str(error)) from None

    def convert(self, original: Path, folder: Path, job: Watch) -> Converted:
        """Make working copy, web rendition and waveform of a file.

        raises   BadAudioError naming what is wrong with the file and what to do
        """
        arguments = {
            "original": str(original.absolute()),
            "folder": str(folder.absolute()),
            "limits": self._limits.model_dump(),
            "ffmpeg": self._settings.ffmpeg,
        }
        return Converted.model_validate(self.sound.call("convert", arguments, job))

    def mix(self, tracks: Sequence[TrackFile], folder: Path, job: Watch) -> Mixed:
        """Make a working copy of each speaker's file, and all that a recording needs of them together.

        raises   BadAudioError naming the track, what is wrong with it and what to do
        """
        files = [{"original": str(track.original.absolute()), "offset_s": track.offset_s} for track in tracks]
        arguments = {
            "tracks": files,
            "folder": str(folder.absolute()),
            "limits": self._limits.model_dump(),
            "ffmpeg": self._settings.ffmpeg,
        }
        return Mixed.model_validate(self.sound.call("mix", arguments, job))

    def stop(self) -> None:
        self.network.stop()
        self.sound.stop()


# ---- the far side: yt-dlp ----------------------------------------------------------------------------------------


def look(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Write down what a feed or a site has; thousands of items are too much for a line on the pipe."""
    ask = _Ask(arguments)
    reporter.progress("asking the source")
    kind, validators = arguments["kind"], {name: arguments[name] for name in ("etag", "modified")}
    found = None
    with _at_work(ask):
        if kind == "feed" or (kind == "auto" and not _has_own_extractor(ask.url)):
            most = ask.manners.max_items
            found = fetching.feed(ask.url, ask.allowed, most, only_feed=kind == "feed", **validators)
        if found is None:
            found = _look_at_site(ask)
    Path(arguments["listed"]).write_text(found.model_dump_json(), "utf-8")
    return {}


def _look_at_site(ask: _Ask) -> Catalogue:
    if not _has_own_extractor(ask.url):
        fetching.lead(ask.url, ask.allowed, lambda size: None)
    options = source.look_options(ask.manners, ask.folder, RedactedLog(ask.hide), deno=javascript_runtime())
    with yt_dlp_with(options) as ydl:
        info = ydl.extract_info(ask.url, download=False) or {}
    found = catalogue.of_site(info, ask.manners.max_items, ask.hide, signed_in=ask.manners.cookies_file is not None)
    items = tuple(item.model_copy(update={"url": urls.lend_credentials(ask.url, item.url)}) for item in found.items)
    return found.model_copy(update={"items": items})


def download(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """See where the URL leads, ask yt-dlp what is there, refuse what is too much, then fetch it."""
    ask = _Ask(arguments)
    limits = Limits.model_validate(arguments["limits"])
    original = ask.folder / "download"
    warnings: list[str] = []
    reporter.progress("looking up the URL")
    with _at_work(ask):
        lead = _lead(ask, limits)
        log = RedactedLog(ask.hide)
        options = source.options(
            original, limits, ask.manners, reporter.progress, log, deno=javascript_runtime(), validator=lead.validator
        )
        with yt_dlp_with(options) as ydl:
            info = source.only_one(ydl.extract_info(lead.url, download=False))
            if info.get("_type") in ("url", "url_transparent"):  # the only entry of a list, which is not opened yet
                info = source.only_one(ydl.process_ie_result(info, download=False))
            source.refuse_too_much(info, limits)
            source.demand_space_for(info, original.parent)
            mark = partial.mark_of(info, direct=lead.is_sound, validator=lead.validator)
            if not partial.keep_only(original, mark):
                ydl.process_ie_result(info, download=True)
            _ask_sponsorblock(ydl, info, ask, warnings)
            language, captions = _fetch_captions(ydl, info, ask, warnings)
    if not original.exists():
        raise BadInputError(
            f"nothing was downloaded from the URL; larger than {limits.max_bytes} bytes (INGEST_MAX_BYTES)? "
            "Otherwise download it yourself and upload the file"
        )
    found = Downloaded(
        original=original,
        metadata=metadata.from_info(info, ask.hide),
        yt_dlp=_yt_dlp_version(),
        description=ask.hide(str(info.get("description") or ""))[: metadata.MAX_TEXT],
        published_on=metadata.published_on(info),
        duration_s=float(info["duration"]) if info.get("duration") else None,
        chapters=metadata.chapters_of(info, ask.hide),
        sponsor_spans=metadata.sponsor_spans(info),
        captions=captions,
        captions_language=language,
        warnings=tuple(warnings),
    )
    return found.model_dump(mode="json")


def fetch(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    ask = _Ask(arguments)
    reporter.progress(f"fetching {arguments['name']}")
    with _at_work(ask):
        fetching.small_file(ask.url, ask.folder / arguments["name"], arguments["max_bytes"], ask.allowed)
    return {}


def read_page(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Write down the text of a page: here, so that a page made to harm its reader ends this process alone."""
    ask = _Ask(arguments)
    reporter.progress("fetching the page")
    with _at_work(ask):
        text = pages.text_of(fetching.page(ask.url, fetching.MAX_ARTICLE_BYTES, ask.allowed))
    Path(arguments["written"]).write_text(text, "utf-8", errors="replace")
    return {}


class _Ask:
    """What every request for something on the network brings along."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments
        self.url: str = arguments["url"]
        self.folder = Path(arguments["folder"])
        self.manners = Manners.model_validate(arguments["manners"])
        self.allowed = urls.networks_of(arguments["private_networks"])
        self.hide = urls.hider(self.url, *(self.manners.po_token.split(",")))


@contextmanager
def _at_work(ask: _Ask) -> Iterator[None]:
    with fetching.guarded_connections(ask.allowed, ask.manners.helpers), _explained(ask.hide):
        yield


def _lead(ask: _Ask, limits: Limits) -> fetching.Lead:
    """Where the URL leads: yt-dlp is given the last address of a file, and the first one of a page."""

    def refuse_size(size: int) -> None:
        if size > limits.max_bytes:
            raise source.too_large(limits)

    if _has_own_extractor(ask.url):
        return fetching.Lead(url=ask.url, is_sound=False)
    lead = fetching.lead(ask.url, ask.allowed, refuse_size)
    return lead if lead.is_sound else fetching.Lead(url=ask.url, is_sound=False)


def _has_own_extractor(url: str) -> bool:
    """Whether yt-dlp knows the site: then it asks what it needs, and we need not ask before."""
    from yt_dlp.extractor import gen_extractor_classes

    return any(known.suitable(url) for known in gen_extractor_classes() if known.ie_key() != "Generic")


def javascript_runtime() -> str:
    """The JavaScript runtime of this environment."""
    beside = Path(sysconfig.get_path("scripts")) / "deno"
    return str(beside) if beside.exists() else shutil.which("deno") or ""


def yt_dlp_with(options: dict[str, Any]) -> Any:
    """A YoutubeDL that reads no page without end into memory."""
    from yt_dlp import YoutubeDL

    class BoundedYoutubeDL(YoutubeDL):
        def urlopen(self, req: Any) -> Any:
            answer = super().urlopen(req)
            answer.read = fetching.bounded(answer.read)
            return answer

    return BoundedYoutubeDL(cast(Any, options))


def _yt_dlp_version() -> str:
    from yt_dlp.version import __version__

    return __version__


def _ask_sponsorblock(ydl: Any, info: dict[str, Any], ask: _Ask, warnings: list[str]) -> None:
    """Which parts are adverts; a server that is away costs a warning, not the recording."""
    from yt_dlp.postprocessor.sponsorblock import SponsorBlockPP
    from yt_dlp.utils import YoutubeDLError

    if not ask.manners.sponsorblock or info.get("extractor_key") not in SponsorBlockPP.EXTRACTORS:
        return
    server = {"api": ask.manners.sponsorblock_url} if ask.manners.sponsorblock_url else {}
    try:
        SponsorBlockPP(ydl, tuple(metadata.SPONSORBLOCK), **server).run(info)
    except (YoutubeDLError, DiaryError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        warnings.append(f"SponsorBlock gave no answer ({ask.hide(str(error))[:200]}); adverts are not marked")


def _fetch_captions(ydl: Any, info: dict[str, Any], ask: _Ask, warnings: list[str]) -> tuple[str, Path | None]:
    """Language and file of the subtitles that people made, if the site has them."""
    from yt_dlp.utils import YoutubeDLError

    made = metadata.captions_of(info)
    if made is None:
        return "", None
    language, entry = made
    file = ask.folder / "captions.vtt"
    try:
        text = entry["data"].encode() if entry.get("data") else ydl.urlopen(entry["url"]).read(MAX_CAPTION_BYTES + 1)
    except (YoutubeDLError, DiaryError, OSError) as error:
        warnings.append(f"the site's subtitles ({language}) were left out: {ask.hide(str(error))[:200]}")
        return "", None
    if len(text) > MAX_CAPTION_BYTES:
        warnings.append(f"the site's subtitles ({language}) were left out: larger than any transcript")
        return "", None
    file.write_bytes(text)
    return language, file


@contextmanager
def _explained(hide: urls.Hide) -> Iterator[None]:
    """Turn yt-dlp's errors into ours. Not chained: what it quotes may hold the URL's secrets, and traces are logged."""
    from yt_dlp.utils import YoutubeDLError

    try:
        yield
    except YoutubeDLError as error:
        problem = troubles.explain(error, hide)
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


OPERATIONS = {
    "look": look,
    "download": download,
    "fetch": fetch,
    "read_page": read_page,
    "convert": convert,
    "mix": mix,
}

if __name__ == "__main__":
    serve(OPERATIONS)
