import html
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import published
from shared.errors import BadInputError

PANEL = Path(__file__).parents[3] / "shared" / "transcripts" / "nasa-hwhap193-panel.txt"
EXAMPLES = Path(__file__).parents[2] / "examples"

NAMES = """title: Bread at Three
guest: Ben Marsh

# trailer
Ben Marsh: You never want cake again.
# interview
Mara Quill: Welcome, Ben.
Ben Marsh: Hello. I said to him: stop
that at once.

Note this well, it goes on.
# sponsor
Mara Quill: Puddle Socks are warm.
# interview
MARA QUILL: Who is awake with you?
Ben Marsh (baker): A fox.
"""

VTT = """WEBVTT - The Lamplight Hour

NOTE title: A Cough

NOTE
guest: Dagny Holt

STYLE
::cue { color: red }

1
00:01.000 --> 00:00:04.000 align:start
<v Mara Quill>Welcome &amp; <i>hello</i>,
Dagny.</v>

00:00:04.500 --> 00:00:05.000
<v Mara Quill>How are you?

00:00:05.000 --> 00:00:09.000
<v.loud Dagny Holt>Very well. <v Mara Quill>Good.

01:00:00.000 --> 01:00:02.500
And cheap.
"""


def test_text_with_names_gives_title_guest_and_turns():
    found = published.parse(NAMES)

    assert (found.title, found.guest, found.times) == ("Bread at Three", "Ben Marsh", "estimated")
    assert [(turn.speaker, turn.text) for turn in found.turns] == [
        ("Mara Quill", "Welcome, Ben."),
        ("Ben Marsh", "Hello. I said to him: stop that at once. Note this well, it goes on."),
        ("Mara Quill", "Who is awake with you?"),
        ("Ben Marsh", "A fox."),
    ]


def test_trailer_and_sponsor_turns_are_left_out_with_the_number_of_their_words():
    assert published.parse(NAMES).warnings == ("9 words in 2 turns marked sponsor and trailer were left out",)


def test_estimated_times_follow_the_words_at_160_a_minute_and_never_go_back():
    found = published.parse(NAMES)

    first = found.turns[0]
    assert first.start_s == pytest.approx(5 * 60 / 160, abs=0.001)
    assert first.end_s - first.start_s == pytest.approx(2 * 60 / 160, abs=0.002)
    assert all(before.end_s <= after.start_s for before, after in zip(found.turns, found.turns[1:], strict=False))
    assert found.duration_s == found.turns[-1].end_s


def test_webvtt_gives_turns_with_its_own_times_and_joins_cues_of_one_voice():
    found = published.parse(VTT)

    assert (found.title, found.guest, found.times) == ("A Cough", "Dagny Holt", "published")
    assert [(turn.speaker, turn.text, turn.start_s, turn.end_s) for turn in found.turns] == [
        ("Mara Quill", "Welcome & hello, Dagny. How are you?", 1.0, 5.0),
        ("Dagny Holt", "Very well.", 5.0, 7.667),
        ("Mara Quill", "Good. And cheap.", 7.667, 3602.5),
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("WEBVTT\n\n00:00.000 --> 00:01.000\n<v A>x", "vtt"),
        ("WEBVTTX\nA: b\nC: d", "text"),
        ("Ann: hello\nBob: hello", "names"),
        ("\n\ntitle: x\n# interview\nAnn: hello\n\nBob van der Berg: hello", "names"),
        ("Speaker 1:\nhello\nSpeaker 2:\nhello", "names"),
        ("Ann: hello", "text"),
        ("Dear diary,\nAnn: hello\nBob: hello", "text"),
        ("I told him this: go\nHe went away then: good", "text"),
        ("<!doctype html>\n<p>Ann: hello</p>", "text"),
        ("https://example.org/a\nhttps://example.org/b", "text"),
    ],
)
def test_the_form_is_told_by_content(text: str, kind: str):
    assert published.sniff(text) == kind


