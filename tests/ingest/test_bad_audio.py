"""Files that are no recording, or mean harm: each is refused in its own words, and the store is as it was before."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from services.ingest import job
from services.ingest.engine import IngestEngine
from services.ingest.settings import Settings
from shared.errors import BadInputError
from shared.schemas import IngestRequest, IngestResult, Recording, UploadedTrack
from shared.store import load
from tests.fakes import FakeJob, MemoryStore
from tests.ingest.conftest import voice_wav
from tests.ingest.test_engine import encoded

pytestmark = pytest.mark.real
MAX_S = 900.0

Content = bytes | Callable[[str, Path], bytes]


@pytest.fixture(scope="module")
def strict_engine(settings: Settings) -> Iterator[IngestEngine]:
    engine = IngestEngine(settings.model_copy(update={"max_duration_s": MAX_S, "max_bytes": 20_000_000}))
    yield engine
    engine.stop()


@pytest.fixture
def ingest(store: MemoryStore, strict_engine: IngestEngine, tmp_path: Path) -> Callable[..., IngestResult]:
    def run(content: bytes, filename: str = "talk.mp3") -> IngestResult:
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        store.objects["uploads/u"] = content
        request = IngestRequest(show="lamplight", upload_key="uploads/u", filename=filename)
        return job.run(request, job=FakeJob(work), store=store, engine=strict_engine, downloads=tmp_path / "downloads")

    return run


# ---- what comes ------------------------------------------------------------------------------------------------------


def half(form: str, *arguments: str) -> Callable[[str, Path], bytes]:
    """The first half of a whole file of 40 s."""

    def make(ffmpeg: str, folder: Path) -> bytes:
        whole = folder / f"whole.{form}"
        encoded(ffmpeg, voice_wav(40), *arguments, "-f", form, to=str(whole))
        data = whole.read_bytes()
        return data[: len(data) // 2]

    return make


def video_without_sound(ffmpeg: str, folder: Path) -> bytes:
    picture = ("-f", "lavfi", "-i", "color=size=32x32:rate=5:duration=8", "-map", "1:v")
    return encoded(ffmpeg, voice_wav(8), *picture, "-f", "matroska")


def flac_bomb(ffmpeg: str, folder: Path) -> bytes:
    """Two hours of nothing, in a few hundred kilobytes."""
    bomb = folder / "bomb.flac"
    endless = ("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-map", "1:a", "-t", "7200", "-compression_level", "0")
    encoded(ffmpeg, voice_wav(1), *endless, "-f", "flac", to=str(bomb))
    return bomb.read_bytes()


def cover_alone(ffmpeg: str, folder: Path) -> bytes:
    """An mp3 that is an ID3 tag with a picture, and no sound behind it."""
    picture = b"image/png\x00\x03\x00" + b"\x89PNG\r\n\x1a\n" + bytes(5_000)
    frame = b"APIC" + struct.pack(">I", len(picture) + 1) + b"\x00\x00\x00" + picture
    size = len(frame)
    synchsafe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + synchsafe + frame


def wav_header(channels: int, rate_hz: int, data_bytes: int, bits: int = 16) -> bytes:
    frame = min(channels * bits // 8, 65_535)
    fmt = struct.pack("<HHIIHH", 1, channels, rate_hz, min(rate_hz * frame, 2**32 - 1), frame, bits)
    riff = struct.pack("<I", min(data_bytes + 36, 2**32 - 1))
    return b"RIFF" + riff + b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", data_bytes)


def marked(*tags: str, form: str = "mp3") -> Callable[[str, Path], bytes]:
    """A sound that says of itself that a model made it."""
    named = [part for tag in tags for part in ("-metadata", tag)]

    def make(ffmpeg: str, folder: Path) -> bytes:
        whole = folder / f"marked.{form}"
        encoded(ffmpeg, voice_wav(8), *named, "-f", form, to=str(whole))
        return whole.read_bytes()

    return make


def zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("talk.mp3", bytes(20_000_000))
    return file.getvalue()


NOISE = np.random.default_rng(1).bytes(20_000)
M3U8 = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile 'file:/etc/hostname'\n"
NO_TEXT = b"\x00\xff\xfe"  # what makes a text no text to us, and leaves it to ffmpeg

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

BAD: dict[str, tuple[Content, str]] = {
    "empty": (b"", r"0 bytes.*again"),
    "mp3 cut off": (half("mp3"), r"says 40\.0 s.*download or upload it again, whole"),
    "flac cut off": (half("flac"), r"says 40\.0 s.*download or upload it again, whole"),
    "mp4 without its index": (half("mp4", "-c:a", "aac"), r"mp4 without moov.*upload it again, whole"),
    "video without sound": (video_without_sound, r"no audio stream; give an audio or video file.*with sound"),
    "a cover and no sound": (cover_alone, r"not audio|no sound|no audio stream"),
    "a list of files for concat": (CONCAT, r"neither audio nor a transcript"),
    "the same, no longer text": (CONCAT + NO_TEXT, r"a playlist, no audio; add the recordings"),
    "a concat: address": (b"concat:/etc/hostname|/etc/passwd", r"neither audio nor a transcript"),
    "a playlist of local files": (M3U8, r"neither audio nor a transcript"),
    "the same playlist, no longer text": (M3U8 + NO_TEXT, r"a playlist, no audio; add the recordings"),
    "65535 channels, 4 GB": (wav_header(65_535, 44_100, 2**32 - 1) + NOISE, r"not audio|no sound|breaks off"),
    "no samples a second": (wav_header(1, 0, 20_000) + NOISE, r"not audio|no sound"),
    "a header alone": (voice_wav(8)[:44], r"no sound could be decoded|not audio"),
    "two hours of nothing": (flac_bomb, r"longer than 0\.25 h; split it, or raise INGEST_MAX_DURATION_S"),
    "a zip bomb": (zip_bomb(), r"an archive .*, no audio; unpack it"),
    "larger than allowed": (wav_header(2, 44_100, 21_000_000) + bytes(21_000_000), r"larger than 19 MiB.*INGEST_MAX_"),
    "a letter": (b"Dear diary, this is no audio.", r"neither audio nor a transcript"),
    "a page": (b"<!doctype html><title>404</title><p>Not found", r"neither audio nor a transcript"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), r"a picture, no audio; add the audio file"),
    "noise": (NOISE, r"not audio that ffmpeg can read"),
    "silence": (voice_wav(8, level=0.0), r"silent.*check that the right track was exported"),
    "an AI episode": (marked(f"digital_source_type={AI}"), r"this is an AI episode.*interviews that people have held"),
    "the same as mp4": (marked(f"comment=Generated by AI. {AI}", form="mp4"), r"this is an AI episode, as its mark"),
    "two seconds": (voice_wav(2), r"2\.0 s long, a recording needs at least 5 s; give the whole interview"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_audio_names_the_fix_and_leaves_nothing(
    name: str, ingest: Callable[..., IngestResult], store: MemoryStore, ffmpeg: str, tmp_path: Path
):
    content, fix = BAD[name]
    data = content if isinstance(content, bytes) else content(ffmpeg, tmp_path)
    before = dict(store.objects)

    with pytest.raises(BadInputError, match=fix) as refused:
        ingest(data)

    assert store.objects == before
    assert "/etc/" not in str(refused.value) and str(tmp_path) not in str(refused.value)


def test_a_bad_track_takes_the_good_ones_with_it(store: MemoryStore, strict_engine: IngestEngine, tmp_path: Path):
    before = dict(store.objects)
    contents = {"uploads/a": voice_wav(8), "uploads/b": voice_wav(8, level=0.0)}
    store.objects.update(contents)
    tracks = tuple(UploadedTrack(upload_key=key, speaker=key[-1]) for key in contents)
    request = IngestRequest(show="lamplight", tracks=tracks)

    with pytest.raises(BadInputError, match=r"track 2: the audio is silent"):
        job.run(request, job=FakeJob(tmp_path), store=store, engine=strict_engine, downloads=tmp_path / "d")

    assert store.objects == before


@pytest.mark.parametrize(
    "filename",
    [
        "../../../etc/passwd",
        "/etc/passwd.mp3",
        "..\\..\\windows\\talk.wav",
        "-i concat:a|b.mp3",
        "$(touch pwned); `touch pwned`.mp3",
        "%(title)s %s.mp3",
        "two\nlines\r\n\x1b[31m.mp3",
        "nul\x00.mp3",
        "\u202egnp.mp3",
        "." * 300,
        "x" * 300,
        "",
    ],
)
def test_a_hostile_name_becomes_a_harmless_title(
    filename: str, ingest: Callable[..., IngestResult], store: MemoryStore, tmp_path: Path
):
    result = ingest(voice_wav(6), filename)

    title = load(store, result.key, Recording).title
    assert title and "/" not in title and "\\" not in title and title.isprintable() | ("\u202e" in title)
    assert {path.name for path in tmp_path.iterdir()} <= {"work", "downloads"}
    assert not list(Path.cwd().glob("pwned*"))
