from __future__ import annotations

import pytest

from services.transcription.diarisation import Span
from services.transcription.turns import at_sentence_ends, build_turns, voices_of
from shared.schemas import Word


def words(text: str, *, start_s: float = 0.0, word_s: float = 0.5) -> list[Word]:
    return [
        Word(text=word, start_s=start_s + place * word_s, end_s=start_s + (place + 1) * word_s)
        for place, word in enumerate(text.split())
    ]


def test_each_word_goes_to_the_voice_it_overlaps_most():
    said = [Word(text="Welcome.", start_s=0.0, end_s=0.5), Word(text="Thanks.", start_s=0.9, end_s=1.6)]

    assert voices_of(said, [Span(0.0, 1.0, 0, 0.2), Span(1.0, 2.0, 1, 0.2)]) == [0, 1]


def test_a_word_outside_all_spans_goes_to_the_nearest_voice():
    said = [Word(text="uh", start_s=2.1, end_s=2.2), Word(text="so", start_s=4.7, end_s=4.8)]

    assert voices_of(said, [Span(0.0, 2.0, 0, 0.2), Span(5.0, 6.0, 1, 0.2)]) == [0, 1]


def test_without_spans_all_words_are_of_one_voice():
    assert [turn.voice for turn in build_turns(words("one two three"), [])] == [0]


def test_no_words_are_no_turns():
    assert build_turns([], [Span(0.0, 1.0, 0, 0.2)]) == []


@pytest.mark.parametrize("heard", [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1]])
def test_a_change_of_voice_moves_to_the_end_of_the_sentence(heard):
    assert at_sentence_ends(words("It ends. Why though?"), heard) == [0, 0, 1, 1]


def test_a_change_far_from_any_sentence_end_stays():
    said = words("one two three four five six seven eight")

    assert at_sentence_ends(said, [0, 0, 0, 0, 1, 1, 1, 1]) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_a_change_does_not_swallow_a_whole_turn():
    said = words("Really? Yes. And then you went home.")

    assert at_sentence_ends(said, [0, 1, 0, 0, 0, 0, 0]) == [0, 1, 0, 0, 0, 0, 0]


def test_a_turn_has_text_times_and_the_margin_of_its_spans():
    said = words("How are you? I am well.")
    spans = [Span(0.0, 1.5, 0, 0.2), Span(1.5, 2.0, 1, 0.1), Span(2.0, 3.0, 1, 0.04)]

    first, second = build_turns(said, spans)

    assert (first.text, first.start_s, first.end_s, first.margin) == ("How are you?", 0.0, 1.5, pytest.approx(0.2))
    assert (second.text, second.voice, second.margin) == ("I am well.", 1, pytest.approx(0.06))


def test_no_word_is_lost_or_doubled():
    said = words("a b. c d? e f g. h i j k. l")
    spans = [Span(0.0, 1.2, 0, 0.2), Span(1.2, 1.9, 1, 0.2), Span(3.0, 4.1, 0, 0.2), Span(4.1, 6.0, 1, 0.2)]

    turns = build_turns(said, spans)

    assert [word for turn in turns for word in turn.words] == said
