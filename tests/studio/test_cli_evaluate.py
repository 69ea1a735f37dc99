"""`diary transcripts evaluate` hands over to transcription's environment, and says so where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.studio.cli import app
from services.studio.commands import evaluate as cli_evaluate
from services.studio.machine.local import ROOT
from shared.errors import NotFoundError


def test_its_help_says_what_each_figure_is():
    shown = CliRunner().invoke(app, ["transcripts", "evaluate", "--help"], env={"COLUMNS": "200"})

    assert shown.exit_code == 0
    for word in ("wer:", "der:", "collar=0.5", "word_speaker_accuracy:", "rtf:", "--reference", "normaliser"):
        assert word in shown.output


def test_where_transcription_is_not_installed_the_fix_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"docker compose run .* transcription python -m services\.transcription"):
        cli_evaluate.run([], lambda name: tmp_path / name)


def test_the_program_runs_with_our_arguments_and_its_exit_code_is_ours(tmp_path, capfd):
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport os, sys\nprint(os.getcwd(), sys.argv[1:])\nsys.exit(7)\n")
    python.chmod(0o755)

    code = cli_evaluate.run(["a b.mp3", "--json"], lambda name: python)

    assert code == 7
    assert capfd.readouterr().out.strip() == f"{ROOT} ['-m', 'services.transcription.evaluate', 'a b.mp3', '--json']"


@pytest.mark.real
@pytest.mark.timeout(300)
def test_a_person_measures_a_clip_and_a_script_reads_one_json_object(tmp_path):
    audio, truth = ROOT.parent / "shared" / "audio" / "nasa-hwhap414-a.mp3", "nasa-hwhap414-a.reference.json"
    if not cli_evaluate.venv_python("transcription").exists() or not audio.exists():
        pytest.skip("no transcription environment, or no ../shared/audio beside this checkout")
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="no ffmpeg package here").get_ffmpeg_exe()
    subprocess.run([ffmpeg, "-v", "error", "-t", "32", "-i", str(audio), str(tmp_path / "clip.m4a")], check=True)
    turns = json.loads(audio.with_name(truth).read_text())["turns"][:4]
    (tmp_path / "clip.json").write_text(json.dumps({"turns": turns}))
    spans = audio.with_suffix(".rttm").read_text().splitlines()[:5]
    (tmp_path / "clip.rttm").write_text("\n".join(spans))

    files = ("clip.m4a", "--reference", "clip.json")
    done = diary("transcripts", "evaluate", *files, "--speakers", "2", "--json", cwd=tmp_path)

    print(f"\n32 s of NASA's interview: {done.stdout}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["wer", "der", "word_speaker_accuracy", "speakers", "rtf"]
    assert done.stdout.count("\n") == 1
    assert found["wer"] <= 0.1
    assert found["word_speaker_accuracy"] >= 0.8  # half a minute is short for telling two voices apart
    assert 0 <= found["der"] <= 0.3
    assert found["speakers"] == 2
    assert "recognising speech" in done.stderr


def diary(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.studio.cli", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(cwd)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
