"""What is made of a file, what ffmpeg's answers mean, and which audio is refused: pure, no process is started here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field

from shared.errors import BadAudioError, DiaryError, EngineFailedError, EngineRefusedError, NoSpaceError
from shared.schemas import Record
from shared.working_copy import RATE_HZ

SILENT_PEAK_DB = -50.0
SILENT_MEAN_DB = -70.0
BROKEN_OFF_SHARE = 0.95
BROKEN_OFF_S = 2.0
MAX_TEXT = 20_000
WORKING_BYTES_PER_S = 24_000  # speech as 16 kHz mono FLAC, well above what was measured
WEB_BYTES_PER_S = 8_000  # 64 kbit/s

MEDIA_TYPES = {
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "flac": "audio/flac",
    "matroska": "video/x-matroska",
    "mov": "video/mp4",
    "mp3": "audio/mpeg",
    "mpegts": "video/mp2t",
    "ogg": "audio/ogg",
    "wav": "audio/wav",
}

SIGXCPU, SIGXFSZ = 24, 25  # by number: not every system names them
_OUT_OF_MEMORY = ("Cannot allocate memory", "Out of memory", "Resource temporarily unavailable")
_OTHER_KINDS = (  # how a file begins, what that is, and what to do with it
    (b"PK\x03\x04", "an archive or office document", "unpack it and add the audio file"),
    (b"\x1f\x8b", "an archive", "unpack it and add the audio file"),
    (b"7z\xbc\xaf", "an archive", "unpack it and add the audio file"),
    (b"Rar!", "an archive", "unpack it and add the audio file"),
    (b"%PDF", "a PDF document", "add the audio file, or the transcript as plain text"),
    (b"\x89PNG", "a picture", "add the audio file itself"),
    (b"\xff\xd8\xff", "a picture", "add the audio file itself"),
    (b"GIF8", "a picture", "add the audio file itself"),
    (b"#EXTM3U", "a playlist", "add the recordings that it names, or their address"),
    (b"ffconcat", "a playlist", "add the recordings that it names"),
)
_SUPPORTED = "give an audio or video file such as mp3, m4a, wav, flac, ogg, mp4 or webm"


class Probe(Record):
    """What ffmpeg's log says of a file; None where it does not."""

    container: str | None = None
    codec: str | None = None
    rate_hz: int | None = None
    channels: str | None = None
    declared_s: float | None = None
    has_video: bool = False
    duration_s: float | None = None
    mean_db: float | None = None
    peak_db: float | None = None


class Limits(Record):
    max_bytes: int
    max_duration_s: float
    min_duration_s: float
    ffmpeg_limit_s: float
    ffmpeg_memory_mb: int = 4096


class Silence(Record):
    """A stretch in which nothing is louder than -45 dB."""

    start_s: float
    end_s: float


class ConvertedTrack(Record):
    """A working copy: 16 kHz mono FLAC of the first audio stream, and what was found on the way."""

    working: Path
    duration_s: float
    media_type: str
    metadata: dict[str, Any]
    silences: tuple[Silence, ...] = ()
    ffmpeg: str


class Converted(ConvertedTrack):
    """All that is made of a file: working copy, 64 kbit/s mono MP3, and the waveform of services/ingest/peaks.py."""

    web: Path
    peaks: Path


class TrackFile(Record):
    """One speaker's own file of a recording; it starts `offset_s` after the recording does."""

    original: Path
    offset_s: float = Field(default=0.0, ge=0)


class Mixed(Converted):
    """All tracks as one, and each of them alone, from its own start on; silences are those that all share."""

    tracks: tuple[ConvertedTrack, ...]


def working_bytes(original_bytes: float, duration_s: float | None = None) -> float:
    """Estimated size of all copies; while the duration is unknown, not more than the original."""
    return (WORKING_BYTES_PER_S + WEB_BYTES_PER_S) * duration_s if duration_s else original_bytes


