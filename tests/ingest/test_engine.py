"""The real engine: yt-dlp and ffmpeg in a child process, a web site and sounds of our own."""

from __future__ import annotations

import io
import os
import subprocess
import time
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from services.ingest import job
from services.ingest.engine import IngestEngine
from services.ingest.settings import Settings
from shared import keys
from shared.errors import BadInputError, JobCancelledError, SourceUnavailableError
from shared.schemas import IngestRequest, IngestResult, Recording
from shared.store import load
from tests.fakes import FakeJob, HookedFakeJob, MemoryStore
from tests.ingest.conftest import voice_wav

pytestmark = pytest.mark.real
TEXT = b"title: Bread\n\nMara Quill: Hello, Ben.\nBen Marsh: Hello.\n"

Ingest = Callable[..., IngestResult]
Site = tuple[str, Path]


@pytest.fixture
def ingest(store: MemoryStore, real_engine: IngestEngine, tmp_path: Path) -> Ingest:
    """Run one job on an upload or on a URL; each has a work folder of its own."""
    numbers = iter(range(100))

    def run(upload: bytes | None = None, *, filename: str = "talk.wav", url: str | None = None) -> IngestResult:
        job_id = f"job-{next(numbers)}"
        work_dir = tmp_path / job_id
        work_dir.mkdir()
        if upload is not None:
            store.objects["uploads/u"] = upload
            request = IngestRequest(show="lamplight", upload_key="uploads/u", filename=filename)
        else:
            request = IngestRequest(show="lamplight", url=url)
        return job.run(
            request, job=FakeJob(work_dir, job_id), store=store, downloads=tmp_path / "downloads", engine=real_engine
        )

    return run


@pytest.fixture
def ffmpeg(engine_python: str) -> str:
    say = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
    return subprocess.run([engine_python, "-c", say], capture_output=True, text=True, check=True).stdout.strip()


def encoded(ffmpeg: str, sound: bytes, *arguments: str, to: str = "pipe:1") -> bytes:
    command = [ffmpeg, "-loglevel", "error", "-i", "pipe:0", *arguments, to]
    return subprocess.run(command, input=sound, capture_output=True, check=True).stdout


def test_an_upload_and_the_same_file_by_url_are_one_recording_with_a_working_copy(
    ingest: Ingest, store: MemoryStore, site: Site, ffmpeg: str
):
    sound = voice_wav(8)
    address, folder = site
    (folder / "talk.wav").write_bytes(sound)

    first = ingest(sound)
    after_first = dict(store.objects)
    by_url, by_redirect = ingest(url=f"{address}/talk.wav?token=s3cret"), ingest(url=f"{address}/moved")

    assert (first.new, by_url.new, by_redirect.new) == (True, False, False)
    assert first.recording == by_url.recording == by_redirect.recording
    assert {key: data for key, data in store.objects.items() if "/items/" not in key} == after_first
    recording = load(store, first.key, Recording)
    assert store.get(recording.original.key) == sound
    assert recording.original.media_type == "audio/wav"
    assert recording.duration_s == pytest.approx(8, abs=0.01)
    assert recording.metadata["audio"]["rate_hz"] == 44_100
    assert recording.working is not None
    working = store.get(recording.working.key)
    assert working[:4] == b"fLaC"
    with wave.open(io.BytesIO(encoded(ffmpeg, working, "-f", "wav"))) as copy:
        assert (copy.getframerate(), copy.getnchannels(), copy.getsampwidth()) == (16_000, 1, 2)


def test_a_working_copy_that_was_collected_comes_back_bit_for_bit(ingest: Ingest, store: MemoryStore, ffmpeg: str):
    mp3 = encoded(ffmpeg, voice_wav(8), "-b:a", "64k", "-f", "mp3")
    recording = load(store, ingest(mp3).key, Recording)
    assert recording.working is not None
    flac = store.get(recording.working.key)
    store.delete(recording.working.key)

    again = ingest(mp3)

    assert store.get(recording.working.key) == flac and again.new is False


