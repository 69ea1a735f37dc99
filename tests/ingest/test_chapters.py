"""Chapters inside an audio file and beside it."""

from __future__ import annotations

import pytest

from services.ingest import chapters
from shared.errors import BadInputError


def test_a_chapter_that_begins_before_the_sound_begins_with_it():
    found = chapters.from_file([{"title": "Intro", "start_s": -0.026, "end_s": 5.0}, {"start_s": 5.0, "end_s": 0.0}])

    assert [(chapter.title, chapter.start_s, chapter.end_s) for chapter in found] == [("Intro", 0, 5), ("", 5, None)]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"chapters": [{}]}', '{"chapters": [{"startTime": 1' + "0" * 400 + "}]}", "[" * 200_000]
)
def test_what_is_no_list_of_chapters_is_refused(text: str):
    with pytest.raises(BadInputError, match="no JSON chapters"):
        chapters.from_feed(text)
