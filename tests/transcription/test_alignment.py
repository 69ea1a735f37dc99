from __future__ import annotations

import pytest

from services.transcription.alignment import SPELLINGS, rough_phones, spoken, timed_words


@pytest.mark.parametrize(
    ("word", "plain"), [("Well,", "well"), ("don’t!", "don't"), ("'quoted'", "quoted"), ("—", ""), ("10%", "10")]
)
def test_words_are_looked_up_as_dictionaries_spell_them(word, plain):
    assert spoken(word) == plain


@pytest.mark.parametrize(
    ("word", "phones"),
    [("quill", "K W IH L"), ("detasseling", "D EH T AE S EH L IH NG"), ("42", "F AO R T UW"), ("late", "L AE T")],
)
def test_words_that_no_dictionary_has_get_plausible_phones(word, phones):
    assert rough_phones(word) == phones


def test_every_letter_and_digit_has_a_sound():
    assert all(rough_phones(character) for character in "abcdefghijklmnopqrstuvwxyz0123456789")
    assert all(phone.isupper() for phones in SPELLINGS.values() for phone in phones.split())


def test_words_without_times_share_the_room_between_their_neighbours():
    words = timed_words(["a", "-", "-", "b", "%"], [(1.0, 2.0), None, None, (4.0, 5.0), None], 0.0, 6.0)

    assert [(word.start_s, word.end_s) for word in words] == [(1, 2), (2, 3), (3, 4), (4, 5), (5, 6)]


def test_a_piece_without_any_times_is_shared_evenly():
    words = timed_words(["a", "b"], [None, None], 10.0, 14.0)

    assert [(word.start_s, word.end_s) for word in words] == [(10, 12), (12, 14)]
