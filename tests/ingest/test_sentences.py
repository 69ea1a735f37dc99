"""Text into sentences: what ends one, what does not, and what is no text."""

from __future__ import annotations

import pytest

from services.ingest.sentences import cut, is_furniture, paragraphs, split


@pytest.mark.parametrize(
    "sentence",
    [
        "She met Dr. Ann Ash in Dublin.",
        "J. R. R. Lamp wrote it.",
        "It cost 3.5 million dollars.",
        "Mr. and Mrs. Ash came.",
        "The U.S. Army took it.",
        "She lives in St. Ives with her wife.",
        "It was signed on Jan. 5 by all.",
        "She took a Ph.D. in physics.",
        "No. 10 was her number.",
        "He joined Lamp Inc. as a clerk.",
        "Many, e.g. Tom Birch, came.",
        "Ann Ash Jr. spoke.",
        "“Stop!” she said.",
        "Yahoo! was there first.",
        "It began at 10 a.m. that day.",
    ],
)
def test_a_full_stop_that_is_part_of_a_word_ends_no_sentence(sentence: str):
    assert list(split(f"It began. {sentence} It ended.")) == ["It began.", sentence, "It ended."]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("She won! Did she? Yes.", ["She won!", "Did she?", "Yes."]),
        ("She took a Ph.D. Then she left.", ["She took a Ph.D.", "Then she left."]),
        ("She moved to the U.S. In 1998 she left.", ["She moved to the U.S.", "In 1998 she left."]),
        ("She joined Lamp Ltd. Her job was hard.", ["She joined Lamp Ltd.", "Her job was hard."]),
        ('He said "No." She left.', ['He said "No."', "She left."]),
        ("(She left.) Then it rained.", ["(She left.)", "Then it rained."]),
        ("And so… The end", ["And so…", "The end"]),
        ("1. She was born.", ["1. She was born."]),
        ("彼は来た。そして去った。", ["彼は来た。", "そして去った。"]),
        ("", []),
        ("...", ["..."]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, sentences: list[str]):
    assert list(split(text)) == sentences


def test_wrapped_lines_are_joined_and_lines_of_a_list_are_not():
    text = (
        "Life\nOrla Finch was born in Dublin, where lamps are made by\nhand. She left.\n\n- Lamps, 1998\n- More lamps"
    )

    assert paragraphs(text) == [
        ["Life", "Orla Finch was born in Dublin, where lamps are made by hand.", "She left."],
        ["Lamps, 1998", "More lamps"],
    ]


def test_citation_marks_and_invisible_characters_are_dropped():
    text = "She won.[12][13] It\u200b was late [citation needed] in\x00 1998.[a] [edit]"

    assert paragraphs(text) == [["She won.", "It was late in 1998."]]


@pytest.mark.parametrize(
    "line",
    [
        "Home > About > Orla Finch",
        "Home | Blog | Shop",
        "We use cookies to improve your visit.",
        "Accept all cookies",
        "© 2030 Orla Finch. All rights reserved.",
        "Subscribe to our newsletter about Orla Finch.",
        "Skip to main content",
        "* * *",
    ],
)
def test_menus_and_notices_are_no_text(line: str):
    assert is_furniture(line) and paragraphs(line) == []


@pytest.mark.parametrize("line", ["She founded a newsletter in 2015.", "She bakes cookies.", "A or B | she chose A."])
def test_sentences_with_words_of_notices_stay(line: str):
    assert not is_furniture(line)


def test_a_long_sentence_is_cut_at_a_clause():
    sentence = "She wrote of lamps, " * 20 + "and slept."

    short = cut(sentence, 300)

    assert len(short) <= 300 and short.endswith("of lamps…") and sentence.startswith(short[:-1])
    assert cut("x" * 500, 300) == "x" * 299 + "…"
    assert cut("She ran.", 300) == "She ran."


def test_text_made_to_keep_a_reader_busy_is_read_all_the_same():
    """Where a pattern tried every start anew, each of these would take hours."""
    for text in ("." * 200_000 + "x", ".'" * 100_000, "[" * 200_000, "a." * 100_000, "\n " * 100_000, "a-" * 100_000):
        assert sum(map(len, paragraphs(text))) <= 1
