"""Pictures of quarters: bars as high as their values, and the same in words."""

from __future__ import annotations

from services.studio.pages.quarter_plots import HEIGHT, plots_of
from services.studio.report_rows import quarter_rows
from tests.studio.pages.an_episode import an_episode, said, turns_of


def quarters(replies: int = 0):
    texts = [said(12, index) + "?" * (index % 2 == 0) for index in range(60)]
    for place in range(replies):
        texts[2 * place + 1] = "Yes."
    return an_episode(turns_of(texts)).report.quarters


def test_the_highest_bar_is_as_high_as_the_picture_and_the_words_say_every_value():
    plot = next(one for one in plots_of(quarters(replies=5)) if one.title.startswith("One-word"))

    assert plot.bars[0].height == HEIGHT and plot.bars[0].y == 0
    assert plot.bars[3].height == 0 and plot.bars[3].written == "0%"
    assert plot.told == f"{plot.title} by quarter: {', '.join(bar.written for bar in plot.bars)}"


def test_what_is_not_known_is_a_dash_and_what_is_never_there_no_bar():
    unhosted = tuple(quarter.model_copy(update={"host_share": None}) for quarter in quarters())

    plots = {plot.title: plot for plot in plots_of(unhosted)}

    assert [bar.written for bar in plots["Host's share of the words"].bars] == ["–"] * 4
    assert {bar.height for bar in plots["One-word replies of the guest"].bars} == {0}


def test_a_short_text_has_no_pictures():
    assert plots_of(()) == []


def test_the_table_has_every_figure_of_each_quarter():
    rows = dict(quarter_rows(quarters(replies=5)))

    assert all(len(cells) == 4 for cells in rows.values())
    assert rows["words"] == [f"{quarter.words:,}" for quarter in quarters(replies=5)]
    assert rows["words recited"] == ["0"] * 4
