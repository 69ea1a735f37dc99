"""`diary transcripts evaluate`: how well a recording is heard, measured against the truth, with no stack running.

Hearing needs transcription's environment, so its own program does the work, as a child that prints what we would.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from services.studio.commands.terminal import Json
from services.studio.machine.local import ROOT, PythonOf, venv_python
from shared.errors import NotFoundError

PROGRAM = "services.transcription.evaluate"


def evaluate(
    audio: Annotated[Path, typer.Argument(help="Any audio or video file.")],
    reference: Annotated[
        Path,
        typer.Option(help='The truth: .json, {"turns": [{"speaker", "text", "start_s", "end_s"}]}, or .rttm.'),
    ],
    speakers: Annotated[int, typer.Option(help="How many people talk; 0 finds out.")] = 0,
    language: Annotated[str, typer.Option(help="ISO 639 code, such as en.")] = "en",
    model: Annotated[str | None, typer.Option(help="Whisper to use, as TRANSCRIPTION_MODEL names it.")] = None,
    as_json: Json = False,
) -> None:
    """Transcribe a recording and measure it against the truth; nothing is stored, no stack is needed.

    wer: word errors per word of the reference, both normalised by Whisper's normaliser (for English the English one:
    "I'm 20" is "I am twenty", fillers such as "um" do not count; without its list of British spellings).

    der: diarisation error rate of pyannote.metrics, collar=0.5.

    word_speaker_accuracy: share of the rightly heard words that the right speaker got.

    speakers: how many were found.

    rtf: seconds of work per second of audio, loading the models included.

    What the reference cannot tell is null: a .rttm has no words; a .json whose turns have no times has no DER, unless
    a .rttm of the same name lies beside it.
    """
    options = ["--speakers", str(speakers), "--language", language]
    options += ["--model", model] if model is not None else []
    options += ["--json"] if as_json else []
    files = [str(audio.absolute()), "--reference", str(reference.absolute())]
    raise typer.Exit(run([*files, *options]))


def run(arguments: Sequence[str], python_of: PythonOf = venv_python) -> int:
    """Its exit code; it shares our terminal. raises NotFoundError where transcription's environment is elsewhere"""
    python = python_of("transcription")
    if not python.exists():
        raise NotFoundError(
            f"transcription has no environment at {python}; run `make install`, or with containers: docker compose run "
            f'--rm --no-deps --volume "$PWD":/data:ro transcription python -m {PROGRAM} /data/AUDIO '
            "--reference /data/REFERENCE"
        )
    with subprocess.Popen([str(python), "-m", PROGRAM, *arguments], cwd=ROOT) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the terminal told the child too: it tidies up and leaves


def add_to(transcripts: typer.Typer) -> None:
    """Put this command where people look for it."""
    transcripts.command("evaluate")(evaluate)
