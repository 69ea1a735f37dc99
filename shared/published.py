"""A transcript that somebody else published -> title, guest, turns. Pure.

Read as a recording of its own: WebVTT with voice spans (`<v Mara Quill>Hello`, notes `NOTE title: ...`,
`NOTE guest: ...`), and text with one turn per paragraph (`Mara Quill: Hello`), before it optional lines `title: ...`
and `guest: ...`, in between optional marks `# trailer`, `# sponsor`, `# interview`. Turns of trailers and sponsors are
left out. Beside audio, where speakers can be worked out by ear (`parse_beside_audio`): also SRT, JSON of Podcasting 2.0
and of whisperX, and WebVTT that names nobody.
"""

from __future__ import annotations

import codecs
import html
import re
from dataclasses import replace
from typing import Literal

from shared.errors import BadInputError
from shared.published_json import parse_json
from shared.spoken import UNNAMED, Published, SpokenTurn, add_turn

WORDS_PER_MINUTE = 160
LEFT_OUT = ("trailer", "sponsor")
SECTIONS = (*LEFT_OUT, "interview")
SNIFF_BYTES = 64 * 1024
MAX_BYTES = 20 * 1024 * 1024
MAX_NAME_WORDS = 5
MEDIA_TYPES = ("text/vtt", "application/json", "application/x-subrip", "application/srt", "text/srt", "text/plain")

FORMS = (
    "a transcript is WebVTT with voice spans (`<v Mara Quill>Hello`), or text in which every turn starts with its "
    "speaker (`Mara Quill: Hello`)"
)

_HEADER = re.compile(r"(title|guest):\s*(.*)")
_MARK = re.compile(r"#+\s*(.*)")
_TURN = re.compile(r"(?P<name>[^\W\d_][\w .,'’&-]{0,60}?)\s*(?:\([^()]{1,40}\))?\s*:(?:\s+(?P<text>.*))?")
_PARTICLES = frozenset(
    (
        "al",
        "and",
        "bin",
        "da",
        "de",
        "del",
        "della",
        "der",
        "di",
        "du",
        "el",
        "la",
        "le",
        "of",
        "the",
        "van",
        "von",
        "y",
    )
)
_TIMING = re.compile(r"((?:\d+:)?\d\d:\d\d\.\d{3})\s+-->\s+((?:\d+:)?\d\d:\d\d\.\d{3})(?:\s.*)?")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>\s][^<>]*)>")
_SRT_TIME = re.compile(r"(\d\d:\d\d:\d\d),(\d{3})")
_NOTE = re.compile(r"NOTE(?:\s|$)")

AI_MARK = "trainedAlgorithmicMedia"  # the end of IPTC's term, in every export of an AI episode

Kind = Literal["vtt", "names", "text"]


# ---- which form is it? -----------------------------------------------------------------------------------------------


