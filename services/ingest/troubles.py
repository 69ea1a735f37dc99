"""What yt-dlp, HTTP and TLS say when something is wrong, and what it means to people: pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

from shared import urls
from shared.errors import BadInputError, DiaryError, NoSpaceError, SourceUnavailableError

BUSY = (429, 500, 502, 503, 504)
PLAIN_REFUSALS = (401, 404, 410, *BUSY)  # mean the same whoever asks
RATE_LIMITED_S = 3600.0

_SIGN_IN = "set INGEST_COOKIES_FILE to the cookies of a browser where such an account is signed in, or leave it out"
_BOT = (
    "the site takes this machine for a bot: set INGEST_COOKIES_FILE, or INGEST_POT_PROVIDER_URL, and a longer "
    "INGEST_PAUSE_S; then try again"
)
_SAID: tuple[tuple[str, str], ...] = (
    ("members-only|available to this channel's members|join this channel", f"it is for members only; {_SIGN_IN}"),
    ("confirm your age|age.restricted|inappropriate for some", f"the site asks for the viewer's age; {_SIGN_IN}"),
    ("private video|video is private", f"the video is private; {_SIGN_IN}"),
    ("premieres in|will begin in|has not started|offline", "it is not published yet; add it when it has been"),
    ("not available (in|from) your|geo.?restrict|not made this video available", "the site does not show this in the "
     "country that this machine is in; download it elsewhere and upload the file"),
    ("drm", "the sound is locked (DRM) and cannot be fetched; ask its owner for the file"),
    ("video has been removed|video unavailable|no longer available|account.* terminated", "the video is gone; leave it "
     "out, or upload the file if you have it"),
    ("requested format is not available|no video formats", "the site offers no sound that can be fetched; run `make "
     "update-ytdlp`, or download it yourself and upload the file"),
    ("(100|more than \\d+) headers|header line|linetoolong", "the server sends headers without end; it is broken, or "
     "means harm: check the address"),
    ("unsupported url scheme", "the site leads to an address that is neither http nor https; upload the file instead"),
    ("failed to resolve|name or service not known|name resolution", "the site's host is not known; check the address "
     "and the network"),
)  # fmt: skip


def explain(error: BaseException, hide: urls.Hide) -> DiaryError:
    """What an error of yt-dlp means to people, and what to do."""
    causes = list(_causes(error))
    ours = next((cause for cause in causes if isinstance(cause, DiaryError)), None)
    if ours:
        return ours
    text = hide(str(error)).removeprefix("ERROR: ").split("; please report this issue")[0]
    kinds = {type(cause).__name__ for cause in causes}
    if "No space left on device" in text:
        return NoSpaceError("the work folder's disk is full; free some space and run the job again")
    if re.search("not a bot|captcha", text, re.I):
        return SourceUnavailableError(_BOT, RATE_LIMITED_S)
    if refused := next((cause for cause in causes if isinstance(getattr(cause, "status", None), int)), None):
        return refusal(cast(Any, refused).status, _retry_after(refused), text)
    if "rate-limited" in text:
        return SourceUnavailableError(
            "the site wants fewer requests for about an hour; set a longer INGEST_PAUSE_S", RATE_LIMITED_S
        )
    if kinds & {"CertificateVerifyError", "SSLError"}:
        return bad_tls("the site", text)
    for pattern, meaning in _SAID:
        if re.search(pattern, text, re.I):
            return BadInputError(f"{meaning} (yt-dlp: {text[:300]})")
    return _unnamed(text, kinds)


def _unnamed(text: str, kinds: set[str]) -> DiaryError:
    if "Did not get any data blocks" in text:
        return BadInputError("the file at the URL is empty (0 bytes); check the address")
    if "UnsupportedError" in kinds:
        return BadInputError(
            "no audio or video was found at the URL; give the address of one episode or its audio file"
        )
    if kinds & {"TransportError", "IncompleteRead", "ContentTooShortError"} or "content too short" in text:
        return SourceUnavailableError(f"the download broke off ({text}); the job waits and tries again")
    return BadInputError(f"yt-dlp cannot fetch the URL: {text}; download it yourself and upload the file")


def refusal(status: int, retry_after: str = "", text: str = "") -> DiaryError:
    """What an HTTP status of 300 and more means; `retry_after` is that header, `text` what yt-dlp says."""
    if status in BUSY:
        wait_s = wait_of(retry_after, datetime.now(UTC))
        asks = f" and asks to wait {wait_s:.0f} s" if wait_s else ""
        return SourceUnavailableError(
            f"the site is busy or broken (HTTP {status}){asks}; the job waits and tries again", wait_s
        )
    if status == 401:
        return BadInputError(
            "the site asks for a user and password (HTTP 401); write them into the address, "
            "https://user:password@..., and check them"
        )
    if status in (402, 403, 451):
        for pattern, meaning in _SAID[:5]:
            if re.search(pattern, text, re.I):
                return BadInputError(f"{meaning} (HTTP {status})")
        return BadInputError(
            f"the site does not let us in (HTTP {status}); check whether the address still opens in a browser, or "
            "download it yourself and upload the file"
        )
    if status in (404, 410):
        gone = "nothing is at the URL any more" if status == 410 else "nothing is at the URL"
        return BadInputError(f"{gone} (HTTP {status}); check the address")
    return BadInputError(f"the site refuses the request (HTTP {status}); check the address")


def wait_of(retry_after: str, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date."""
    text = retry_after.strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _retry_after(error: Any) -> str:
    headers = getattr(getattr(error, "response", None), "headers", None)
    return str(headers.get("Retry-After") or "") if headers is not None else ""


def unanswered(host: str, error: Exception, hide: urls.Hide) -> DiaryError:
    """What an error of httpx means; by its name, for only fetching.py knows httpx."""
    kind, why = type(error).__name__, hide(str(error)) or type(error).__name__
    if "SSL" in why or "certificate" in why:
        return bad_tls(host, why)
    if kind.endswith("Timeout"):
        return SourceUnavailableError(f"{host} does not answer in time; the job waits and tries again")
    if "too long" in why:
        return BadInputError(f"{host} sends headers without end; it is broken, or means harm: check the address")
    if kind in ("ReadError", "WriteError", "CloseError") or "closed" in why or "disconnected" in why:
        return SourceUnavailableError(f"{host} broke off ({why}); the job waits and tries again")
    if kind == "RemoteProtocolError":
        return BadInputError(f"{host} does not speak HTTP as it should ({why}); check the address")
    return BadInputError(f"{host} does not answer ({why}); check the address, or try again later")


def bad_tls(host: str, why: str) -> BadInputError:
    return BadInputError(
        f"no safe connection to {host} (TLS: {why[:300]}); check the address, https or http, or tell whoever runs it"
    )


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
        unexpected = getattr(found, "unexpected_errors", None) or ()
        waiting += [kept, *unexpected, getattr(found, "cause", None), found.__cause__, found.__context__]


class RedactedLog:
    """yt-dlp's messages for the engine's log, without the secrets of URLs."""

    def __init__(self, hide: urls.Hide) -> None:
        self._hide = hide

    def debug(self, message: str) -> None:
        pass

    info = debug

    def warning(self, message: str) -> None:
        print(f"yt-dlp: {self._hide(message)}", file=sys.stderr, flush=True)

    error = warning
