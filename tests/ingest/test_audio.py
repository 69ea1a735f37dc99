import re

import pytest

from services.ingest import audio
from services.ingest.audio import Limits, Probe
from shared.errors import BadAudioError, EngineFailedError, EngineRefusedError, NoSpaceError

LIMITS = Limits(max_bytes=10**9, max_duration_s=3600, min_duration_s=5, ffmpeg_limit_s=60)
GOOD = Probe(container="mp3", duration_s=30, declared_s=30.02, mean_db=-21.5, peak_db=-3)
LOG = """Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/w/upload':
  Metadata:
    title           : n_samples: 7
  Duration: 01:00:30.50, start: 0.025057, bitrate: 64 kb/s
  Stream #0:0[0x1](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, stereo, fltp, 64 kb/s (default)
  Stream #0:1[0x0]: Video: mjpeg, yuvj420p, 300x300 (attached pic)
[Parsed_volumedetect_2 @ 0x1] n_samples: 0
Stream mapping:
  Stream #0:0 -> #0:0 (mp3 (mp3float) -> flac (native))
[Parsed_volumedetect_2 @ 0x2] n_samples: 480000
[Parsed_volumedetect_2 @ 0x2] mean_volume: -21.5 dB
[Parsed_volumedetect_2 @ 0x2] max_volume: -18.4 dB
"""


def test_the_log_of_ffmpeg_tells_container_codec_length_and_level():
    assert audio.parse_log(LOG) == Probe(
        container="mov",
        codec="aac",
        rate_hz=44_100,
        channels="stereo",
        declared_s=3630.5,
        has_video=False,
        duration_s=30.0,
        mean_db=-21.5,
        peak_db=-18.4,
    )


def test_a_cover_is_no_video_and_an_estimated_length_is_no_promise():
    probe = audio.parse_log(LOG.replace(" (attached pic)", "") + "Estimating duration from bitrate, may be inaccurate")

    assert probe.has_video
    assert probe.declared_s is None


def test_what_starts_late_is_as_long_as_it_sounds_though_matroska_counts_from_zero():
    log = LOG.replace("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm").replace("start: 0.025057", "start: 30.5")

    assert audio.parse_log(log).declared_s == 3600.0


def test_good_audio_is_kept_without_a_warning():
    assert audio.judge(GOOD, "", LIMITS) == []


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ({"duration_s": 0}, "no sound could be decoded"),
        ({"duration_s": None}, "no sound could be decoded"),
        ({"duration_s": 2.04, "declared_s": 2.04}, "2.0 s long, a recording needs at least 5 s"),
        ({"duration_s": 3601}, "longer than 1 h"),
        ({"duration_s": 12.46}, "the file says 30.0 s, 12.5 s are there; download or upload it again"),
        ({"peak_db": -91.0, "mean_db": -91.0}, "silent .-91 dB"),
        ({"peak_db": None, "mean_db": None}, "silent .no signal"),
    ],
)
def test_audio_that_cannot_be_a_recording_names_what_was_found(change: dict[str, float | None], fix: str):
    with pytest.raises(BadAudioError, match=fix):
        audio.judge(GOOD.model_copy(update=change), "", LIMITS)


def test_a_video_whose_sound_ends_early_is_kept_with_a_warning_unless_the_file_is_cut():
    video = GOOD.model_copy(update={"duration_s": 12.0, "has_video": True})

    assert "12.0 s are there" in audio.judge(video, "", LIMITS)[0]
    with pytest.raises(BadAudioError, match="breaks off"):
        audio.judge(video, "stream 0, offset 0x123: partial file", LIMITS)


@pytest.mark.parametrize(
    ("log", "code", "error", "fix"),
    [
        ("Invalid data found when processing input", 183, BadAudioError, "not audio that ffmpeg can read"),
        ("Stream map '0:a:0' matches no streams.", 234, BadAudioError, "no audio stream"),
        ("moov atom not found", 183, BadAudioError, "again, whole"),
        ("write: No space left on device", 228, NoSpaceError, "free some space"),
        ("", -9, EngineFailedError, "signal 9"),
        ("Unknown encoder 'libmp3lame'", 8, EngineRefusedError, "leave INGEST_FFMPEG empty"),
        ("Exiting normally, received signal 24.", 255, BadAudioError, "more than 60 s.*INGEST_FFMPEG_LIMIT_S"),
        ("", -24, BadAudioError, "more than 60 s.*INGEST_FFMPEG_LIMIT_S"),
        ("", -25, BadAudioError, "unpacks to far more"),
        ("Error: Cannot allocate memory", 244, BadAudioError, "more than 4096 MB.*INGEST_FFMPEG_MEMORY_MB"),
    ],
)
def test_ffmpegs_failures_are_explained(log: str, code: int, error: type[Exception], fix: str):
    found = audio.failure(log, code, LIMITS)

    assert type(found) is error
    assert re.search(fix, str(found))