def test_bytes_that_are_no_text_are_told_apart():
    assert published.is_text("Ann: caf\u00e9".encode())
    assert published.is_text(b"\xef\xbb\xbfAnn: hello")
    assert not published.is_text(b"RIFF\x00\x00")
    assert not published.is_text("Ann: caf\u00e9".encode("latin-1") + b" au lait")
    assert not published.is_text(b"  \n")


def test_text_cut_inside_a_letter_at_the_sniffed_length_is_still_text():
    assert published.is_text(b"a" * (published.SNIFF_BYTES - 1) + "\u00e9".encode())


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("just a letter\nto you", "Mara Quill: Hello"),
        ("Ann: hello\nBob: x\n# sponsor\nbuy socks", "start it with its speaker"),
        ("# sponsor\nAnn: hello\nBob: x", "no turn"),
        ("WEBVTT\n\n00:01 --> 00:02\n<v A>x", "line 3"),
        ("WEBVTT\n\n00:05.000 --> 00:02.000\n<v A>x", "ends before it starts"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nno voice", "<v Mara Quill>"),
        ("WEBVTT\n", "no turn"),
    ],
)
def test_a_transcript_that_cannot_be_read_names_the_fix(text: str, fix: str):
    with pytest.raises(BadInputError, match=fix):
        published.parse(text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        "Ann" + " " * 1_000_000 + "x\nAnn: hello\nBob: hello",
        "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>hello " + "<" * 1_000_000,
        "WEBVTT\n\n00:01.000 --> 00:02.000\n<v" + " " * 1_000_000,
        "WEBVTT\n\n00:01.000 --> 00:02.000\n" + "<v " * 300_000,
        '{"segments": ' + "[" * 200_000,
    ],
    ids=["spaces", "angles", "a voice of spaces", "voices", "nested JSON"],
)
def test_a_transcript_made_to_take_for_ever_does_not(text: str):
    with suppress(BadInputError):
        published.parse_beside_audio(text)


@pytest.mark.parametrize("start", ["NaN", "Infinity", "-3", "9" * 400])
def test_a_json_transcript_with_impossible_times_is_refused(start: str):
    with pytest.raises(BadInputError, match="no JSON transcript"):
        published.parse_beside_audio(f'{{"segments": [{{"startTime": {start}, "endTime": 5, "body": "Hello"}}]}}')


def test_an_unknown_mark_is_a_warning_and_its_turns_are_kept():
    found = published.parse("Ann: a\n# sponsor\nAnn: b\n# Chapter 2\nBob: c")

    assert [turn.text for turn in found.turns] == ["a", "c"]
    assert "'# Chapter 2'" in found.warnings[0]


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_with_a_reason(text: str):
    try:
        found = published.parse(text)
    except BadInputError as error:
        assert str(error)
    else:
        assert found.turns


@given(st.text(max_size=200))
def test_any_webvtt_is_read_or_refused_with_a_reason(text: str):
    try:
        published.parse(f"WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>{text}")
    except BadInputError as error:
        assert str(error)


def test_a_real_panel_with_ten_voices_keeps_all_turns():
    if not PANEL.exists():
        pytest.skip(f"the real panel transcript is not on this machine ({PANEL.name})")

    found = published.parse(published.decode(PANEL.read_bytes()))

    assert len(found.turns) == 30
    assert len(found.speakers) == 10
    assert "Pat Ryan" in found.speakers
    assert 8_900 <= sum(turn.words for turn in found.turns) <= 8_975


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("published/*")) + sorted(EXAMPLES.glob("spoken/*.txt")), ids=str)
def test_every_script_of_the_fictional_show_is_read(path: Path):
    found = published.parse(published.decode(path.read_bytes()))

    assert found.title
    assert found.guest
    assert set(found.speakers) == {"Mara Quill", found.guest}


# ---- beside audio ----------------------------------------------------------------------------------------------------


def whisperx(*segments: dict[str, object], **more: object) -> published.Published:
    return published.parse_beside_audio(json.dumps({"segments": segments, **more}))


