"""Speak the fictional show: every script becomes an mp3 and a reference that says who spoke when.

    python -m examples.speak --out DIR [--scripts examples/spoken] [--json]

One neural voice ships inside `hibari-tts`. The host speaks with it as it is; each guest is the same voice with other
formants and another pitch (WORLD vocoder, `pyworld`), far enough away for a diariser to hear two people. Because we
place every turn ourselves, DIR/<script>.reference.json holds exact times to measure transcripts against, and the mp3
has its sections as chapters.

A script is plain text: `title: ...`, `guest: ...`, a blank line, then one turn per line as `Name: text`, with section
marks such as `# trailer` on their own lines. Whoever is not the guest is the host.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from services.inference.speech_engine import PLAIN, RATE_HZ, SPEECH_RMS, Voice, in_voice, levelled, trimmed

if TYPE_CHECKING:
    import numpy as np
    from hibari import Hibari

RECIPE = 2  # raise it when a change below alters the sound, so that finished episodes are spoken again
SHORTEST_GAP_S, LONGEST_GAP_S = 0.25, 0.6
ROOM_RMS = 0.0008  # about -62 dBFS: silence is a quiet room, not digital zero
SECONDS_PER_CHARACTER = 0.006  # of work, for the first estimate; replaced by what this machine really needs
WORKERS = 2
FIRST_SECTION = "interview"  # of turns before any section mark
PACKAGES = {  # import name: name on PyPI
    "numpy": "numpy",
    "hibari": "hibari-tts",
    "pyworld": "pyworld-prebuilt",
    "imageio_ffmpeg": "imageio-ffmpeg",
}


class SpeakError(Exception):
    """What went wrong, where, and what to do about it."""


HOST_VOICE = PLAIN
GUEST_VOICES = (Voice(0.80, 0.52), Voice(0.86, 0.65), Voice(0.74, 0.45), Voice(1.18, 1.35))


class Span(NamedTuple):
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Turn:
    speaker: str
    text: str
    section: str
    line: int


@dataclass(frozen=True)
class Script:
    path: Path
    title: str
    guest: str
    host: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Spoken:
    """One line of the result: what lies in the output folder, and whether this run made it."""

    script: str
    audio: str
    reference: str
    turns: int
    duration_s: float
    fresh: bool


# ---- pure: text in, plan out ----------------------------------------------------------------------------------------


def parse_script(text: str, path: Path) -> Script:
    """The script that a file's text describes; SpeakError names the line that is not understood."""
    header: dict[str, str] = {}
    turns: list[Turn] = []
    section = FIRST_SECTION
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        name, colon, said = (part.strip() for part in line.partition(":"))
        if not line:
            continue
        if line.startswith("#"):
            section = line.lstrip("# ").lower()
            if not section:
                raise _bad_line(path, number, "a section mark without a name", "write `# interview`, say")
        elif not colon or not name:
            raise _bad_line(path, number, f"no speaker in {line[:40]!r}", "write `Name: text`, one turn on one line")
        elif name in ("title", "guest") and not turns:
            header[name] = said
        elif not re.search(r"\w", said):
            raise _bad_line(path, number, f"{name} says nothing", "add words after the colon or delete the line")
        else:
            turns.append(Turn(name, said, section, number))

    for field in ("title", "guest"):
        if not header.get(field):
            raise SpeakError(f"{path}: no {field}; put `{field}: ...` at the top of the file")
    return Script(path, header["title"], header["guest"], _host(turns, header["guest"], path), tuple(turns))


def _host(turns: Sequence[Turn], guest: str, path: Path) -> str:
    """The one speaker who is not the guest."""
    first_turns: dict[str, Turn] = {}
    for turn in turns:
        first_turns.setdefault(turn.speaker, turn)
    if guest not in first_turns:
        raise SpeakError(f"{path}: the guest {guest!r} never speaks; start the guest's turns with `{guest}: `")
    hosts = [turn for name, turn in first_turns.items() if name != guest]
    if not hosts:
        raise SpeakError(f"{path}: only {guest!r} speaks; add the host's turns as `Name: text`")
    if len(hosts) > 1:
        host, third = hosts[0].speaker, hosts[1]
        fix = f"use `{guest}` (the guest) or `{host}` (the host)"
        raise _bad_line(path, third.line, f"a third speaker, {third.speaker!r}", fix)
    return hosts[0].speaker