@pytest.mark.parametrize(
    ("head", "fix"),
    [
        (b"PK\x03\x04...", "an archive or office document, no audio; unpack it"),
        (b"\x89PNG\r\n", "a picture, no audio"),
        (b"#EXTM3U\n", "a playlist, no audio; add the recordings that it names"),
        (b"%PDF-1.7", "a PDF document"),
        (b"other", "not audio that ffmpeg can read; give an audio or video file"),
    ],
)
def test_what_is_no_audio_is_called_what_it_is(head: bytes, fix: str):
    assert fix in str(audio.failure("Invalid data found when processing input", 183, LIMITS, head))


@pytest.mark.parametrize("change", [{"mean_db": -75.0, "peak_db": -20.0}, {"duration_s": 2.0, "declared_s": 2.0}])
def test_a_speakers_own_track_may_be_short_or_mostly_silent(change: dict[str, float]):
    quiet = GOOD.model_copy(update=change)

    assert audio.judge(quiet, "", LIMITS, track=True) == []
    with pytest.raises(BadAudioError):
        audio.judge(quiet, "", LIMITS)


@pytest.mark.parametrize(
    ("change", "fix"),
    [({"peak_db": -60.0}, "silent"), ({"duration_s": 0.0}, "no sound"), ({"duration_s": 9.0}, "breaks off")],
)
def test_a_track_without_any_sound_or_cut_off_is_refused_all_the_same(change: dict[str, float], fix: str):
    with pytest.raises(BadAudioError, match=fix):
        audio.judge(GOOD.model_copy(update=change), "", LIMITS, track=True)


def test_tags_and_chapters_are_read_with_their_escapes():
    tags, chapters = audio.parse_tags(
        ";FFMETADATA1\ntitle=A \\= talk\\; \\#1\ncomment=two\\\nlines \\\\\nartist=x\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=Trailer\n[STREAM]\ntitle=no\n"
    )

    assert tags == {"title": "A = talk; #1", "comment": "two\nlines \\", "artist": "x"}
    assert chapters == [{"title": "Trailer", "start_s": 0.0, "end_s": 1.5}]


def test_a_header_tells_the_length_of_its_input():
    assert audio.declared_duration_s("  Duration: 00:00:30.00, start: 0.0") == 30.0
    assert audio.declared_duration_s("  Duration: N/A, start: 0.0") is None


@pytest.mark.parametrize(
    ("line", "edge"),
    [
        ("[Parsed_silencedetect_4 @ 0x55d0] silence_start: 12.3\n", ("start", 12.3)),
        ("[silencedetect @ 0x7f] silence_end: 14.5 | silence_duration: 2.2", ("end", 14.5)),
        ("[silencedetect @ 0x7f] silence_start: -0.01", ("start", -0.01)),
        ("    title : [silencedetect @ 0x7f] silence_start: 3", None),
        ("[silencedetect @ 0x7f] silence_start: soon", None),
    ],
)
def test_lines_of_the_log_tell_where_silences_are(line: str, edge: tuple[str, float] | None):
    assert audio.silence_edge(line) == edge


def test_silences_lie_within_the_audio_and_the_last_may_have_no_end():
    edges = [("end", 0.5), ("start", -0.02), ("end", 2.0), ("start", 5.0), ("end", 7.25), ("start", 9.0)]

    assert [(one.start_s, one.end_s) for one in audio.silences(edges, 10.5)] == [(0.0, 2.0), (5.0, 7.25), (9.0, 10.5)]
    assert audio.silences([], 10.5) == ()


def test_room_is_wanted_for_all_copies():
    assert audio.working_bytes(10.0) == 10.0
    assert audio.working_bytes(10.0, 3600) == 3600 * 32_000
