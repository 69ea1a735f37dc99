import html
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest import feeds
from services.ingest.catalogue import Catalogue
from shared.errors import BadInputError

ADDRESS = "https://ann:passw0rd@pod.example/private/feed.xml"
NAMESPACES = (
    'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" '
    'xmlns:podcast="https://podcastindex.org/namespace/1.0" xmlns:media="http://search.yahoo.com/mrss/"'
)
EPISODE = """<item>
  <title>Bread &amp;amp; a <![CDATA[fox]]></title><guid isPermaLink="false">lamplight-episode-0001</guid>
  <link>https://pod.example/1?token=s3cret</link><pubDate>Sun, 01 Nov 2026 23:30:00 -0500</pubDate>
  <itunes:duration>1:02:03</itunes:duration>
  <description><![CDATA[<p>With Ben.<br/>00:00 Hello</p><p>https://x.example/?token=s3cret</p>]]></description>
  <enclosure url="film.mp4" type="video/mp4" length="99999"/>
  <enclosure url="/sound/1.mp3?token=s3cret" type="audio/mpeg" length="12345678"/>
  <podcast:person role="host">Mara Quill</podcast:person>
  <podcast:person role="guest">Ben Marsh</podcast:person>
  <podcast:person role="Guest" href="https://x.example">Dagny Holt</podcast:person>
  <podcast:chapters url="https://cdn.example/1.json" type="application/json+chapters"/>
  <podcast:transcript url="1.vtt" type="text/vtt" language="en"/>
  <podcast:transcript url="1.srt" type="application/srt"/>
</item>"""


def rss(*items: str, prolog: str = "", title: str = "The Lamplight Hour") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{prolog}<rss version="2.0" {NAMESPACES}><channel>'
        f"<title>{title}</title>{''.join(items)}</channel></rss>"
    ).encode()


def item(number: int, *, guid: str | None = None, day: str = "", sound: str = "") -> str:
    name = f"<guid>{guid}</guid>" if guid is not None else ""
    date = f"<pubDate>{day} 10:00:00 +0000</pubDate>" if day else ""
    sound = sound or f"https://cdn.example/{number}.mp3"
    return f'<item><title>Talk {number}</title>{name}{date}<enclosure url="{sound}" type="audio/mpeg"/></item>'


def parse(data: bytes, address: str = ADDRESS, most: int = 10_000) -> Catalogue:
    return feeds.parse(data, "https://pod.example/private/feed.xml", address, most)


def test_an_episode_has_all_that_the_feed_says_of_it():
    found = parse(rss(EPISODE))

    (episode,) = found.items
    assert (found.kind, found.title, found.warnings) == ("feed", "The Lamplight Hour", ())
    assert episode.identity == "lamplight-episode-0001"
    assert episode.title == "Bread & a fox"
    assert (episode.duration_s, episode.bytes, str(episode.published_on)) == (3723.0, 12345678, "2026-11-02")
    assert episode.description == "With Ben.\n00:00 Hello\nhttps://x.example/?token=***"
    assert episode.page_url == "https://pod.example/1?token=***"
    assert episode.guests == ("Ben Marsh", "Dagny Holt")
    assert [(link.media_type, link.language) for link in episode.transcripts] == [
        ("text/vtt", "en"),
        ("application/srt", ""),
    ]


def test_the_password_goes_along_to_the_feeds_own_server_and_to_no_other():
    (episode,) = parse(rss(EPISODE)).items

    assert episode.url == "https://ann:passw0rd@pod.example/sound/1.mp3?token=s3cret"
    assert episode.transcripts[0].url == "https://ann:passw0rd@pod.example/private/1.vtt"
    assert episode.chapters_url == "https://cdn.example/1.json"
    assert "passw0rd" not in repr(episode)
    assert "s3cret" not in repr(episode)


def test_a_feed_that_another_server_answered_gets_no_password():
    found = feeds.parse(rss(EPISODE), "https://other.example/feed.xml", ADDRESS, 10)

    assert found.items[0].url == "https://other.example/sound/1.mp3?token=s3cret"


@pytest.mark.parametrize(
    ("guid", "sound", "identity"),
    [
        ("17", "https://cdn.example/1.mp3", "pod.example/private/feed.xml 17"),
        (None, "https://cdn.example/1.mp3?token=abc&n=2", "https://cdn.example/1.mp3?token=***&n=2"),
        ("https://pod.example/?p=17&amp;key=abcd", "https://cdn.example/1.mp3", "https://pod.example/?p=17&key=***"),
    ],
)
def test_an_episode_is_known_by_what_stays_the_same_of_it(guid: str | None, sound: str, identity: str):
    assert parse(rss(item(1, guid=guid, sound=sound.replace("&", "&amp;")))).items[0].identity == identity


def test_a_guid_that_several_episodes_share_tells_none_of_them_apart():
    found = parse(rss(item(1, guid="the-same-for-all-of-them"), item(2, guid="the-same-for-all-of-them")))

    assert [episode.identity for episode in found.items] == ["https://cdn.example/1.mp3", "https://cdn.example/2.mp3"]


def test_episodes_that_differ_only_in_what_looks_like_a_secret_are_two():
    sounds = [f"https://cdn.example/get?key={name}" for name in ("0123456789abcdef" * 2, "fedcba9876543210" * 2)]

    found = parse(rss(*(item(number, guid=None, sound=sound) for number, sound in enumerate(sounds, start=1))))

    assert [episode.identity for episode in found.items] == sounds


