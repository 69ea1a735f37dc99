"""Plain HTTP of the far side: every hop is checked, every body has a limit, every trouble has a name.

yt-dlp fetches recordings; here is what goes before it (where does a URL lead, and is that a sound?) and beside it:
feeds, chapters, published transcripts.
"""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import httpx

from services.ingest import feeds, pages, source, troubles
from services.ingest.catalogue import Catalogue
from services.ingest.pages import Page
from shared import urls
from shared.errors import BadInputError, DiaryError, SourceUnavailableError

USER_AGENT = "Mozilla/5.0 (compatible; diary-of-ai-ceo)"
MAX_FEED_BYTES = 64 * 1024**2
MAX_PAGE_BYTES = 64 * 1024**2
MAX_ARTICLE_BYTES = 4 * 1024**2
SMALL_FILE_S = 300.0  # a feed or another small file that takes longer never ends
CHUNK = 256 * 1024
SNIFFED_BYTES = 64 * 1024
_SOUND_TYPES = ("audio/", "video/")
_PLAIN_TYPES = ("application/octet-stream", "binary/octet-stream", "application/ogg", "application/mp4")
_PLAYLIST_TYPES = ("mpegurl", "dash+xml", "scpls")
_NO_SOUND = ("image/", "font/", "application/pdf", "application/zip", "application/msword", "application/epub")
_SOUND_SUFFIXES = {".mp3", ".m4a", ".m4b", ".aac", ".ogg", ".oga", ".opus", ".wav", ".flac", ".mp4", ".m4v", ".mov",
                   ".webm", ".mkv"}  # fmt: skip


# ---- the guard ---------------------------------------------------------------------------------------------------


@contextmanager
def guarded_connections(allowed: urls.Networks, ours: tuple[str, ...] = ()) -> Iterator[None]:
    """While we fetch, no socket of this process connects to a private address that is not allowed.

    The address is checked where it is used: no later redirect, playlist or change of DNS gets around it.

    ours   addresses of an operator's own helpers, reached at their very host and port wherever that is
    """
    helpers = {place for url in ours for place in _places(url)}
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def check(used: socket.socket, address: Any) -> None:
        inet = used.family in (socket.AF_INET, socket.AF_INET6)
        if inet and tuple(address[:2]) not in helpers and not urls.may_be_reached(address[0], allowed):
            raise BadInputError(urls.private_host("the server", address[0]))

    def guarded(self: socket.socket, address: Any) -> None:
        check(self, address)
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        check(self, address)
        return connect_ex(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign,assignment]
    socket.socket.connect_ex = guarded_ex  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.socket.connect_ex = connect_ex  # type: ignore[method-assign]


def _places(url: str) -> set[tuple[str, int]]:
    try:
        host, parts = urls.check_url(url), urlsplit(url)
        addresses = resolve(host)
    except BadInputError:
        return set()  # a helper that is away matters where it is asked, not before
    return {(address, parts.port or urls.DEFAULT_PORTS[parts.scheme.lower()]) for address in addresses}


