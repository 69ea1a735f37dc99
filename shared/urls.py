"""Which URLs may be fetched, and how they are written down: pure rules, the network is passed in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import parse_qsl, unquote, urlencode, urljoin, urlsplit, urlunsplit

from shared.errors import BadInputError

MAX_REDIRECTS = 10
DEFAULT_PORTS = {"http": 80, "https": 443}
HIDDEN = "***"
SHORTEST_SECRET = 4
_SECRET_NAME = re.compile(
    r"token|secret|sig|auth|pass|pwd|credential|session|jwt|api_?key|(^|[_-])key($|[_-])|^x-amz-|^policy$|^code$", re.I
)
_SECRET_VALUE = re.compile(r"(?=.*\d)[A-Za-z0-9_\-+/=.~]{32,}")
PUBLIC_NAMES = ("list", "v")  # of a playlist and a video: long, and no secret
_SECRET_PLACE = re.compile(r"/(?:private|token)/((?=[^/]*\d)[^/]{12,})", re.I)
_SECRET_SEGMENT = re.compile(r"/(eyJ[A-Za-z0-9_\-=.]{16,}|(?=[A-Za-z]*\d)(?=[0-9]*[A-Za-z])[A-Za-z0-9]{32,})(?=[/.]|$)")
_NAT64 = IPv6Network("64:ff9b::/96")
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,30}://[^\s'\"<>]+", re.I)
_PAIR = re.compile(r"(?<=[?&])([^\s=&?'\"<>]+)=([^\s&'\"<>]*[^\s&'\"<>:;,.)])")  # of a piece of a URL

Resolve = Callable[[str], Iterable[str]]
"""Host name -> the addresses it stands for."""

Redirect = Callable[[str], str | None]
"""URL -> the address it sends us on to, None if it answers itself."""

Networks = tuple[IPv4Network | IPv6Network, ...]

Hide = Callable[[str], str]
"""A text -> the text without secrets."""


def check_url(url: str) -> str:
    """The host of a URL that may be asked at all.

    raises   BadInputError for anything but http and https with a host
    """
    try:
        parts = urlsplit(url.strip())
        host, scheme, _ = parts.hostname, parts.scheme.lower(), parts.port
    except ValueError as error:
        raise BadInputError(f"{redact(url)} is not a valid URL ({error}); copy it again from the browser") from error
    if scheme not in ("http", "https"):
        raise BadInputError(
            f"only http and https addresses are fetched, not {scheme or 'none'!r}; upload the file instead"
        )
    if not host:
        raise BadInputError(f"{redact(url)} names no host; give the full address, e.g. https://example.org/talk.mp3")
    return host


def networks_of(text: str) -> Networks:
    """Networks in CIDR notation, separated by commas. raises BadInputError"""
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise BadInputError(
            f"{text!r} is no list of networks ({error}); write them like 10.1.0.0/16,fd00::/8"
        ) from error


def may_be_reached(address: str, allowed: Networks) -> bool:
    """Whether an IP address is public, or in one of the networks that an operator allows."""
    ip = ip_address(address.split("%")[0])
    return is_public(address) or any(ip in network for network in allowed if network.version == ip.version)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also when it is wrapped into IPv6."""
    ip: IPv4Address | IPv6Address = ip_address(address.split("%")[0])
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    elsewhere = ip.is_multicast or ip.is_reserved or (isinstance(ip, IPv6Address) and ip.is_site_local)
    return ip.is_global and not elsewhere


def check_host(host: str, resolve: Resolve, allowed: Networks = ()) -> None:
    """Refuse a host of which any address is loopback, private, link-local or otherwise not public, nor allowed."""
    for address in resolve(host):
        if not may_be_reached(address, allowed):
            raise BadInputError(private_host(host, address))


def private_host(host: str, address: str) -> str:
    return (
        f"{host} is {address}, inside a private network; recordings are fetched from public addresses only. Upload "
        "the file instead, or let the operator name the network in INGEST_PRIVATE_NETWORKS"
    )


