"""Runs of programs that misbehave: this Python plays ffmpeg."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
import time

import pytest

from services.ingest import audio, bounded
from services.ingest.audio import Limits
from services.ingest.bounded import Done, Log
from shared.errors import BadAudioError, EngineFailedError

LIMITS = Limits(max_bytes=10**9, max_duration_s=60, min_duration_s=5, ffmpeg_limit_s=20, ffmpeg_memory_mb=512)

# Put before a script: it waits for its bounds. That of files is set after that of memory.
BOUND = "import resource\nwhile resource.getrlimit(resource.RLIMIT_FSIZE)[0] == -1: time.sleep(0.01)\n"


def run(script: str, limits: Limits = LIMITS) -> tuple[Done, bytes, list[float]]:
    heard, lengths = bytearray(), list[float]()
    command = [sys.executable, "-c", f"import os, sys, time\n{script}"]
    done = bounded.run(command, limits, heard.extend, lengths.append)
    return done, bytes(heard), lengths


def test_samples_log_silences_and_code_come_back():
    done, heard, lengths = run(
        "os.write(1, b'a' * 200_000)\n"
        "print('  Duration: 00:00:30.00, start: 0', file=sys.stderr)\n"
        "print('[silencedetect @ 0x1] silence_start: 3.5', file=sys.stderr)\n"
        "sys.exit(3)"
    )

    assert heard == b"a" * 200_000 and lengths == [30.0]
    assert (done.code, done.edges, done.bounded) == (3, [("start", 3.5)], True)
    assert done.log == "  Duration: 00:00:30.00, start: 0\n"


def test_what_takes_too_long_is_ended():
    began = time.monotonic()

    with pytest.raises(BadAudioError, match=r"more than 0\.5 s.*INGEST_FFMPEG_LIMIT_S"):
        run("time.sleep(60)", LIMITS.model_copy(update={"ffmpeg_limit_s": 0.5}))
    assert time.monotonic() - began < 5


def test_what_burns_too_much_cpu_is_ended():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        bounded.bind(busy.pid, LIMITS.model_copy(update={"ffmpeg_limit_s": 1.0}))
        code = busy.wait(timeout=100)
    finally:
        busy.kill()
    assert "INGEST_FFMPEG_LIMIT_S" in str(audio.failure("", code, LIMITS))


def test_what_takes_too_much_memory_fails_inside_its_bound():
    done, *_ = run(BOUND + "try: bytearray(2_000_000_000)\nexcept MemoryError: sys.exit('Cannot allocate memory')")

    assert "INGEST_FFMPEG_MEMORY_MB" in str(audio.failure(done.log, done.code, LIMITS))


def test_what_writes_too_much_is_ended(tmp_path):
    done, *_ = run(
        f"{BOUND}import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
        f"file = open({str(tmp_path / 'bomb')!r}, 'wb')\nwhile True: file.write(bytes(1_000_000))"
    )

    assert "unpacks to far more" in str(audio.failure(done.log, done.code, LIMITS))
    assert (tmp_path / "bomb").stat().st_size <= bounded.file_bytes(LIMITS)


def test_a_process_is_bound_from_outside():
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert bounded.bind(sleeper.pid, LIMITS)
        assert resource.prlimit(sleeper.pid, resource.RLIMIT_AS) == (512 * 1024**2,) * 2
        assert resource.prlimit(sleeper.pid, resource.RLIMIT_CPU)[0] == 20
        assert resource.prlimit(sleeper.pid, resource.RLIMIT_CORE) == (0, 0)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert bounded.bind(sleeper.pid, LIMITS)  # one that has ended needs no bounds


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(EngineFailedError, match="INGEST_FFMPEG"):
        bounded.run(["/nowhere/ffmpeg"], LIMITS, lambda data: None, lambda duration: None)


def test_a_failure_while_hearing_ends_the_run():
    def choke(data: bytes) -> None:
        raise ValueError("choked")

    began = time.monotonic()
    with pytest.raises(ValueError, match="choked"):
        bounded.run([sys.executable, "-c", "print('x', flush=True); input()"], LIMITS, choke, lambda duration: None)
    assert time.monotonic() - began < 5


# ---- the log ---------------------------------------------------------------------------------------------------------


def read(text: str) -> tuple[Log, list[float]]:
    lengths = list[float]()
    log = Log(lengths.append)
    log.read(io.StringIO(text))
    return log, lengths


def test_the_files_own_words_are_neither_kept_nor_believed():
    log, lengths = read(
        "Input #0, mp3, from 'x':\n  Metadata:\n    title           : a secret\n"
        "                    : [silencedetect @ 0x1] silence_start: 5\n"
        "    Chapter #0:0: start 0.0, end 5.0\n  Duration: 00:01:00.00\n"
    )

    assert "secret" not in log.text and log.edges == []
    assert lengths == [60.0] and "Input #0" in log.text


def test_a_log_without_end_is_held_in_part():
    log, _ = read("first\n" + "word\n" * 100_000 + "last\n")

    assert len(log.text) < 10_000 and log.text.startswith("first") and log.text.endswith("last\n")


def test_a_line_without_end_is_cut_and_its_rest_is_no_line():
    tail = "[silencedetect @ 0x1] silence_start: 5\n"
    log, _ = read("x" * (3 * bounded.LINE_CHARS) + tail + "next\n")

    assert log.edges == [] and log.text == "x" * bounded.LINE_CHARS + "\nnext\n"


def test_thousands_of_silences_are_all_found():
    line = "[silencedetect @ 0x1] silence_start: {0}\n[silencedetect @ 0x1] silence_end: {0}.5 | silence_duration: 0\n"
    log, _ = read("".join(line.format(at) for at in range(5_000)))

    assert len(log.edges) == 10_000 and log.text == ""