def _bad_line(path: Path, line: int, what: str, fix: str) -> SpeakError:
    return SpeakError(f"{path}:{line}: {what}; {fix}")


def guest_voice(order: int) -> Voice:
    """The voice of the guest in the script at this place of the sorted folder; the fifth sounds like the first."""
    return GUEST_VOICES[order % len(GUEST_VOICES)]


def gaps(turns: int) -> list[float]:
    """Seconds of quiet before each turn and after the last, the same on every run."""
    return [random.Random(index).uniform(SHORTEST_GAP_S, LONGEST_GAP_S) for index in range(turns + 1)]


def layout(durations_s: Sequence[float], gaps_s: Sequence[float]) -> list[Span]:
    """Where each turn lies: gap, turn, gap, turn, ... and a last gap that no span shows."""
    ends = list(accumulate(gap + length for gap, length in zip(gaps_s, durations_s, strict=False)))
    return [Span(end - length, end) for end, length in zip(ends, durations_s, strict=True)]


def chapters(turns: Sequence[Turn], spans: Sequence[Span], duration_s: float) -> list[tuple[str, Span]]:
    """Title and place of each section, as a podcast's chapters: `Trailer`, `Interview`, `Sponsor`, ..."""
    found: list[tuple[str, Span]] = []
    for turn, span in zip(turns, spans, strict=True):
        title = turn.section.capitalize()
        if found and found[-1][0] == title:
            continue
        starts_s = span.start_s if found else 0.0
        if found:
            found[-1] = (found[-1][0], Span(found[-1][1].start_s, starts_s))
        found.append((title, Span(starts_s, duration_s)))
    return found


def ffmetadata(title: str, found: Sequence[tuple[str, Span]]) -> str:
    """What ffmpeg writes into the file: its title and chapters."""
    lines = [";FFMETADATA1", f"title={_escaped(title)}"]
    for name, span in found:
        times = [f"START={round(span.start_s * 1000)}", f"END={round(span.end_s * 1000)}"]
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", *times, f"title={_escaped(name)}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)


def fingerprint(script_text: str, guest: Voice) -> str:
    """sha256 of all that decides the sound; equal means that there is nothing to do."""
    made_from = [RECIPE, RATE_HZ, SHORTEST_GAP_S, LONGEST_GAP_S, SPEECH_RMS, ROOM_RMS, HOST_VOICE, guest, script_text]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()


def reference(script: Script, spans: Sequence[Span], duration_s: float, made_from: str) -> dict[str, Any]:
    """The truth about an episode, to measure a transcript against; times in seconds from the start of the mp3."""
    turns = [
        {
            "speaker": turn.speaker,
            "start_s": round(span.start_s, 3),
            "end_s": round(span.end_s, 3),
            "text": turn.text,
            "section": turn.section,
        }
        for turn, span in zip(script.turns, spans, strict=True)
    ]
    return {
        "title": script.title,
        "guest": script.guest,
        "host": script.host,
        "duration_s": round(duration_s, 3),
        "made_from_sha256": made_from,
        "turns": turns,
    }


def left_s(elapsed_s: float, done: int, total: int) -> float:
    """Seconds still to go, from characters done and in total; a rough constant until something is done."""
    per_character = elapsed_s / done if done else SECONDS_PER_CHARACTER / WORKERS
    return per_character * (total - done)


# ---- heavy: runs in worker processes --------------------------------------------------------------------------------


@cache
def _host_tts() -> "Hibari":
    """The voice, loaded once per process; its model and dictionaries lie inside the wheel."""
    from hibari import Hibari

    return Hibari()


