"""Words of several tracks become one conversation."""

from __future__ import annotations

from itertools import pairwise

import pytest

from services.transcription.hearing import TrackHeard, TracksHeard
from services.transcription.multitrack import overlap_of, track_transcript, turns_of_tracks
from services.transcription.settings import Limits
from shared.schemas import Blob, HostMethod, Recording, Role, Show, Track, Word
from tests.transcription.conftest import lineage

BLOB = Blob(key="blobs/x", sha256="0" * 64, bytes=1)


def heard(*lines: tuple[float, str], word_s: float = 0.3, score: float | None = None) -> TrackHeard:
    """A track on which each line is said at a second, one word after the other."""
    words, talk = [], []
    for start_s, text in lines:
        texts = text.split()
        for place, word in enumerate(texts):
            begin_s = round(start_s + place * word_s, 3)
            words.append(Word(text=word, start_s=begin_s, end_s=round(begin_s + word_s, 3), score=score))
        talk.append((start_s, words[-1].end_s))
    return TrackHeard(words=tuple(words), speech_s=sum(end - start for start, end in talk), talk=tuple(talk))


def said(turns) -> list[tuple[int, str]]:
    return [(turn.voice, turn.text) for turn in turns]


def transcript_of(
    tracks: list[TrackHeard], *known: tuple[str, str | None], guest: str | None = None, host="Mara Quill"
):
    recording = Recording(
        id="rec1",
        show="demo",
        title="Talk",
        guest=guest,
        source="upload",
        original=BLOB,
        working=BLOB,
        tracks=tuple(Track(speaker=name, role=role, offset_s=0, original=BLOB, working=BLOB) for name, role in known),
        lineage=lineage(),
    )
    found = TracksHeard(tracks=tuple(tracks), duration_s=20.0, engines={"asr": "tiny", "aligner": "exact"})
    show = Show(slug="demo", title="Demo", host=host)
    return track_transcript("r1", show, recording, found, lineage(), Limits())


def test_turns_follow_each_other_by_time():
    host = heard((0.0, "How are you?"), (5.0, "Good."))
    guest = heard((2.0, "Fine, thanks. And you?"))

    assert said(turns_of_tracks([host, guest])) == [(0, "How are you?"), (1, "Fine, thanks. And you?"), (0, "Good.")]


def test_what_is_said_inside_of_a_long_speech_stands_after_the_sentence_it_falls_into():
    long = heard((0.0, "This is the first sentence. This is the second one. And a third."))
    short = heard((2.0, "Right."))

    turns = turns_of_tracks([long, short])

    assert said(turns) == [
        (0, "This is the first sentence. This is the second one."),
        (1, "Right."),
        (0, "And a third."),
    ]
    assert [turn.start_s for turn in turns] == sorted(turn.start_s for turn in turns)


def test_a_pause_is_a_place_for_somebody_else_too():
    host = heard((0.0, "so what I"), (3.0, "wanted to say"))
    guest = heard((1.5, "yes"))

    assert said(turns_of_tracks([host, guest])) == [(0, "so what I"), (1, "yes"), (0, "wanted to say")]


def test_no_word_is_lost_or_doubled_or_out_of_its_speakers_order():
    host = heard((0.0, "a b. c d"), (2.0, "e f g"), (9.0, "h"))
    guest = heard((0.1, "A B"), (2.1, "C. D. E"), (2.9, "F"))

    turns = turns_of_tracks([host, guest])

    for track, of in enumerate((host, guest)):
        assert [word for turn in turns if turn.voice == track for word in turn.words] == list(of.words)
    assert all(a.voice != b.voice for a, b in pairwise(turns))


def test_overlap_is_the_share_of_a_turn_in_which_others_talk():
    host = heard((0.0, "a b c d e f g h i j"))  # 0 to 3 s
    guest = heard((1.0, "x y z"))  # 1 to 1.9 s
    third = heard((1.3, "x y z"))  # 1.3 to 2.2 s

    turns = turns_of_tracks([host, guest, third])

    assert overlap_of(turns[0], [host, guest, third]) == pytest.approx(1.2 / 3.0)
    assert overlap_of(turns[0], [host, guest]) == pytest.approx(0.3)
    assert overlap_of(turns[1], [host, guest]) == pytest.approx(1.0)
    assert overlap_of(turns[0], [host]) == 0.0


def test_speakers_are_who_the_tracks_say():
    tracks = [heard((1.0, "Thank you.")), heard((0.0, "Welcome."), (3.0, "Tell me more."))]

    transcript = transcript_of(tracks, ("Lisa", "guest"), ("Mara", "host"))

    speakers = [(speaker.label, speaker.name, speaker.role) for speaker in transcript.speakers]
    assert speakers == [("S1", "Mara", Role.HOST), ("S2", "Lisa", Role.GUEST)]
    assert [(turn.id, turn.speaker, turn.role) for turn in transcript.turns] == [
        ("t1", "S1", Role.HOST),
        ("t2", "S2", Role.GUEST),
        ("t3", "S1", Role.HOST),
    ]
    assert transcript.host_method is HostMethod.NAMED
    assert transcript.guest == "Lisa"
    assert transcript.engines == {"asr": "tiny", "aligner": "exact", "diariser": "one track per speaker"}
    assert not any(turn.needs_review for turn in transcript.turns)
    assert transcript.warnings == ()


def test_a_second_host_is_a_co_host():
    tracks = [heard((0.0, "Welcome.")), heard((1.0, "Hello.")), heard((2.0, "Thanks."))]

    transcript = transcript_of(tracks, ("Mara", "host"), ("Jo", "host"), ("Lisa", None))

    assert [speaker.role for speaker in transcript.speakers] == [Role.HOST, Role.CO_HOST, Role.GUEST]


def test_the_shows_host_is_known_by_name():
    tracks = [heard((0.0, "Hello.")), heard((1.0, "Hello."))]

    transcript = transcript_of(tracks, ("Lisa", None), ("mara quill", None))

    assert [speaker.role for speaker in transcript.speakers] == [Role.GUEST, Role.HOST]
    assert transcript.host_method is HostMethod.NAMED


def test_where_no_track_says_it_the_host_is_guessed_from_the_text_and_said_to_be():
    tracks = [
        heard((3.0, "Thanks for having me.")),
        heard((0.0, "Welcome to the show. My guest today is here. Why did you come?")),
    ]

    transcript = transcript_of(tracks, ("A", None), ("B", None))

    assert {speaker.name: speaker.role for speaker in transcript.speakers} == {"B": Role.HOST, "A": Role.GUEST}
    assert transcript.host_method is HostMethod.GUESSED
    assert "diary transcripts host" in transcript.warnings[0]


def test_a_track_on_which_nobody_talks_is_no_speaker_and_is_told():
    tracks = [heard((0.0, "Hello.")), TrackHeard(words=(), speech_s=0.0)]

    transcript = transcript_of(tracks, ("Mara", "host"), ("Lisa", "guest"))

    assert [speaker.name for speaker in transcript.speakers] == ["Mara"]
    assert "nobody was heard on the track of Lisa" in transcript.warnings


def test_words_that_the_recogniser_is_unsure_of_need_review():
    unclear = transcript_of([heard((0.0, "mumble mumble"), score=0.1)], ("Mara", "host"))

    assert unclear.turns[0].doubt > 0
    assert unclear.turns[0].needs_review == (unclear.turns[0].doubt >= Limits().review_doubt)
