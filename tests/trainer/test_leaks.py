from __future__ import annotations

from services.trainer.leaks import leaks
from tests.trainer.test_exam import example

ADVERT = "This talk is brought to you by Bright Oak lamps, the lamps that never sleep."


def test_an_advert_that_is_read_once_more_is_found():
    [found] = leaks([example("r1", "Hello.", f"Well. {ADVERT.upper()}")], [("advert", ADVERT)])

    assert (found.reason, found.grams, found.found) == ("advert", 8, 8)


def test_what_is_in_no_example_is_counted_as_zero():
    found = leaks(
        [example("r1", "Hello.", "I mend lamps that never sleep.")], [("advert", ADVERT), ("trailer", ADVERT)]
    )

    assert [(one.reason, one.found) for one in found] == [("advert", 0), ("trailer", 0)]


def test_the_header_is_ours_and_not_looked_at():
    asked = example("r1", "Hello.", "Hi.")
    header = asked.messages[0].model_copy(update={"text": ADVERT})
    headed = asked.model_copy(update={"messages": (header, *asked.messages[1:])})

    assert leaks([headed], [("advert", ADVERT)])[0].found == 0


def test_spans_of_less_than_eight_words_have_no_runs_to_look_for():
    assert leaks([example("r1", "Hello.", "Hi.")], [("advert", "Bright Oak lamps.")]) == ()
