from __future__ import annotations

from services.trainer.leaks import Span, leaks
from tests.trainer.test_exam import example

ADVERT = "This talk is brought to you by Bright Oak lamps, the lamps that never sleep."


def test_an_advert_that_is_read_once_more_is_found():
    [found] = leaks([example("r1", "Hello.", f"Well. {ADVERT.upper()}")], [Span("r1", "advert", ADVERT)])

    assert (found.reason, found.grams, found.found) == ("advert", 8, 8)


def test_what_is_in_no_example_is_counted_as_zero():
    found = leaks(
        [example("r1", "Hello.", "I mend lamps that never sleep.")],
        [Span("r1", "advert", ADVERT), Span("r1", "trailer", ADVERT)],
    )

    assert [(one.reason, one.found) for one in found] == [("advert", 0), ("trailer", 0)]


def test_the_header_is_ours_and_not_looked_at():
    asked = example("r1", "Hello.", "Hi.")
    header = asked.messages[0].model_copy(update={"text": ADVERT})
    headed = asked.model_copy(update={"messages": (header, *asked.messages[1:])})

    assert leaks([headed], [Span("r1", "advert", ADVERT)])[0].found == 0


def test_spans_of_less_than_eight_words_have_no_runs_to_look_for():
    assert leaks([example("r1", "Hello.", "Hi.")], [Span("r1", "advert", "Bright Oak lamps.")]) == ()


def test_a_trailer_quotes_its_own_interview_and_leaks_into_any_other():
    quote = "I stopped the whole town for eleven minutes that day."
    said = example("r1", "What did you do?", quote)

    [own] = leaks([said], [Span("r1", "trailer, found by chapters", quote)])
    [other] = leaks([said], [Span("r2", "trailer, found by chapters", quote)])
    [advert] = leaks([said], [Span("r1", "advert, found by chapters", quote)])

    assert [(one.grams, one.found, one.quoted) for one in (own, other, advert)] == [(3, 0, 3), (3, 3, 0), (3, 3, 0)]
