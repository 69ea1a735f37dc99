"""A web site of the tests, at 127.0.0.2: files with Range and ETag, and every way to misbehave that we know.

It is bound apart from 127.0.0.1, so that a test may let ingest reach this site and see it refuse the rest of loopback.
"""

from __future__ import annotations

import base64
import gzip
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOST = "127.0.0.2"
NETWORK = "127.0.0.2/32"


@dataclass
class Served:
    """A file of the site.

    etag         of this version; a Range is served only for it
    breaks_off   bytes after which the connection is cut, once
    drip_s       pause before each byte
    user         who must ask, as user:password
    """

    body: bytes
    media_type: str = "audio/mpeg"
    etag: str = ""
    breaks_off: int | None = None
    drip_s: float = 0.0
    user: str = ""
    packed: bool = False


@dataclass
class Asked:
    path: str
    headers: dict[str, str]


@dataclass
class Answered:
    """An answer without a file."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Site(ThreadingHTTPServer):
    """Start it, give it files, ask what was asked of it.

    files   path -> what it answers with: a file, an answer, or a function that writes to the connection itself
    """

    daemon_threads = True

    def __init__(self, certificate: Path | None = None) -> None:
        super().__init__((HOST, 0), _Door)
        self.files: dict[str, Served | Answered | Callable[[_Door], None]] = {}
        self.asked: list[Asked] = []
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{HOST}:{self.server_port}"

    def with_user(self, user: str, path: str = "") -> str:
        return self.url.replace("://", f"://{user}@") + path

    def of(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.partition("?")[0] == path]

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news here."""


class _Door(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}))
        found = self.server.files.get(self.path.partition("?")[0])
        if found is None:
            self.answer(Answered(404))
        elif isinstance(found, Answered):
            self.answer(found)
        elif isinstance(found, Served):
            self._serve(found)
        else:
            found(self)

    def answer(self, answered: Answered) -> None:
        self._head(answered.status, {"Content-Length": str(len(answered.body)), **answered.headers})
        self.wfile.write(answered.body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _serve(self, file: Served) -> None:
        if file.user and self.headers["Authorization"] != _basic(file.user):
            self.answer(Answered(401, {"WWW-Authenticate": 'Basic realm="private"'}))
        elif file.etag and self.headers["If-None-Match"] == file.etag:
            self.answer(Answered(304, {"ETag": file.etag}))
        else:
            self._send(file)

    def _send(self, file: Served) -> None:
        body = gzip.compress(file.body) if file.packed else file.body
        headers = {"Content-Type": file.media_type, "Accept-Ranges": "bytes"}
        headers |= {"ETag": file.etag} if file.etag else {}
        headers |= {"Content-Encoding": "gzip"} if file.packed else {}
        start = self._start(file)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        self._head(206 if start else 200, {"Content-Length": str(len(body) - start), **headers})
        rest = body[start:]
        if file.breaks_off is not None:
            rest, file.breaks_off = rest[: file.breaks_off], None
            self.wfile.write(rest)
            self.wfile.flush()
            self.connection.close()
        elif file.drip_s:
            for at in range(len(rest)):
                self.wfile.write(rest[at : at + 1])
                self.wfile.flush()
                time.sleep(file.drip_s)
        else:
            self.wfile.write(rest)

    def _start(self, file: Served) -> int:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        condition = self.headers["If-Range"]
        stale = condition is not None and condition != file.etag
        return int(wanted.group(1)) if wanted and not stale and int(wanted.group(1)) < len(file.body) else 0

    def log_message(self, *args: Any) -> None:
        pass


def _basic(user: str) -> str:
    return "Basic " + base64.b64encode(user.encode()).decode()


# ---- ways to misbehave -----------------------------------------------------------------------------------------------


def to(url: str, status: int = 302) -> Answered:
    return Answered(status, {"Location": url})


def endless(door: _Door, media_type: str = "audio/mpeg") -> None:
    """A body that never ends, without a length."""
    door._head(200, {"Content-Type": media_type})
    while True:
        door.wfile.write(b"\xff\xfb" + bytes(65534))


def endless_page(door: _Door) -> None:
    door._head(200, {"Content-Type": "text/html"})
    door.wfile.write(b"<!doctype html><title>A page</title>")
    while True:
        door.wfile.write(b"<p>and so on</p>" * 8192)


def endless_redirects(door: _Door) -> None:
    last = re.search(r"\?n=(\d+)", door.path)
    door.answer(to(f"{door.path.partition('?')[0]}?n={int(last.group(1)) + 1 if last else 1}"))


def header_bomb(door: _Door) -> None:
    """Headers that never end."""
    door.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n")
    for number in range(10_000_000):
        door.wfile.write(b"X-More-%d: %s\r\n" % (number, b"x" * 1000))


def no_http(door: _Door) -> None:
    door.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


def ten_gigabytes(door: _Door) -> None:
    door._head(200, {"Content-Type": "audio/mpeg", "Content-Length": str(10 * 1024**3)})
    door.wfile.write(b"\xff\xfb" + bytes(65534))


def gzip_bomb(megabytes: int) -> Answered:
    """A small answer that unpacks to a document of so many MB."""
    head = b'<?xml version="1.0"?><rss><channel>'
    body = gzip.compress(head + b"<!-- " + bytes(megabytes * 1024**2) + b" -->", 9)
    return Answered(200, {"Content-Type": "application/rss+xml", "Content-Encoding": "gzip"}, body)


# ---- feeds -----------------------------------------------------------------------------------------------------------


def feed(title: str, *items: str) -> bytes:
    """An RSS feed of items as `episode` writes them."""
    spaces = (
        'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" '
        'xmlns:podcast="https://podcastindex.org/namespace/1.0"'
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" {spaces}><channel><title>{title}</title>'
        f"{''.join(items)}</channel></rss>"
    ).encode()


def episode(number: int, sound_url: str, more: str = "", *, seconds: int = 3600, size: int = 28_800_000) -> str:
    """One item; the higher its number, the newer it is. `more` is XML inside of it."""
    day = time.strftime("%a, %d %b %Y 10:00:00 +0000", time.gmtime(1_700_000_000 + number * 86_400))
    return (
        f'<item><title>Talk {number}</title><guid isPermaLink="false">lamplight-episode-{number:05d}</guid>'
        f"<pubDate>{day}</pubDate><itunes:duration>{seconds}</itunes:duration>"
        f'<enclosure url="{sound_url}" length="{size}" type="audio/mpeg"/>{more}</item>'
    )