def test_whisperx_words_keep_their_times_and_a_segment_of_two_voices_becomes_two_turns():
    words = [
        {"word": "Hello.", "start": 1.0, "end": 1.4, "score": 0.9, "speaker": "SPEAKER_00"},
        {"word": "Hi.", "start": 1.5, "end": 1.9, "score": 0.8, "speaker": "SPEAKER_01"},
    ]
    found = whisperx({"start": 1.0, "end": 2.0, "text": " Hello. Hi.", "words": words}, language="en")

    assert [(turn.speaker, turn.text, turn.start_s, turn.end_s) for turn in found.turns] == [
        ("SPEAKER_00", "Hello.", 1.0, 1.4),
        ("SPEAKER_01", "Hi.", 1.5, 1.9),
    ]
    assert [word.score for turn in found.turns for word in turn.timed] == [0.9, 0.8]
    assert found.language == "en"


def test_whisperx_words_without_times_share_the_room_between_their_neighbours():
    words = [{"word": "In", "start": 0.0, "end": 1.0}, {"word": "1984"}, {"word": "so", "start": 3.0, "end": 4.0}]

    (turn,) = whisperx({"start": 0.0, "end": 4.0, "text": "In 1984 so", "words": words, "speaker": "Ann"}).turns

    assert [(word.text, word.start_s, word.end_s) for word in turn.timed] == [
        ("In", 0.0, 1.0),
        ("1984", 1.0, 3.0),
        ("so", 3.0, 4.0),
    ]


@pytest.mark.parametrize(
    "segment",
    [
        {"start": 0.0, "end": 2.0, "text": "a b"},
        {"start": 0.0, "end": 2.0, "text": "a b", "words": []},
        {"start": 0.0, "end": 2.0, "text": "a b", "words": [{"word": "a", "start": 0.0, "end": 1.0}]},
        {"start": 0.0, "end": 2.0, "words": [{"word": "a"}, {"word": "b"}]},
        {"text": "a b", "words": [{"word": "a", "start": 0.0, "end": None}, {"word": " b", "speaker": None}]},
    ],
    ids=["no words", "empty words", "a word too few", "no text", "no times at all"],
)
def test_no_word_of_whisperx_vanishes(segment: dict[str, object]):
    (turn,) = whisperx(segment).turns

    assert (turn.text, [word.text for word in turn.timed]) == ("a b", ["a", "b"])
    assert turn.speaker == "Unnamed"


def test_subtitles_name_who_speaks_before_the_text():
    cues = "1\n00:00:01,000 --> 00:00:02,000\nAnn: Hello\n\n2\n00:00:02,000 --> 00:00:03,000\nand welcome.\n\n"
    found = published.parse_beside_audio(f"{cues}3\n00:00:03,000 --> 00:00:04,000\nBob Birch: Note: thanks\n")

    assert [(turn.speaker, turn.text) for turn in found.turns] == [
        ("Ann", "Hello and welcome."),
        ("Bob Birch", "Note: thanks"),
    ]


names = st.sampled_from(["Ann Ash", "Bob & Co", "Zoe <3", "S1"])
lines = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40).filter(
    lambda text: text.split() and "-->" not in text
)


@given(st.lists(st.tuples(names, lines), min_size=1, max_size=5))
def test_webvtt_with_voice_spans_comes_back_as_it_was(spoken: list[tuple[str, str]]):
    written = [(html.escape(name, quote=False), html.escape(text, quote=False)) for name, text in spoken]
    cues = [f"00:00:{at:02}.000 --> 00:00:{at:02}.900\n<v {name}>{text}\n" for at, (name, text) in enumerate(written)]

    found = published.parse_beside_audio("WEBVTT\n\n" + "\n".join(cues))

    back = [(turn.speaker, word) for turn in found.turns for word in turn.text.split()]
    assert back == [(name, word) for name, text in spoken for word in text.split()]
    assert found.turns[0].start_s == 0.0 and found.turns[-1].end_s == len(spoken) - 0.1
