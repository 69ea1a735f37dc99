"""What ffmpeg is asked, word for word: pure. Each run decodes an input once and makes everything of it on the way.

The working copy must stay what it was, bit for bit: recordings of earlier versions name it by its content.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.ingest.audio import Limits, TrackFile
from shared.working_copy import FILTER, opened

WEB_RATE_HZ = 44_100
WEB_RATES = (16_000, 22_050, 24_000, 32_000, WEB_RATE_HZ)  # the nearest to the source's is taken
SILENCE_DB, SILENCE_S = -45, 1.5
MIX_CEILING = 0.95  # of full scale: where two speak at once, the mix is held below it instead of clipped

_TO_WORKING = f"{FILTER},volumedetect"
_FIND_SILENCE = f"silencedetect=noise={SILENCE_DB}dB:duration={SILENCE_S}"
_TO_MIX = f"aresample={WEB_RATE_HZ},aformat=sample_fmts=fltp:channel_layouts=mono"
_LIMIT = f"alimiter=limit={MIX_CEILING}:attack=5:release=50:level=false:latency=1"
_PLAIN = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact")


def convert(ffmpeg: str, original: Path, working: Path, web: Path, tags: Path, limits: Limits) -> list[str]:
    """Working copy, web rendition and tags into files, samples to stdout, level and silences into the log."""
    rates = "|".join(map(str, WEB_RATES))
    return [
        *_start(ffmpeg),
        *opened(original),
        *("-filter_complex", f"[0:a:0]{_TO_WORKING},asplit[working][heard];[heard]{_FIND_SILENCE}[samples]"),
        *_working_and_samples(working, limits),
        *("-map", "0:a:0", "-af", f"aformat=channel_layouts=mono:sample_rates={rates}"),
        *_web(web, limits),
        *("-f", "ffmetadata", f"file:{tags}"),
    ]


def convert_track(ffmpeg: str, original: Path, working: Path, tags: Path, limits: Limits) -> list[str]:
    """The same of one speaker's own file, which nobody plays alone."""
    return [
        *_start(ffmpeg),
        *opened(original),
        *("-filter_complex", f"[0:a:0]{_TO_WORKING},asplit[working][heard];[heard]{_FIND_SILENCE}[samples]"),
        *_working_and_samples(working, limits),
        *("-f", "ffmetadata", f"file:{tags}"),
    ]


def mix(ffmpeg: str, tracks: Sequence[TrackFile], working: Path, web: Path, limits: Limits) -> list[str]:
    """All tracks together, each from its offset on: summed as they are, only peaks above full scale are held down."""
    delayed = [
        f"[{number}:a:0]{_TO_MIX},adelay=delays={round(track.offset_s * WEB_RATE_HZ)}S:all=1[track{number}]"
        for number, track in enumerate(tracks)
    ]
    labels = "".join(f"[track{number}]" for number in range(len(tracks)))
    mixed = f"{labels}amix=inputs={len(tracks)}:duration=longest:normalize=0:dropout_transition=0,{_LIMIT},asplit"
    graph = [
        *delayed,
        f"{mixed}[web][all]",
        f"[all]{_TO_WORKING},asplit[working][heard]",
        f"[heard]{_FIND_SILENCE}[samples]",
    ]
    return [
        *_start(ffmpeg),
        *(argument for track in tracks for argument in opened(track.original)),
        *("-filter_complex", ";".join(graph)),
        *_working_and_samples(working, limits),
        *("-map", "[web]"),
        *_web(web, limits),
    ]


def _start(ffmpeg: str) -> list[str]:
    threads = ("-filter_threads", "1", "-filter_complex_threads", "1")  # many cores would only cost memory
    return [ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "repeat+info", "-y", *threads]


def _longest(limits: Limits) -> list[str]:
    """A little more than the longest allowed, so that what is longer shows."""
    return ["-t", f"{limits.max_duration_s + 1:.3f}"]


def _working_and_samples(working: Path, limits: Limits) -> list[str]:
    """The samples come many at a time (unflushed): reading one packet after another would cost more than the peaks."""
    return [
        *("-map", "[working]", *_longest(limits), *_PLAIN, "-c:a", "flac", "-f", "flac", f"file:{working}"),
        *("-map", "[samples]", *_longest(limits), "-c:a", "pcm_s16le", "-flush_packets", "0", "-f", "s16le", "pipe:1"),
    ]


def _web(web: Path, limits: Limits) -> list[str]:
    """Constant bit rate with a table of its length: a browser finds any second of it by one range request."""
    encoder = ("-c:a", "libmp3lame", "-b:a", "64k", "-write_xing", "1", "-id3v2_version", "0", "-write_id3v1", "0")
    return [*_longest(limits), *_PLAIN, *encoder, "-f", "mp3", f"file:{web}"]
