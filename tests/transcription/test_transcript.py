"""What the machine's first revision says about people, and about its own doubts."""

from __future__ import annotations

import numpy as np
import pytest

from services.transcription.diarisation import Span
from services.transcription.hearing import Evidence, Heard, Voices
from services.transcription.settings import Limits
from services.transcription.transcript import machine_transcript
from shared.schemas import HostMethod, Recording, Role, Show, Transcript, Voiceprint, Word
from tests.fakes import MemoryStore
from tests.transcription.conftest import add_recording, lineage, unit

MARA, REX, GUEST = unit(1, 0, 0), unit(0.5, 1, 0), unit(0.5, 0, 1)
LINES = (
    (0, "Welcome back to the show, I'm Mara Quill. Who wants to begin?"),
    (1, "I ask the first question, as I always do."),
    (2, "Thank you for having me. I bake bread at night, and I have done so for thirty years."),
)


def voiceprint(vector: np.ndarray, name: str = "Mara Quill", role: str = "host", model: str = "ge2e") -> Voiceprint:
    told = {"name": name, "role": role, "model": model, "vector": tuple(vector)}
    return Voiceprint.model_validate({"show": "demo", "speech_s": 20.0, "lineage": lineage(), **told})


def transcript(
    host: Voiceprint | None = None,
    co_hosts: tuple[Voiceprint, ...] = (),
    *,
    lines=LINES,
    centroids=(MARA, REX, GUEST),
    told: int = 0,
    **voices,
) -> Transcript:
    words: list[Word] = []
    spans = []
    for voice, text in lines:
        start_s = len(words) * 0.5
        words += [
            Word(text=text, start_s=start_s + i / 2, end_s=start_s + i / 2 + 0.5) for i, text in enumerate(text.split())
        ]
        spans.append(Span(start_s, len(words) * 0.5, voice))
    recording: Recording = add_recording(MemoryStore())
    show = Show(slug="demo", title="Demo", host="Mara Quill")
    heard = Heard(words=tuple(words), duration_s=60.0, engines={"asr": "a"}, language="de", confidence=0.9)
    found = Voices(spans=tuple(spans), centroids=tuple(map(tuple, centroids)), model="ge2e", **voices)
    made = lineage().model_copy(update={"parameters": {"speakers": told, "language": "auto"}})
    return machine_transcript("r1", show, recording, heard, found, host, made, Limits(), co_hosts)


def roles(found: Transcript) -> list[tuple[Role, str | None]]:
    return [(speaker.role, speaker.name) for speaker in found.speakers]


def test_host_and_co_host_are_known_by_their_voices_and_the_guest_is_who_remains():
    found = transcript(voiceprint(MARA), (voiceprint(REX, "Rex", "co-host"),))

    assert found.host_method is HostMethod.VOICEPRINT
    assert roles(found) == [(Role.HOST, "Mara Quill"), (Role.CO_HOST, "Rex"), (Role.GUEST, "Lisa")]


def test_a_co_host_is_never_guessed_to_be_the_host():
    asks = ((0, "Where was that? And why? And what did you do then?"), *LINES[1:])

    found = transcript(None, (voiceprint(MARA, "Rex", "co-host"),), lines=asks)

    assert found.speakers[0].role is Role.CO_HOST
    assert all(speaker.role is not Role.HOST for speaker in found.speakers if speaker.label == "S1")


def test_a_co_hosts_voiceprint_of_another_model_is_not_compared_but_warned_about():
    found = transcript(voiceprint(MARA), (voiceprint(REX, "Rex", "co-host", model="old"),))

    assert found.speakers[1].role is not Role.CO_HOST
    assert any("Rex's voiceprint is of old" in warning for warning in found.warnings)


def test_a_voice_that_is_the_hosts_and_a_text_that_is_not_are_a_warning():
    found = transcript(voiceprint(GUEST))

    assert found.speakers[2].role is Role.HOST
    assert any("S3 has the host's voice, but S1 talks like the host" in warning for warning in found.warnings)


@pytest.mark.parametrize(("told", "warned"), [(0, True), (2, False)], ids=["found out", "told"])
def test_voices_that_are_nearly_one_are_a_warning_where_nobody_said_how_many_talk(told, warned):
    alike = (MARA, unit(1, 0.65, 0))

    found = transcript(lines=LINES[:2], centroids=alike, told=told)

    assert any("may be one person" in warning for warning in found.warnings) is warned


def test_a_voice_that_hardly_talks_is_never_silent():
    found = transcript(lines=((0, "a b c. " * 20), (1, "oh well."), (2, "d e f. " * 20)))

    assert any("S2 says only 1 s" in warning for warning in found.warnings)
    assert found.turns[1].needs_review


def test_warnings_and_the_name_of_the_diariser_are_kept():
    found = transcript(diariser="packaged 2", warnings=("only 1 voice(s) can be told apart surely",))

    assert found.engines == {"asr": "a", "diariser": "packaged 2", "voices": "ge2e"}
    assert "only 1 voice(s) can be told apart surely" in found.warnings


def test_turns_are_numbered_and_doubted_by_the_evidence():
    centres_s = tuple(np.arange(0.05, 40, 0.1))
    evidence = Evidence(
        centres_s=centres_s, cosines=((0.9, 0.6, 0.5),) * len(centres_s), overlap=(0.0,) * len(centres_s)
    )

    found = transcript(lines=((0, "So it goes on and on."), (1, "No, " * 40 + "no.")), evidence=evidence)

    assert [turn.id for turn in found.turns] == [f"t{place}" for place in range(1, len(found.turns) + 1)]
    assert len({turn.speaker for turn in found.turns}) == 1  # all of it sounds like the first voice


def test_the_language_is_what_was_heard():
    found = transcript()

    assert found.language == "de" and found.language_heard is not None
    assert (found.language_heard.language, found.language_heard.confidence) == ("de", 0.9)
