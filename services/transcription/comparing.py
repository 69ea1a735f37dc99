"""Two revisions side by side: which words changed, which changed their speaker, and where. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from services.transcription.corrections import plain
from services.transcription.scoring import Pair, aligned
from shared.corrections import Comparison, Difference
from shared.schemas import Speaker, Transcript
from shared.spoken import words_of

AROUND = 3  # words that are shown before and after a difference


@dataclass(frozen=True)
class Said:
    text: str
    plain: str
    speaker: str
    start_s: float
    end_s: float


def compare(before: Transcript, after: Transcript) -> Comparison:
    """What `after` says or attributes differently; words are compared without case and punctuation."""
    old, new = _words(before), _words(after)
    pairs = _pairs(old, new)
    kinds = [_kind(pair, old, new) for pair in pairs]
    return Comparison(
        before=before.id,
        after=after.id,
        words_changed=kinds.count("changed"),
        words_moved=kinds.count("moved"),
        differences=tuple(_differences(pairs, kinds, old, new)),
    )


def _words(transcript: Transcript) -> list[Said]:
    names = {speaker.label: _name(speaker) for speaker in transcript.speakers}
    return [
        Said(word.text, plain(word.text), names[turn.speaker], word.start_s, word.end_s)
        for turn in transcript.turns
        for word in words_of(turn)
    ]


def _name(speaker: Speaker) -> str:
    return f"{speaker.label} ({speaker.name or speaker.role.value})"


def _pairs(old: Sequence[Said], new: Sequence[Said]) -> list[Pair]:
    """Words that belong together; what both begin and end with needs no search."""
    shorter = min(len(old), len(new))
    first = next((place for place in range(shorter) if old[place].plain != new[place].plain), shorter)
    rest = shorter - first
    last = next((place for place in range(rest) if old[-1 - place].plain != new[-1 - place].plain), rest)
    middle = aligned(
        [word.plain for word in old[first : len(old) - last]], [word.plain for word in new[first : len(new) - last]]
    )
    begun: list[Pair] = [(place, place) for place in range(first)]
    searched: list[Pair] = [(None if a is None else a + first, None if b is None else b + first) for a, b in middle]
    ended: list[Pair] = [(len(old) - place, len(new) - place) for place in range(last, 0, -1)]
    return [*begun, *searched, *ended]


def _kind(pair: Pair, old: Sequence[Said], new: Sequence[Said]) -> str:
    left, right = pair
    if left is None or right is None or old[left].plain != new[right].plain:
        return "changed"
    return "same" if old[left].speaker == new[right].speaker else "moved"


def _differences(
    pairs: Sequence[Pair], kinds: Sequence[str], old: Sequence[Said], new: Sequence[Said]
) -> list[Difference]:
    found = []
    for begin, end in _stretches([kind != "same" for kind in kinds]):
        shown = pairs[max(begin - AROUND, 0) : end + AROUND]
        left = [old[a] for a, _ in shown if a is not None]
        right = [new[b] for _, b in shown if b is not None]
        changed = [old[a] for a, _ in pairs[begin:end] if a is not None] or [
            new[b] for _, b in pairs[begin:end] if b is not None
        ]
        found.append(
            Difference(start_s=changed[0].start_s, end_s=changed[-1].end_s, before=_lines(left), after=_lines(right))
        )
    return found


def _stretches(differs: Sequence[bool]) -> list[tuple[int, int]]:
    """Runs of differences [begin, end); those with less than twice AROUND between them are one."""
    found: list[tuple[int, int]] = []
    for place, one in enumerate(differs):
        if not one:
            continue
        if found and place - found[-1][1] < 2 * AROUND:
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
    return found


def _lines(words: Sequence[Said]) -> tuple[str, ...]:
    return tuple(
        f"{speaker}: {' '.join(word.text for word in own)}"
        for speaker, own in groupby(words, lambda word: word.speaker)
    )