def parse_log(log: str) -> Probe:
    """Read ffmpeg's log: the input's container and streams, then what volumedetect measured of the output."""
    container = re.search(r"^Input #0, ([\w,]+), from ", log, re.M)
    source = log[container.start() :].split("Stream mapping:")[0] if container else ""
    audio = re.search(r"Stream #0:\d+.*?: Audio: (\w+).*?, (\d+) Hz, ([^,\n]+)", source)
    kind = container.group(1).split(",")[0] if container else None
    samples = re.findall(r"n_samples: (\d+)", log)
    return Probe(
        container=kind,
        codec=audio.group(1) if audio else None,
        rate_hz=int(audio.group(2)) if audio else None,
        channels=audio.group(3).strip() if audio else None,
        declared_s=None if "Estimating duration from bitrate" in log else _declared_s(source, kind),
        has_video=any("attached pic" not in line for line in re.findall(r"Stream #0:.*: Video: .*", source)),
        duration_s=int(samples[-1]) / RATE_HZ if samples else None,
        mean_db=_level(log, "mean_volume"),
        peak_db=_level(log, "max_volume"),
    )


def _declared_s(source: str, container: str | None) -> float | None:
    found = re.search(r"Duration: (\d+):(\d\d):(\d\d\.\d+)(?:, start: (-?\d+\.\d+))?", source)
    if not found:
        return None
    late_s = float(found.group(4) or 0) if container == "matroska" else 0.0  # which counts from 0, not from its start
    return round(seconds(*found.group(1, 2, 3)) - max(0.0, late_s), 3)


def seconds(hours: str, minutes: str, secs: str) -> float:
    return int(hours) * 3600 + int(minutes) * 60 + float(secs)


def declared_duration_s(log_line: str) -> float | None:
    """The input's length if this line of the log tells it: the total of the progress."""
    found = re.match(r"\s*Duration: (\d+):(\d\d):(\d\d\.\d+)", log_line)
    return seconds(*found.groups()) if found else None


def silence_edge(log_line: str) -> tuple[str, float] | None:
    """("start" or "end", seconds) if this line of the log tells where a silence does."""
    found = re.match(r"\[(?:Parsed_)?silencedetect\w* @ \w+\] silence_(start|end): (-?\d+(?:\.\d+)?)", log_line)
    return (found.group(1), float(found.group(2))) if found else None


def silences(edges: Iterable[tuple[str, float]], duration_s: float) -> tuple[Silence, ...]:
    """The silences between their edges; one that has no end goes to the end of the audio."""
    found: list[Silence] = []
    begun: float | None = None
    for side, at_s in [*edges, ("end", duration_s)]:
        if side == "start":
            begun = max(0.0, at_s)
        elif begun is not None:
            found.append(Silence(start_s=round(begun, 3), end_s=round(min(at_s, duration_s), 3)))
            begun = None
    return tuple(found)


def failure(log: str, code: int, limits: Limits, head: bytes = b"") -> DiaryError:
    """Why ffmpeg ended with an error, as something a person can act on; `head` is how the file begins."""
    if "No space left on device" in log:
        return NoSpaceError("the work folder's disk is full; free some space and run the job again")
    if "Unknown encoder" in log:
        return EngineRefusedError(
            "this ffmpeg has no encoder for FLAC or MP3 (libmp3lame); leave INGEST_FFMPEG empty to use ours, or name "
            "a full build"
        )
    if "received signal 24" in log or code == -SIGXCPU:
        return too_slow(limits)
    if code == -SIGXFSZ:
        return BadAudioError(
            "the file unpacks to far more than its length allows, it is damaged or made to harm; export it again"
        )
    if any(sign in log for sign in _OUT_OF_MEMORY):
        return BadAudioError(
            f"ffmpeg needed more than {limits.ffmpeg_memory_mb} MB of memory for the file; give a simpler one, e.g. "
            "mp3, or raise INGEST_FFMPEG_MEMORY_MB"
        )
    if code < 0:
        return EngineFailedError(f"ffmpeg was killed by signal {-code}; the job is tried again")
    if "matches no streams" in log or "does not contain any stream" in log:
        return BadAudioError(f"the file has no audio stream; {_SUPPORTED} with sound")
    if "moov atom not found" in log:
        return BadAudioError("the file breaks off before its index (mp4 without moov); upload it again, whole")
    for start, kind, what_to_do in _OTHER_KINDS:
        if head.startswith(start):
            return BadAudioError(f"the file is {kind}, no audio; {what_to_do}")
    return BadAudioError(f"the file is not audio that ffmpeg can read; {_SUPPORTED}")


