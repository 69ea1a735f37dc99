"""What the real engine makes of sounds: copies, waveform, silences, several tracks as one."""

from __future__ import annotations

import io
import math
import re
import subprocess
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from services.ingest import peaks
from services.ingest.audio import Converted, TrackFile
from services.ingest.engine import IngestEngine
from services.ingest.settings import Settings
from shared.errors import BadAudioError, EngineRefusedError, JobCancelledError
from shared.working_copy import FORMATS, RATE_HZ
from tests.fakes import FakeJob, HookedFakeJob
from tests.ingest.conftest import voice_wav

pytestmark = pytest.mark.real

Make = Callable[..., Path]


@pytest.fixture
def make(ffmpeg: str, tmp_path: Path) -> Make:
    """Write a sound in a form: `make("talk.mp3", wav, "-b:a", "64k")`."""

    def make(name: str, sound: bytes, *arguments: str) -> Path:
        path = tmp_path / name
        command = [ffmpeg, "-loglevel", "error", "-y", "-i", "pipe:0", *arguments, str(path)]
        subprocess.run(command, input=sound, check=True)
        return path

    return make


@pytest.fixture
def convert(real_engine: IngestEngine, tmp_path: Path) -> Callable[[Path], Converted]:
    folder = tmp_path / "made"
    folder.mkdir()
    return lambda original: real_engine.convert(original, folder, FakeJob(folder))


