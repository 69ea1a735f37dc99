"""Transcripts -> examples: what goes in, what stays out and why, where examples are cut, who is kept out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from services.trainer import dataset
from services.trainer.dataset import Frame, Source, build_examples, conversations, cut, encode, split
from shared.errors import BadInputError
from shared.render import Renderer, header
from shared.schemas import Example, HostMethod, Message, TranscriptState, Turn
from tests.trainer.conftest import small_talk, turns

FRAME = Frame("Lamp", "Mara", max_length=512, loss_on="both")


def source(*said: str, recording: str = "rec1", guest: str | None = "Ann Ash", method=HostMethod.VOICEPRINT) -> Source:
    return Source(recording, "machine-1", "Talk", guest, method, turns(*said))


def as_text(messages) -> list[str]:
    return [f"{message.role[0]}: {message.text}" for message in messages]


def talk(*said: str) -> list[list[str]]:
    return [as_text(stretch) for stretch in conversations(turns(*said), str.strip, Counter())]


def test_neighbours_of_one_role_become_one_turn_and_empty_ones_vanish():
    assert talk("h: A", "h: B", "g:  ", "h: C", "g: D", "g: E") == [["h: A B C", "g: D E"]]


def test_a_turn_of_anybody_else_ends_the_stretch_and_is_counted():
    left: Counter[str] = Counter()

    stretches = conversations(turns("h: A", "g: B", "o: buy my socks", "g: C c", "h: D", "u: mm"), str.strip, left)

    assert [as_text(stretch) for stretch in stretches] == [["h: A", "g: B"], ["h: D"]]
    assert left == {dataset.NOT_OF_THE_TALK: 4, dataset.NO_QUESTION: 2}


def test_examples_are_cut_before_host_turns_only_and_filled_up():
    stretch = [Message(role=role, text="x" * 10) for role in ("host", "guest") * 5]

    pieces = cut(stretch, 50, lambda message: len(message.text), Counter())

    assert [len(piece) for piece in pieces] == [4, 4, 2]
    assert all(piece[0].role == "host" for piece in pieces)
    assert [message for piece in pieces for message in piece] == stretch


def test_a_turn_that_is_too_long_is_left_out_and_a_new_piece_starts_at_the_next_question():
    sizes = {"h1": 10, "g1": 10, "h2": 10, "g2": 90, "h3": 60, "g3": 1, "h4": 10, "g4": 10}
    stretch = [Message(role="host" if name[0] == "h" else "guest", text=name) for name in sizes]
    left: Counter[str] = Counter()

    pieces = cut(stretch, 50, lambda message: sizes[message.text], left)

    assert [[message.text for message in piece] for piece in pieces] == [["h1", "g1", "h2"], ["h4", "g4"]]
    assert left == {dataset.TOO_LONG: 3}, "g2, and h3 with the answer to it"


def test_every_example_starts_with_the_header_and_fits(renderer: Renderer):
    long_talk = [text for _ in range(12) for text in small_talk("Ann Ash")[:4]]

    examples = build_examples([source(*long_talk)], FRAME, renderer).examples

    assert len(examples) > 2
    assert all([message.role for message in example.messages[:2]] == ["system", "host"] for example in examples)
    assert all(example.tokens <= 512 and 0 < example.supervised_tokens < example.tokens for example in examples)
    where = [example.messages[0].text.rsplit("This is the ")[-1].split()[0] for example in examples]
    assert (where[0], where[-1]) == ("beginning", "end") and "middle" in where


def test_a_recording_without_a_known_host_stays_out_with_reason_and_words(renderer: Renderer):
    built = build_examples([source("h: one two", "g: three", method=HostMethod.UNKNOWN)], FRAME, renderer)

    assert built.examples == []
    assert [(left.recording, left.reason, left.words) for left in built.left_out] == [("rec1", dataset.HOST_UNKNOWN, 3)]
    assert "diary transcripts host" in dataset.HOST_UNKNOWN


def test_a_guessed_host_is_a_warning(renderer: Renderer):
    built = build_examples([source(*small_talk("Ann"), method=HostMethod.GUESSED)], FRAME, renderer)

    assert built.examples and "rec1" in built.warnings[0]


def doubted(turn: Turn, doubt: float, settled_by: str | None = None) -> Turn:
    return turn.model_copy(update={"doubt": doubt, "settled_by": settled_by})


def test_turns_that_are_doubted_more_than_allowed_stay_out_and_what_follows_answers_nothing(renderer: Renderer):
    said = turns("h: One?", "g: Two.", "h: Three? Four.", "g: Five six.", "h: Seven?", "g: Eight.")
    unsure = (*said[:2], doubted(said[2], 0.9), *said[3:])

    built = build_examples([replace(source(), turns=unsure)], replace(FRAME, max_doubt=0.85), renderer)

    assert [as_text(example.messages[1:]) for example in built.examples] == [
        ["h: One?", "g: Two."], ["h: Seven?", "g: Eight."],
    ]  # fmt: skip
    assert {left.reason: left.words for left in built.left_out} == {dataset.UNSURE: 2, dataset.NO_QUESTION: 2}


@pytest.mark.parametrize(("doubt", "settled_by"), [(0.85, None), (0.99, "Ann")])
def test_turns_at_the_threshold_and_settled_ones_are_learnt_from(renderer: Renderer, doubt, settled_by):
    said = tuple(doubted(turn, doubt, settled_by) for turn in turns("h: One?", "g: Two."))

    assert build_examples([replace(source(), turns=said)], replace(FRAME, max_doubt=0.85), renderer).left_out == []


@pytest.mark.parametrize(
    ("state", "wanted", "is_in"),
    [("machine", "machine", True), ("machine", "reviewed", False), ("approved", "reviewed", True)],
)
def test_transcripts_that_people_have_checked_too_little_stay_out(renderer: Renderer, state, wanted, is_in):
    checked = replace(source(*small_talk("Ann")), state=TranscriptState(state))

    built = build_examples([checked], replace(FRAME, min_state=TranscriptState(wanted)), renderer)

    assert bool(built.examples) is is_in
    assert [left.reason for left in built.left_out] == (
        [] if is_in else [f"transcript is {state}, and {wanted} was asked for; see `diary transcripts review`"]
    )


def test_a_language_that_the_base_model_does_not_write_stays_out(renderer: Renderer):
    german = replace(source("h: Wer sind Sie?", "g: Ein Taucher."), language="de")
    frame = replace(FRAME, languages=frozenset({"en"}), base="SmolLM2")

    [left] = build_examples([german], frame, renderer).left_out

    assert left.reason.startswith("in de, which SmolLM2 does not write") and "TRAINER_BASE_MODEL" in left.reason
    assert build_examples([german], replace(FRAME, languages=None), renderer).examples


def test_backchannels_are_folded_and_fillers_go_if_somebody_wants_it(renderer: Renderer):
    said = source("h: Who, um, are you?", "g: I was a diver", "h: Mhm.", "g: and, uh, a baker.")

    kept = build_examples([said], FRAME, renderer)
    dropped = build_examples([said], replace(FRAME, drop_fillers=True), renderer)

    assert as_text(kept.examples[0].messages[1:]) == ["h: Who, um, are you?", "g: I was a diver and, uh, a baker."]
    assert as_text(dropped.examples[0].messages[1:]) == ["h: Who, are you?", "g: I was a diver and, a baker."]
    assert (kept.backchannels, kept.fillers, dropped.fillers) == (1, 0, 2)


def test_facts_of_the_guest_stand_in_the_header(renderer: Renderer):
    told = replace(source(*small_talk("Ann")), facts=("Ann dives.",))

    assert "Fact: Ann dives." in build_examples([told], FRAME, renderer).examples[0].messages[0].text


def test_the_header_is_the_one_that_generation_writes(renderer: Renderer):
    """The ids of an example's header and first question are those a prompt for its first answer begins with."""
    told = replace(source(*small_talk("Ann Ash")), facts=("Ann dives.",))
    example = build_examples([told], FRAME, renderer).examples[0]
    asked = header(
        show_title="Lamp", host="Mara", guest="Ann Ash", facts=["Ann dives."], about="Talk", position=0.0, summary=""
    )

    prompt = renderer.prompt([asked, example.messages[1]], "guest")

    assert renderer.render(example.messages).ids[: len(prompt)] == prompt


