"""Real people, real models: the engine in its own environment hears a NASA interview and LibriSpeech readers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from services.transcription import hosts
from services.transcription import job as story
from services.transcription.engine import SpeechEngine
from services.transcription.hearing import Piece, Voice
from services.transcription.roles import recognise_all
from services.transcription.scoring import said, word_error_rate, word_role_accuracy, word_speaker_accuracy
from services.transcription.settings import Limits
from services.transcription.turns import build_turns
from shared import keys
from shared.errors import BadAudioError, BadInputError
from shared.schemas import HostMethod, Role, SetHostRequest, TranscribeRequest, Transcript, Voiceprint
from shared.store import create_manifest, load
from tests.fakes import FakeJob, TimedFakeJob
from tests.transcription.conftest import lineage
from tests.transcription.real import add, engine, flac, flac_of_filter, head, joined, shared_audio, store_with

__all__ = ["engine"]  # a fixture

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]


def test_a_real_interview_has_two_speakers_the_right_words_and_after_one_answer_the_right_roles(engine, tmp_path):
    source = shared_audio("nasa-hwhap414-a.mp3")
    reference = json.loads(source.with_suffix(".reference.json").read_text())
    store = store_with(flac(source, tmp_path / "nasa.flac"))
    job = TimedFakeJob(tmp_path)

    result = story.run(TranscribeRequest(show="houston", recording="nasa"), job=job, store=store, engine=engine)
    guessed = head(store)
    hosts.set_host(SetHostRequest(show="houston", recording="nasa", at_s=10.0), job=job, store=store, engine=engine)
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
    assert wer <= 0.07
    assert accuracy >= 0.98
    assert settled.host_method is HostMethod.SET
    assert roles_right >= 0.98
    assert sum(turn.needs_review for turn in settled.turns) <= 0.35 * len(settled.turns)
    assert len(load(store, keys.voiceprint("houston"), Voiceprint).vector) == 256
    assert all(a.start_s <= b.start_s for a, b in zip(settled.turns, settled.turns[1:], strict=False))
    assert any(total for stage, _, total, unit in job.events if unit == "s")


def test_the_two_speakers_are_found_when_nobody_says_how_many_and_the_host_by_twenty_seconds_of_her(engine, tmp_path):
    source = shared_audio("nasa-hwhap414-a.mp3")
    reference = json.loads(source.with_suffix(".reference.json").read_text())
    audio = flac(source, tmp_path / "nasa.flac")
    store, job = store_with(audio), FakeJob(tmp_path)
    own = first_seconds(source.with_suffix(".rttm"), "Kenna", 20.0)
    voice = engine.embed(tmp_path / "nasa.flac", own, job)
    known = Voiceprint(
        show="houston", model=voice.model, vector=voice.vector, speech_s=voice.speech_s, lineage=lineage()
    )
    create_manifest(store, keys.voiceprint("houston"), known)

    result = story.run(TranscribeRequest(show="houston", recording="nasa"), job=job, store=store, engine=engine)
    found = engine.diarise(tmp_path / "nasa.flac", 0, job)

    transcript = head(store)
    truth = said([(turn["speaker"], turn["text"]) for turn in reference["turns"]])
    turns = build_turns([word for turn in transcript.turns for word in turn.words], found.spans, found.evidence)
    accuracy = word_speaker_accuracy(truth, said([(str(turn.voice), turn.text) for turn in turns]))
    print(
        f"\nnot told: {len(found.centroids)} speakers, word-speaker accuracy {accuracy:.3f}; "
        f"host by {voice.speech_s:.0f} s of her: {[(s.label, s.role.value, s.host_score) for s in transcript.speakers]}"
    )
    assert len(found.centroids) == len({turn.voice for turn in turns}) == 2
    assert accuracy >= 0.98
    assert not found.warnings
    assert result.host_method is HostMethod.VOICEPRINT
    assert role_accuracy(reference, transcript) >= 0.98


def first_seconds(rttm: Path, speaker: str, most_s: float) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for fields in (line.split() for line in rttm.read_text().splitlines()):
        left_s = most_s - sum(end_s - start_s for start_s, end_s in spans)
        if fields[7] == speaker and left_s > 0:
            spans.append((float(fields[3]), float(fields[3]) + min(float(fields[4]), left_s)))
    return spans


def role_accuracy(reference: dict, transcript: Transcript) -> float:
    truth = said([(reference["speakers"][turn["speaker"]], turn["text"]) for turn in reference["turns"]])
    return word_role_accuracy(truth, said([(turn.role.value, turn.text) for turn in transcript.turns]))


def test_the_learnt_voice_finds_the_host_in_another_recording(engine, tmp_path):
    host, first_guest, second_guest = (sorted(shared_audio(f"librispeech/{who}").glob("*.flac")) for who in HUMANS)
    store = store_with(joined(alternating(host[:3], first_guest[:3]), tmp_path / "first.flac"))
    add(store, joined(alternating(second_guest[:3], host[3:]), tmp_path / "second.flac"), "second")
    job = FakeJob(tmp_path)
    story.run(TranscribeRequest(show="houston", recording="nasa"), job=job, store=store, engine=engine)
    hosts.set_host(SetHostRequest(show="houston", recording="nasa", at_s=3.0), job=job, store=store, engine=engine)

    result = story.run(TranscribeRequest(show="houston", recording="second"), job=job, store=store, engine=engine)

    transcript = head(store, "second")
    print(f"\nhost's voice elsewhere: {[(s.label, s.role.value, s.host_score) for s in transcript.speakers]}")
    assert result.host_method is HostMethod.VOICEPRINT
    assert [speaker.role for speaker in transcript.speakers] == [Role.GUEST, Role.HOST]


def test_readers_are_identified_by_their_voices_and_nobody_is_taken_for_another(engine, tmp_path):
    """Enrolled with three readings each, and recognised in each of the other three, alone."""
    folders = sorted(path for path in shared_audio("librispeech").iterdir() if path.is_dir())
    job, limits = FakeJob(tmp_path), Limits()
    voices = {folder.name: [whole(engine, path, job) for path in sorted(folder.glob("*.flac"))] for folder in folders}
    people = {name: voiceprint_of(own[:3]) for name, own in voices.items()}

    right, accepted, rejected, mistaken = 0, 0, [], []
    for name, own in voices.items():
        for place, voice in enumerate(own[3:], start=4):
            centroid = np.array([voice.vector])
            found = recognise_all(centroid, list(people.values()), accept=limits.host_accept, lead=limits.host_lead)
            scores = dict(zip(people, (row[0] for row in found.scores), strict=True))
            right += max(scores, key=lambda one: scores[one]) == name
            taken = [person for person, score in scores.items() if score >= limits.host_accept]
            accepted += name in taken
            if name not in taken:
                rejected.append(f"{name} reading {place} ({voice.speech_s:.0f} s): {scores[name]:.2f}")
            mistaken += [f"{name} for {person}: {scores[person]:.2f}" for person in taken if person != name]

    tried = sum(len(own) - 3 for own in voices.values())
    print(
        f"\nLibriSpeech: {right} of {tried} identified; at {limits.host_accept} {accepted} accepted, "
        f"{len(mistaken)} falsely {mistaken}, {len(rejected)} rejected: {rejected}"
    )
    assert right >= 0.95 * tried
    assert mistaken == []


def test_two_people_who_talk_in_turns_of_seconds_are_told_apart_by_their_enrolments(engine, tmp_path):
    names = ("katie", "steve")
    job = FakeJob(tmp_path)
    enrolled = [whole(engine, shared_audio(f"azure/enrollment_audio_{name}.flac"), job) for name in names]
    path = shared_audio("azure/katiesteve_mono.flac")

    heard = engine.transcribe(path, "en", job)
    found = engine.diarise(path, 2, job)

    scores = np.array(found.centroids) @ np.array([voice.vector for voice in enrolled]).T
    turns = build_turns(heard.words, found.spans, found.evidence)
    who = [names[scores[turn.voice].argmax()] for turn in turns]
    print(f"\nAzure pair: {scores.round(2).tolist()}, {[(w, turn.text) for w, turn in zip(who, turns, strict=True)]}")
    assert sorted(scores.argmax(axis=1)) == [0, 1]
    assert who == ["katie", "steve"] * 3


def whole(engine: SpeechEngine, path: Path, job: FakeJob) -> Voice:
    return engine.embed(path, [(0.0, flac_s(path))], job)


def flac_s(path: Path) -> float:
    """From the FLAC's own header: 20 bits of rate, 36 of samples."""
    header = path.read_bytes()[18:26]
    bits = int.from_bytes(header, "big")
    return (bits & (2**36 - 1)) / (bits >> 44)


