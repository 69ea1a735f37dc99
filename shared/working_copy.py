"""How a working copy is made: 16 kHz mono FLAC, all that is ever listened to. What ffmpeg is asked, word for word."""

from __future__ import annotations

from pathlib import Path

RATE_HZ = 16_000
FILTER = f"aresample={RATE_HZ},aformat=sample_fmts=s16:channel_layouts=mono"

# Containers only: no playlists (hls, concat, dash), which would name further files to open, no text, no devices.
FORMATS = (
    "aac ac3 aiff amr amrnb amrwb ape asf au avi caf eac3 flac flv gsm iff loas matroska,webm mov,mp4,m4a,3gp,3g2,mj2 "
    "mp3 mpeg mpegts mpc mpc8 ogg opus spx tta voc w64 wav wv"
).replace(" ", ",")


def opened(original: Path) -> list[str]:
    """Arguments that open a file, and nothing that it may name."""
    return ["-threads", "1", "-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS, "-i", f"file:{original}"]


def command(ffmpeg: str, original: Path, working: Path) -> list[str]:
    """The working copy alone; its samples are those that ingest stores."""
    return [
        *(ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-y"),
        *opened(original),
        *("-map", "0:a:0", "-af", FILTER, "-c:a", "flac", "-f", "flac", f"file:{working}"),
    ]