def follow(url: str, redirect: Redirect, check: Callable[[str], None]) -> str:
    """Walk the redirects by hand; scheme and host of every hop are checked before it is asked.

    returns  the address that answers itself
    raises   BadInputError for a hop that may not be fetched, or more than MAX_REDIRECTS of them
    """
    for _ in range(MAX_REDIRECTS + 1):
        check(check_url(url))
        target = redirect(url)
        if target is None:
            return url
        url = lend_credentials(url, join(url, target))
    raise BadInputError(f"{redact(url)} redirects more than {MAX_REDIRECTS} times; give the final address")


def join(base: str, link: str) -> str:
    """A link of a document, made whole; one that is no valid URL stays as it is, to be refused when it is asked for."""
    try:
        return urljoin(base, link)
    except ValueError:
        return link


def path_of(url: str) -> str:
    """The path of a URL; empty where it is none."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs are of one scheme, host and port: only there do a user and password go along."""
    return _origin(one) is not None and _origin(one) == _origin(other)


def lend_credentials(address: str, url: str) -> str:
    """The URL, with the user and password of an address of the same origin if it has none of its own."""
    if not same_origin(address, url) or "@" in urlsplit(url).netloc:
        return url
    user, at, _ = urlsplit(address).netloc.rpartition("@")
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=user + at + parts.netloc)) if at else url


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url.strip())
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        return None
    if scheme not in DEFAULT_PORTS or not host:
        return None
    return scheme, host, port or DEFAULT_PORTS[scheme]


# ---- writing URLs down -----------------------------------------------------------------------------------------------


def redact(url: str, *, path: bool = True) -> str:
    """The URL without its secrets: user and password, token-like query values and parts of the path, the fragment.

    path   False leaves the path as it is: to tell addresses apart, not to show them
    """
    try:
        parts = urlsplit(url.strip())
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return url.split("?")[0].split("@")[-1][:200]
    user, at, host = parts.netloc.rpartition("@")
    shown = [(name, HIDDEN if value and _is_secret(name, value) else value) for name, value in query]
    return urlunsplit(
        (
            parts.scheme,
            (HIDDEN + at if user else "") + host,
            _redact_path(parts.path) if path else parts.path,
            urlencode(shown, safe="*/:"),
            "",
        )
    )


def _redact_path(path: str) -> str:
    for secret in _secrets_of_path(path):
        path = path.replace(f"/{secret}", f"/{HIDDEN}")
    return path


def _secrets_of_path(path: str) -> list[str]:
    """What comes after a place that is called private, and what looks like a token; a UUID is a name like any other."""
    return [found for pattern in (_SECRET_PLACE, _SECRET_SEGMENT) for found in pattern.findall(path) if found != HIDDEN]


def redact_text(text: str) -> str:
    """A message of a library with the secrets of all URLs, and of pieces of URLs, in it hidden."""
    return _PAIR.sub(_redact_pair, _URL.sub(lambda match: redact(match.group()), text))


def _redact_pair(found: re.Match[str]) -> str:
    name, value = found.groups()
    return f"{name}={HIDDEN}" if _is_secret(name, value) else found.group()


def secrets_of(url: str) -> list[str]:
    """What `redact` hides of this URL, as it is written and decoded, longest first."""
    parts = urlsplit(url.strip())
    user, _, _ = parts.netloc.rpartition("@")
    raw = [(name, value) for name, _, value in (pair.partition("=") for pair in parts.query.split("&"))]
    values = [value for name, value in raw if _is_secret(name, value)] + user.split(":")
    values += [form for token in _secrets_of_path(parts.path) for form in (token, token.partition(".")[0])]
    found = {form for value in values for form in (value, unquote(value)) if len(form) >= SHORTEST_SECRET}
    return sorted(found, key=len, reverse=True)


def hider(url: str, *more: str) -> Hide:
    """Hides all secrets of URLs in a text, and those of this one and `more` wherever they stand alone."""
    secrets = [*secrets_of(url), *(secret for secret in more if len(secret) >= SHORTEST_SECRET)]

    def hide(text: str) -> str:
        text = redact_text(text)
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        return text

    return hide


def _is_secret(name: str, value: str) -> bool:
    long = name not in PUBLIC_NAMES and _SECRET_VALUE.fullmatch(value)
    return bool(_SECRET_NAME.search(name) or long)