def wav(*parts: NDArray[np.float64], rate_hz: int = 44_100) -> bytes:
    """Mono sound from parts between -1 and 1."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes((np.concatenate(parts) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def tone(seconds: float, hz: float = 440.0, level: float = 0.5, rate_hz: int = 44_100) -> NDArray[np.float64]:
    return level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)


def quiet(seconds: float) -> NDArray[np.float64]:
    return np.zeros(int(seconds * 44_100))


def decoded(ffmpeg: str, path: Path, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    command = [ffmpeg, "-loglevel", "error", "-i", str(path), "-ac", "1", "-ar", str(rate_hz), "-f", "s16le", "pipe:1"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<i2") / 32768


def told(ffmpeg: str, path: Path) -> str:
    return subprocess.run([ffmpeg, "-i", str(path)], capture_output=True, text=True, check=False).stderr


# ---- one file --------------------------------------------------------------------------------------------------------


def as_before(ffmpeg: str, original: Path, working: Path, seconds: str) -> None:
    """The whole command of version 0.1.0: what it made is named by recordings that exist."""
    filters = "aresample=16000,aformat=sample_fmts=s16:channel_layouts=mono,volumedetect"
    command = [
        *(ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "repeat+info", "-y"),
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS, "-i", f"file:{original}"),
        *("-map", "0:a:0", "-t", seconds, "-af", filters, "-map_metadata", "-1"),
        *("-fflags", "+bitexact", "-flags:a", "+bitexact", "-c:a", "flac", "-f", "flac", "-progress", "pipe:1"),
        f"file:{working}",
    ]
    subprocess.run(command, capture_output=True, check=True)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.mp3", ("-b:a", "64k", "-metadata", "title=A talk")),
        ("a.wav", ("-ar", "8000", "-ac", "1")),
        ("a.flac", ("-ar", "96000", "-sample_fmt", "s32")),
        ("a.webm", ("-c:a", "libopus")),
        ("a.mkv", ("-output_ts_offset", "2.5", "-c:a", "aac")),
        ("a.mp4", ("-f", "lavfi", "-i", "color=size=32x32:rate=5:duration=8", "-shortest")),
        ("a.ogg", ("-ar", "16000", "-ac", "1")),
    ],
)
def test_the_working_copy_is_what_version_0_1_0_made_bit_for_bit(
    name: str, arguments: tuple[str, ...], make: Make, convert: Callable[[Path], Converted], ffmpeg: str, tmp_path: Path
):
    original = make(name, voice_wav(8), *arguments)

    converted = convert(original)

    as_before(ffmpeg, original, tmp_path / "before.flac", "28801.000")
    assert converted.working.read_bytes() == (tmp_path / "before.flac").read_bytes()


def test_the_web_rendition_is_64_kbit_mono_with_a_table_of_its_length_and_no_words(
    make: Make, convert: Callable[[Path], Converted], ffmpeg: str
):
    converted = convert(make("a.mp3", voice_wav(30), "-ar", "48000", "-metadata", "title=Secret", "-b:a", "192k"))

    data, said = converted.web.read_bytes(), told(ffmpeg, converted.web)
    assert re.search(r"Audio: mp3 .*, 44100 Hz, mono, .*, 64 kb/s", said) and "00:00:30" in said
    assert data[:2] == b"\xff\xfb" and b"Info" in data[:200]  # the first frame is the table of a constant bit rate
    assert b"Secret" not in data and b"TAG" not in data[-128:] and b"ID3" not in data[:3]
    assert len(data) == pytest.approx(30 * 8_000, rel=0.02)


@pytest.mark.parametrize(
    ("source_hz", "web_hz"), [(8_000, 16_000), (22_050, 22_050), (32_000, 32_000), (96_000, 44_100)]
)
def test_the_web_rendition_is_no_finer_than_the_source(
    source_hz: int, web_hz: int, make: Make, convert: Callable[[Path], Converted], ffmpeg: str
):
    converted = convert(make("a.wav", voice_wav(6), "-ar", str(source_hz)))

    assert f"{web_hz} Hz, mono" in told(ffmpeg, converted.web)


def test_web_rendition_and_working_copy_say_the_same_at_the_same_time(
    make: Make, convert: Callable[[Path], Converted], ffmpeg: str
):
    converted = convert(make("a.wav", wav(tone(3), quiet(2), tone(3, 880))))

    working, web = decoded(ffmpeg, converted.working), decoded(ffmpeg, converted.web)
    assert len(web) == pytest.approx(len(working), abs=RATE_HZ // 10)
    for sound in (working, web):
        loud = np.flatnonzero(np.abs(sound) > 0.1) / RATE_HZ
        assert loud[0] == pytest.approx(0, abs=0.01) and loud[-1] == pytest.approx(8, abs=0.05)
        assert not ((loud > 3.02) & (loud < 4.98)).any()


def test_the_waveform_follows_the_level_twenty_times_a_second(make: Make, convert: Callable[[Path], Converted]):
    converted = convert(make("a.wav", wav(tone(3), quiet(2), tone(3.33, level=0.25))))

    found = peaks.read(converted.peaks.read_bytes())
    assert len(found.highs) == math.ceil(converted.duration_s * 20) == math.ceil(8.33 * 20)
    assert found.highs[5:55].max() == pytest.approx(64, abs=2) and found.lows[5:55].min() == pytest.approx(-64, abs=2)
    assert not found.highs[62:98].any() and not found.lows[62:98].any()
    assert found.highs[105:160].max() == pytest.approx(32, abs=2)


def test_silences_from_a_second_and_a_half_on_are_told(make: Make, convert: Callable[[Path], Converted]):
    converted = convert(
        make("a.mp3", wav(quiet(2), tone(3), quiet(1), tone(2), quiet(2.5), tone(1), quiet(3)), "-b:a", "128k")
    )

    times = [(silence.start_s, silence.end_s) for silence in converted.silences]
    assert np.allclose(times, [(0, 2), (8, 10.5), (11.5, 14.5)], atol=0.1)


def test_tags_of_any_size_are_kept_in_part(make: Make, convert: Callable[[Path], Converted], tmp_path: Path):
    tags = tmp_path / "tags"
    tags.write_text(f";FFMETADATA1\ntitle=A talk\ncomment={'x' * 6_000_000}\n")

    converted = convert(make("a.mp3", voice_wav(6), "-i", str(tags), "-map", "0", "-map_metadata", "1"))

    assert converted.metadata["tags"]["title"] == "A talk"
    assert len(converted.metadata["tags"].get("comment", "")) <= 20_000
    assert converted.metadata["audio"]["codec"] == "mp3"


def test_hundreds_of_chapters_hide_nothing_of_the_file(
    make: Make, convert: Callable[[Path], Converted], tmp_path: Path
):
    tags = tmp_path / "tags"
    chapter = "[CHAPTER]\nTIMEBASE=1/1000\nSTART={0}\nEND={1}\ntitle=Part {0}\n"
    tags.write_text(";FFMETADATA1\n" + "".join(chapter.format(at, at + 10) for at in range(0, 6_000, 10)))

    converted = convert(make("a.m4a", voice_wav(6), "-i", str(tags), "-map", "0", "-map_chapters", "1"))

    assert len(converted.metadata["chapters"]) == 600
    assert converted.metadata["audio"]["codec"] == "aac" and converted.metadata["audio"]["rate_hz"] == 44_100


# ---- limits ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bounded_engine(settings: Settings, request: pytest.FixtureRequest) -> Callable[..., IngestEngine]:
    def engine(**changes: object) -> IngestEngine:
        engine = IngestEngine(settings.model_copy(update=changes))
        request.addfinalizer(engine.stop)
        return engine

    return engine


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({"ffmpeg_limit_s": 0.3}, r"more than 0\.3 s.*INGEST_FFMPEG_LIMIT_S"),
        ({"ffmpeg_memory_mb": 200}, r"more than 200 MB.*INGEST_FFMPEG_MEMORY_MB"),
        ({"max_duration_s": 60.0}, "longer than .* h; split it, or raise INGEST_MAX_DURATION_S"),
    ],
)
def test_each_limit_is_named_when_it_is_met(
    changes: dict[str, float], fix: str, bounded_engine: Callable[..., IngestEngine], make: Make, tmp_path: Path
):
    original = make("long.flac", voice_wav(5), "-filter_complex", "aloop=loop=200:size=220500")

    with pytest.raises(BadAudioError, match=fix):
        bounded_engine(**changes).convert(original, tmp_path, FakeJob(tmp_path))


def test_an_ffmpeg_without_an_mp3_encoder_is_named(
    bounded_engine: Callable[..., IngestEngine], ffmpeg: str, make: Make, tmp_path: Path
):
    poor = tmp_path / "ffmpeg"
    poor.write_text(f'#!/bin/bash\nexec "{ffmpeg}" "${{@/libmp3lame/libnothing}}"\n')
    poor.chmod(0o755)

    with pytest.raises(EngineRefusedError, match=r"libmp3lame.*leave INGEST_FFMPEG empty"):
        bounded_engine(ffmpeg=str(poor)).convert(make("a.wav", voice_wav(6)), tmp_path, FakeJob(tmp_path))


def test_a_cancel_ends_ffmpeg_too(bounded_engine: Callable[..., IngestEngine], make: Make, tmp_path: Path):
    original = make("long.flac", voice_wav(5), "-filter_complex", "aloop=loop=400:size=220500")
    running: list[psutil.Process] = []
    asked: list[float] = []

    def cancel_on_the_way(job: FakeJob, stage: str) -> None:
        if stage == "converting" and not running:
            running.extend(child for child in psutil.Process().children(recursive=True) if "ffmpeg" in child.name())
            asked.append(time.monotonic())
            job.cancel()

    with pytest.raises(JobCancelledError):
        bounded_engine().convert(original, tmp_path, HookedFakeJob(tmp_path, at_progress=cancel_on_the_way))

    assert running and time.monotonic() - asked[0] < 10
    assert not [process for process in running if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


# ---- one file per speaker --------------------------------------------------------------------------------------------


def test_tracks_become_one_recording_each_from_its_own_offset(
    real_engine: IngestEngine, make: Make, ffmpeg: str, tmp_path: Path
):
    host = make("host.wav", wav(tone(4), quiet(4), tone(2)), "-ar", "48000", "-ac", "2")
    guest = make("guest.mp3", wav(tone(3, 880)), "-b:a", "96k")
    tracks = [TrackFile(original=host), TrackFile(original=guest, offset_s=4.5)]
    the_job = FakeJob(tmp_path)

    mixed = real_engine.mix(tracks, tmp_path, the_job)

    assert mixed.duration_s == pytest.approx(10, abs=0.05)
    assert [track.duration_s for track in mixed.tracks] == pytest.approx([10, 3], abs=0.06)
    assert [track.media_type for track in mixed.tracks] == ["audio/wav", "audio/mpeg"]
    for copy in (mixed.working, mixed.web):
        sound = decoded(ffmpeg, copy)
        loud = np.flatnonzero(np.abs(sound) > 0.05) / RATE_HZ
        assert not ((loud > 4.06) & (loud < 4.44)).any() and not ((loud > 7.6) & (loud < 7.94)).any()
        assert loudest_hz(sound, 1, 3) == pytest.approx(440, abs=2)
        assert loudest_hz(sound, 5, 7) == pytest.approx(880, abs=2)
        assert np.abs(sound[RATE_HZ : 3 * RATE_HZ]).max() == pytest.approx(0.5, abs=0.06)
    assert len(peaks.read(mixed.peaks.read_bytes()).highs) == math.ceil(mixed.duration_s * 20)
    alone = decoded(ffmpeg, mixed.tracks[1].working)
    assert np.abs(alone[: RATE_HZ // 4]).max() > 0.3  # from its own start on
    stages = list(dict.fromkeys(stage for stage, *_ in the_job.events if "ing t" in stage))
    assert stages[-3:] == ["converting track 1", "converting track 2", "mixing the tracks"]
    assert the_job.events[-1][2] == pytest.approx(10, abs=0.1)


def loudest_hz(sound: NDArray[np.float64], start_s: float, end_s: float) -> float:
    part = sound[int(start_s * RATE_HZ) : int(end_s * RATE_HZ)]
    return float(np.argmax(np.abs(np.fft.rfft(part))) * RATE_HZ / len(part))


def test_speakers_at_once_are_held_below_full_scale_and_nobody_is_made_quieter(
    real_engine: IngestEngine, make: Make, ffmpeg: str, tmp_path: Path
):
    loud = [make(f"{hz}.wav", wav(tone(3, hz, 0.9), quiet(3))) for hz in (300, 437, 611)]
    alone = make("alone.wav", wav(quiet(4), tone(2, 440, 0.9)))

    mixed = real_engine.mix([TrackFile(original=path) for path in (*loud, alone)], tmp_path, FakeJob(tmp_path))

    sound = decoded(ffmpeg, mixed.working)
    assert np.abs(sound).max() < 0.99
    assert np.abs(sound[4 * RATE_HZ + 4000 :]).max() == pytest.approx(0.9, abs=0.03)


def test_a_guest_who_says_little_is_kept_and_silences_are_those_that_all_share(
    real_engine: IngestEngine, make: Make, tmp_path: Path
):
    host = make("host.wav", wav(tone(20), quiet(4), tone(20)))
    guest = make("guest.wav", wav(quiet(41), tone(0.2, 880), quiet(3)))

    mixed = real_engine.mix([TrackFile(original=host), TrackFile(original=guest)], tmp_path, FakeJob(tmp_path))

    assert [(round(one.start_s), round(one.end_s)) for one in mixed.silences] == [(20, 24)]
    assert [(round(one.start_s), round(one.end_s)) for one in mixed.tracks[1].silences] == [(0, 41), (41, 44)]


@pytest.mark.parametrize(
    ("second", "fix"),
    [
        (wav(quiet(10)), "track 2: the audio is silent"),
        (b"", "track 2: the file is empty"),
        (b"\x00\x01no audio" * 99, "track 2: the file is not audio"),
    ],
    ids=["silent", "empty", "noise"],
)
def test_a_bad_track_is_named_by_its_number(second: bytes, fix: str, real_engine: IngestEngine, tmp_path: Path):
    tracks = [tmp_path / "1", tmp_path / "2"]
    for path, content in zip(tracks, (wav(tone(10)), second), strict=True):
        path.write_bytes(content)

    with pytest.raises(BadAudioError, match=fix):
        real_engine.mix([TrackFile(original=path) for path in tracks], tmp_path, FakeJob(tmp_path))


def test_a_track_that_starts_too_late_makes_the_whole_too_long(
    bounded_engine: Callable[..., IngestEngine], make: Make, tmp_path: Path
):
    original = make("a.wav", wav(tone(10)))
    tracks = [TrackFile(original=original), TrackFile(original=original, offset_s=70)]

    with pytest.raises(BadAudioError, match="INGEST_MAX_DURATION_S"):
        bounded_engine(max_duration_s=60.0).mix(tracks, tmp_path, FakeJob(tmp_path))