def test_markers_in_a_transcript_are_neutralised(renderer: Renderer):
    built = build_examples([source("h: Hi<|im_end|>[/INST]", "g: </s> yes")], FRAME, renderer)

    assert as_text(built.examples[0].messages[1:]) == ["h: Hi< |im_end|>[ /INST]", "g: < /s> yes"]


def test_a_header_that_leaves_no_room_is_refused(renderer: Renderer):
    with pytest.raises(BadInputError, match="raise max_length"):
        build_examples([source(*small_talk("Ann"))], Frame("Lamp" * 30, "Mara", 128, "both"), renderer)


# ---- who is kept out -------------------------------------------------------------------------------------------------


def examples_of(*guests: str) -> list[Example]:
    messages = (Message(role="host", text="Hello"),)
    return [
        Example(recording=f"rec{n}", transcript="t", guest=guest, messages=messages, tokens=9, supervised_tokens=5)
        for n, guest in enumerate(guests)
    ]


def test_a_guest_is_never_in_both_halves():
    train, kept_out = split(examples_of("Ann Ash", "Bob", "ann  ash", "Bob", "Cleo"), 1)

    keys = [{dataset.guest_key(example.guest) for example in half} for half in (train, kept_out)]
    assert not keys[0] & keys[1] and len(keys[1]) == 1
    assert len(train) + len(kept_out) == 5


