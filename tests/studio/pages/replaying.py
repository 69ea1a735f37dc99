"""Somebody who corrects a recording's doubtful turns by keyboard, and how much work that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.kit import until

FASTEST = 16  # as often as that a browser plays sound; what is listened to is counted in the recording's seconds
AUDIO = "document.getElementById('audio')"

Wanted = Mapping[str | tuple[float, float], str]


@dataclass(frozen=True)
class Economy:
    """What it took to review a recording.

    keys        pressed, all together; the most for one turn: `most_keys`
    decided     doubtful turns that were heard and decided
    corrected   of these, turns that were given to somebody else
    """

    keys: int
    most_keys: int
    decided: int
    corrected: int
    listened_s: float
    recording_s: float

    @property
    def keys_per_turn(self) -> float:
        return self.keys / self.decided if self.decided else 0.0

    @property
    def listened_share(self) -> float:
        return self.listened_s / self.recording_s


@dataclass(frozen=True)
class Stop:
    """The turn that the editor is at."""

    turn: str
    speaker: str
    start_s: float
    end_s: float


def replay(page: Any, wanted: Wanted, *, rate: float = FASTEST) -> Economy:
    """Go through all doubtful turns of the editor that a page shows, listen to each to its end, and decide.

    wanted   who says a turn, or says what is said in a stretch (start_s, end_s); nothing said of a turn: it is right
    rate     how fast the recording is played
    """
    recording_s = page.evaluate(f"Number({AUDIO}.dataset.durationS)")
    page.evaluate(f"Object.assign({AUDIO}, {{defaultPlaybackRate: {rate}, playbackRate: {rate}}})")
    page.get_by_label("plays by itself").check()
    page.evaluate("document.querySelector('#turns > [aria-current]').focus()")
    pressed, corrected = [], 0
    keys = _press(page, "Space")  # the first turn waits for it; all others play when they are reached
    while _doubtful(page):
        until(lambda: page.evaluate(f"{AUDIO}.paused"), "the turn is heard to its end", 60)
        here = _stop(page)
        speaker = _speaker_of(here, wanted) or here.speaker
        corrected += speaker != here.speaker
        keys += _press(page, "Enter" if speaker == here.speaker else _number_of(page, speaker))
        pressed.append(keys)
        keys = 0
    page.wait_for_selector("#state[data-saved=saved]")
    listened_s = float(page.evaluate(f"{AUDIO}.dataset.listenedS || 0"))
    return Economy(sum(pressed), max(pressed, default=0), len(pressed), corrected, listened_s, recording_s)


def _press(page: Any, key: str) -> int:
    page.keyboard.press(key)
    return 1


def _doubtful(page: Any) -> int:
    return int(page.locator("#state").get_attribute("data-doubtful"))


def _stop(page: Any) -> Stop:
    found = page.evaluate(
        "(({id, dataset}) => [id.slice(5), dataset.speaker, Number(dataset.startS), Number(dataset.endS)])"
        "(document.querySelector('#turns > [aria-current]'))"
    )
    return Stop(*found)


def _speaker_of(here: Stop, wanted: Wanted) -> str | None:
    """Who is said to say a turn: by its name, else by the stretches that it meets, whoever has most of it."""
    if here.turn in wanted:
        return wanted[here.turn]
    shares: dict[str, float] = {}
    for where, speaker in wanted.items():
        if not isinstance(where, str):
            common_s = min(where[1], here.end_s) - max(where[0], here.start_s)
            shares[speaker] = shares.get(speaker, 0.0) + max(0.0, common_s)
    best = max(shares, key=lambda speaker: shares[speaker], default=None)
    return best if best is not None and shares[best] > 0 else None


def _number_of(page: Any, speaker: str) -> str:
    """The key that gives a turn to a speaker."""
    return str(page.locator(f"#choices [data-to={speaker}] kbd").text_content())
