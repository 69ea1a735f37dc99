"""Measuring a recording: what comes out of which reference, and what is said where it cannot be done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.transcription.evaluate import Measured, compare, evaluate, main, table, talk_of
from services.transcription.reference import Reference
from shared.errors import BadInputError
from shared.schemas import Role, Turn, Word
from tests.fakes import SPOKEN_LINES, FakeJob, MeasuredSpeechEngine

NAMES = ("Kenna", "Lisa")
SAID = tuple((NAMES[voice], text) for voice, text in SPOKEN_LINES)
TALK = ((0.0, 3.0, "Kenna"), (3.0, 6.0, "Lisa"))


def measured(reference: Reference, engine: MeasuredSpeechEngine, job: FakeJob) -> Measured:
    return evaluate(Path("talk.mp3"), reference, 2, "en", engine=engine, job=job)[0]


def test_words_and_times_give_all_figures(job):
    engine = MeasuredSpeechEngine()

    found = measured(Reference(SAID, TALK), engine, job)

    assert (found.wer, found.der, found.word_speaker_accuracy, found.speakers) == (0.0, 0.125, 1.0, 2)
    assert found.rtf >= 0
    assert engine.talk[0] == TALK
    assert {speaker for _, _, speaker in engine.talk[1]} == {"S1", "S2"}
    assert engine.calls == ["decode", "transcribe", "diarise"]


def test_words_alone_give_no_diarisation_error(job):
    found = measured(Reference(said=SAID), MeasuredSpeechEngine(), job)

    assert found.der is None
    assert found.wer == 0.0


def test_times_alone_give_nothing_but_the_diarisation_error(job):
    found = measured(Reference(talk=TALK), MeasuredSpeechEngine(), job)

    assert (found.wer, found.word_speaker_accuracy) == (None, None)
    assert found.der == 0.125


def test_wrong_words_and_wrong_speakers_are_counted(job):
    (first, text), *rest = SAID
    other = NAMES[1 - NAMES.index(first)]
    words = len(" ".join(text for _, text in SAID).split())

    swapped = measured(Reference(said=((other, text), *rest)), MeasuredSpeechEngine(), job)
    missing = measured(Reference(said=((first, text + " indeed"), *rest)), MeasuredSpeechEngine(), job)

    assert swapped.wer == 0.0
    assert swapped.word_speaker_accuracy == pytest.approx(1 - len(text.split()) / words, abs=1e-4)
    assert missing.wer == pytest.approx(1 / (words + 1), abs=1e-4)


def test_a_reference_of_punctuation_alone_is_refused(job):
    with pytest.raises(BadInputError, match="no word of the reference is left"):
        measured(Reference(said=(("Kenna", "..."),)), MeasuredSpeechEngine(), job)


def test_the_table_says_what_the_figures_mean(job):
    found, trial = evaluate(Path("talk.mp3"), Reference(talk=TALK), 0, "en", engine=MeasuredSpeechEngine(), job=job)

    lines = table(found, trial).splitlines()

    assert lines[0].split("  ")[-1] == "the reference has no words"
    assert "12.5 %" in lines[1] and "collar 0.5 s" in lines[1]
    assert "asr: scripted" in lines
    with_words = compare(Reference(said=SAID), trial, MeasuredSpeechEngine(), job)
    assert "0.0 %  normalised by Whisper's English normaliser" in table(with_words, trial)


def test_pauses_within_a_turn_are_no_speech():
    words = [(0.0, 1.0), (1.4, 2.0), (20.0, 21.0)]
    turn = Turn(
        speaker="S1",
        role=Role.HOST,
        start_s=0.0,
        end_s=21.0,
        text="a b c",
        words=tuple(Word(text="a", start_s=start_s, end_s=end_s) for start_s, end_s in words),
    )

    assert talk_of([turn]) == [(0.0, 2.0, "S1"), (20.0, 21.0, "S1")]


@pytest.mark.parametrize(
    ("audio", "reference", "more", "says"),
    [
        ("none.mp3", "talk.json", (), "there is no file"),
        ("talk.mp3", "none.json", (), "cannot be read"),
        ("talk.mp3", "bad.json", (), "bad.json"),
        ("talk.mp3", "talk.json", ("--speakers", "9"), "--speakers is 9"),
        ("talk.mp3", "talk.json", ("--model", "no-such-folder"), "no-such-folder"),
    ],
)
def test_bad_input_is_said_on_stderr_and_nothing_on_stdout(tmp_path, monkeypatch, capsys, audio, reference, more, says):
    monkeypatch.chdir(tmp_path)
    Path("talk.mp3").write_bytes(b"mp3")
    Path("talk.json").write_text(json.dumps({"turns": [{"speaker": "Ann", "text": "Hello."}]}))
    Path("bad.json").write_text("{}")

    code = main([audio, "--reference", reference, "--json", *more])

    printed = capsys.readouterr()
    assert code == 1
    assert printed.out == ""
    assert says in printed.err
