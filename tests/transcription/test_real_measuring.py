"""What the engine adds to an evaluation: decoding any file, Whisper's normaliser, pyannote's error rate."""

from __future__ import annotations

import subprocess

import pytest
import soundfile

from shared.errors import BadAudioError
from tests.fakes import FakeJob
from tests.transcription.real import engine, flac_of_filter, shared_audio

__all__ = ["engine"]  # a fixture

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


def test_a_late_change_of_speaker_costs_what_it_lasts_without_the_collar(engine, tmp_path):
    reference = [(0.0, 10.0, "Ann"), (10.0, 20.0, "Ben")]
    heard = [(0.0, 12.0, "S1"), (12.0, 20.0, "S2")]

    rate = engine.diarisation_error(reference, heard, 30.0, FakeJob(tmp_path))

    # A collar of 0.5 s leaves out 0.25 s around each edge: 0 to 0.25, 9.75 to 10.25 and 19.75 to 20. Of the 19 s that
    # are left, 10.25 to 12 is Ann's instead of Ben's.
    assert rate == pytest.approx(1.75 / 19)


def test_names_do_not_matter_but_missed_and_added_speech_does(engine, tmp_path):
    reference = [(0.0, 10.0, "Ann")]

    assert engine.diarisation_error(reference, [(0.0, 10.0, "S7")], 20.0, FakeJob(tmp_path)) == 0.0
    assert engine.diarisation_error(reference, [], 20.0, FakeJob(tmp_path)) == 1.0
    added = engine.diarisation_error(reference, [(0.0, 15.0, "S1")], 20.0, FakeJob(tmp_path))
    assert added == pytest.approx(4.75 / 9.5)


def test_english_is_compared_as_whisper_is(engine, tmp_path):
    job = FakeJob(tmp_path)

    contracted, spelled = engine.normalised(["I'm 20, um, okay?", "I am twenty okay"], "en", job)

    assert contracted == spelled == ["i", "am", "20", "okay"]
    assert engine.normalised(["Ähm, 20 Leute!"], "de", job) == [["ähm", "20", "leute"]]


@pytest.mark.parametrize("ending", ["m4a", "mp3", "wav", "mp4"])
def test_any_file_with_sound_becomes_a_working_copy(engine, tmp_path, ending):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="no ffmpeg package here").get_ffmpeg_exe()
    source = tmp_path / f"talk.{ending}"
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x64", "-shortest") if ending == "mp4" else ()
    command = [ffmpeg, "-v", "error", "-t", "2", "-i", str(shared_audio("jfk.flac")), *picture, str(source)]
    subprocess.run(command, check=True)

    engine.decode(source, tmp_path / "working.flac", FakeJob(tmp_path))

    about = soundfile.info(tmp_path / "working.flac")
    assert (about.samplerate, about.channels, about.format) == (16_000, 1, "FLAC")
    assert about.duration == pytest.approx(2.0, abs=0.2)


def test_what_is_no_sound_is_named(engine, tmp_path):
    job = FakeJob(tmp_path)
    (tmp_path / "text.mp3").write_text("hello")
    flac_of_filter("testsrc=size=64x64", tmp_path / "silent.mp4")

    for name in ("text.mp3", "silent.mp4"):
        with pytest.raises(BadAudioError, match=f"{name} cannot be decoded"):
            engine.decode(tmp_path / name, tmp_path / "working.flac", job)
