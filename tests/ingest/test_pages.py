"""Web pages into text: what is of the page itself goes, what it says stays, in any encoding."""

from __future__ import annotations

import pytest

from services.ingest.pages import Page, text_of
from shared.errors import BadInputError

PAGE = """<!doctype html><html><head><title>Orla</title><style>p { color: red }</style></head>
<body class="cookie-consent"><nav><a href=/>Home</a> <a href=/about>About Orla Finch</a></nav>
<header><h1>Lamps today</h1></header>
<main><h1>Orla&nbsp;Finch</h1><p>Orla Finch <b>makes</b>
lamps.<sup class="reference">[1]</sup> She
is tall.<br>Rain fell.</p><ul><li>Born in <i>1970</i></li><li>Won in 1998</li></ul>
<aside>Subscribe!</aside><!-- Orla Finch --><script>var orla = "Orla Finch"</script><p hidden>Unseen</p></main>
<footer>© Orla Finch</footer></body></html>"""


def html(text: str, media_type: str = "text/html", charset: str = "") -> str:
    return text_of(Page(text.encode(), media_type, charset))


def test_the_text_of_a_page_is_its_main_part_block_by_block():
    assert html(PAGE) == (
        "Orla Finch\n\nOrla Finch makes lamps. She is tall.\nRain fell.\n\n- Born in 1970\n- Won in 1998"
    )


def test_a_page_without_a_main_part_is_its_body():
    assert html("<p>Orla Finch ran.<p>She slept.<table><tr><td>Born<td>1970</table>") == (
        "Orla Finch ran.\n\nShe slept.\n\nBorn\n\n1970"
    )


def test_plain_text_stays_as_it_is():
    assert html("Orla <b>Finch</b>\n\nran.", "text/plain") == "Orla <b>Finch</b>\n\nran."


@pytest.mark.parametrize(
    "page",
    [
        Page("<p>Órla “ran”".encode(), "text/html"),
        Page("<p>Órla “ran”".encode("cp1252"), "text/html", "iso-8859-1"),
        Page('<meta charset="windows-1252"><p>Órla “ran”'.encode("cp1252"), "text/html"),
        Page("\ufeff<p>Órla “ran”".encode("utf-16-le"), "text/html", "utf-8"),
        Page("<p>Órla “ran”".encode("utf-8-sig"), "text/html", "latin-1"),
        Page("<p>Órla “ran”".encode(), "text/html", "no-such-thing"),
        Page("<p>Órla “ran”".encode(), "text/html", "zip"),
        Page("<html><p>Órla “ran”".encode(), ""),
        Page("<html><p>Órla “ran”".encode(), "text/plain"),
    ],
    ids=["utf-8", "header", "meta", "utf-16", "bom", "unknown", "no charset", "no type", "page as text"],
)
def test_text_is_read_in_whatever_encoding_it_has(page: Page):
    assert text_of(page) == "Órla “ran”"


@pytest.mark.parametrize(
    ("page", "trouble"),
    [
        (Page(b"%PDF-1.7", "application/pdf"), r"leads to application/pdf; only web pages.*--text FILE"),
        (Page(b"ID3", "audio/mpeg"), "leads to audio/mpeg"),
        (Page(b"{}", "application/json"), "leads to application/json"),
        (Page(b"\x89PNG\r\n\0\0", "text/plain"), "is no text, whatever its server says"),
        (Page(b"", "text/html"), "has no text.*drawn by scripts"),
        (Page(b"<div id=app></div><script>draw()</script>", "text/html"), "has no text.*drawn by scripts"),
        (Page(b"<nav>Home</nav>", "text/html"), "has no text"),
        (Page(b" \n", "text/plain"), "has no text"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do_instead(page: Page, trouble: str):
    with pytest.raises(BadInputError, match=trouble):
        text_of(page)


def test_a_page_nested_deeper_than_any_stack_is_read():
    assert html("<b>" + "<div>" * 5000 + "Orla Finch ran.") == "Orla Finch ran."


def test_broken_html_is_read_as_a_browser_does():
    assert html("<p>Orla <b>Finch<p>ran</b> far</i> & <away &lt; 3") == "Orla Finch\n\nran far &"
