"""What ffmpeg is asked, what its answers mean, and which audio is refused: pure, no process is started here."""

from __future__ import annotations

import re
from pathlib import Path

from shared.errors import BadAudioError, DiaryError, EngineFailedError, NoSpaceError
from shared.schemas import Record

RATE_HZ = 16_000
SILENT_PEAK_DB = -50.0
SILENT_MEAN_DB = -70.0
BROKEN_OFF_SHARE = 0.95
BROKEN_OFF_S = 2.0
MAX_TEXT = 20_000
WORKING_BYTES_PER_S = 24_000  # speech as 16 kHz mono FLAC, well above what was measured

# Containers only: no playlists (hls, concat, dash), which would name further files to open, no text, no devices.
FORMATS = (
    "aac ac3 aiff amr amrnb amrwb ape asf au avi caf eac3 flac flv gsm iff loas matroska,webm mov,mp4,m4a,3gp,3g2,mj2 "
    "mp3 mpeg mpegts mpc mpc8 ogg opus spx tta voc w64 wav wv"
).replace(" ", ",")
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


class Converted(Record):
    """A working copy: 16 kHz mono FLAC of the first audio stream, and what was found on the way."""

    working: Path
    duration_s: float
    media_type: str
    metadata: dict[str, object]
    ffmpeg: str


def working_bytes(original_bytes: float, duration_s: float | None = None) -> float:
    """Estimated size of a working copy; while the duration is unknown, not more than the original."""
    return WORKING_BYTES_PER_S * duration_s if duration_s else original_bytes


def command(ffmpeg: str, original: Path, working: Path, tags: Path, limits: Limits) -> list[str]:
    """One run that writes the working copy, the tags, and the level of the audio into the log.

    It decodes a little more than the longest allowed, so that what is longer shows.
    """
    filters = f"aresample={RATE_HZ},aformat=sample_fmts=s16:channel_layouts=mono,volumedetect"
    return [
        ffmpeg,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "repeat+info", "-y"),
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS, "-i", f"file:{original}"),
        *("-map", "0:a:0", "-t", f"{limits.max_duration_s + 1:.3f}", "-af", filters, "-map_metadata", "-1"),
        *("-fflags", "+bitexact", "-flags:a", "+bitexact", "-c:a", "flac", "-f", "flac", "-progress", "pipe:1"),
        f"file:{working}",
        *("-f", "ffmetadata", f"file:{tags}"),
    ]


def parse_log(log: str) -> Probe:
    """Read ffmpeg's log: the input's container and streams, then what volumedetect measured of the output."""
    container = re.search(r"^Input #0, ([\w,]+), from ", log, re.M)
    source = log[container.start() :].split("Stream mapping:")[0] if container else ""
    audio = re.search(r"Stream #0:\d+.*?: Audio: (\w+).*?, (\d+) Hz, ([^,\n]+)", source)
    declared = re.search(r"Duration: (\d+):(\d\d):(\d\d\.\d+)", source)
    estimated = "Estimating duration from bitrate" in log
    samples = re.findall(r"n_samples: (\d+)", log)
    return Probe(
        container=container.group(1).split(",")[0] if container else None,
        codec=audio.group(1) if audio else None,
        rate_hz=int(audio.group(2)) if audio else None,
        channels=audio.group(3).strip() if audio else None,
        declared_s=None if estimated or not declared else seconds(*declared.groups()),
        has_video=any("attached pic" not in line for line in re.findall(r"Stream #0:.*: Video: .*", source)),
        duration_s=int(samples[-1]) / RATE_HZ if samples else None,
        mean_db=_level(log, "mean_volume"),
        peak_db=_level(log, "max_volume"),
    )


def seconds(hours: str, minutes: str, secs: str) -> float:
    return int(hours) * 3600 + int(minutes) * 60 + float(secs)


def declared_duration_s(log_line: str) -> float | None:
    """The input's length if this line of the log tells it: the total of the progress."""
    found = re.match(r"\s*Duration: (\d+):(\d\d):(\d\d\.\d+)", log_line)
    return seconds(*found.groups()) if found else None


def done_s(progress_line: str) -> float | None:
    """Seconds converted so far, from a line of `-progress`."""
    found = re.match(r"out_time_us=(\d+)", progress_line)
    return int(found.group(1)) / 1e6 if found else None


def failure(log: str, code: int) -> DiaryError:
    """Why ffmpeg ended with an error, as something a person can act on."""
    if "No space left on device" in log:
        return NoSpaceError("the work folder's disk is full; free some space and run the job again")
    if code < 0:
        return EngineFailedError(f"ffmpeg was killed by signal {-code}; the job is tried again")
    if "matches no streams" in log or "does not contain any stream" in log:
        return BadAudioError(f"the file has no audio stream; {_SUPPORTED} with sound")
    if "moov atom not found" in log:
        return BadAudioError("the file breaks off before its index (mp4 without moov); upload it again, whole")
    return BadAudioError(f"the file is not audio that ffmpeg can read; {_SUPPORTED}")


def judge(probe: Probe, log: str, limits: Limits) -> list[str]:
    """Refuse audio that no transcript can come from.

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
    if duration_s < limits.min_duration_s:
        raise BadAudioError(
            f"the audio is {duration_s:.1f} s long, a recording needs at least {limits.min_duration_s:g} s; "
            "give the whole interview"
        )
    silent = probe.peak_db is None or probe.peak_db <= SILENT_PEAK_DB
    if silent or (probe.mean_db is not None and probe.mean_db <= SILENT_MEAN_DB):
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
