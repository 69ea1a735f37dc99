import hashlib
from pathlib import Path

import pytest

from services.ingest import job
from services.ingest.metadata import Downloaded
from shared import keys
from shared.engines import Watch
from shared.errors import (
    BadAudioError,
    BadInputError,
    ConflictError,
    JobCancelledError,
    NoSpaceError,
    NotFoundError,
    StoreUnavailableError,
)
from shared.schemas import HostMethod, IngestRequest, Recording, Role, Tombstone, Transcript
from shared.store import load
from tests.fakes import DyingStore, FakeJob, HugeStore, MemoryStore, ScriptedIngestEngine

AUDIO = b"ID3\x00\x01not really audio"
TEXT = b"title: Bread\n\nMara Quill: Hello, Ben.\nBen Marsh: Hello.\n# sponsor\nMara Quill: Buy socks.\n"
UPLOAD = IngestRequest(show="lamplight", upload_key="uploads/u1", filename="my_talk.mp3")


def uploaded(store: MemoryStore, data: bytes) -> MemoryStore:
    store.objects["uploads/u1"] = data
    return store


def folder(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.mkdir()
    return path


def recording_id(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def test_an_upload_becomes_a_recording_with_its_original_bit_for_bit(store: MemoryStore, tmp_path: Path):
    uploaded(store, AUDIO)

    result = job.run(
        UPLOAD, job=FakeJob(tmp_path), store=store, downloads=tmp_path / "downloads", engine=ScriptedIngestEngine()
    )

    assert result.model_dump() == {
        "recording": recording_id(AUDIO),
        "key": keys.recording("lamplight", recording_id(AUDIO)),
        "new": True,
        "has_audio": True,
    }
    recording = load(store, result.key, Recording)
    assert store.get(recording.original.key) == AUDIO
    assert recording.working is not None
    assert store.get(recording.working.key) == b"flac of " + AUDIO
    assert (recording.title, recording.duration_s, recording.source) == (
        "A title from the tags",
        12.5,
        "upload:my_talk.mp3",
    )
    assert (recording.lineage.by, recording.lineage.job, recording.lineage.actor) == ("ingest", "job-1", "tester")
    assert recording.lineage.parameters == {"tools": {"ffmpeg": "9.0"}}
    assert not store.exists("uploads/u1")


def test_a_url_becomes_a_recording_without_the_secrets_of_the_url(store: MemoryStore, tmp_path: Path):
    url = "https://ann:pw@pod.example/talk?token=abc"
    engine = ScriptedIngestEngine(pages={url: AUDIO})

    result = job.run(
        IngestRequest(show="lamplight", url=url),
        job=FakeJob(tmp_path),
        store=store,
        downloads=tmp_path / "downloads",
        engine=engine,
    )

    recording = load(store, result.key, Recording)
    assert recording.source == "https://***@pod.example/talk?token=***"
    assert recording.title == "A title from the site"
    assert recording.metadata["uploader"] == "Lamplight"
    assert recording.lineage.parameters == {"tools": {"yt_dlp": "2026.10", "ffmpeg": "9.0"}}
    assert b"abc" not in store.get(result.key)


def test_the_title_and_guest_that_a_person_gave_win(store: MemoryStore, tmp_path: Path):
    uploaded(store, AUDIO)
    request = UPLOAD.model_copy(update={"title": "Mine", "guest": "Ben Marsh"})

    result = job.run(
        request, job=FakeJob(tmp_path), store=store, downloads=tmp_path / "downloads", engine=ScriptedIngestEngine()
    )

    recording = load(store, result.key, Recording)
    assert (recording.title, recording.guest) == ("Mine", "Ben Marsh")


def test_the_same_content_twice_is_the_same_recording_and_nothing_is_rewritten(store: MemoryStore, tmp_path: Path):
    engine = ScriptedIngestEngine(pages={"https://pod.example/talk": AUDIO})
    first = job.run(
        UPLOAD,
        job=FakeJob(folder(tmp_path, "a"), "job-1"),
        store=uploaded(store, AUDIO),
        downloads=tmp_path / "downloads",
        engine=engine,
    )
    before = dict(store.objects)

    request = IngestRequest(show="lamplight", url="https://pod.example/talk")
    second = job.run(
        request,
        job=FakeJob(folder(tmp_path, "b"), "job-2"),
        store=store,
        downloads=tmp_path / "downloads",
        engine=engine,
    )

    assert (first.new, second.new) == (True, False)
    assert first.recording == second.recording
    assert {key: data for key, data in store.objects.items() if "/items/" not in key} == before
    assert engine.calls == ["convert", "download"]


@pytest.mark.parametrize("data", [AUDIO, TEXT], ids=["audio", "transcript"])
def test_a_job_killed_at_any_write_finds_what_is_there_and_ends_the_same(
    data: bytes, store: MemoryStore, tmp_path: Path
):
    whole = uploaded(MemoryStore(store.objects), data)
    expected = job.run(
        UPLOAD,
        job=FakeJob(folder(tmp_path, "whole")),
        store=whole,
        downloads=tmp_path / "downloads",
        engine=ScriptedIngestEngine(),
    )
    for death in range(9):
        dying = DyingStore(uploaded(store, data).objects)
        dying.changes_left = death
        the_job = FakeJob(folder(tmp_path, f"death-{death}"))
        try:
            job.run(UPLOAD, job=the_job, store=dying, downloads=tmp_path / "downloads", engine=ScriptedIngestEngine())
        except KeyboardInterrupt:
            dying.changes_left = 99
            again = job.run(
                UPLOAD, job=the_job, store=dying, downloads=tmp_path / "downloads", engine=ScriptedIngestEngine()
            )
            assert again == expected
        assert sorted(dying.objects) == sorted(whole.objects)


def test_what_a_collection_or_a_text_export_left_away_comes_back_with_the_same_file(store: MemoryStore, tmp_path: Path):
    first = job.run(
        UPLOAD,
        job=FakeJob(tmp_path),
        store=uploaded(store, AUDIO),
        downloads=tmp_path / "downloads",
        engine=ScriptedIngestEngine(),
    )
    whole = dict(store.objects)
    recording = load(store, first.key, Recording)
    assert recording.working is not None
    store.delete(recording.working.key)
    store.delete(recording.original.key)

    again = job.run(
        UPLOAD,
        job=FakeJob(tmp_path, "job-2"),
        store=uploaded(store, AUDIO),
        downloads=tmp_path / "downloads",
        engine=ScriptedIngestEngine(),
    )

    assert store.objects == whole and again.new is False


def test_another_ffmpeg_that_makes_another_working_copy_is_named(store: MemoryStore, tmp_path: Path):
    first = job.run(
        UPLOAD,
        job=FakeJob(tmp_path),
        store=uploaded(store, AUDIO),
        downloads=tmp_path / "downloads",
        engine=ScriptedIngestEngine(),
    )
    recording = load(store, first.key, Recording)
    assert recording.working is not None
    other = recording.working.model_copy(update={"sha256": "0" * 64, "key": keys.blob("0" * 64)})
    store.objects[first.key] = recording.model_copy(update={"working": other}).model_dump_json().encode()
    before = sorted(store.objects)

    with pytest.raises(ConflictError, match=r"this ffmpeg.*diary shows import"):
        job.run(
            UPLOAD,
            job=FakeJob(tmp_path, "2"),
            store=uploaded(store, AUDIO),
            downloads=tmp_path / "downloads",
            engine=ScriptedIngestEngine(),
        )
    assert sorted(store.objects) == before


def test_an_upload_that_the_work_folder_has_no_room_for_is_not_fetched(store: MemoryStore, tmp_path: Path):
    huge = uploaded(HugeStore(store.objects), AUDIO)

    with pytest.raises(NoSpaceError, match=r"no room for the upload and its working copy.*INGEST_WORK_DIR"):
        job.run(
            UPLOAD, job=FakeJob(tmp_path), store=huge, downloads=tmp_path / "downloads", engine=ScriptedIngestEngine()
        )
    assert list(tmp_path.iterdir()) == [] and huge.exists("uploads/u1")


def test_refused_audio_leaves_nothing_behind(store: MemoryStore, tmp_path: Path):
    before = dict(store.objects)
    engine = ScriptedIngestEngine(fails=BadAudioError("the audio is silent"))

    with pytest.raises(BadAudioError):
        job.run(
            UPLOAD, job=FakeJob(tmp_path), store=uploaded(store, AUDIO), downloads=tmp_path / "downloads", engine=engine
        )
    assert store.objects == before


def test_an_empty_file_is_refused_before_anything_is_asked_of_the_engine(store: MemoryStore, tmp_path: Path):
    engine = ScriptedIngestEngine()

    with pytest.raises(BadAudioError, match="0 bytes"):
        job.run(
            UPLOAD, job=FakeJob(tmp_path), store=uploaded(store, b""), downloads=tmp_path / "downloads", engine=engine
        )
    assert engine.calls == []


def test_an_ai_episode_is_no_recording(store: MemoryStore, tmp_path: Path):
    """What a model wrote must never be learnt from; its export says what it is."""
    before = dict(store.objects)
    mark = 'digital_source_type: "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"'
    text = f"WEBVTT\n\nNOTE\n{mark}\n\n00:00.000 --> 00:02.000\n<v Mara Quill>Hello.\n"

    with pytest.raises(BadInputError, match=r"this is an AI episode.*add interviews that people have held"):
        job.run(
            UPLOAD, job=FakeJob(tmp_path), store=uploaded(store, text.encode()), downloads=tmp_path / "downloads",
            engine=ScriptedIngestEngine(),
        )  # fmt: skip
    assert {key for key in store.objects if not key.startswith("uploads/")} == set(before)


def test_text_that_is_no_transcript_is_refused_with_the_form_it_needs(store: MemoryStore, tmp_path: Path):
    before = dict(store.objects)

    with pytest.raises(BadInputError, match=r"neither audio nor a transcript.*Mara Quill: Hello"):
        job.run(
            UPLOAD,
            job=FakeJob(tmp_path),
            store=uploaded(store, b"dear diary"),
            downloads=tmp_path / "downloads",
            engine=ScriptedIngestEngine(),
        )
    assert store.objects == before


def test_an_unknown_show_says_how_to_make_one(store: MemoryStore, tmp_path: Path):
    request = UPLOAD.model_copy(update={"show": "nobody"})

    with pytest.raises(NotFoundError, match=r"no show 'nobody'.*diary shows create"):
        job.run(
            request,
            job=FakeJob(tmp_path),
            store=uploaded(store, AUDIO),
            downloads=tmp_path / "downloads",
            engine=ScriptedIngestEngine(),
        )


@pytest.mark.parametrize(
    "request_",
    [
        IngestRequest(show="lamplight"),
        IngestRequest(show="lamplight", upload_key="uploads/a", url="https://pod.example"),
        IngestRequest(show="lamplight", upload_key="shows/lamplight/show.json"),
        IngestRequest(show="lamplight", upload_key="uploads/../shows/lamplight/show.json"),
    ],
)
def test_exactly_one_source_and_only_uploads_are_taken(request_: IngestRequest, store: MemoryStore, tmp_path: Path):
    before = dict(store.objects)

    with pytest.raises(BadInputError):
        job.run(
            request_,
            job=FakeJob(tmp_path),
            store=store,
            downloads=tmp_path / "downloads",
            engine=ScriptedIngestEngine(),
        )
    assert store.objects == before


def test_a_passing_failure_keeps_the_upload_for_the_next_try(store: MemoryStore, tmp_path: Path):
    engine = ScriptedIngestEngine(fails=StoreUnavailableError("away"))

    with pytest.raises(StoreUnavailableError):
        job.run(
            UPLOAD, job=FakeJob(tmp_path), store=uploaded(store, AUDIO), downloads=tmp_path / "downloads", engine=engine
        )
    assert store.exists("uploads/u1")


def test_a_cancelled_job_leaves_nothing_not_even_its_upload(store: MemoryStore, tmp_path: Path):
    before = dict(uploaded(store, AUDIO).objects)
    the_job = FakeJob(tmp_path)
    the_job.cancel()

    with pytest.raises(JobCancelledError):
        job.run(UPLOAD, job=the_job, store=store, downloads=tmp_path / "downloads", engine=ScriptedIngestEngine())
    assert store.objects.keys() == before.keys() - {UPLOAD.upload_key}


# ---- published transcripts -----------------------------------------------------------------------------------------


def test_a_published_transcript_is_a_recording_without_audio_ready_for_a_dataset(store: MemoryStore, tmp_path: Path):
    engine = ScriptedIngestEngine()

    result = job.run(
        UPLOAD, job=FakeJob(tmp_path), store=uploaded(store, TEXT), downloads=tmp_path / "downloads", engine=engine
    )

    assert (result.new, result.has_audio) == (True, False)
    assert engine.calls == []
    recording = load(store, result.key, Recording)
    assert (recording.title, recording.guest, recording.working) == ("Bread", "Ben Marsh", None)
    assert store.get(recording.original.key) == TEXT
    revision = store.get(keys.transcript_head("lamplight", result.recording)).decode()
    transcript = load(store, keys.transcript("lamplight", result.recording, revision), Transcript)
    assert transcript.id == revision
    assert (transcript.kind, transcript.host_method, transcript.guest) == ("import", HostMethod.NAMED, "Ben Marsh")
    assert [(turn.speaker, turn.role, turn.text) for turn in transcript.turns] == [
        ("S1", Role.HOST, "Hello, Ben."),
        ("S2", Role.GUEST, "Hello."),
    ]
    assert [(speaker.label, speaker.name) for speaker in transcript.speakers] == [
        ("S1", "Mara Quill"),
        ("S2", "Ben Marsh"),
    ]
    assert transcript.engines == {"times": "estimated"}
    assert transcript.warnings == ("2 words in 1 turn marked sponsor were left out",)
    assert transcript.lineage.made_from[0].key == recording.original.key


def test_a_transcript_without_the_hosts_name_is_unknown_with_the_names_found(store: MemoryStore, tmp_path: Path):
    text = b"WEBVTT\n\n00:00.000 --> 00:01.000\n<v Ann>Hello.\n\n00:01.000 --> 00:02.000\n<v Bob>Hello."

    result = job.run(
        UPLOAD,
        job=FakeJob(tmp_path),
        store=uploaded(store, text),
        downloads=tmp_path / "downloads",
        engine=ScriptedIngestEngine(),
    )

    transcript = load(store, store.list(keys.transcripts("lamplight", result.recording))[1], Transcript)
    assert transcript.host_method is HostMethod.UNKNOWN
    assert "Ann, Bob" in transcript.warnings[0]
    assert transcript.engines == {"times": "published"}
    assert load(store, result.key, Recording).original.media_type == "text/vtt"


def test_a_second_import_does_not_undo_a_correction(store: MemoryStore, tmp_path: Path):
    first = job.run(
        UPLOAD,
        job=FakeJob(folder(tmp_path, "a"), "1"),
        store=uploaded(store, TEXT),
        downloads=tmp_path / "downloads",
        engine=ScriptedIngestEngine(),
    )
    head = keys.transcript_head("lamplight", first.recording)
    store.objects[head] = b"corrected"

    second = job.run(
        UPLOAD,
        job=FakeJob(folder(tmp_path, "b"), "2"),
        store=uploaded(store, TEXT),
        downloads=tmp_path / "downloads",
        engine=ScriptedIngestEngine(),
    )

    assert second.new is False
    assert store.get(head) == b"corrected"


def test_what_was_erased_comes_back_only_when_asked_and_whole(store: MemoryStore, tmp_path: Path):
    tombstone = keys.tombstone("lamplight", recording_id(AUDIO))
    store.objects[tombstone] = Tombstone(recording=recording_id(AUDIO), by="tester").model_dump_json().encode()

    def add(name: str, engine: ScriptedIngestEngine, **wishes: bool) -> None:
        request = UPLOAD.model_copy(update=wishes)
        the_job = FakeJob(folder(tmp_path, name), name)
        job.run(request, job=the_job, store=uploaded(store, AUDIO), downloads=tmp_path / "d", engine=engine)

    with pytest.raises(ConflictError, match="--again"):
        add("a", ScriptedIngestEngine())
    with pytest.raises(BadAudioError):
        add("b", ScriptedIngestEngine(fails=BadAudioError("silent")), again=True)
    assert store.exists(tombstone), "nothing came back"
    add("c", ScriptedIngestEngine(), again=True)

    assert not store.exists(tombstone)
    assert store.exists(keys.recording("lamplight", recording_id(AUDIO)))


def test_a_video_that_a_site_sends_with_other_bytes_is_the_recording_that_it_was(store: MemoryStore, tmp_path: Path):
    class Site(ScriptedIngestEngine):
        def download(self, url: str, folder: Path, job: Watch) -> Downloaded:
            found = super().download(url, folder, job)
            return found.model_copy(update={"metadata": {**found.metadata, "site": "Youtube", "site_id": "v1"}})

    request = IngestRequest(show="lamplight", url="https://video.example/v1")
    results = []
    for number, data in enumerate((AUDIO, AUDIO + b" encoded anew")):
        engine = Site(pages={"https://video.example/v1": data})
        the_job = FakeJob(folder(tmp_path, f"{number}"), f"job-{number}")
        results.append(job.run(request, job=the_job, store=store, downloads=tmp_path / "d", engine=engine))

    assert [(result.recording, result.new) for result in results] == [
        (recording_id(AUDIO), True),
        (recording_id(AUDIO), False),
    ]
    assert len(store.list(keys.recordings("lamplight"))) == 1
