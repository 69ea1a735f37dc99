"""The text of a web page, block by block, without its menus, notices, tables of links and scripts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

from services.ingest import feeds
from shared.errors import BadInputError

HTML_TYPES = ("text/html", "application/xhtml+xml")
PLAIN = "text/plain"
SNIFFED_BYTES = 2048

_FURNITURE = ",".join(
    ("script", "style", "noscript", "template", "svg", "nav", "footer", "aside", "form", "button", "select", "iframe",
     "object", "dialog", "menu", "[hidden]", "[aria-hidden=true]", "[role=navigation]", "[role=banner]",
     "[role=dialog]", "[role=contentinfo]", "[role=search]", "[role=alert]",
     "sup.reference", ".mw-editsection", ".navbox", ".infobox",
     ".reflist", ".toc", ".breadcrumb", ".breadcrumbs", ".cookie-banner", ".cookie-notice", ".cookie-consent",
     ".hatnote", ".noprint", ".sidebar")
)  # fmt: skip
_BLOCKS = frozenset((
    "address", "article", "blockquote", "body", "caption", "center", "dd", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "legend", "main", "ol", "p",
    "pre", "section", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
_CONTENT = ("main", "[role=main]", "article", "body")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_AS_BROWSERS_READ = {"iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252"}


class Page(NamedTuple):
    """What a server sent; `charset` is what its header says, or empty."""

    body: bytes
    media_type: str
    charset: str = ""


def refuse_type(media_type: str) -> None:
    """raises BadInputError for anything that is neither a web page nor plain text, by what the server says"""
    if media_type not in (*HTML_TYPES, PLAIN, ""):
        raise BadInputError(
            f"the URL leads to {media_type[:100]}; only web pages (HTML) and plain text are read. Copy what it says of "
            "the guest into a file, and give that: `diary guests add --text FILE`"
        )


def text_of(page: Page) -> str:
    """The page's text; paragraphs are parted by empty lines.

    raises   BadInputError if it is none that can be read, or has no text
    """
    refuse_type(page.media_type)
    if b"\0" in page.body[:SNIFFED_BYTES] and not page.body.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInputError("what is at the URL is no text, whatever its server says; give the address of a web page")
    is_html = page.media_type in HTML_TYPES or feeds.is_page(page.body[:SNIFFED_BYTES])
    text = _decoded(page)
    found = _of_html(text) if is_html else text
    if not found.strip():
        raise BadInputError(
            "the page at the URL has no text: it may be drawn by scripts, or ask to sign in. Copy what it says of the "
            "guest into a file, and give that: `diary guests add --text FILE`"
        )
    return found


def _decoded(page: Page) -> str:
    """By the mark at its beginning, else as the header or the page itself says, else as UTF-8."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if page.body.startswith(mark):
            return page.body.decode(name, "replace")
    told = _META_CHARSET.search(page.body, 0, SNIFFED_BYTES)
    charset = (page.charset or (told.group(1).decode("ascii") if told else "utf-8")).strip("\"' ").lower()
    try:
        return page.body.decode(_AS_BROWSERS_READ.get(charset, charset), "replace")
    except (LookupError, UnicodeError, ValueError):  # a charset that there is not, or that is no charset
        return page.body.decode("utf-8", "replace")


def _of_html(html: str) -> str:
    tree = LexborHTMLParser(html)
    for node in tree.css(_FURNITURE):
        if node.tag not in ("html", "body", "main", "article"):
            node.decompose()
    places = (tree.css_first(place) for place in _CONTENT)
    root = next((place for place in places if place is not None and place.text().strip()), None)
    return _in_lines("".join(_pieces(root))) if root is not None else ""


def _pieces(root: LexborNode) -> Iterator[str]:
    """Text and line breaks in the page's order; without recursion, for pages may be nested without end."""
    waiting: list[LexborNode | str] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif node.tag == "-text":
            yield re.sub(r"\s+", " ", node.text(deep=False) or "")
        elif node.tag == "br":
            yield "\n"
        elif node.tag != "-comment":
            around = "\n\n" if node.tag in _BLOCKS else ""
            yield "\n- " if node.tag == "li" else around
            waiting.append("" if node.tag == "li" else around)
            waiting += reversed(list(_children(node)))


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child: LexborNode | None = node.first_child
    while child is not None:
        yield child
        child = child.next


def _in_lines(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
