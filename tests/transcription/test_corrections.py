"""Edits of a transcript, one kind after the other, with and without word times."""

from __future__ import annotations

import pytest

from services.transcription.corrections import Person, apply, content
from shared.corrections import (
    Edit,
    EditText,
    Exclude,
    Include,
    Join,
    Judge,
    MergeSpeakers,
    Reassign,
    ReassignRange,
    Rename,
    SetRole,
    Settle,
    Split,
    Undo,
)
from shared.errors import BadInputError
from shared.schemas import HostMethod, Role, Transcript, TranscriptState, now
from tests.transcription.talks import transcript

ANN = Person("ann", now(), host="Kenna Gray", guest="Lisa")


def edited(before: Transcript, *edits: Edit) -> Transcript:
    return apply(before, edits, ANN)[0]


def texts(found: Transcript) -> list[str]:
    return [f"{turn.id} {turn.speaker}: {turn.text}" for turn in found.turns]


def test_a_turn_that_is_given_to_another_speaker_is_settled():
    after = edited(transcript(doubtful=[2]), Reassign(turns=("t3",), to="S2"))

    turn = after.turns[2]
    assert (turn.speaker, turn.role, turn.settled_by, turn.needs_review) == ("S2", Role.GUEST, "ann", False)
    assert (turn.doubt, turn.review_reasons) == (0.0, ())


def test_a_new_speaker_gets_the_next_label_and_who_says_nothing_any_more_goes():
    after = edited(transcript(), Reassign(turns=("t5",), to="new"))

    assert [(one.label, one.role) for one in after.speakers][-1] == ("S4", Role.OTHER)
    assert "S3" not in {one.label for one in after.speakers}
    assert after.speakers[-1].speech_s == 1.5


def test_the_host_who_says_nothing_any_more_is_not_known_any_more():
    after = edited(transcript(), Reassign(turns=("t1", "t3"), to="S3"))

    assert after.host_method is HostMethod.UNKNOWN


@pytest.mark.parametrize("timed", [True, False], ids=["word times", "no word times"])
def test_a_range_moves_words_and_cuts_turns_at_its_edges(timed):
    after = edited(transcript(timed=timed), ReassignRange(start_s=2.0, end_s=5.0, to="S3"))

    assert texts(after)[:4] == [
        "t1 S1: Welcome back to the",
        "t6 S3: show, Lisa.",
        "t2 S3: Thank you, it is",
        "t7 S2: good to be here.",
    ]
    assert all(bool(turn.words) == timed for turn in after.turns)
    assert after.turns[1].start_s == 2.0 and after.turns[0].end_s == 2.0


@pytest.mark.parametrize("timed", [True, False], ids=["word times", "no word times"])
def test_a_turn_is_split_before_a_word_and_joined_again(timed):
    before = transcript(timed=timed)
    after = edited(before, Split(turn="t2", before_word=2, to="S1"))
    joined = edited(after, Join(turn="t6"))

    assert texts(after)[1:3] == ["t2 S2: Thank you,", "t6 S1: it is good to be here."]
    assert texts(joined) == texts(before)
    assert (joined.turns[1].start_s, joined.turns[1].end_s) == (before.turns[1].start_s, before.turns[1].end_s)


def test_two_voices_are_one_person():
    after = edited(transcript(), MergeSpeakers(speaker="S3", into="S2"))

    assert [one.label for one in after.speakers] == ["S1", "S2"]
    assert after.turns[4].role is Role.GUEST


def test_merging_the_host_into_another_voice_makes_that_the_host():
    after = edited(transcript(), MergeSpeakers(speaker="S1", into="S3"))

    assert {one.label: one.role for one in after.speakers} == {"S2": Role.GUEST, "S3": Role.HOST}
    assert after.host_method is HostMethod.SET


def test_warnings_about_a_voice_that_is_gone_go_with_it():
    warned = transcript().model_copy(update={"warnings": ("S2 and S3 may be one person (0.89)", "S1 is quiet")})

    assert edited(warned, MergeSpeakers(speaker="S3", into="S2")).warnings == ("S1 is quiet",)


def test_a_renamed_guest_is_the_transcripts_guest():
    after = edited(transcript(), Rename(speaker="S2", name="Lisa Marie"))

    assert (after.speakers[1].name, after.guest) == ("Lisa Marie", "Lisa Marie")


def test_a_persons_word_for_the_host_gives_everybody_the_role_that_follows():
    after = edited(transcript(), SetRole(speaker="S2", role=Role.HOST))

    assert [(one.label, one.role, one.name) for one in after.speakers] == [
        ("S1", Role.GUEST, "Lisa"),
        ("S2", Role.HOST, "Kenna Gray"),
        ("S3", Role.OTHER, None),
    ]
    assert after.host_method is HostMethod.SET and after.turns[0].role is Role.GUEST


