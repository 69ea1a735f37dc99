"""How well does it hear? A recording is transcribed as the service would, and measured against the truth.

    python -m services.transcription.evaluate AUDIO --reference REF.{json,rttm} [--json]

`diary transcripts evaluate` runs this in transcription's environment. It needs no running stack, and stores nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.transcription.engine import SpeechEngine
from services.transcription.hearing import Engine
from services.transcription.reference import Reference, Talk, read_reference
from services.transcription.scoring import Said, word_error_rate, word_speaker_accuracy
from services.transcription.settings import Limits, Settings
from services.transcription.transcript import machine_transcript
from services.transcription.weights import open_shelf
from shared.engines import Watch
from shared.errors import BadInputError, DiaryError
from shared.hub import open_hub
from shared.model_command import Line
from shared.schemas import Blob, Lineage, Record, Recording, Show, Transcript, Turn
from shared.service import open_lease
from shared.spoken import words_of
from shared.store import file_sha256
from shared.version import VERSION

ABOUT = """
wer                    swapped, missing and added words per word of the reference. English is normalised by Whisper's
                       English normaliser, as is usual in the field: "I'm 20" is "I am twenty", fillers such as "um"
                       do not count; its list of British spellings is left out. Other languages: its basic normaliser
der                    diarisation error rate of pyannote.metrics with collar=0.5: of speech that has no speaker, the
                       wrong one, or should have none
word_speaker_accuracy  share of the rightly heard words that the right speaker got, under the best pairing of names
speakers               how many were found
rtf                    seconds of work per second of audio; loading the models is part of it