def voiceprint_of(voices: list[Voice]) -> Voiceprint:
    mean = np.average([voice.vector for voice in voices], axis=0, weights=[voice.speech_s for voice in voices])
    return Voiceprint(
        show="houston",
        model=voices[0].model,
        vector=tuple(mean / np.linalg.norm(mean)),
        speech_s=sum(voice.speech_s for voice in voices),
        lineage=lineage(),
    )


HUMANS = ("1688", "2033", "3080")


def alternating(first: list[Path], second: list[Path]) -> list[Path]:
    return [path for pair in zip(first, second, strict=True) for path in pair]


def test_words_that_people_wrote_get_times_whatever_they_wrote(engine, tmp_path):
    """Right words, others, none that are spoken, far too many, in no time at all, beyond the end; and it goes on."""
    path, job = tmp_path / "jfk.working.flac", FakeJob(tmp_path)
    flac(shared_audio("jfk.flac"), path)
    pieces = [
        Piece(start_s=7.8, end_s=10.5, text="ask what you can do for your country."),
        Piece(start_s=0.0, end_s=3.0, text="And so, my fellow Americans,"),
        Piece(start_s=5.0, end_s=5.0, text="yeah."),
        Piece(start_s=3.0, end_s=5.4, text="... -- !"),
        Piece(start_s=5.0, end_s=8.0, text="what your country can do for you " * 100),
        Piece(start_s=60.0, end_s=61.0, text="nobody says this"),
    ]

    found = engine.align(path, pieces, "en", job)
    again = engine.align(path, pieces[:2], "auto", job)
    unknown = engine.align(path, pieces[:2], "fil", job)

    for piece, words in zip(pieces, found.pieces, strict=True):
        assert [word.text for word in words] == piece.text.split()
        assert all(piece.start_s <= word.start_s <= word.end_s <= piece.end_s for word in words)
    assert found.pieces[1][-1].start_s == pytest.approx(1.6, abs=0.5), '"Americans" as heard'
    assert any("less exact" in warning for warning in found.warnings)
    before, after = ([word.start_s for words in one.pieces[:2] for word in words] for one in (found, again))
    assert after == pytest.approx(before, abs=0.1) and not again.warnings  # pocketsphinx adapts to what it has heard
    assert [len(words) for words in unknown.pieces] == [8, 5] and unknown.aligner == "whisper"


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
