"""A transcript in the forms that other programs read: WebVTT, SRT, RTTM, plain text, CSV, JSON. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape

from services.studio.reading import page
from shared.schemas import Recording, Transcript, Word
from shared.spoken import words_of

CUE_S, CUE_LETTERS = 7.0, 84  # two lines of 42 letters, as subtitles have
SENTENCE_END = (".", "?", "!", "…")
_BLANK = re.compile(r"\s+")
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Form:
    """One way to write a transcript down."""

    media_type: str
    write: Callable[[Transcript, Recording], str]


@dataclass(frozen=True)
class Cue:
    speaker: str
    start_s: float
    end_s: float
    text: str


def names_of(transcript: Transcript) -> dict[str, str]:
    """What speakers are called: their name, else their label; on one line, whatever somebody typed."""
    return {speaker.label: _line(speaker.name or "") or speaker.label for speaker in transcript.speakers}


def file_name(recording: Recording, form: str) -> str:
    """A name that no file system and no header stumbles over; never the title."""
    return f"{_NO_NAME.sub('-', recording.id)[:80]}.{form}"


def cues_of(transcript: Transcript) -> Iterator[Cue]:
    """Turns in pieces that fit onto a screen; a piece ends at the end of a sentence where it can."""
    names = names_of(transcript)
    for turn in transcript.turns:
        for words in screens(words_of(turn)):
            text = " ".join(word.text for word in words)
            yield Cue(names[turn.speaker], words[0].start_s, max(words[-1].end_s, words[0].start_s + 0.001), text)


def screens(words: Iterable[Word]) -> Iterator[list[Word]]:
    """Words in pieces that fit onto a screen, each of CUE_S seconds and CUE_LETTERS letters at most."""
    screen: list[Word] = []
    for word in words:
        letters = sum(len(one.text) + 1 for one in screen) + len(word.text)
        if screen and (letters > CUE_LETTERS or word.end_s - screen[0].start_s > CUE_S):
            yield screen
            screen = []
        screen.append(word)
        if word.text.endswith(SENTENCE_END) and letters > CUE_LETTERS / 2:
            yield screen
            screen = []
    if screen:
        yield screen


# ---- forms -----------------------------------------------------------------------------------------------------------


def web_vtt(transcript: Transcript, recording: Recording) -> str:
    """WebVTT with voice spans."""
    parts = ["WEBVTT"]
    for cue in cues_of(transcript):
        times = f"{stamp(cue.start_s)} --> {stamp(cue.end_s)}"
        parts.append(f"{times}\n<v {escape(cue.speaker, quote=False)}>{escape(cue.text, quote=False)}</v>")
    return "\n\n".join(parts) + "\n"


def srt(transcript: Transcript, recording: Recording) -> str:
    """SubRip; who speaks stands before the text."""
    parts = []
    for number, cue in enumerate(cues_of(transcript), start=1):
        times = f"{stamp(cue.start_s, ',')} --> {stamp(cue.end_s, ',')}"
        parts.append(f"{number}\n{times}\n{cue.speaker}: {_arrowless(cue.text)}")
    return "\n\n".join(parts) + "\n"


def rttm(transcript: Transcript, recording: Recording) -> str:
    """Rich Transcription Time Marked, a line per turn; blanks in names become underscores."""
    names = {label: _BLANK.sub("_", name) for label, name in names_of(transcript).items()}
    file = _NO_NAME.sub("-", recording.id)
    lines = [
        f"SPEAKER {file} 1 {turn.start_s:.3f} {max(turn.end_s - turn.start_s, 0.001):.3f} <NA> <NA> "
        f"{names[turn.speaker]} <NA> <NA>"
        for turn in transcript.turns
    ]
    return "".join(f"{line}\n" for line in lines)


def plain_text(transcript: Transcript, recording: Recording) -> str:
    """A paragraph per turn: time, who, what."""
    names = names_of(transcript)
    return "".join(
        f"[{stamp(turn.start_s)[:8]}] {names[turn.speaker]}: {_line(turn.text)}\n\n" for turn in transcript.turns
    )


def comma_separated(transcript: Transcript, recording: Recording) -> str:
    """A row per turn: start, end, speaker, role, text; what a spreadsheet would run as a formula is quoted."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(("start", "end", "speaker", "role", "text"))
    names = names_of(transcript)
    for turn in transcript.turns:
        said = (names[turn.speaker], turn.role.value, _line(turn.text))
        rows.writerow((f"{turn.start_s:.3f}", f"{turn.end_s:.3f}", *map(_no_formula, said)))
    return out.getvalue()


def as_json(transcript: Transcript, recording: Recording) -> str:
    """The record itself, with its schema_version: read back by `diary transcripts import`."""
    return transcript.model_dump_json(indent=1) + "\n"


FORMS: Mapping[str, Form] = {
    "vtt": Form("text/vtt", web_vtt),
    "srt": Form("application/x-subrip", srt),
    "rttm": Form("text/plain", rttm),
    "txt": Form("text/plain", plain_text),
    "html": Form("text/html", lambda transcript, recording: page(transcript, recording, names_of(transcript))),
    "csv": Form("text/csv", comma_separated),
    "json": Form("application/json", as_json),
}


# ---- parts -----------------------------------------------------------------------------------------------------------


def stamp(seconds: float, point: str = ".") -> str:
    """`01:02:03.450`"""
    thousandths = round(max(seconds, 0.0) * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def _line(text: str) -> str:
    return _BLANK.sub(" ", text).strip()


def _arrowless(text: str) -> str:
    return _line(text).replace("-->", "→")


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
