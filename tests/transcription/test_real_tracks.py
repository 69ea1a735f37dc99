"""The demo's show as two microphones in one room: the real engine hears each speaker on the right track."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from services.transcription.engine import SpeechEngine
from services.transcription.hearing import TrackFile
from services.transcription.multitrack import track_transcript
from services.transcription.scoring import said, word_error_rate, word_role_accuracy, word_speaker_accuracy
from services.transcription.settings import Limits
from shared.errors import BadAudioError
from shared.schemas import Blob, HostMethod, Recording, Show, Track
from tests.fakes import FakeJob
from tests.transcription.conftest import lineage
from tests.transcription.real import SCRIPTS, demo_speech, engine, flac

__all__ = ["engine"]  # a fixture

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

RATE_HZ = 16_000
LATE_S = 7.0  # the guest's recorder was switched on later
BLEED_DB, HISS_DB = -20.0, -62.0
GUEST_GAIN_DB = -9.0


def test_one_recording_has_each_word_at_the_right_speaker(engine, tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(sorted(SCRIPTS.glob("*.txt"))[0], tmp_path / "scripts")

    assert_right_speakers(engine, demo_speech(tmp_path / "speech", tmp_path / "scripts")[0], tmp_path)


@pytest.mark.slow
def test_every_recording_has_each_word_at_the_right_speaker(engine, tmp_path):
    for path in demo_speech(tmp_path / "speech"):
        assert_right_speakers(engine, path, tmp_path)


def test_tracks_on_which_nobody_talks_are_refused_with_the_fix(engine, tmp_path):
    for name in ("one", "two"):
        soundfile.write(tmp_path / f"{name}.flac", np.zeros(2 * RATE_HZ, dtype=np.float32), RATE_HZ)
    tracks = [TrackFile(path=str(tmp_path / f"{name}.flac")) for name in ("one", "two")]

    with pytest.raises(BadAudioError, match="no speech was heard on 2 tracks"):
        engine.transcribe_tracks(tracks, "en", FakeJob(tmp_path))


def assert_right_speakers(engine: SpeechEngine, path: Path, folder: Path) -> None:
    reference = json.loads(path.with_suffix(".reference.json").read_text())
    files = microphones(path, reference, folder)
    began_s = time.monotonic()

    heard = engine.transcribe_tracks(files, "en", FakeJob(folder))

    took_s = time.monotonic() - began_s
    transcript = track_transcript("r1", SHOW, recording(reference), heard, lineage(), Limits())
    truth = said([(turn["speaker"], turn["text"]) for turn in reference["turns"]])
    found = said([(turn.speaker, turn.text) for turn in transcript.turns])
    names = {speaker.label: speaker.name for speaker in transcript.speakers}
    named = said([(names[turn.speaker] or "", turn.text) for turn in transcript.turns])
    wer = word_error_rate([word for word, _ in truth], [word for word, _ in found])
    accuracy = word_speaker_accuracy(truth, found)
    print(
        f"\n{path.stem} as two tracks: word-speaker accuracy {accuracy:.4f}, WER {wer:.3f}, turns "
        f"{len(transcript.turns)} for {len(reference['turns'])}, {took_s / heard.duration_s:.2f} s per second, "
        f"{transcript.warnings}"
    )
    assert accuracy >= 0.995
    assert word_role_accuracy(truth, named) >= 0.995
    assert wer <= 0.08
    assert transcript.host_method is HostMethod.NAMED
    assert max(turn.overlap for turn in transcript.turns) < 0.25
    assert not transcript.warnings


SHOW = Show(slug="demo", title="Demo", host="Somebody Else")
BLOB = Blob(key="blobs/x", sha256="0" * 64, bytes=1)


def recording(reference: dict) -> Recording:
    people = ((reference["guest"], "guest", LATE_S), (reference["host"], "host", 0.0))
    tracks = tuple(
        Track.model_validate({"speaker": name, "role": role, "offset_s": offset_s, "original": BLOB, "working": BLOB})
        for name, role, offset_s in people
    )
    return Recording(
        id="r", show="demo", title="T", source="x", original=BLOB, working=BLOB, tracks=tracks, lineage=lineage()
    )


def microphones(path: Path, reference: dict, folder: Path) -> list[TrackFile]:
    """The guest's and the host's microphone: each hears the other one 20 dB more quietly, 5 ms later."""
    flac(path, folder / "mixed.flac")
    mixed, _ = soundfile.read(folder / "mixed.flac", dtype="float32")
    own = {name: np.zeros_like(mixed) for name in (reference["guest"], reference["host"])}
    for turn in reference["turns"]:
        first, last = (round(seconds * RATE_HZ) for seconds in (turn["start_s"] - 0.05, turn["end_s"] + 0.05))
        own[turn["speaker"]][max(first, 0) : last] = mixed[max(first, 0) : last]
    chance = np.random.default_rng(1)
    files: list[TrackFile] = []
    for name, gain_db, late_s in ((reference["guest"], GUEST_GAIN_DB, LATE_S), (reference["host"], 0.0, 0.0)):
        other = next(sound for who, sound in own.items() if who != name)
        hiss = 10 ** (HISS_DB / 20) * chance.standard_normal(len(mixed))
        sound = 10 ** (gain_db / 20) * (own[name] + 10 ** (BLEED_DB / 20) * np.roll(other, 80) + hiss)
        file = folder / f"{len(files)}.flac"
        soundfile.write(file, sound[round(late_s * RATE_HZ) :], RATE_HZ)
        files.append(TrackFile(path=str(file), offset_s=late_s))
    return files
