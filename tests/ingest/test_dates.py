from __future__ import annotations

import pytest

from services.ingest.dates import date_in


@pytest.mark.parametrize(
    ("sentence", "date"),
    [
        ("She was born on 4 May 1970.", "1970-05-04"),
        ("She was born on the 4th of May, 1970.", "1970-05-04"),
        ("Born May 4th, 1970, she left.", "1970-05-04"),
        ("On Sept. 4, 1970 she left.", "1970-09-04"),
        ("It was signed 1970-05-04.", "1970-05-04"),
        ("In May 1970 she left.", "1970-05"),
        ("In May of 1970 she left.", "1970-05"),
        ("As of 1970-05 she was here.", "1970-05"),
        ("She left in 1970.", "1970"),
        ("In 1970, she left.", "1970"),
        ("1970 was her year.", "1970"),
        ("Orla Finch (born 1970) left.", "1970"),
        ("She won (1970–1975).", "1970"),
        ("She won the 1970 Lamp Prize.", "1970"),
        ("Born in 1970, she left in May 1990.", "1970"),
        ("From 4–6 May 1970 she slept.", "1970-05"),
        ("She left on 03/04/1970.", "1970"),
        ("On 31 February 1970 nothing was.", "1970-02"),
        ("Founded: 1970", "1970"),
    ],
)
def test_the_first_date_is_found_as_precise_as_it_is(sentence: str, date: str):
    assert date_in(sentence) == date


@pytest.mark.parametrize(
    "sentence",
    [
        "2000 people came.",
        "She sold lamps in 2000 cities.",
        "She has over 1500 lamps.",
        "It cost $1998.",
        "It cost 1,998 pounds.",
        "In the 1990s she slept.",
        "She may 1998 things.",
        "She ran 1500 metres.",
        "She came at 19:30.",
        "Her number is 0161 1998 2345 7.",
        "On 4 May she left.",
        "She grew by 1998%.",
        "",
    ],
)
def test_what_is_no_date_for_certain_is_none(sentence: str):
    assert date_in(sentence) is None