def speak_turn(text: str, voice: Voice) -> "np.ndarray":
    """One turn in one voice: (samples,) float32 at RATE_HZ, silence at both ends cut, SPEECH_RMS loud.

    The text seeds the voice's noise, so that a sponsor text sounds the same in every episode. Empty for text without
    a sound, such as "...".
    """
    audio = trimmed(_host_tts()(text, seed=zlib.crc32(text.encode())))
    return levelled(in_voice(audio, voice)) if len(audio) else audio


# ---- heavy: one episode to disk -------------------------------------------------------------------------------------


def mix(turns: "Sequence[np.ndarray]", spans: Sequence[Span], duration_s: float, seed: int) -> "np.ndarray":
    """Every turn at its place in a quiet room: (samples,) float32 at RATE_HZ."""
    import numpy as np

    white = np.random.default_rng(seed).standard_normal(round(duration_s * RATE_HZ)).astype(np.float32)
    dull = np.convolve(white, np.hanning(12).astype(np.float32), mode="same")
    audio = dull * (ROOM_RMS / float(np.sqrt(np.mean(dull**2))))
    for turn, span in zip(turns, spans, strict=True):
        start = round(span.start_s * RATE_HZ)
        audio[start : start + len(turn)] += turn
    return np.clip(audio, -1.0, 1.0)


def write_mp3(audio: "np.ndarray", path: Path, facts: str) -> None:
    """Encode with the static ffmpeg of imageio-ffmpeg (IMAGEIO_FFMPEG_EXE names another); `facts` is ffmetadata."""
    import imageio_ffmpeg

    told = path.with_name(f"{path.name}.txt")
    told.write_text(facts, encoding="utf-8")

    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y"]
    source = ["-f", "f32le", "-ar", str(RATE_HZ), "-ac", "1", "-i", "pipe:0"]
    with_facts = ["-f", "ffmetadata", "-i", str(told), "-map", "0:a", "-map_metadata", "1", "-map_chapters", "1"]
    target = ["-codec:a", "libmp3lame", "-b:a", "64k", "-f", "mp3", str(path)]
    command = [*ffmpeg, *source, *with_facts, *target]
    try:
        done = subprocess.run(command, input=audio.tobytes(), capture_output=True, check=False)
    finally:
        told.unlink()
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise SpeakError(f"ffmpeg could not write {path}: {reason}; check the free space and IMAGEIO_FFMPEG_EXE")