def is_text(head: bytes) -> bool:
    """Whether the first SNIFF_BYTES of a file are text (UTF-8), whatever its name says."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head[:SNIFF_BYTES])
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and not re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text)


def sniff(text: str) -> Kind:
    """`vtt` by its header, `names` if the first line of speech names its speaker and another one does too."""
    if re.match(r"WEBVTT(?:[ \t\n]|$)", text):
        return "vtt"
    spoken = [line for line in _body(text.split("\n"))[1] if line.strip() and not _MARK.fullmatch(line.strip())]
    named = [_named(line) for line in spoken[:1000]]
    return "names" if named and named[0] and sum(map(bool, named)) >= 2 else "text"


def decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise BadInputError(f"the text is not UTF-8 (byte {error.start}); save it as UTF-8 and add it again") from error


def demand_real_talk(text: str) -> None:
    """raises BadInputError for an AI episode, which its mark gives away: nobody learns from what a model wrote"""
    if AI_MARK in text:
        raise BadInputError(
            "this is an AI episode, as its mark says, and no recording of the show: models must not learn from what "
            "models wrote; add interviews that people have held"
        )


def parse(text: str) -> Published:
    """Read a published transcript of either form.

    raises   BadInputError naming the line and the fix; also if no turn is left
    """
    kind = sniff(text)
    if kind == "text":
        raise BadInputError(f"the file is text, but neither audio nor a transcript: {FORMS}")
    published = _with_one_spelling(_parse_vtt(text) if kind == "vtt" else _parse_names(text))
    if not published.turns:
        raise BadInputError(f"the transcript has no turn of an interview in it; {FORMS}")
    return published


def parse_beside_audio(text: str) -> Published:
    """What a feed or a site publishes beside a recording: WebVTT, SRT, JSON or text; who speaks may be unnamed.

    raises   BadInputError for anything else, or if nothing is said
    """
    if text.lstrip().startswith("{"):
        published = parse_json(text)
    elif sniff(text) == "names":
        published = _parse_names(text)
    else:
        published = _with_names_before_text(_parse_vtt(_SRT_TIME.sub(r"\1.\2", text), unnamed=UNNAMED))
    if not published.turns:
        raise BadInputError("the published transcript is neither WebVTT, SRT, JSON nor `Name: text`, or it is empty")
    return _with_one_spelling(published)


def _with_names_before_text(published: Published) -> Published:
    """Subtitles have no voices; where the first cue reads `Mara Quill: Hello`, names before the text are meant so."""
    named = [_named(turn.text) if turn.speaker == UNNAMED else None for turn in published.turns]
    if sum(map(bool, named)) < 2 or not named[0]:
        return published
    turns: list[SpokenTurn] = []
    for turn, found in zip(published.turns, named, strict=True):
        speaker, text = found or (turns[-1].speaker, turn.text)
        if text:
            add_turn(turns, replace(turn, speaker=speaker, text=text))
    return replace(published, turns=tuple(turns))


def _with_one_spelling(published: Published) -> Published:
    """`MARA QUILL` and `Mara Quill` are one speaker, written as at first."""
    spelling: dict[str, str] = {}
    turns = [
        replace(turn, speaker=spelling.setdefault(turn.speaker.casefold(), turn.speaker)) for turn in published.turns
    ]
    return replace(published, turns=tuple(turns))


# ---- `Name: text` ----------------------------------------------------------------------------------------------------


def _parse_names(text: str) -> Published:
    header, body = _body(text.split("\n"))
    turns: list[SpokenTurn] = []
    warnings: list[str] = []
    section = "interview"
    for line in filter(None, (line.strip() for line in body)):
        if mark := _MARK.fullmatch(line):
            section = mark.group(1).strip().lower()
            if section not in SECTIONS:
                warnings.append(f"the mark {line[:60]!r} is none of {', '.join(SECTIONS)}: what follows it is kept")
                section = "interview"
        elif named := _named(line):
            turns.append(SpokenTurn(speaker=named[0], text=named[1], section=section))
        elif turns and turns[-1].section == section:
            turns[-1] = replace(turns[-1], text=f"{turns[-1].text} {line}".strip())
        else:
            raise BadInputError(f"nobody is named for {line[:60]!r}; start it with its speaker, like `Mara Quill: ...`")
    turns = _with_estimated_times([turn for turn in turns if turn.text])
    kept = tuple(turn for turn in turns if turn.section not in LEFT_OUT)
    left_out = [turn for turn in turns if turn.section in LEFT_OUT]
    return Published(
        title=header.get("title"),
        guest=header.get("guest"),
        turns=kept,
        duration_s=turns[-1].end_s if turns else 0.0,
        times="estimated",
        warnings=(*warnings, *_left_out_warning(left_out)),
    )


def _body(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    """The header's fields, and the lines after it."""
    header: dict[str, str] = {}
    for at, line in enumerate(lines):
        field = _HEADER.fullmatch(line.strip())
        if field:
            header[field.group(1)] = field.group(2).strip()
        elif line.strip() or header:
            return header, lines[at:]
    return header, []


def _named(line: str) -> tuple[str, str] | None:
    """Speaker and text of a line that starts with a name; `Mara Quill (Host):` is Mara Quill."""
    found = _TURN.fullmatch(" ".join(line.split()))  # a run of spaces would take the pattern for ever
    if not found:
        return None
    words = found.group("name").split()
    is_name = len(words) <= MAX_NAME_WORDS and all(not word[0].islower() or word in _PARTICLES for word in words)
    if not is_name or words[0][0].islower():
        return None
    return " ".join(words), (found.group("text") or "").strip()