def test_addresses_that_only_their_secrets_tell_apart_are_two_episodes():
    sounds = [f"https://cdn.example/sound.mp3?token={token}" for token in ("abc", "def")]

    assert [episode.identity for episode in parse(rss(*(item(1, sound=sound) for sound in sounds))).items] == sounds


def test_items_come_newest_first_and_one_without_a_date_stays_beside_the_one_before_it():
    dated = [item(1, day="Mon, 02 Nov 2026"), item(2, day="Tue, 03 Nov 2026"), item(3, day="Sun, 01 Nov 2026")]

    assert [episode.title for episode in parse(rss(*dated)).items] == ["Talk 2", "Talk 1", "Talk 3"]
    assert [episode.title for episode in parse(rss(*dated, item(4))).items] == ["Talk 2", "Talk 1", "Talk 3", "Talk 4"]


def test_entries_without_sound_are_left_out_with_their_number():
    found = parse(rss(item(1), "<item><title>News</title><link>https://x.example</link></item>", item(1)))

    assert len(found.items) == 1
    assert found.warnings == ("left out 2 entries without audio or video, or listed twice",)


def test_an_atom_feed_and_one_of_videos_are_read():
    atom = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><entry><id>tag:pod.example,2026:episode-1</id>
      <title>One</title><updated>2026-11-01T00:00:00Z</updated>
      <link rel="enclosure" type="audio/mpeg" href="https://cdn.example/1.mp3" length="5000000"/></entry></feed>"""
    videos = b"""<feed xmlns:yt="http://www.youtube.com/xml/schemas/2015" xmlns="http://www.w3.org/2005/Atom"><entry>
      <id>yt:video:abcdefghijk</id><yt:videoId>abcdefghijk</yt:videoId><title>Two</title>
      <link rel="alternate" href="https://www.youtube.com/watch?v=abcdefghijk"/></entry></feed>"""

    assert (parse(atom).items[0].bytes, str(parse(atom).items[0].published_on)) == (5_000_000, "2026-11-01")
    assert parse(videos).items[0].url == "https://www.youtube.com/watch?v=abcdefghijk"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_a_feed_is_read_in_its_encoding(encoding: str):
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    text = rss(item(1), title="Café Zürich").decode().replace('encoding="UTF-8"', f'encoding="{declared}"')

    assert parse(text.encode(encoding)).title == "Café Zürich"


def test_ten_thousand_episodes_are_listed_in_seconds():
    began = time.monotonic()

    found = parse(rss(*(item(number, guid=f"the-episode-number-{number}") for number in range(10_000))))

    assert len(found.items) == 10_000
    assert time.monotonic() - began < 20


def test_more_than_the_most_are_cut_with_a_warning():
    found = parse(rss(*(item(number) for number in range(5))), most=3)

    assert len(found.items) == 3
    assert "INGEST_MAX_ITEMS" in found.warnings[0]


def test_broken_xml_keeps_what_can_be_read_with_a_warning():
    found = parse(rss(item(1), item(2)).replace(b"Talk 2", b"Talk & <b>2"))

    assert len(found.items) >= 1
    assert "not well-formed XML" in found.warnings[0]


LAUGHS = '<!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "fix"),
    [
        (b"", "empty .0 bytes.; copy the feed's address again"),
        (b"<!doctype html><title>A page</title>", "a web page .HTML., not a feed; copy the feed's address"),
        (
            b'<html><head><link rel="alternate" type="application/rss+xml" href="/feed.xml?token=abc"></head>',
            r"names the feed https://pod.example/feed.xml\?token=\*\*\*: add that",
        ),
        (b'{"feed": 1}', "neither RSS nor Atom"),
        (b"\xff\xfb" + bytes(100), "neither RSS nor Atom"),
        (rss(item(1), prolog=LAUGHS), "declares entities"),
        (rss(item(1), prolog="<!-- <rss> -->" + LAUGHS), "declares entities"),
        (rss(item(1), prolog='<!DOCTYPE rss [ <!ENTITY x SYSTEM "file:///etc/passwd"> ]>'), "declares entities"),
        (rss(), "has no entries"),
        (rss("<item><title>News</title></item>"), "none of the 1 entries .* has audio or video"),
        (b"<rss><channel><item><title>A", "broken XML .*line 1.* repair"),
    ],
    ids=["empty", "html", "link", "json", "binary", "laughs", "laughs-2", "external", "no-entry", "news", "cut"],
)  # fmt: skip
def test_what_is_no_feed_of_episodes_says_what_to_do(data: bytes, fix: str):
    with pytest.raises(BadInputError, match=fix):
        parse(data)


@pytest.mark.parametrize(
    ("text", "seconds"), [("3600", 3600), ("62:03", 3723), ("1:02:03.5", 3723.5), ("", None), ("0", None), ("1h", None)]
)
def test_durations_are_read_in_all_their_forms(text: str, seconds: float | None):
    assert feeds.duration_s(text) == seconds


@given(st.text(max_size=200), st.text(max_size=60))
def test_any_text_in_a_feed_is_read_or_refused_with_a_reason(text: str, link: str):
    quoted = html.escape(link)
    data = rss(f'<item><title>{text}</title><link>{quoted}</link><enclosure url="{quoted}" type="audio/mpeg"/></item>')
    try:
        found = parse(data)
    except BadInputError as error:
        assert str(error)
    else:
        assert found.items
