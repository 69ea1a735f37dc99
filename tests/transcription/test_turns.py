from __future__ import annotations

import numpy as np
import pytest

from services.transcription.diarisation import Span
from services.transcription.hearing import Evidence
from services.transcription.turns import build_turns, voices_of
from shared.schemas import Word

HOP_S = 0.1


def words(text: str, *, start_s: float = 0.0, word_s: float = 0.5) -> list[Word]:
    return [
        Word(text=word, start_s=start_s + place * word_s, end_s=start_s + (place + 1) * word_s)
        for place, word in enumerate(text.split())
    ]


def evidence(*stretches: tuple[float, float]) -> Evidence:
    """Stretches of (seconds, cosine to the first voice minus that to the second)."""
    margins = np.concatenate([np.full(round(seconds / HOP_S), margin) for seconds, margin in stretches])
    return Evidence(
        centres_s=tuple(np.arange(len(margins)) * HOP_S + HOP_S / 2),
        cosines=tuple((0.8 + margin / 2, 0.8 - margin / 2) for margin in margins),
        overlap=(0.0,) * len(margins),
    )


def test_each_word_goes_to_the_voice_it_overlaps_most():
    said = [Word(text="Welcome.", start_s=0.0, end_s=0.5), Word(text="Thanks.", start_s=0.9, end_s=1.6)]

    assert voices_of(said, [Span(0.0, 1.0, 0), Span(1.0, 2.0, 1)]) == [0, 1]


def test_a_word_outside_all_spans_goes_to_the_nearest_voice():
    said = [Word(text="uh.", start_s=2.8, end_s=2.9), Word(text="So", start_s=9.1, end_s=9.2)]

    assert voices_of(said, [Span(0.0, 2.0, 0), Span(10.0, 11.0, 1)]) == [0, 1]


def test_without_spans_all_words_are_of_one_voice():
    assert [turn.voice for turn in build_turns(words("one two three"), [])] == [0]


def test_no_words_are_no_turns():
    assert build_turns([], [Span(0.0, 1.0, 0)]) == []


@pytest.mark.parametrize("heard_s", [0.8, 1.0, 1.2])
def test_a_change_of_voice_moves_to_the_end_of_the_sentence(heard_s):
    said = words("It ends. Why though?")

    assert voices_of(said, [Span(0.0, heard_s, 0), Span(heard_s, 2.0, 1)]) == [0, 0, 1, 1]


def test_a_clear_change_far_from_any_sentence_end_stays():
    said = words("one two three four five six seven eight")

    assert voices_of(said, [Span(0.0, 2.0, 0), Span(2.0, 4.0, 1)]) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_a_short_answer_is_a_turn_of_its_own():
    said = words("Really? Yes. And then you went home.")

    assert voices_of(said, [Span(0.0, 0.5, 0), Span(0.5, 1.0, 1), Span(1.0, 3.5, 0)]) == [0, 1, 0, 0, 0, 0, 0]


def test_a_moment_of_another_voice_inside_of_a_sentence_is_no_turn():
    said = words("and so we went to the old house by the sea")

    assert set(voices_of(said, [Span(0.0, 2.0, 0), Span(2.0, 2.3, 1), Span(2.3, 5.5, 0)])) == {0}


def test_yeah_between_two_sentences_is_easily_somebody_elses_and_a_word_in_one_is_not():
    heard = evidence((1.5, 0.2), (0.5, -0.1), (1.5, 0.2))
    spans = [Span(0.0, 1.5, 0), Span(1.5, 2.0, 1), Span(2.0, 3.5, 0)]

    between = voices_of(words("We stayed there. Yeah. Every single summer."), spans, heard)
    inside = voices_of(words("we stayed there very often every summer"), spans, heard)

    assert between == [0, 0, 0, 1, 0, 0, 0]
    assert set(inside) == {0}


def test_the_sound_next_to_a_word_counts_where_its_time_is_not_exact():
    said = [*words("in the fields."), Word(text="Lovely.", start_s=3.4, end_s=3.6), *words("Every day", start_s=5.0)]
    heard = evidence((1.5, 0.2), (2.3, -0.2), (2.2, 0.2))

    assert voices_of(said, [Span(0.0, 1.5, 0), Span(1.5, 3.3, 1), Span(3.3, 6.0, 0)], heard) == [0, 0, 0, 1, 0, 0]


def test_who_asked_rarely_answers():
    said = words("Did you go? I did.")
    unsure = evidence((2.5, 0.0))

    assert voices_of(said, [Span(0.0, 1.9, 0), Span(1.9, 2.5, 1)], unsure) == [0, 0, 0, 1, 1]


def test_a_turn_has_text_and_times():
    said = words("How are you? I am well.")

    first, second = build_turns(said, [Span(0.0, 1.5, 0), Span(1.5, 3.0, 1)])

    assert (first.voice, first.text, first.start_s, first.end_s) == (0, "How are you?", 0.0, 1.5)
    assert (second.voice, second.text) == (1, "I am well.")


def test_no_word_is_lost_or_doubled():
    said = words("a b. c d? e f g. h i j k. l")
    spans = [Span(0.0, 1.2, 0), Span(1.2, 1.9, 1), Span(3.0, 4.1, 0), Span(4.1, 6.0, 1)]

    turns = build_turns(said, spans)

    assert [word for turn in turns for word in turn.words] == said


def test_words_without_room_of_their_own_do_not_crash():
    said = [Word(text="a", start_s=1.0, end_s=1.0), Word(text="b", start_s=1.0, end_s=0.9)]

    assert voices_of(said, [Span(0.0, 2.0, 1)], evidence((2.0, -0.1))) == [1, 1]