def test_a_url_gives_title_source_and_tools(ingest: Ingest, store: MemoryStore, site: Site):
    address, folder = site
    (folder / "bread_at_three.wav").write_bytes(voice_wav(6))
    (folder / "no_suffix").write_bytes(voice_wav(7))

    result = ingest(url=f"{address}/bread_at_three.wav?token=s3cret")

    recording = load(store, result.key, Recording)
    assert recording.title == "bread_at_three"
    assert recording.source == f"{address}/bread_at_three.wav?token=***"
    assert set(recording.lineage.parameters["tools"]) == {"yt_dlp", "ffmpeg"}
    assert b"s3cret" not in store.get(result.key)
    assert b"s3cret" not in store.get(ingest(url=f"{address}/no_suffix?token=s3cret").key)


def test_tags_of_an_mp3_become_the_title(ingest: Ingest, store: MemoryStore, ffmpeg: str):
    mp3 = encoded(ffmpeg, voice_wav(8), "-metadata", "title=Bread; at = three", "-f", "mp3")

    result = ingest(mp3, filename="x.mp3")

    recording = load(store, result.key, Recording)
    assert recording.title == "Bread; at = three"
    assert recording.original.media_type == "audio/mpeg"


def test_the_sound_of_a_video_is_taken(ingest: Ingest, store: MemoryStore, ffmpeg: str):
    picture = ("-f", "lavfi", "-i", "color=size=32x32:rate=5:duration=8", "-shortest")
    video = encoded(ffmpeg, voice_wav(8), *picture, "-f", "matroska")

    result = ingest(video, filename="x.mkv")

    assert load(store, result.key, Recording).duration_s == pytest.approx(8, abs=0.3)


def test_a_transcript_by_url_is_imported(ingest: Ingest, site: Site):
    address, folder = site
    (folder / "bread.txt").write_bytes(TEXT)

    assert ingest(url=f"{address}/bread.txt").has_audio is False


def test_a_transcript_named_mp3_is_imported_by_its_content(ingest: Ingest):
    assert ingest(TEXT, filename="talk.mp3").has_audio is False


# ---- bad addresses: a clear error, and nothing stays (files: test_bad_audio.py) --------------------------------------


def test_a_wav_whose_end_is_missing_is_kept_with_a_warning(ingest: Ingest, store: MemoryStore):
    recording = load(store, ingest(voice_wav(30)[:1_500_001]).key, Recording)

    assert recording.duration_s == pytest.approx(8.5, abs=0.1)
    assert "damaged packets" in recording.warnings[0]


@pytest.mark.parametrize(
    ("path", "error", "fix"),
    [
        ("/missing.mp3", BadInputError, "HTTP 404"),
        ("/page.html", BadInputError, "no audio or video was found"),
        ("/busy", SourceUnavailableError, "HTTP 503"),
        ("/to-file", BadInputError, "only http and https"),
        ("/empty.mp3", BadInputError, "0 bytes"),
    ],
)
def test_urls_without_a_recording_say_why(
    path: str, error: type[Exception], fix: str, ingest: Ingest, store: MemoryStore, site: Site
):
    before = dict(store.objects)
    address, folder = site
    (folder / "page.html").write_text("<!doctype html><title>A page</title><p>Hello")
    (folder / "empty.mp3").write_bytes(b"")

    with pytest.raises(error, match=fix):
        ingest(url=address + path)
    assert store.objects == before


def test_a_dead_address_and_an_unknown_host_say_so(ingest: Ingest):
    with pytest.raises(BadInputError, match="does not answer"):
        ingest(url="http://127.0.0.1:1/talk.mp3")
    with pytest.raises(BadInputError, match=r"nowhere\.invalid"):
        ingest(url="http://nowhere.invalid/talk.mp3")


