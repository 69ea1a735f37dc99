"""The parts of a quality report that terminal and pages tell alike: its quarters, and whom it was measured by. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from shared.manner import ENOUGH, MANY, tells
from shared.schemas import Manner, Quarter

QUARTERS = ("first", "second", "third", "last")


def quarter_rows(quarters: Sequence[Quarter]) -> list[tuple[str, list[str]]]:
    """Each figure with what it is in each quarter."""
    return [
        ("words", [f"{quarter.words:,}" for quarter in quarters]),
        ("turns", [f"{quarter.turns:,}" for quarter in quarters]),
        ("rep-4", [f"{quarter.rep4:.2f}" for quarter in quarters]),
        ("rep-4, worst 200 words", [f"{quarter.worst_window_rep4:.2f}" for quarter in quarters]),
        ("one-word replies", [f"{quarter.one_word_share:.0%}" for quarter in quarters]),
        ("host turns that answer themselves", [_count(quarter.answers_in_host_turns) for quarter in quarters]),
        ("advert phrases", [_count(quarter.advert_words) for quarter in quarters]),
        ("words recited", [_count(quarter.recited_words) for quarter in quarters]),
        ("host's share of the words", [_share(quarter.host_share) for quarter in quarters]),
        ("median host turn, words", [_count(quarter.host_median_words) for quarter in quarters]),
        ("median guest turn, words", [_count(quarter.guest_median_words) for quarter in quarters]),
        ("host turns that ask", [_share(quarter.host_question_share) for quarter in quarters]),
        ("ums, per 100 words", [f"{quarter.disfluencies:.1f}" for quarter in quarters]),
    ]


def measured_by(manner: Manner) -> str:
    talks = "1 real conversation" if manner.conversations == 1 else f"{manner.conversations} real conversations"
    said = f"the show: median of {talks}, {manner.words:,} words"
    if not tells(manner):
        return f"{said}; its own range takes {ENOUGH}, so normal is what is normal anywhere"
    few = f"; fewer than {MANY}: normal goes from the lowest to the highest of them, and well beyond"
    return f"{said}{few}" if manner.conversations < MANY else said


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