def test_the_split_depends_on_no_order():
    one = split(examples_of("Ann", "Bob", "Cleo", "Dan"), 2)[1]
    other = split(examples_of("Dan", "Cleo", "Bob", "Ann"), 2)[1]

    assert {example.guest for example in one} == {example.guest for example in other}


@pytest.mark.parametrize("added", [f"guest {number}" for number in range(20)])
def test_a_recording_that_is_added_moves_nobody_into_training(added: str):
    before = {example.guest for example in split(examples_of("Ann", "Bob", "Cleo"), 1)[1]}

    after = {example.guest for example in split(examples_of("Ann", "Bob", "Cleo", added), 1, before)[1]}

    assert after == before


@pytest.mark.parametrize("guests", [(), ("Ann",), ("Ann", "ANN")])
def test_too_few_guests_are_refused(guests):
    with pytest.raises(BadInputError, match="add recordings of other guests"):
        split(examples_of(*guests), 1)


# ---- what the trainer reads ------------------------------------------------------------------------------------------


def test_rows_hold_our_renderers_ids_and_teach_the_ends_of_turns(renderer: Renderer):
    example = build_examples([source(*small_talk("Ann"))], FRAME, renderer).examples[0]

    (row,) = encode([example], renderer, 512, "both")

    assert row["input_ids"] == renderer.render(example.messages).ids
    assert sum(label != -100 for label in row["labels"]) == example.supervised_tokens
    assert row["labels"].count(renderer.end("host")[0]) == 5


@pytest.mark.parametrize(
    ("max_length", "loss_on", "complaint"), [(20, "both", "more than 20"), (512, "guest", "teaches nothing")]
)
def test_rows_that_would_be_cut_or_teach_nothing_are_refused(renderer: Renderer, max_length, loss_on, complaint):
    example = build_examples([source("h: Welcome to the show")], FRAME, renderer).examples[0]

    with pytest.raises(BadInputError, match=complaint):
        encode([example], renderer, max_length, loss_on)
