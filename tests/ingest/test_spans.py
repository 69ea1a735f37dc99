"""Which parts of a recording are no interview: by chapters, SponsorBlock, and by one long silence as a last resort."""

from __future__ import annotations

import pytest

from services.ingest import chapters, spans
from shared.errors import BadInputError
from shared.schemas import Chapter, ExcludedSpan


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("Trailer", "trailer"),
        ("Coming up on this episode", "trailer"),
        ("Intro", "intro"),
        ("Sponsor", "advert"),
        ("Ad break", "advert"),
        ("Sponsored by Puddle Socks", "advert"),
        ("A word from our sponsors", "advert"),
        ("Ad: Puddle Socks", "advert"),
        ("Outro", "outro"),
        ("How advertising works", None),
        ("Finding a partner", None),
        ("Career highlights", None),
        ("Introduction to sourdough", None),
        ("The best advice of my life", None),
    ],
)
def test_a_chapters_title_says_what_it_is_and_talk_about_adverts_is_talk(title: str, reason: str | None):
    assert spans.reason_of(title) == reason


def test_chapters_without_an_end_reach_to_the_next_and_the_last_to_the_end():
    found = chapters.from_feed('{"chapters": [{"startTime": 60, "title": "Talk"}, {"startTime": 0, "title": "Intro"}]}')

    excluded = spans.excluded((*found, Chapter(title="Outro", start_s=500)), (), [], 600.0)

    assert [(span.start_s, span.end_s, span.reason) for span in excluded] == [(0, 60, "intro"), (500, 600, "outro")]


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"chapters": [{"startTime": "soon"}]}', '{"chapters": [{"startTime": -1}]}']
)
def test_chapters_that_are_none_are_refused(text: str):
    with pytest.raises(BadInputError, match="no JSON chapters"):
        chapters.from_feed(text)


def test_sponsorblock_adds_to_chapters_and_what_lies_inside_the_same_says_nothing_new():
    told = ExcludedSpan(start_s=100, end_s=160, reason="advert", found_by="sponsorblock", detail="sponsor")
    inside = told.model_copy(update={"start_s": 110.0, "end_s": 120.0})
    found = spans.excluded([Chapter(title="Trailer", start_s=0, end_s=30)], [told, inside], [], 600.0)

    assert [(span.reason, span.found_by) for span in found] == [("trailer", "chapters"), ("advert", "sponsorblock")]


def test_nothing_reaches_beyond_the_recording():
    far = ExcludedSpan(start_s=590, end_s=900, reason="outro", found_by="sponsorblock")
    gone = ExcludedSpan(start_s=700, end_s=900, reason="outro", found_by="sponsorblock")

    assert [span.end_s for span in spans.excluded([], [far, gone], [], 600.0)] == [600.0]


def test_one_clearly_longest_silence_near_the_start_ends_a_trailer():
    found = spans.excluded([], [], [(12.0, 13.8), (95.0, 99.5), (1800.0, 1810.0)], 3600.0)

    assert [(span.start_s, span.end_s, span.reason, span.found_by) for span in found] == [(0, 99.5, "trailer", "gap")]


@pytest.mark.parametrize(
    ("silences", "why"),
    [
        ([(95.0, 97.0)], "too short"),
        ([(95.0, 99.0), (140.0, 143.5)], "another one like it"),
        ([(2.0, 8.0)], "before anything was said"),
        ([(900.0, 910.0)], "not near the start"),
        ([], "none"),
    ],
)
def test_any_other_silence_ends_no_trailer(silences: list[tuple[float, float]], why: str):
    assert spans.excluded([], [], silences, 3600.0) == ()


def test_the_silence_is_not_asked_where_the_source_has_chapters():
    assert spans.excluded([Chapter(title="Talk", start_s=0)], [], [(95.0, 99.5)], 3600.0) == ()
