"""Two revisions side by side."""

from __future__ import annotations

from services.transcription.comparing import compare
from services.transcription.corrections import Person, apply
from shared.corrections import EditText, Reassign
from shared.schemas import now
from tests.transcription.talks import LINES, transcript

ANN = Person("ann", now())


def test_equal_revisions_do_not_differ():
    found = compare(transcript(), transcript(timed=False))

    assert (found.words_changed, found.words_moved, found.differences) == (0, 0, ())


def test_moved_and_changed_words_are_counted_and_shown_with_what_is_around_them():
    before = transcript()
    after = apply(before, [Reassign(turns=("t3",), to="S2"), EditText(turn="t4", text="So he went to the moon.")], ANN)[
        0
    ]

    found = compare(before, after)

    assert (found.words_moved, found.words_changed) == (1, 1)
    (difference,) = found.differences
    assert "S1 (Kenna Gray): Yeah." in difference.before
    assert any("he" in line.split() for line in difference.after)
    assert difference.start_s == before.turns[2].start_s


def test_places_far_apart_are_told_apart():
    far = [*LINES, *(("S1", "and so it goes on and on for ever"),) * 3, ("S2", "Goodbye.")]
    before = transcript(far)
    after = apply(before, [EditText(turn="t3", text="No."), EditText(turn="t9", text="Farewell.")], ANN)[0]

    assert len(compare(before, after).differences) == 2


def test_words_that_only_one_has_are_found():
    before, after = transcript(), transcript([*LINES[:2], *LINES[3:]])

    found = compare(before, after)

    assert found.words_changed == 1 and "Yeah." in " ".join(found.differences[0].before)
