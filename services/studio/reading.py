"""The clean read: a transcript as one HTML page that needs nothing else; fillers are folded, never lost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from shared.corrections import left_out_of
from shared.schemas import Chapter, ExcludedSpan, Recording, Transcript, Turn, Word
from shared.spoken import is_filler, words_of

STYLE = """
:root { color-scheme: light dark; }
body { font: 1.1rem/1.6 Georgia, serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
.who { font-weight: bold; } time { opacity: .6; font-size: .8em; }
.left-out { opacity: .55; border-left: 3px solid; padding-left: .8rem; }
.filler { display: none; } #fillers:checked ~ article .filler { display: inline; opacity: .6; }
""".strip()


def page(transcript: Transcript, recording: Recording, names: Mapping[str, str]) -> str:
    """A page with chapters as headings; spans that are left out of training are marked.

    names   what speakers are called, by label
    """
    spans = left_out_of(transcript, recording.excluded_spans)
    body = "\n".join(_body(transcript, recording.chapters, spans, names))
    title = escape(recording.title)
    return (
        f'<!doctype html>\n<html lang="{escape(transcript.language)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{title}</h1>\n<p>{escape(_state(transcript))}</p>\n"
        '<input type="checkbox" id="fillers"> <label for="fillers">show ums and uhs</label>\n'
        f"<article>\n{body}\n</article>\n</body>\n</html>\n"
    )


def _state(transcript: Transcript) -> str:
    if transcript.judged_by and transcript.judged_at:
        return f"Transcript {transcript.state.value} by {transcript.judged_by} on {transcript.judged_at:%Y-%m-%d}."
    return "Transcript made by machine, not checked by anybody." if transcript.kind == "machine" else "Transcript."


def _body(
    transcript: Transcript, chapters: Sequence[Chapter], spans: Sequence[ExcludedSpan], names: Mapping[str, str]
) -> list[str]:
    lines = []
    waiting = sorted(chapters, key=lambda chapter: chapter.start_s)
    for turn in transcript.turns:
        while waiting and waiting[0].start_s <= turn.start_s:
            lines.append(f"<h2>{escape(waiting.pop(0).title)}</h2>")
        lines.append(_paragraph(turn, names[turn.speaker], spans))
    return lines


def _paragraph(turn: Turn, name: str, spans: Sequence[ExcludedSpan]) -> str:
    middle_s = (turn.start_s + turn.end_s) / 2
    span = next((one for one in spans if one.start_s <= middle_s < one.end_s), None)
    marked = f' class="left-out" title="left out of training: {escape(span.reason)}"' if span else ""
    minutes, seconds = divmod(int(turn.start_s), 60)
    when, who = f"<time>{minutes}:{seconds:02d}</time>", f'<span class="who">{escape(name)}</span>'
    return f'<p{marked} id="{escape(turn.id)}">{when} {who} {_said(words_of(turn))}</p>'


def _said(words: Sequence[Word]) -> str:
    """The words; fillers stand in spans that the page hides until somebody wants them."""
    return " ".join(
        f'<span class="filler">{escape(word.text)}</span>' if is_filler(word.text) else escape(word.text)
        for word in words
    )
