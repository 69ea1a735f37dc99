from __future__ import annotations

import numpy as np
import pytest

from services.transcription.roles import contradicted, guess_host, recognise, recognise_all, roles_of
from shared.schemas import Role, Voiceprint
from tests.transcription.conftest import lineage, unit

HOST = "Mara Quill"


def voiceprint(vector: np.ndarray) -> Voiceprint:
    return Voiceprint(show="demo", model="m", vector=tuple(vector), speech_s=20.0, lineage=lineage())


@pytest.mark.parametrize(
    "said",
    [
        {"S1": ["I'm Mara Quill, and this is a song."], "S2": ["It is a nice song."]},
        {"S2": ["Well, thank you so much for having me."], "S1": ["Lisa, good morning. "]},
        {"S1": ["Where did you grow up?", "And then?", "Why?"], "S2": ["In Iowa.", "We moved.", "Who knows?"]},
        {"S2": ["Thank you, Mara. I was lost."], "S1": ["Then what happened?"]},
    ],
    ids=["says the host's name", "thanks for having me", "asks", "is called by the host's name"],
)
def test_the_host_is_who_talks_like_one(said):
    assert guess_host(said, HOST) == "S1"


def test_the_first_to_talk_is_not_the_host_for_that():
    assert guess_host({"S1": ["Well."], "S2": ["So."]}, HOST) is None


def test_one_voice_alone_is_not_guessed_to_be_the_host():
    assert guess_host({"S1": ["Welcome to the show. How are you?"]}, HOST) is None


def test_the_host_is_recognised_by_voice():
    voices = np.stack([unit(0.2, 1, 0), unit(1, 0.1, 0)])

    found = recognise(voices, voiceprint(unit(1, 0, 0)), accept=0.85, lead=0.05)

    assert found.host == 1
    assert found.scores[1] > 0.99


def test_a_voice_that_is_not_near_enough_is_not_the_host():
    voices = np.stack([unit(1, 1, 0), unit(0, 1, 0)])

    assert recognise(voices, voiceprint(unit(1, 0, 0)), accept=0.85, lead=0.05).host is None


def test_of_two_voices_that_are_both_near_neither_is_the_host():
    voices = np.stack([unit(1, 0.1, 0), unit(1, 0.12, 0)])

    assert recognise(voices, voiceprint(unit(1, 0, 0)), accept=0.85, lead=0.05).host is None


def test_the_guest_is_who_talks_most_besides_the_host():
    assert roles_of({"S1": 9.0, "S2": 30.0, "S3": 2.0}, "S1") == {"S1": Role.HOST, "S2": Role.GUEST, "S3": Role.OTHER}


def test_without_a_host_nobody_has_a_role():
    assert roles_of({"S1": 9.0, "S2": 30.0}, None) == {"S1": Role.UNKNOWN, "S2": Role.UNKNOWN}


def test_a_co_host_is_no_guest():
    roles = roles_of({"S1": 9.0, "S2": 30.0, "S3": 20.0, "S4": 1.0}, "S1", ["S2"])

    assert roles == {"S1": Role.HOST, "S2": Role.CO_HOST, "S3": Role.GUEST, "S4": Role.OTHER}


def test_a_co_host_is_known_even_where_the_host_is_not():
    assert roles_of({"S1": 9.0, "S2": 30.0}, None, ["S2"]) == {"S1": Role.UNKNOWN, "S2": Role.CO_HOST}


def test_several_people_are_recognised_each_by_their_own_voice():
    voices = np.stack([unit(0, 0, 1), unit(1, 0.1, 0), unit(0.1, 1, 0)])
    people = [voiceprint(unit(0, 1, 0)), voiceprint(unit(1, 0, 0)), voiceprint(unit(1, -1, 0))]

    found = recognise_all(voices, people, accept=0.85, lead=0.05)

    assert found.voices == {0: 2, 1: 1}
    assert found.of(1).host == 1 and found.of(2).host is None
    assert len(found.scores) == 3 and len(found.scores[0]) == 3


def test_a_voice_that_is_near_to_two_people_belongs_to_none_of_them_unless_one_is_clearly_nearer():
    voices = np.stack([unit(1, 0, 0), unit(0, 0, 1)])
    alike, other = voiceprint(unit(1, 0.1, 0)), voiceprint(unit(1, 0.12, 0))

    assert recognise_all(voices, [alike, other], accept=0.85, lead=0.05).voices == {}
    assert recognise_all(voices, [alike, voiceprint(unit(1, 0.6, 0))], accept=0.85, lead=0.05).voices == {0: 0}


def test_nobody_is_recognised_by_no_voiceprint():
    assert recognise_all(np.eye(2), [], accept=0.85, lead=0.05).voices == {}


def test_a_text_that_strongly_says_who_the_host_is_can_contradict_the_voice():
    said = {
        "S1": ["Thank you for having me.", "We lived in Iowa."],
        "S2": ["Welcome to the show, I'm Mara Quill.", "Where was that?"],
    }

    assert contradicted(said, HOST, "S1") == "S2"
    assert contradicted(said, HOST, "S2") is None
    assert contradicted({"S1": ["Why?"], "S2": ["So."]}, HOST, "S2") is None
