"""The demo show's third interview, spoken with chapters: its trailer and its sponsor read are excluded spans."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from services.ingest import job
from services.ingest.engine import IngestEngine
from services.studio.machine.local import ROOT, venv_python
from shared.schemas import IngestRequest, Recording
from shared.store import load
from tests.conftest import demand_environments
from tests.fakes import FakeJob, MemoryStore

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the mp3 and the truth about it."""
    demand_environments("speech")
    scripts, out = tmp_path_factory.mktemp("scripts"), tmp_path_factory.mktemp("spoken")
    shutil.copy(ROOT / "examples" / "spoken" / "03-henry-stone.txt", scripts)
    command = [venv_python("speech"), "-m", "examples.speak", "--out", out, "--scripts", scripts]
    subprocess.run([str(part) for part in command], cwd=ROOT, check=True, capture_output=True)
    return out


def test_its_trailer_and_sponsor_read_are_excluded_with_the_reason_and_stay_in_the_audio(
    store: MemoryStore, real_engine: IngestEngine, spoken: Path, tmp_path: Path
):
    audio = (spoken / "03-henry-stone.mp3").read_bytes()
    truth = json.loads((spoken / "03-henry-stone.reference.json").read_text())
    store.objects["uploads/u"] = audio
    request = IngestRequest(show="lamplight", upload_key="uploads/u", filename="03.mp3")

    result = job.run(request, job=FakeJob(tmp_path), store=store, downloads=tmp_path / "d", engine=real_engine)

    recording = load(store, result.key, Recording)
    told = [(str(span.reason), span.start_s, span.end_s, span.found_by) for span in recording.excluded_spans]
    assert [reason for reason, *_ in told] == ["trailer", "advert"]
    for section, (_, start_s, end_s, found_by) in zip(("trailer", "sponsor"), told, strict=True):
        turns = [turn for turn in truth["turns"] if turn["section"] == section]
        assert found_by == "chapters"
        assert start_s <= turns[0]["start_s"] and turns[0]["start_s"] - start_s < 1
        assert end_s >= turns[-1]["end_s"] and end_s - turns[-1]["end_s"] < 1
    assert recording.duration_s == pytest.approx(truth["duration_s"], abs=0.2)
    assert store.get(recording.original.key) == audio
