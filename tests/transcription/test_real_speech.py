"""Real people, real models: the engine in its own environment hears a NASA interview and LibriSpeech readers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.transcription import job as story
from shared import keys
from shared.errors import BadAudioError, BadInputError
from shared.schemas import HostMethod, Role, SetHostRequest, TranscribeRequest, Transcript, Voiceprint
from shared.store import load
from tests.fakes import FakeJob, TimedFakeJob
from tests.transcription.real import add, engine, flac, flac_of_filter, head, joined, shared_audio, store_with
from tests.transcription.scoring import said, word_error_rate, word_role_accuracy, word_speaker_accuracy

__all__ = ["engine"]  # a fixture

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]


def test_a_real_interview_has_two_speakers_the_right_words_and_after_one_answer_the_right_roles(engine, tmp_path):
    source = shared_audio("nasa-hwhap414-a.mp3")
    reference = json.loads(source.with_suffix(".reference.json").read_text())
    store = store_with(flac(source, tmp_path / "nasa.flac"))
    job = TimedFakeJob(tmp_path)

    result = story.run(TranscribeRequest(show="houston", recording="nasa"), job=job, store=store, engine=engine)
    guessed = head(store)
    story.set_host(SetHostRequest(show="houston", recording="nasa", at_s=10.0), job=job, store=store, engine=engine)
    settled = head(store)

    truth = said([(turn["speaker"], turn["text"]) for turn in reference["turns"]])
    heard = said([(turn.speaker, turn.text) for turn in settled.turns])
    wer = word_error_rate([word for word, _ in truth], [word for word, _ in heard])
    accuracy = word_speaker_accuracy(truth, heard)
    roles_right = role_accuracy(reference, settled)
    print(
        f"\nNASA interview: WER {wer:.3f}, word-speaker accuracy {accuracy:.3f}, "
        f"words with the right role {roles_right:.3f}, "
        f"host first {guessed.host_method}: {[s.role.value for s in guessed.speakers]}, seconds {job.seconds()}"
    )
    assert result.speakers == 2
    assert wer <= 0.08
    assert accuracy >= 0.95
    assert settled.host_method is HostMethod.SET
    assert roles_right >= 0.95
    assert len(load(store, keys.voiceprint("houston"), Voiceprint).vector) == 256
    assert all(a.start_s <= b.start_s for a, b in zip(settled.turns, settled.turns[1:], strict=False))
    assert any(total for stage, _, total, unit in job.events if unit == "s")


def role_accuracy(reference: dict, transcript: Transcript) -> float:
    truth = said([(reference["speakers"][turn["speaker"]], turn["text"]) for turn in reference["turns"]])
    return word_role_accuracy(truth, said([(turn.role.value, turn.text) for turn in transcript.turns]))


def test_the_learnt_voice_finds_the_host_in_another_recording(engine, tmp_path):
    host, first_guest, second_guest = (sorted(shared_audio(f"librispeech/{who}").glob("*.flac")) for who in HUMANS)
    store = store_with(joined(alternating(host[:3], first_guest[:3]), tmp_path / "first.flac"))
    add(store, joined(alternating(second_guest[:3], host[3:]), tmp_path / "second.flac"), "second")
    job = FakeJob(tmp_path)
    story.run(TranscribeRequest(show="houston", recording="nasa"), job=job, store=store, engine=engine)
    story.set_host(SetHostRequest(show="houston", recording="nasa", at_s=3.0), job=job, store=store, engine=engine)

    result = story.run(TranscribeRequest(show="houston", recording="second"), job=job, store=store, engine=engine)

    transcript = head(store, "second")
    print(f"\nhost's voice elsewhere: {[(s.label, s.role.value, s.host_score) for s in transcript.speakers]}")
    assert result.host_method is HostMethod.VOICEPRINT
    assert [speaker.role for speaker in transcript.speakers] == [Role.GUEST, Role.HOST]


HUMANS = ("1688", "2033", "3080")


def alternating(first: list[Path], second: list[Path]) -> list[Path]:
    return [path for pair in zip(first, second, strict=True) for path in pair]


@pytest.mark.parametrize(
    ("sound", "fix"),
    [
        ("anullsrc=r=16000:cl=mono", "silent"),
        ("sine=f=440:r=16000", "no speech"),
        ("anoisesrc=r=16000:a=0.02", "no speech"),
    ],
    ids=["silence", "tone", "noise"],
)
def test_audio_without_speech_is_refused_with_the_fix(engine, tmp_path, sound, fix):
    audio = flac_of_filter(sound, tmp_path / "none.flac")
    store = store_with(audio)

    with pytest.raises(BadAudioError, match=fix):
        story.run(
            TranscribeRequest(show="houston", recording="nasa"), job=FakeJob(tmp_path), store=store, engine=engine
        )
    assert store.list(keys.transcripts("houston")) == []
    assert engine.process.alive


def test_a_language_that_the_packaged_model_lacks_names_the_setting(engine, tmp_path):
    store = store_with(flac_of_filter("sine=f=440:r=16000", tmp_path / "tone.flac"))
    request = TranscribeRequest(show="houston", recording="nasa", language="de")

    with pytest.raises(BadInputError, match="TRANSCRIPTION_MODEL"):
        story.run(request, job=FakeJob(tmp_path), store=store, engine=engine)