def resolve(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise BadInputError(f"the host {host} is not known ({error}); check the address and the network") from error
    return sorted({str(address[4][0]) for address in found})


# ---- asking ------------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """The last of a row of redirects; its body is not read yet."""

    url: str
    response: httpx.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def media_type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def length(self) -> int | None:
        """Bytes as they are sent; None where the server does not tell."""
        told = self.header("content-length")
        return int(told) if told.isascii() and told.isdigit() else None

    def header(self, name: str) -> str:
        return str(self.response.headers.get(name, ""))

    @property
    def validator(self) -> str:
        """What tells this version of the file from others: a strong ETag, else the date of change; or nothing."""
        etag = self.header("etag")
        return etag if etag.startswith('"') else self.header("last-modified")


@contextmanager
def asked(url: str, allowed: urls.Networks, headers: dict[str, str] | None = None) -> Iterator[Answer]:
    """GET a URL, following redirects by hand: scheme, host and addresses of each are checked before it is asked.

    raises   BadInputError, SourceUnavailableError; not chained, for what httpx quotes may hold secrets
    """
    last: list[httpx.Response] = []

    def check(host: str) -> None:
        urls.check_host(host, resolve, allowed)

    def redirect(address: str) -> str | None:
        response = opened.enter_context(client.stream("GET", address))
        if response.has_redirect_location:
            response.close()
            return str(response.headers["location"])
        last.append(response)
        return None

    sent = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", **(headers or {})}
    with _explained(url), ExitStack() as opened:
        client = opened.enter_context(httpx.Client(timeout=source.SOCKET_TIMEOUT_S, headers=sent))
        yield Answer(url=urls.follow(url, redirect, check), response=last[0])


@contextmanager
def _explained(url: str) -> Iterator[None]:
    problem: DiaryError | None = None
    try:
        yield
    except httpx.InvalidURL as error:
        problem = BadInputError(f"{urls.redact(url)} is not a valid URL ({error}); copy it again")
    except httpx.HTTPError as error:
        problem = troubles.unanswered(urls.check_url(url), error, urls.hider(url))
    if problem:
        raise problem from None


def _refuse(answer: Answer) -> None:
    if answer.status >= 300:
        raise troubles.refusal(answer.status, answer.header("retry-after"))


# ---- reading -----------------------------------------------------------------------------------------------------


def pieces(answer: Answer, max_bytes: int, what: str) -> Iterator[bytes]:
    """The body, unpacked; never more than `max_bytes`, in no more than SMALL_FILE_S."""
    too_large = f"{what} is larger than {max_bytes / 1024**2:g} MiB"
    if (answer.length or 0) > max_bytes:
        raise BadInputError(f"{too_large}; check the address")
    ends, total = time.monotonic() + SMALL_FILE_S, 0
    for piece in _unpacked(answer):
        total += len(piece)
        if total > max_bytes:
            raise BadInputError(f"{too_large}, unpacked, or never ends; check the address")
        if time.monotonic() > ends:
            raise SourceUnavailableError(f"{what} takes longer than {SMALL_FILE_S:.0f} s; the job tries again")
        yield piece


def _unpacked(answer: Answer) -> Iterator[bytes]:
    """Bytes as they come, or out of gzip; no piece is larger than CHUNK, however tightly it was packed."""
    encoding = answer.header("content-encoding").strip().lower()
    if encoding in ("", "identity"):
        yield from answer.response.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BadInputError(f"the site packs its answer as {encoding[:40]!r}, not asked for; try again later")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        for raw in answer.response.iter_raw():
            while raw:
                yield unpacker.decompress(raw, CHUNK)
                raw = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise BadInputError(f"the site's packed answer is damaged ({error}); try again later") from error


def bounded(read: Callable[[int | None], bytes]) -> Callable[[int | None], bytes]:
    """Reading a body whole fails beyond MAX_PAGE_BYTES; reading it in pieces stays as it is."""

    def read_bounded(amount: int | None = None) -> bytes:
        if amount is not None and amount >= 0:
            return read(amount)
        body = read(MAX_PAGE_BYTES + 1)
        if len(body) > MAX_PAGE_BYTES:
            raise BadInputError("the page at the URL never ends; give the address of one episode or its audio file")
        return body

    return read_bounded


def small_file(url: str, to: Path, max_bytes: int, allowed: urls.Networks) -> None:
    """Fetch a small file whole, or not at all."""
    with asked(url, allowed, {"Accept-Encoding": "gzip"}) as answer:
        _refuse(answer)
        part = to.with_name(f"{to.name}.part")
        with part.open("wb") as file:
            for piece in pieces(answer, max_bytes, "the file"):
                file.write(piece)
        part.replace(to)


def page(url: str, max_bytes: int, allowed: urls.Networks) -> Page:
    """Fetch a web page or a plain text whole; raises BadInputError for anything else before it is read."""
    wanted = {"Accept": "text/html, application/xhtml+xml, text/plain;q=0.9, */*;q=0.1", "Accept-Encoding": "gzip"}
    with asked(url, allowed, wanted) as answer:
        _refuse(answer)
        pages.refuse_type(answer.media_type)
        body = b"".join(pieces(answer, max_bytes, "the page"))
        charset = answer.response.charset_encoding or ""
    return Page(body, answer.media_type, charset)


# ---- where does it lead ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lead:
    """Where a URL leads.

    url         the last address, with its secrets
    is_sound    whether it is a file with sound by its type and its first bytes; else it is for yt-dlp to find out
    validator   see `Answer.validator`
    """

    url: str
    is_sound: bool
    length: int | None = None
    validator: str = ""


def lead(url: str, allowed: urls.Networks, refuse_size: Callable[[int], None]) -> Lead:
    """Follow a URL to its end and look at the answer; its body is not read beyond the first bytes.

    refuse_size   called with the length of a file, in bytes; raises if that is too much
    raises        BadInputError for what is no sound for certain; SourceUnavailableError
    """
    with asked(url, allowed) as answer:
        if answer.status in troubles.PLAIN_REFUSALS:
            raise troubles.refusal(answer.status, answer.header("retry-after"))
        if answer.status >= 300:  # perhaps it is us who are not liked: yt-dlp looks more like a browser
            return Lead(url=answer.url, is_sound=False)
        start = next(answer.response.iter_raw(), b"") if answer.length != 0 else b""
        _refuse_pages(answer, start)
        if not _is_sound(answer, start):
            if (answer.length or 0) > MAX_PAGE_BYTES and answer.media_type.startswith("text/"):
                raise BadInputError("the page at the URL is far too large; give the address of its audio file")
            return Lead(url=answer.url, is_sound=False)
        if answer.length == 0:
            raise BadInputError("the file at the URL is empty (0 bytes); check the address")
        if answer.length is not None:
            refuse_size(answer.length)
        return Lead(url=answer.url, is_sound=True, length=answer.length, validator=answer.validator)


def _refuse_pages(answer: Answer, start: bytes) -> None:
    if answer.media_type.startswith(_NO_SOUND):
        raise BadInputError(f"the URL leads to {answer.media_type}, not to audio; give the address of the audio file")
    promised = PurePosixPath(urls.path_of(answer.url)).suffix.lower() in _SOUND_SUFFIXES
    says_sound = answer.media_type.startswith(_SOUND_TYPES)
    if (promised or says_sound) and (answer.media_type == "text/html" or feeds.is_page(start)):
        raise BadInputError(
            "the site answers with a web page (HTML) where audio was promised; open the address in a browser: it may "
            "ask to sign in, or the file is gone. Else download it yourself and upload it"
        )


def _is_sound(answer: Answer, start: bytes) -> bool:
    if any(name in answer.media_type for name in _PLAYLIST_TYPES) or start.lstrip().startswith((b"#EXTM3U", b"<")):
        return False
    return answer.media_type.startswith((*_SOUND_TYPES, *_PLAIN_TYPES))


# ---- feeds -------------------------------------------------------------------------------------------------------


def feed(url: str, allowed: urls.Networks, most: int, *, etag: str, modified: str, only_feed: bool) -> Catalogue | None:
    """Fetch and read a feed, unless it is as it was; None if the address has none.

    etag, modified   of the last answer, or empty
    only_feed        whether anything else is an error; else only as much is read as shows that it is none
    raises           BadInputError, SourceUnavailableError
    """
    conditions = {"If-None-Match": etag, "If-Modified-Since": modified}
    headers = {"Accept-Encoding": "gzip", **{name: value for name, value in conditions.items() if value}}
    with asked(url, allowed, headers) as answer:
        if answer.status == httpx.codes.NOT_MODIFIED and (etag or modified):
            return Catalogue(kind="feed", unchanged=True, etag=etag, modified=modified)
        if only_feed or answer.status in troubles.PLAIN_REFUSALS:
            _refuse(answer)
        data = None if answer.status >= 300 else _document(answer, only_feed)
        if data is None:
            return None
        found, new = answer.url, {"etag": answer.header("etag"), "modified": answer.header("last-modified")}
    return feeds.parse(data, found, url, most).model_copy(update=new)


def _document(answer: Answer, only_feed: bool) -> bytes | None:
    if answer.media_type.startswith(_SOUND_TYPES):
        if only_feed:
            raise BadInputError("the URL leads to audio or video, not to a feed; add it as a recording instead")
        return None
    body, start = pieces(answer, MAX_FEED_BYTES, "the feed"), b""
    for piece in body:
        start += piece
        if len(start) >= SNIFFED_BYTES:
            break
    if feeds.is_feed(start):
        return start + b"".join(body)
    if only_feed and start:
        raise feeds.no_feed(start, answer.url)
    return b"" if only_feed else None
