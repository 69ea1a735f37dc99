"""What is counted as a sign of unprepared speech."""

from __future__ import annotations

import pytest

from shared.disfluencies import disfluencies


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Um, I think, uh, it was Tuesday.", 2),
        ("It was, you know, early. I mean, very early.", 2),
        ("And you know we had a plan.", 1),
        ("I I went to the, the house.", 2),
        ("We— we left. I w- I was there.", 2),
        ("It’s, it's over.", 1),
    ],
)
def test_ums_asides_and_false_starts_are_counted(text: str, count: int):
    assert disfluencies(text) == count


@pytest.mark.parametrize(
    "text",
    [
        "Do you know him? You know what I mean.",
        "If you know the way, tell me. As you know, it is far.",
        "I mean it. What I mean is this.",
        "He had had enough; that that matters is very, very clear. No, no!",
        "A well-known, long-term plan: her umbrella, an error.",
        "",
    ],
)
def test_sentences_that_need_these_words_have_none(text: str):
    assert disfluencies(text) == 0