def test_a_file_without_end_is_stopped_at_the_limit(settings: Settings, site: Site, tmp_path: Path):
    engine = IngestEngine(settings.model_copy(update={"max_bytes": 3_000_000}))
    try:
        with pytest.raises(BadInputError, match="INGEST_MAX_BYTES"):
            engine.download(f"{site[0]}/endless", tmp_path, FakeJob(tmp_path))
    finally:
        engine.stop()


def test_a_file_that_says_it_is_too_large_is_not_fetched(settings: Settings, site: Site, tmp_path: Path):
    (site[1] / "talk.wav").write_bytes(voice_wav(8))
    engine = IngestEngine(settings.model_copy(update={"max_bytes": 100_000}))
    try:
        with pytest.raises(BadInputError, match="INGEST_MAX_BYTES"):
            engine.download(f"{site[0]}/talk.wav", tmp_path, FakeJob(tmp_path))
    finally:
        engine.stop()


def test_private_addresses_are_refused_unless_allowed(settings: Settings, site: Site, tmp_path: Path):
    (site[1] / "talk.wav").write_bytes(voice_wav(8))
    engine = IngestEngine(settings.model_copy(update={"private_networks": ""}))
    port = site[0].rsplit(":", 1)[1]
    try:
        for url in (site[0], f"http://localhost:{port}", f"http://[::1]:{port}", "http://169.254.169.254/latest"):
            with pytest.raises(BadInputError, match="private network"):
                engine.download(f"{url}/talk.wav", tmp_path, FakeJob(tmp_path))
    finally:
        engine.stop()


# ---- cancel ----------------------------------------------------------------------------------------------------------


def test_a_cancel_ends_the_download_and_its_process_within_seconds(
    real_engine: IngestEngine, site: Site, tmp_path: Path
):
    pids: list[int] = []
    asked: list[float] = []

    def cancel_on_the_way(job: FakeJob, stage: str) -> None:
        if stage == "downloading" and not asked:
            pids.append(real_engine.network.pid or 0)
            asked.append(time.monotonic())
            job.cancel()

    with pytest.raises(JobCancelledError):
        real_engine.download(f"{site[0]}/endless", tmp_path, HookedFakeJob(tmp_path, at_progress=cancel_on_the_way))

    assert time.monotonic() - asked[0] < 5.0
    with pytest.raises(ProcessLookupError):
        os.killpg(pids[0], 0)


def test_progress_is_told_in_bytes_and_seconds(ingest: Ingest, real_engine: IngestEngine, site: Site, tmp_path: Path):
    (site[1] / "talk.wav").write_bytes(voice_wav(30))
    the_job = FakeJob(tmp_path)

    found = real_engine.download(f"{site[0]}/talk.wav", tmp_path, the_job)
    real_engine.convert(found.original, tmp_path, the_job)

    size = (site[1] / "talk.wav").stat().st_size
    assert ("downloading", size, size, "bytes") in the_job.events
    stage, done, total, unit = the_job.events[-1]
    assert (stage, unit) == ("converting", "s")
    assert done == pytest.approx(30, abs=0.1)
    assert total == pytest.approx(30, abs=0.1)


def test_the_engines_log_holds_no_secrets(ingest: Ingest, site: Site, settings: Settings):
    for path in ("/missing.mp3?token=s3cret", "/page.html?sig=s3cret", "/busy?token=s3cret"):
        with pytest.raises((BadInputError, SourceUnavailableError)):
            ingest(url=site[0].replace("http://", "http://ann:s3cret@") + path)

    assert "s3cret" not in (settings.log_dir / "ingest-engine-downloads.log").read_text()


def test_manifests_name_nothing_that_is_missing(ingest: Ingest, store: MemoryStore):
    result = ingest(voice_wav(6))

    recording = load(store, result.key, Recording)
    assert recording.working is not None
    assert {recording.original.key, recording.working.key} <= set(store.list("blobs/"))
    assert store.list("uploads/") == []
    assert store.list(keys.recordings("lamplight")) == [result.key]