def test_a_co_host_stays_one_when_the_host_is_set():
    co_hosted = edited(transcript(), SetRole(speaker="S3", role=Role.CO_HOST))

    after = edited(co_hosted, SetRole(speaker="S2", role=Role.HOST))

    assert after.speakers[2].role is Role.CO_HOST and after.turns[4].role is Role.CO_HOST


def test_words_that_stay_keep_their_times_and_new_ones_share_the_room():
    before = transcript()
    after = edited(before, EditText(turn="t4", text="So we all flew to the Moon."))

    words = after.turns[3].words
    kept = {word.text: word for word in before.turns[3].words}
    assert [word.text for word in words] == ["So", "we", "all", "flew", "to", "the", "Moon."]
    assert (words[0], words[4]) == (kept["So"], kept["to"])
    assert words[6].start_s == kept["moon."].start_s and words[6].score == 0.9
    assert words[2].start_s == words[1].end_s and words[3].end_s == words[4].start_s
    assert after.turns[3].estimated


def test_only_punctuation_needs_no_new_times():
    assert not edited(transcript(), EditText(turn="t3", text="Yeah!")).turns[2].estimated


def test_text_without_word_times_stays_without():
    turn = edited(transcript(timed=False), EditText(turn="t3", text="Oh yeah.")).turns[2]

    assert (turn.text, turn.words, turn.estimated) == ("Oh yeah.", (), False)


def test_spans_are_left_out_and_taken_back_in():
    after = edited(transcript(), Exclude(start_s=1.0, end_s=3.0, reason="advert", detail="socks"))
    back = edited(after, Include(start_s=2.0, end_s=2.5))

    assert [(span.reason, span.found_by, span.detail) for span in after.excluded_spans] == [
        ("advert", "person", "socks")
    ]
    assert content(back) == content(transcript())


def test_settling_the_last_doubtful_turn_makes_it_reviewed():
    before = transcript(doubtful=[0, 2])
    half = edited(before, Settle(turns=("t1",)))
    whole = edited(half, Settle(turns=("t3",)))

    assert (half.state, whole.state, whole.judged_by) == (TranscriptState.MACHINE, TranscriptState.REVIEWED, "ann")


def test_an_approved_transcript_that_is_changed_waits_for_approval_again():
    approved = edited(transcript(), Judge(state=TranscriptState.APPROVED))
    after = edited(approved, Rename(speaker="S2", name="Lisa Marie"))

    assert (approved.judged_by, approved.judged_at) == ("ann", ANN.at)
    assert (after.state, after.judged_by) == (TranscriptState.REVIEWED, None)


def test_edits_may_name_what_edits_before_them_made():
    after = edited(transcript(), Split(turn="t2", before_word=2), Reassign(turns=("t6",), to="new"))

    assert after.turns[2].speaker == "S4"


def test_what_was_done_is_said_in_words():
    summary = apply(transcript(), [Reassign(turns=("t3", "t5"), to="S2"), Rename(speaker="S2", name="L")], ANN)[1]

    assert summary == "2 turns to S2; S2 is called L"


@pytest.mark.parametrize(
    ("edit", "fix"),
    [
        (Reassign(turns=("t99",), to="S1"), "no turn 't99'"),
        (Reassign(turns=("t1",), to="S9"), "choose of S1, S2, S3, or new"),
        (ReassignRange(start_s=5, end_s=5, to="S1"), "ends after it starts"),
        (ReassignRange(start_s=500, end_s=600, to="S1"), "nothing is said"),
        (Split(turn="t3", before_word=1), "t3 has 1 word"),
        (Join(turn="t1"), "the first turn"),
        (MergeSpeakers(speaker="S1", into="S1"), "into itself"),
        (MergeSpeakers(speaker="S7", into="S1"), "no speaker 'S7'"),
        (Rename(speaker="S2", name="Lisa"), "nothing to change"),
        (EditText(turn="t1", text="  "), "cannot be without words"),
        (Exclude(start_s=3, end_s=3), "ends after it starts"),
        (Exclude(start_s=3, end_s=3000), "within"),
        (Include(start_s=0, end_s=9), "diary recordings edit"),
        (Judge(state=TranscriptState.MACHINE), "nothing to change"),
        (Undo(), "without other edits"),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") else "",
)
def test_what_cannot_be_done_names_the_fix(edit, fix):
    with pytest.raises(BadInputError, match=fix):
        edited(transcript(), edit)
