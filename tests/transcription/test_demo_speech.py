"""The demo's show, as spoken by examples/speak.py: one host in every recording, another guest in each."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from services.transcription import job as story
from shared.schemas import HostMethod, Role, SetHostRequest, TranscribeRequest
from tests.fakes import TimedFakeJob
from tests.transcription.real import ROOT, add, engine, flac, head, store_with
from tests.transcription.scoring import said, word_error_rate, word_role_accuracy, word_speaker_accuracy

__all__ = ["engine"]  # a fixture

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(1800)]

SPEAKER = ROOT / ".venvs" / "demo" / "bin" / "python"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The recordings as mp3 with a .reference.json each; DEMO_SPEECH names a folder that has them already."""
    folder = Path(os.environ.get("DEMO_SPEECH") or tmp_path_factory.mktemp("spoken"))
    if not list(folder.glob("*.mp3")):
        if not SPEAKER.exists():
            pytest.skip(f"no {SPEAKER.relative_to(ROOT)}: make it with `make .venvs/demo/.installed`")
        subprocess.run([str(SPEAKER), "-m", "examples.speak", "--out", str(folder)], check=True, cwd=ROOT)
    return sorted(folder.glob("*.mp3"))


def test_every_recording_has_two_speakers_and_the_host_set_once_is_found_in_all(engine, spoken, tmp_path):
    first, *rest = spoken
    store = store_with(flac(first, tmp_path / "audio.flac"), first.stem, host="Mara Quill")
    for path in rest:
        add(store, flac(path, tmp_path / "audio.flac"), path.stem)
    job = TimedFakeJob(tmp_path)

    for path in spoken:
        story.run(TranscribeRequest(show="houston", recording=path.stem), job=job, store=store, engine=engine)
        if path == first:
            guess = next(s.label for s in head(store, path.stem).speakers if s.role is Role.HOST)
            story.set_host(
                SetHostRequest(show="houston", recording=path.stem, speaker=guess), job=job, store=store, engine=engine
            )

    results = {
        path.stem: (head(store, path.stem), json.loads(path.with_suffix(".reference.json").read_text()))
        for path in spoken
    }
    for name, (transcript, reference) in results.items():
        truth = said([(role_in(reference, turn), turn["text"]) for turn in reference["turns"]])
        heard = said([(turn.role.value, turn.text) for turn in transcript.turns])
        wer = word_error_rate([word for word, _ in truth], [word for word, _ in heard])
        accuracy, roles_right = word_speaker_accuracy(truth, heard), word_role_accuracy(truth, heard)
        print(
            f"\n{name}: speakers {len(transcript.speakers)}, WER {wer:.3f}, word-speaker accuracy {accuracy:.3f}, "
            f"words with the right role {roles_right:.3f}, "
            f"{transcript.host_method} {[(s.role.value, s.host_score) for s in transcript.speakers]}, "
            f"{transcript.warnings}"
        )
        assert len(transcript.speakers) == 2
        assert wer <= 0.08
        assert accuracy >= 0.95
        assert roles_right >= 0.95
        assert transcript.host_method is (HostMethod.SET if name == first.stem else HostMethod.VOICEPRINT)


def role_in(reference: dict, turn: dict) -> str:
    return "host" if turn["speaker"] == reference["host"] else "guest"
