"""Several AI episodes by the same brief, side by side: what is stored of a comparison, and what people see. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from shared.report import Grade, lines
from shared.schemas import Episode, EpisodeOptions, EpisodeTurn, Lineage, Record, Report, Slug

COMPARE = "compare"
FEWEST_ADAPTERS, MOST_ADAPTERS = 2, 6
AN_EXCHANGE = 2  # turns

AdapterName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]


class ComparisonRequest(EpisodeOptions):
    """A brief, and who writes it: names of adapters, `best`, or `base` for the base model without an adapter."""

    show: Slug
    adapters: tuple[AdapterName, ...] = Field(
        min_length=FEWEST_ADAPTERS, max_length=MOST_ADAPTERS, description="each writes the brief once, same seed"
    )

    @model_validator(mode="after")
    def _no_single_adapter(self) -> ComparisonRequest:
        if self.adapter != "best":
            raise ValueError(f"name {self.adapter!r} among `adapters`: a comparison has no single `adapter`")
        return self

    @model_validator(mode="after")
    def _whole_episodes(self) -> ComparisonRequest:
        if self.review_plan or self.write != "episode":
            raise ValueError("a comparison is of whole episodes: leave out `review_plan`, and `write` as it is")
        return self

    @model_validator(mode="after")
    def _each_once(self) -> ComparisonRequest:
        if len(set(self.adapters)) < len(self.adapters):
            raise ValueError("`adapters` names one of them twice; name each once")
        return self


class Compared(Record):
    """One adapter's try; `adapter` is its name or `base`. Without an episode, `error` says why there is none."""

    adapter: str
    episode: str | None = None
    error: str = ""


class Comparison(Record):
    """Which episodes were written by one brief. Their text and figures are theirs alone: nothing of it is here.

    brief   as it was asked for; `episodes` has the adapters in the same order, with `best` resolved
    """

    schema_version: Literal[1] = 1
    id: str
    show: Slug
    brief: ComparisonRequest
    episodes: tuple[Compared, ...]
    lineage: Lineage


class ComparisonResult(Record):
    comparison: str
    key: str
    episodes: tuple[Compared, ...]


# ---- what people see -------------------------------------------------------------------------------------------------


class Figure(Record):
    """One line of an episode's report, beside what is normal."""

    label: str
    value: str
    normal: str = ""
    grade: Grade = "ok"
    finding: str = ""


class Side(Record):
    """One episode of a comparison.

    error             why there is no episode, or that it is not stored any more; all that follows is empty then
    first_exchange    the first two turns
    """

    adapter: str
    episode: str | None = None
    error: str = ""
    label: str = ""
    report: Report | None = None
    figures: tuple[Figure, ...] = ()
    verdict: str = ""
    first_exchange: tuple[EpisodeTurn, ...] = ()
    source_withdrawn: tuple[str, ...] = ()


class SideBySide(Record):
    """A comparison with what its episodes are now."""

    comparison: Comparison
    sides: tuple[Side, ...]


class Row(Record):
    """A figure of all sides; none where a side has no such figure."""

    label: str
    normal: str
    figures: tuple[Figure | None, ...]


def side_of(episode: Episode) -> Side:
    figures = lines(episode.report, target_words=episode.brief.words)
    return Side(
        adapter=episode.adapter or "base",
        episode=episode.id,
        label=episode.label,
        report=episode.report,
        figures=tuple(
            Figure(label=one.label, value=one.value, normal=one.normal, grade=one.grade, finding=one.finding)
            for one in figures
        ),
        verdict=episode.report.verdict,
        first_exchange=episode.turns[:AN_EXCHANGE],
        source_withdrawn=episode.source_withdrawn,
    )


def rows_of(sides: Sequence[Side]) -> list[Row]:
    """Every figure that any side has, in reading order; where ranges differ, as lengths do, `normal` is empty."""
    labels: list[str] = []
    for side in sides:
        place = 0
        for figure in side.figures:
            if figure.label in labels:
                place = labels.index(figure.label) + 1
            else:
                labels.insert(place, figure.label)
                place += 1
    return [_row(label, sides) for label in labels]


def _row(label: str, sides: Sequence[Side]) -> Row:
    figures = tuple(next((one for one in side.figures if one.label == label), None) for side in sides)
    ranges = {figure.normal for figure in figures if figure is not None and figure.normal}
    return Row(label=label, normal=ranges.pop() if len(ranges) == 1 else "", figures=figures)
