"""Pictures of an AI episode's quarters: bars for the page, and the same in words for who cannot see them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.schemas import Quarter

WIDTH, HEIGHT, BAR_WIDTH = 160, 60, 30


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    height: float
    written: str


@dataclass(frozen=True)
class Plot:
    """A figure in each quarter, as bars of a picture of WIDTH x HEIGHT; `told` says the same in words."""

    title: str
    told: str
    bars: tuple[Bar, ...]


def plots_of(quarters: Sequence[Quarter]) -> list[Plot]:
    """What may change on the way; none where the text is too short for quarters."""
    if not quarters:
        return []
    share, number = "{:.0%}".format, "{:.0f}".format
    figures = (
        ("Repeats in the worst 200 words", [quarter.worst_window_rep4 for quarter in quarters], share),
        ("One-word replies of the guest", [quarter.one_word_share for quarter in quarters], share),
        ("Host's share of the words", [quarter.host_share for quarter in quarters], share),
        ("Host turns that ask", [quarter.host_question_share for quarter in quarters], share),
        ("Median guest turn, words", [quarter.guest_median_words for quarter in quarters], number),
    )
    return [_plot(title, values, written) for title, values, written in figures]


def _plot(title: str, values: Sequence[float | None], written: Callable[[float], str]) -> Plot:
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    step = WIDTH / len(values)
    bars = []
    for place, value in enumerate(values):
        height = round(HEIGHT * (value or 0.0) / top, 1)
        x = round(place * step + (step - BAR_WIDTH) / 2, 1)
        bars.append(Bar(x, round(HEIGHT - height, 1), height, "–" if value is None else written(value)))
    told = f"{title} by quarter: {', '.join(bar.written for bar in bars)}"
    return Plot(title, told, tuple(bars))
