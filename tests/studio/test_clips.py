from __future__ import annotations

from pathlib import Path

from services.studio.clips import CLIP_S, clips_door, clips_of
from services.studio.library import Library
from tests.fakes import MemoryStore
from tests.studio.a_door import door_of
from tests.transcription.conftest import store
from tests.transcription.talks import put, transcript

__all__ = ["store"]  # a fixture


def test_each_speaker_has_a_clip_and_who_says_most_comes_first():
    clips = clips_of(transcript(), "/audio")

    assert [(one.speaker, one.text) for one in clips] == [
        ("S2", "Thank you, it is good to be here."),
        ("S1", "Welcome back to the show, Lisa."),
        ("S3", "Dinner is ready."),
    ]
    assert clips[1].audio == "/audio#t=0.00,3.00" and (clips[1].start_s, clips[1].end_s) == (0.0, 3.0)


def test_a_turn_that_is_doubtful_or_spoken_over_is_not_taken():
    talk = transcript([("S1", "one two three four five six"), ("S2", "yes"), ("S1", "five words are surely mine")])
    doubtful = talk.turns[0].model_copy(update={"doubt": 0.9})
    shouted = talk.turns[0].model_copy(update={"overlap": 0.8})

    for first in (doubtful, shouted):
        clips = clips_of(talk.model_copy(update={"turns": (first, *talk.turns[1:])}), None)
        assert clips[0].text == "five words are surely mine" and clips[0].audio is None


def test_who_says_nothing_has_no_clip():
    talk = transcript([("S1", "one two"), ("S2", "yes")])
    silent = talk.turns[1].model_copy(update={"text": "", "words": ()})

    clips = clips_of(talk.model_copy(update={"turns": (talk.turns[0], silent)}), None)

    assert [one.speaker for one in clips] == ["S1"]


def test_a_long_turn_is_cut():
    [clip] = clips_of(transcript([("S1", "word " * 100)]), None)

    assert clip.end_s - clip.start_s == CLIP_S and len(clip.text.split()) == 2 * CLIP_S


def test_a_viewer_asks_and_nobody_of_another_show(tmp_path: Path, store: MemoryStore):
    put(store, transcript())
    client, people = door_of(tmp_path, store, clips_door(Library(store)))
    path = "/v1/shows/demo/transcripts/rec1/clips"

    assert [one["speaker"] for one in client.get(path, headers=people["vi"]).json()] == ["S2", "S1", "S3"]
    assert client.get(path, headers=people["one"]).status_code == 403
    assert client.get(path.replace("rec1", "rec9"), headers=people["vi"]).status_code == 404