def too_slow(limits: Limits) -> BadAudioError:
    return BadAudioError(
        f"ffmpeg needed more than {limits.ffmpeg_limit_s:g} s; give a simpler file, e.g. mp3, or raise "
        "INGEST_FFMPEG_LIMIT_S"
    )


def judge(probe: Probe, log: str, limits: Limits, *, track: bool = False) -> list[str]:
    """Refuse audio that no transcript can come from.

    track    it is one speaker's own: it may be short and mostly silent, but not wholly
    returns  warnings for people about audio that is kept
    raises   BadAudioError naming what was found and what to do
    """
    duration_s = probe.duration_s or 0.0
    if duration_s == 0.0:
        raise BadAudioError(f"no sound could be decoded from the file, it is damaged or empty; {_SUPPORTED}")
    if duration_s > limits.max_duration_s:
        raise BadAudioError(
            f"the audio is longer than {limits.max_duration_s / 3600:g} h; split it, or raise INGEST_MAX_DURATION_S"
        )
    broken_off = _broken_off(probe, duration_s)
    if broken_off and (not probe.has_video or "partial file" in log):
        raise BadAudioError(f"{broken_off}; download or upload it again, whole")
    if duration_s < limits.min_duration_s and not track:
        raise BadAudioError(
            f"the audio is {duration_s:.1f} s long, a recording needs at least {limits.min_duration_s:g} s; "
            "give the whole interview"
        )
    silent = probe.peak_db is None or probe.peak_db <= SILENT_PEAK_DB
    hushed = probe.mean_db is not None and probe.mean_db <= SILENT_MEAN_DB
    if silent or (hushed and not track):
        level = "no signal" if probe.peak_db is None else f"{probe.peak_db:.0f} dB at its loudest"
        raise BadAudioError(f"the audio is silent ({level}); check that the right track was exported")
    damaged = "ffmpeg met damaged packets: parts may be missing, or the end" if "Packet corrupt" in log else ""
    return [warning for warning in (broken_off, damaged) if warning]


def _broken_off(probe: Probe, duration_s: float) -> str:
    declared_s = probe.declared_s or 0.0
    short = duration_s < min(declared_s * BROKEN_OFF_SHARE, declared_s - BROKEN_OFF_S)
    return f"the audio breaks off: the file says {declared_s:.1f} s, {duration_s:.1f} s are there" if short else ""


def media_type(probe: Probe) -> str:
    return MEDIA_TYPES.get(probe.container or "", "application/octet-stream")


def parse_tags(text: str) -> tuple[dict[str, str], list[dict[str, object]]]:
    """Tags and chapters of an ffmetadata file: `name=value` lines, backslash before = ; # \\ and line ends."""
    tags: dict[str, str] = {}
    chapters: list[dict[str, str]] = []
    into = tags
    for line in re.findall(r"(?:\\.|[^\\\n])+", text, re.S):
        if line.startswith("["):
            into = {}
            if line.strip() == "[CHAPTER]":
                chapters.append(into)
            continue
        name, equals, value = line.partition("=")
        if equals and not line.startswith(";"):
            into[name.strip().lower()] = re.sub(r"\\(.)", r"\1", value, flags=re.S)[:MAX_TEXT]
    return tags, [_chapter(fields) for fields in chapters]


def _chapter(fields: dict[str, str]) -> dict[str, object]:
    over, _, under = fields.get("timebase", "1/1").partition("/")
    unit_s = int(over) / int(under or 1)
    return {
        "title": fields.get("title", ""),
        "start_s": round(int(fields.get("start", 0)) * unit_s, 3),
        "end_s": round(int(fields.get("end", 0)) * unit_s, 3),
    }


def _level(log: str, name: str) -> float | None:
    found = re.findall(rf"{name}: (-?\d+(?:\.\d+)?|-inf) dB", log)
    return float(found[-1]) if found else None
