"""ffmpeg at work: a file becomes a working copy, a web rendition and a waveform, several tracks become one recording.

Part of the far side: everything here runs in the engine's process, and no heavy library is needed for it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.ingest import audio, bounded, metadata, recipes, source
from services.ingest.audio import Converted, ConvertedTrack, Limits, Mixed, Probe, TrackFile
from services.ingest.bounded import Done
from services.ingest.peaks import Peaks
from shared import published
from shared.engines import Reporter
from shared.errors import BadAudioError

MAX_TAGS_BYTES = 4 * 1024**2
REPORT_S = 0.5


def convert(ffmpeg: str, arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Decode the first audio stream once into all that is kept of it; refuse what is no speech at all."""
    limits, folder = Limits.model_validate(arguments["limits"]), Path(arguments["folder"])
    original = Path(arguments["original"])
    _refuse_size(original, limits)
    working, web, tags = folder / "working.flac", folder / "web.mp3", folder / "tags.txt"
    command = recipes.convert(ffmpeg, original, working, web, tags, limits)
    done, peaks = _run(command, limits, Progress(reporter, "converting"), _head(original))
    converted = Converted(
        **_facts(done, limits, tags),
        working=working,
        web=web,
        peaks=_kept(peaks, folder),
        ffmpeg=_version(ffmpeg),
    )
    return converted.model_dump(mode="json")


def mix(ffmpeg: str, arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """A working copy of each track, then all of them mixed. Two decodings: no run holds an hour of a late track."""
    limits, folder = Limits.model_validate(arguments["limits"]), Path(arguments["folder"])
    files = [TrackFile.model_validate(track) for track in arguments["tracks"]]
    tracks = [
        _convert_track(ffmpeg, file, folder, number, limits, reporter) for number, file in enumerate(files, start=1)
    ]
    working, web = folder / "working.flac", folder / "web.mp3"
    progress = Progress(reporter, "mixing the tracks", [file.offset_s for file in files])
    done, peaks = _run(recipes.mix(ffmpeg, files, working, web, limits), limits, progress)
    probe = audio.parse_log(done.log).model_copy(update={"declared_s": None})  # of one input only
    warnings = [*audio.judge(probe, done.log, limits), *_of_tracks(tracks)]
    duration_s = round(probe.duration_s or 0.0, 3)
    mixed = Mixed(
        duration_s=duration_s,
        media_type="audio/flac",
        metadata={"warnings": warnings} if warnings else {},
        silences=audio.silences(done.edges, duration_s),
        working=working,
        web=web,
        peaks=_kept(peaks, folder),
        ffmpeg=_version(ffmpeg),
        tracks=tuple(tracks),
    )
    return mixed.model_dump(mode="json")


def _convert_track(
    ffmpeg: str, file: TrackFile, folder: Path, number: int, limits: Limits, reporter: Reporter
) -> ConvertedTrack:
    working, tags = folder / f"track-{number}.flac", folder / f"track-{number}.txt"
    try:
        _refuse_size(file.original, limits)
        command = recipes.convert_track(ffmpeg, file.original, working, tags, limits)
        done, _ = _run(command, limits, Progress(reporter, f"converting track {number}"), _head(file.original))
        facts = _facts(done, limits, tags, track=True)
    except BadAudioError as error:
        raise BadAudioError(f"track {number}: {error}") from error
    return ConvertedTrack(**facts, working=working, ffmpeg=_version(ffmpeg))


def _of_tracks(tracks: Sequence[ConvertedTrack]) -> list[str]:
    return [
        f"track {number}: {warning}"
        for number, track in enumerate(tracks, start=1)
        for warning in track.metadata.get("warnings", ())
    ]


class Progress:
    """Tells how many seconds are done, from the samples that came; the total from what the inputs' headers say.

    offsets   where each input starts in what is made
    """

    def __init__(self, reporter: Reporter, stage: str, offsets: Sequence[float] = (0.0,)) -> None:
        self._reporter, self._stage = reporter, stage
        self._offsets = list(offsets)
        self._total_s: float | None = None
        self._next = 0.0

    def found_duration(self, duration_s: float) -> None:
        if self._offsets:
            self._total_s = max(self._total_s or 0.0, self._offsets.pop(0) + duration_s)

    def tell(self, done_s: float, *, last: bool = False) -> None:
        if last or time.monotonic() >= self._next:
            self._next = time.monotonic() + REPORT_S
            self._reporter.progress(self._stage, round(done_s, 3), self._total_s, "s")


def _run(command: list[str], limits: Limits, progress: Progress, head: bytes = b"") -> tuple[Done, Peaks]:
    peaks = Peaks()

    def hear(samples: bytes) -> None:
        peaks.add(samples)
        progress.tell(peaks.duration_s)

    done = bounded.run(command, limits, hear, progress.found_duration)
    progress.tell(peaks.duration_s, last=True)
    if done.code != 0:
        print(done.log[-4000:], file=sys.stderr, flush=True)
        raise audio.failure(done.log, done.code, limits, head)
    return done, peaks


def _facts(done: Done, limits: Limits, tags: Path, *, track: bool = False) -> dict[str, Any]:
    """What is known of a file that may stay: the fields of ConvertedTrack that do not say where things are."""
    probe = audio.parse_log(done.log)
    warnings = audio.judge(probe, done.log, limits, track=track)
    duration_s = round(probe.duration_s or 0.0, 3)
    return {
        "duration_s": duration_s,
        "media_type": audio.media_type(probe),
        "metadata": _metadata(probe, tags, warnings if done.bounded else [*warnings, bounded.UNBOUNDED]),
        "silences": audio.silences(done.edges, duration_s),
    }


def _metadata(probe: Probe, tags: Path, warnings: list[str]) -> dict[str, Any]:
    with tags.open("rb") as file:
        text = file.read(MAX_TAGS_BYTES).decode("utf-8", errors="replace")
    published.demand_real_talk(text)
    found = metadata.from_tags(*audio.parse_tags(text))
    found["audio"] = probe.model_dump(exclude={"duration_s", "declared_s"}, exclude_none=True)
    if warnings:
        found["warnings"] = warnings
    return found


def _kept(peaks: Peaks, folder: Path) -> Path:
    path = folder / "peaks.dat"
    path.write_bytes(peaks.dat())
    return path


def _head(original: Path) -> bytes:
    with original.open("rb") as file:
        return file.read(16)


def _refuse_size(original: Path, limits: Limits) -> None:
    size = original.stat().st_size
    if size == 0:
        raise BadAudioError("the file is empty (0 bytes); export or upload it again")
    if size > limits.max_bytes:
        raise source.too_large(limits)


def _version(ffmpeg: str) -> str:
    out = subprocess.run([ffmpeg, "-version"], capture_output=True, text=True, timeout=30, check=True).stdout
    return out.split()[2]
