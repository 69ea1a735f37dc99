"""How much a text says again."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from shared.repetition import (
    compression_by_tenth,
    longest_repeat,
    repetition,
    rise,
    tail_repetition,
    words_of,
    worst_window,
)

FRESH = [f"w{number}" for number in range(2000)]
LOOP = ["so", "it", "goes", "on"] * 50


def test_words_are_letters_digits_and_either_apostrophe_lower_cased():
    assert words_of("It's 9 o’clock -- in New-York!") == ["it's", "9", "o'clock", "in", "new", "york"]


def test_words_of_another_script_are_words_too():
    assert words_of("Кто вы? Я пекарь из NASA, 2-й.") == ["кто", "вы", "я", "пекарь", "из", "nasa", "2", "й"]
    assert words_of("La France a été libérale.") == ["la", "france", "a", "t", "lib", "rale"], "as the table has it"


def test_a_loop_at_the_end_of_a_long_text_shows_in_the_worst_window_and_in_the_tail():
    words = FRESH + LOOP

    assert repetition(words, 4) < 0.1
    assert worst_window(words) > 0.9
    assert tail_repetition(words) > 0.4


def test_windows_are_of_200_words_each_25_words_apart():
    numbers = [int(digit, 16) for digit in blake2b(b"windows").hexdigest()] * 9
    words = [f"w{number % (at // 50 + 2)}" for at, number in enumerate(numbers)]
    windows = [words[start : start + 200] for start in range(0, len(words) - 199, 25)]

    assert worst_window(words) == max(repetition(window, 4) for window in windows)
    assert worst_window(words[:150]) == repetition(words[:150], 4) and worst_window(["a"] * 3) == 0


def test_a_loop_in_the_middle_is_none_of_the_tail():
    assert tail_repetition(FRESH[:1000] + LOOP + FRESH[1000:]) == 0


@pytest.mark.parametrize(
    ("text", "longest"), [("", 0), ("a", 0), ("a b c", 0), ("a b a b", 2), ("a a a a", 3), ("x a b c y a b c z", 3)]
)
def test_longest_repeat(text, longest):
    assert longest_repeat(text.split()) == longest


def test_equal_tenths_are_compressed_and_the_monotonous_one_stands_out():
    fresh = [blake2b(word.encode(), digest_size=3).hexdigest() for word in FRESH]

    even = compression_by_tenth(fresh)
    looping = compression_by_tenth([*fresh[:1800], *LOOP])

    assert len(even) == 10 and rise(even) < 1.1
    assert looping.index(max(looping)) == 9 and rise(looping) > 3


def test_a_short_text_is_not_compressed_by_tenth():
    assert compression_by_tenth(FRESH[:400]) == ()
    assert rise(()) == 1.0