A .json reference is {"turns": [{"speaker", "text", "start_s", "end_s"}, ...]}. Its times may be left out: then a .rttm
of the same name beside it tells them, or there is no DER. A .rttm has no words: it gives DER alone.
"""


PAUSE_S = 1.5  # a longer one within a turn is no speech; shorter ones references count as speech too


class MeasuringEngine(Engine, Protocol):
    """An engine that also knows how results are compared: `SpeechEngine` says how."""

    def decode(self, source: Path, target: Path, job: Watch) -> None: ...

    def normalised(self, texts: Sequence[str], language: str, job: Watch) -> list[list[str]]: ...

    def diarisation_error(
        self, reference: Sequence[Talk], heard: Sequence[Talk], duration_s: float, job: Watch
    ) -> float: ...


class Measured(Record):
    """What `--json` prints; None where the reference cannot tell."""

    wer: float | None
    der: float | None
    word_speaker_accuracy: float | None
    speakers: int
    rtf: float


@dataclass(frozen=True)
class Trial:
    """A transcript of a file, the language that was heard, and the seconds that it took; `notes` are for people."""

    transcript: Transcript
    language: str
    duration_s: float
    took_s: float
    notes: tuple[str, ...]


def evaluate(
    audio: Path, reference: Reference, speakers: int, language: str, *, engine: MeasuringEngine, job: Watch
) -> tuple[Measured, Trial]:
    """Hear a file of any format, and compare.

    speakers   how many people talk; 0 finds out
    """
    with tempfile.TemporaryDirectory(prefix="evaluate-") as folder:
        working = Path(folder) / "working.flac"
        engine.setup(job)
        engine.decode(audio.absolute(), working, job)
        trial = hear(working, speakers, language, engine, job)
    return compare(reference, trial, engine, job), trial


def compare(reference: Reference, trial: Trial, engine: MeasuringEngine, job: Watch) -> Measured:
    turns = trial.transcript.turns
    wer = accuracy = der = None
    if reference.said:
        truth = said_in(reference.said, trial.language, engine, job)
        if not truth:
            raise BadInputError("no word of the reference is left once it is normalised: put what was said into it")
        found = said_in([(turn.speaker, turn.text) for turn in turns], trial.language, engine, job)
        wer = word_error_rate([word for word, _ in truth], [word for word, _ in found])
        accuracy = word_speaker_accuracy(truth, found)
    if reference.talk:
        der = engine.diarisation_error(reference.talk, talk_of(turns), trial.duration_s, job)
    return Measured(
        wer=_rounded(wer),
        der=_rounded(der),
        word_speaker_accuracy=_rounded(accuracy),
        speakers=len(trial.transcript.speakers),
        rtf=round(trial.took_s / trial.duration_s, 4),
    )


def hear(working: Path, speakers: int, language: str, engine: MeasuringEngine, job: Watch) -> Trial:
    """The transcript that the service would make of a recording that it knows nothing about."""
    start_s = time.monotonic()
    heard = engine.transcribe(working, language, job)
    voices = engine.diarise(working, speakers, job)
    took_s = time.monotonic() - start_s
    show = Show(slug="evaluation", title="Evaluation", host="nobody known", language=language, speakers=speakers)
    sha256 = file_sha256(working)
    blob = Blob(key=working.name, sha256=sha256, bytes=working.stat().st_size, media_type="audio/flac")
    lineage = Lineage(
        by="transcription",
        version=VERSION,
        job="evaluate",
        actor="evaluate",
        parameters={"language": language, "speakers": speakers},
    )
    recording = Recording(
        id="evaluation",
        show=show.slug,
        title=show.title,
        source="evaluate",
        original=blob,
        working=blob,
        lineage=lineage,
    )
    transcript = machine_transcript(sha256[:12], show, recording, heard, voices, None, lineage, Limits())
    notes = (*heard.warnings, *voices.warnings)
    return Trial(transcript, heard.language, heard.duration_s, took_s, notes)


def talk_of(turns: Sequence[Turn]) -> list[Talk]:
    """Who speaks when: a turn without its pauses, which are no speech and may be long."""
    found: list[Talk] = []
    for turn in turns:
        first, *others = words_of(turn)
        start_s, end_s = first.start_s, first.end_s
        for word in others:
            if word.start_s - end_s > PAUSE_S:
                found.append((start_s, end_s, turn.speaker))
                start_s = word.start_s
            end_s = max(end_s, word.end_s)
        found.append((start_s, end_s, turn.speaker))
    return found


def said_in(turns: Sequence[tuple[str, str]], language: str, engine: MeasuringEngine, job: Watch) -> list[Said]:
    """Words as they are compared, with their speakers."""
    words = engine.normalised([text for _, text in turns], language, job)
    return [(word, speaker) for (speaker, _), own in zip(turns, words, strict=True) for word in own]


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


# ---- the command -----------------------------------------------------------------------------------------------------


def table(measured: Measured, trial: Trial) -> str:
    normaliser = "English" if trial.language == "en" else "basic"
    unknown = "the reference has no {}"
    words, times = unknown.format("words"), unknown.format("times")
    rows = [
        (
            "word error rate",
            _percent(measured.wer),
            words if measured.wer is None else f"normalised by Whisper's {normaliser} normaliser",
        ),
        ("diarisation error rate", _percent(measured.der), times if measured.der is None else "collar 0.5 s"),
        (
            "word-speaker accuracy",
            _percent(measured.word_speaker_accuracy),
            words if measured.wer is None else "of the words heard rightly",
        ),
        ("speakers found", str(measured.speakers), ""),
        (
            "seconds per second",
            f"{measured.rtf:.2f}",
            f"{trial.took_s:.0f} s for {trial.duration_s:.0f} s of audio, loading the models included",
        ),
    ]
    engines = [f"{name}: {label}" for name, label in trial.transcript.engines.items()]
    lines = [f"{name:<24}{value:>8}  {note}".rstrip() for name, value, note in rows]
    return "\n".join([*lines, *engines])


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    flags = argparse.ArgumentParser(
        prog="diary transcripts evaluate",
        description="Transcribe a recording and measure it against the truth. Nothing is stored; no stack is needed.",
        epilog=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_argument("audio", type=Path, help="any audio or video file")
    flags.add_argument("--reference", type=Path, required=True, help="the truth: a .json with turns, or a .rttm")
    flags.add_argument("--speakers", type=int, default=0, help="how many people talk; found out when left out")
    flags.add_argument("--language", default="en", help="ISO 639 code, such as en")
    flags.add_argument("--model", default=None, help="Whisper to use, as TRANSCRIPTION_MODEL names it")
    flags.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return flags.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    line = Line()
    try:
        measured, trial = _measure(options, line)
    except DiaryError as error:
        line.end()
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        line.end()
        print("stopped", file=sys.stderr)
        return 130
    line.end()
    if options.json:
        print(measured.model_dump_json())
        return 0
    for note in trial.notes:
        print(f"note: {note}", file=sys.stderr)
    print(table(measured, trial))
    return 0


def _measure(options: argparse.Namespace, job: Watch) -> tuple[Measured, Trial]:
    if not options.audio.is_file():
        raise BadInputError(f"there is no file {options.audio}: name the recording to transcribe")
    if not 0 <= options.speakers <= 8:
        raise BadInputError(f"--speakers is {options.speakers}: say 1 to 8, or 0 to find out")
    reference = read_reference(options.reference, options.audio.stem)
    settings = Settings() if options.model is None else Settings(model=options.model)
    shelf = open_shelf(settings, open_hub("transcription", settings))
    engine = SpeechEngine.from_settings(settings, open_lease("transcription", settings), shelf)
    try:
        return evaluate(options.audio, reference, options.speakers, options.language, engine=engine, job=job)
    finally:
        engine.stop()
        shelf.stop()


if __name__ == "__main__":
    sys.exit(main())
