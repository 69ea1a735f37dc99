"""Real transcripts as conversations, in the form that training gives them."""

from __future__ import annotations

from shared.conversation import Spoken, folded, spoken_of
from shared.schemas import ExcludedSpan, HostMethod, Lineage, Role, Speaker, Transcript, Turn


def a_transcript(*turns: tuple[str, Role, str], excluded: tuple[ExcludedSpan, ...] = ()) -> Transcript:
    """Turns of ten seconds each: speaker, role, text."""
    return Transcript(
        id="t",
        recording="r",
        show="lamp",
        kind="machine",
        speakers=(Speaker(label="S1", role=Role.HOST),),
        host_method=HostMethod.SET,
        turns=tuple(
            Turn(speaker=speaker, role=role, start_s=10 * at, end_s=10 * at + 10, text=text)
            for at, (speaker, role, text) in enumerate(turns)
        ),
        excluded_spans=excluded,
        lineage=Lineage(by="transcription", version="1", job="j", actor="ann"),
    )


def span(start_s: float, end_s: float) -> ExcludedSpan:
    return ExcludedSpan(start_s=start_s, end_s=end_s, reason="advert", found_by="person")


def test_a_transcripts_turns_keep_host_and_guest_and_nobody_else_has_a_role():
    transcript = a_transcript(("S1", Role.HOST, "Hello."), ("S2", Role.GUEST, "Hi."), ("S3", Role.CO_HOST, "Hey."))

    assert spoken_of(transcript) == [
        Spoken("host", "Hello.", speaker="S1"),
        Spoken("guest", "Hi.", speaker="S2"),
        Spoken(None, "Hey.", speaker="S3"),
    ]


def test_adverts_of_the_transcript_and_of_its_recording_are_no_talk():
    turns = [("S1", Role.HOST, word) for word in ("Trailer.", "Hello.", "Advert.", "Back.")]
    transcript = a_transcript(*turns, excluded=(span(0, 11),))

    assert [turn.text for turn in spoken_of(transcript, [span(19, 30)])] == ["Hello.", "Back."]


def test_a_listeners_sign_in_anothers_turn_leaves_one_turn():
    turns = [
        Spoken("host", "Where?"),
        Spoken("guest", "In the north"),
        Spoken("host", "Mhm."),
        Spoken("guest", "by the sea."),
    ]

    assert folded(turns) == [Spoken("host", "Where?"), Spoken("guest", "In the north by the sea.")]


def test_a_short_answer_is_one_and_so_is_what_nobody_goes_on_after():
    turns = [Spoken("host", "Is it far?"), Spoken("guest", "Yes."), Spoken("host", "And cold?"), Spoken("guest", "Oh.")]

    assert folded(turns) == turns


def test_neighbours_of_one_role_are_one_turn_and_those_of_none_are_not():
    turns = [Spoken("host", "So."), Spoken("host", " "), Spoken("host", "Who?"), Spoken(None, "A."), Spoken(None, "B.")]

    assert [turn.text for turn in folded(turns)] == ["So. Who?", "A.", "B."]