def write_episode(script: Script, turns: "Sequence[np.ndarray]", out: Path, made_from: str) -> None:
    """Both files, whole or not at all; the reference comes last and vouches for the mp3 beside it."""
    lengths_s = [len(turn) / RATE_HZ for turn in turns]
    quiet_s = gaps(len(turns))
    spans = layout(lengths_s, quiet_s)
    duration_s = sum(lengths_s) + sum(quiet_s)
    truth = reference(script, spans, duration_s, made_from)

    mp3, json_file = files_of(script, out)
    part = f".part-{os.getpid()}"
    mp3_part, json_part = (file.with_name(f".{file.name}{part}") for file in (mp3, json_file))
    try:
        facts = ffmetadata(script.title, chapters(script.turns, spans, duration_s))
        write_mp3(mix(turns, spans, duration_s, zlib.crc32(script.path.stem.encode())), mp3_part, facts)
        json_part.write_text(json.dumps(truth, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        json_file.unlink(missing_ok=True)
        mp3_part.replace(mp3)
        json_part.replace(json_file)
    finally:
        mp3_part.unlink(missing_ok=True)
        json_part.unlink(missing_ok=True)


# ---- the story ------------------------------------------------------------------------------------------------------


def files_of(script: Script, out: Path) -> tuple[Path, Path]:
    stem = script.path.stem
    return out / f"{stem}.mp3", out / f"{stem}.reference.json"


def load_scripts(folder: Path) -> list[tuple[Script, str]]:
    """Every script of the folder in name order, with the sha256 of all that decides its sound."""
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise SpeakError(f"no script in {folder}; put a .txt there or name another folder with --scripts")
    texts = []
    for path in paths:
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise SpeakError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    return [
        (parse_script(text, path), fingerprint(text, guest_voice(order)))
        for order, (path, text) in enumerate(zip(paths, texts, strict=True))
    ]


def already_spoken(script: Script, out: Path, made_from: str) -> bool:
    mp3, json_file = files_of(script, out)
    try:
        truth = json.loads(json_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return mp3.exists() and truth.get("made_from_sha256") == made_from


def speak(folder: Path, out: Path) -> list[Spoken]:
    """Speak what has not been spoken yet; all scripts are read first, so that a bad line costs no time."""
    scripts = load_scripts(folder)
    out.mkdir(parents=True, exist_ok=True)
    to_do = {script.path: order for order, (script, sha) in enumerate(scripts) if not already_spoken(script, out, sha)}
    if to_do:
        need_packages(PACKAGES)
        _speak_all([(*scripts[order], guest_voice(order)) for order in to_do.values()], out)
    return [_spoken(script, out, fresh=script.path in to_do) for script, _ in scripts]


def need_packages(packages: dict[str, str]) -> None:
    missing = [on_pypi for module, on_pypi in packages.items() if find_spec(module) is None]
    if missing:
        names = " ".join(missing)
        raise SpeakError(f"speaking needs {names}; run `{sys.executable} -m pip install {names}`")


def _speak_all(jobs: Sequence[tuple[Script, str, Voice]], out: Path) -> None:
    """All turns go to the workers at once; episodes are written in order as their turns arrive."""
    total = sum(len(turn.text) for script, _, _ in jobs for turn in script.turns)
    done, began = 0, time.monotonic()
    pool = ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn"))
    try:
        waiting = [
            [pool.submit(speak_turn, turn.text, HOST_VOICE if turn.speaker == script.host else guest)
             for turn in script.turns]
            for script, _, guest in jobs
        ]  # fmt: skip
        for number, ((script, made_from, _), futures) in enumerate(zip(jobs, waiting, strict=True), start=1):
            about_s = left_s(time.monotonic() - began, done, total)
            print(f"speaking {number}/{len(jobs)} {script.title}, {about_s:.0f} s left", file=sys.stderr, flush=True)
            write_episode(script, _heard(script, futures), out, made_from)
            done += sum(len(turn.text) for turn in script.turns)
    finally:
        pool.shutdown(cancel_futures=True)


def _heard(script: Script, futures: "Iterable[Future[np.ndarray]]") -> "list[np.ndarray]":
    turns = []
    for turn, future in zip(script.turns, futures, strict=True):
        audio = future.result()
        if not len(audio):
            raise _bad_line(script.path, turn.line, f"no sound came of {turn.text[:40]!r}", "write it in English words")
        turns.append(audio)
    return turns


def _spoken(script: Script, out: Path, *, fresh: bool) -> Spoken:
    mp3, json_file = files_of(script, out)
    duration_s = json.loads(json_file.read_text(encoding="utf-8"))["duration_s"]
    return Spoken(script.path.stem, str(mp3), str(json_file), len(script.turns), duration_s, fresh)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.speak", description="Speak the fictional show's scripts.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the mp3 and reference files")
    parser.add_argument("--scripts", type=Path, default=Path(__file__).parent / "spoken", help="folder of .txt scripts")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(arguments)
    try:
        episodes = speak(options.scripts, options.out)
    except SpeakError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; finished episodes are kept and the next run goes on from there", file=sys.stderr)
        return 130

    if options.json:
        print(json.dumps([asdict(episode) for episode in episodes], indent=2))
    else:
        for episode in episodes:
            state = "spoken" if episode.fresh else "already there"
            print(f"{episode.audio}  {episode.turns} turns, {episode.duration_s:.0f} s, {state}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
