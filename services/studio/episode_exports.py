"""An AI episode in the forms that leave the house; each says to people and to programs what it is. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from services.studio.episode_marks import field_lines
from services.studio.formats import screens, stamp
from shared.ai_mark import DIGITAL_SOURCE_TYPE, fields, notice, one_line
from shared.schemas import Episode, EpisodeTurn
from shared.spoken import timed_words

WORDS_PER_MINUTE = 150
MARKDOWN = re.compile(r"([\\`*_\[\]<>&~|$])")  # what means something inside a line
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_RAW_MARK = re.compile(r"\[(/?INST)\]|<(/?s)>")
STYLE = """
:root { color-scheme: light dark; }
body { font: 1.1rem/1.6 Georgia, serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
.notice { font: bold 1rem/1.5 system-ui, sans-serif; border: 2px solid; padding: .8rem; }
.who { font-weight: bold; } .guest { border-left: 3px solid; padding-left: .8rem; }
footer { font-size: .85rem; opacity: .8; border-top: 1px solid; margin-top: 2rem; }
""".strip()


@dataclass(frozen=True)
class Form:
    """One way to write an episode down; `ending` is that of the file's name."""

    media_type: str
    ending: str
    write: Callable[[Episode], str]


def file_name(episode: Episode, form: str) -> str:
    """A name that no file system and no header stumbles over; never the guest's."""
    return f"{_NO_NAME.sub('-', f'{episode.show}-{episode.id}')[:80]}.{FORMS[form].ending}"


def name_of(turn: EpisodeTurn, episode: Episode) -> str:
    return one_line(episode.host if turn.role == "host" else episode.guest)


# ---- forms -----------------------------------------------------------------------------------------------------------


def as_json(episode: Episode) -> str:
    """The record itself, with the line that people see and IPTC's term before it."""
    mark = {"notice": notice(episode), "ai_generated": True, "digital_source_type": DIGITAL_SOURCE_TYPE}
    return json.dumps(mark | episode.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n"


def markdown(episode: Episode) -> str:
    """YAML front matter, the notice as a quotation, a paragraph per turn: **Name (role):** text."""
    matter = "\n".join(["---", *field_lines(fields(episode, "md")), "---"])
    title = f"# {marked_down(f'{episode.host} and {episode.guest}')} (AI-generated)"
    said = [
        f"**{marked_down(name_of(turn, episode))} ({turn.role}):** {marked_down(turn.text)}" for turn in episode.turns
    ]
    return "\n\n".join([matter, title, f"> **{marked_down(notice(episode))}**", *said]) + "\n"


def plain_text(episode: Episode) -> str:
    """The mark in lines that start with `# `, then a paragraph per turn: Name (role): text."""
    said = [f"{name_of(turn, episode)} ({turn.role}): {one_line(turn.text)}".rstrip() for turn in episode.turns]
    return "\n\n".join([_headed(episode, "txt"), *said]) + "\n"


def instructions(episode: Episode) -> str:
    """The form that the product's forerunner wrote and chat models of Llama's family learn from, after the mark."""
    said = [_instruction(turn) for turn in episode.turns]
    return f"{_headed(episode, 'inst')}\n<s>{''.join(said).strip()}\n"


def web_vtt(episode: Episode) -> str:
    """WebVTT whose first cue is the notice. Roles are classes of the voices, a cue's id is turn.cue."""
    about_times = f"Times are estimated from words, at {WORDS_PER_MINUTE} words per minute: there is no audio."
    head = ["NOTE", notice(episode), about_times, *field_lines(fields(episode, "vtt"))]
    return "\n\n".join(["WEBVTT", _arrowless("\n".join(head)), *_cues(episode)]) + "\n"


def page(episode: Episode) -> str:
    """One HTML page that needs nothing else."""
    title = escape(f"{one_line(episode.host)} and {one_line(episode.guest)}")
    said = "\n".join(_paragraph(turn, episode) for turn in episode.turns)
    sources = "\n".join(f"<li><code>{escape(source.key)}</code></li>" for source in episode.lineage.made_from)
    return (
        '<!doctype html>\n<html>\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{_meta_tags(fields(episode, 'html'))}\n"
        f"<title>AI-generated: {title}</title>\n<style>{STYLE}</style>\n</head>\n"
        f'<body>\n<main>\n<h1>{title}</h1>\n<p class="notice" role="note" lang="en">{escape(notice(episode))}</p>\n'
        f'<article>\n{said}\n</article>\n<footer lang="en">\n<p>Made from:</p>\n<ul>\n{sources}\n</ul>\n</footer>\n'
        "</main>\n</body>\n</html>\n"
    )


FORMS: Mapping[str, Form] = {
    "json": Form("application/json", "json", as_json),
    "md": Form("text/markdown", "md", markdown),
    "txt": Form("text/plain", "txt", plain_text),
    "vtt": Form("text/vtt", "vtt", web_vtt),
    "inst": Form("text/plain", "inst.txt", instructions),
    "html": Form("text/html", "html", page),
}


# ---- parts -----------------------------------------------------------------------------------------------------------


def _headed(episode: Episode, form: str) -> str:
    return "\n".join(f"# {line}" for line in (notice(episode), *field_lines(fields(episode, form))))


def marked_down(text: str) -> str:
    return MARKDOWN.sub(r"\\\1", one_line(text))


def _instruction(turn: EpisodeTurn) -> str:
    """Marks that somebody says are no marks."""
    text = _RAW_MARK.sub(lambda mark: f"({mark.group(1) or mark.group(2)})", one_line(turn.text))
    return f"[INST] {text} [/INST]" if turn.role == "host" else f" {text} </s>\n"


def _cues(episode: Episode) -> Iterator[str]:
    told = notice(episode)
    clock_s = _length_s(told.split())
    yield f"notice\n{stamp(0)} --> {stamp(clock_s)}\n{escape(told, quote=False)}"
    for number, turn in enumerate(episode.turns, start=1):
        said = one_line(turn.text).split() or [""]
        end_s = clock_s + _length_s(said)
        voice = f"<v.{turn.role} {escape(name_of(turn, episode), quote=False)}>"
        for part, words in enumerate(screens(timed_words(said, [None] * len(said), clock_s, end_s)), start=1):
            times = f"{stamp(words[0].start_s)} --> {stamp(words[-1].end_s)}"
            text = " ".join(word.text for word in words)
            yield f"{number}.{part}\n{times}\n{voice}{escape(text, quote=False)}</v>"
        clock_s = end_s


def _length_s(words: list[str]) -> float:
    return len(words) * 60 / WORDS_PER_MINUTE


def _arrowless(text: str) -> str:
    """An arrow would end a NOTE."""
    return text.replace("-->", "→")


def _paragraph(turn: EpisodeTurn, episode: Episode) -> str:
    who = f'<span class="who">{escape(name_of(turn, episode))}</span>'
    return f'<p class="{turn.role}">{who} {escape(one_line(turn.text))}</p>'


def _meta_tags(values: Mapping[str, Any]) -> str:
    """One for each field; one for each value of a list."""
    each = ((name, one) for name, value in values.items() for one in (value if isinstance(value, list) else [value]))
    return "\n".join(f'<meta name="{name}" content="{escape(_content(value))}">' for name, value in each)


def _content(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