def _with_estimated_times(turns: list[SpokenTurn]) -> list[SpokenTurn]:
    """As if everybody spoke WORDS_PER_MINUTE without a pause; what is left out later takes its time too."""
    timed, clock_s = [], 0.0
    for turn in turns:
        end_s = clock_s + turn.words * 60 / WORDS_PER_MINUTE
        timed.append(replace(turn, start_s=round(clock_s, 3), end_s=round(end_s, 3)))
        clock_s = end_s
    return timed


def _left_out_warning(turns: list[SpokenTurn]) -> list[str]:
    if not turns:
        return []
    words = sum(turn.words for turn in turns)
    sections = " and ".join(sorted({turn.section for turn in turns}))
    count = "1 turn" if len(turns) == 1 else f"{len(turns)} turns"
    return [f"{words} words in {count} marked {sections} were left out"]


# ---- WebVTT ----------------------------------------------------------------------------------------------------------


def _parse_vtt(text: str, unnamed: str = "") -> Published:
    """`unnamed` is who speaks where no cue has said so; empty: that is refused."""
    header: dict[str, str] = {}
    turns: list[SpokenTurn] = []
    for first_line, block in _blocks(text.split("\n")):
        timing = next((at for at, line in enumerate(block[:2]) if "-->" in line), None)
        if timing is not None:
            _add_cue(turns, block[timing].strip(), " ".join(block[timing + 1 :]), first_line + timing, unnamed)
        elif _NOTE.match(block[0]):
            notes = [block[0].removeprefix("NOTE"), *block[1:]]
            header |= {field.group(1): field.group(2) for note in notes if (field := _HEADER.fullmatch(note.strip()))}
    return Published(
        title=header.get("title"),
        guest=header.get("guest"),
        turns=tuple(turns),
        duration_s=max((turn.end_s for turn in turns), default=0.0),
        times="published",
    )


def _blocks(lines: list[str]) -> list[tuple[int, list[str]]]:
    """Paragraphs with the number of their first line, counted from 1."""
    blocks: list[tuple[int, list[str]]] = []
    after_gap = True
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            after_gap = True
        elif after_gap:
            blocks.append((number, [line]))
            after_gap = False
        else:
            blocks[-1][1].append(line)
    return blocks


def _add_cue(turns: list[SpokenTurn], timing: str, payload: str, line: int, unnamed: str) -> None:
    """Add the voices of one cue."""
    times = _TIMING.fullmatch(timing)
    if not times:
        raise BadInputError(f"line {line}: {timing[:60]!r} is no WebVTT timing; write `00:00:01.000 --> 00:00:04.000`")
    start_s, end_s = map(_seconds, times.groups())
    if end_s < start_s:
        raise BadInputError(f"line {line}: the cue ends before it starts; correct its times")
    for speaker, text, share_from, share_to in _voices(payload):
        speaker = speaker or (turns[-1].speaker if turns else unnamed)
        if not speaker:
            raise BadInputError(f"line {line}: the cue does not say who speaks; write `<v Mara Quill>{text[:20]}`")
        start = round(start_s + (end_s - start_s) * share_from, 3)
        end = round(start_s + (end_s - start_s) * share_to, 3)
        add_turn(turns, SpokenTurn(speaker=speaker, text=text, start_s=start, end_s=end))


def _voices(payload: str) -> list[tuple[str, str, float, float]]:
    """(name or "" for whoever spoke last, text, share of the cue's time from, to), times by number of words."""
    first, *rest = _VOICE.split(payload)
    pieces = [("", first), *zip(rest[::2], rest[1::2], strict=True)]
    spoken = [(_plain(name), text) for name, markup in pieces if (text := _plain(markup))]
    total = sum(len(text.split()) for _, text in spoken)
    voices, so_far = [], 0
    for name, text in spoken:
        words = len(text.split())
        voices.append((name, text, so_far / total, (so_far + words) / total))
        so_far += words
    return voices


def _plain(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^<>]*>", "", markup)).split())


def _seconds(stamp: str) -> float:
    minutes, secs = stamp.rsplit(":", 1)
    hours, _, minutes = minutes.rpartition(":")
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(secs)
