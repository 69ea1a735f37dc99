"""A transcript file that a person brings becomes a revision of its recording, or is refused and leaves nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from services.transcription import importing as story
from services.transcription.revisions import offer as offered
from services.transcription.revisions import result
from shared import keys
from shared.corrections import ImportTranscriptRequest
from shared.errors import BadInputError, NotFoundError
from shared.schemas import HostMethod, Role, Speaker, Transcript, TranscriptResult, TranscriptState, Turn, Word
from shared.store import Store, create_manifest, load, point
from tests.fakes import DyingStore, FakeJob, MemoryStore
from tests.transcription.conftest import add_recording, lineage

KEY = "uploads/u1"
VTT = """WEBVTT

NOTE title: One

00:00:01.000 --> 00:00:03.000
<v Kenna Gray>Welcome &amp; hello.

00:00:03.500 --> 00:00:05.000
<v Lisa>I fly &lt;planes&gt;.
"""
SRT = "1\n00:00:01,000 --> 00:00:03,000\nKenna Gray: Welcome.\n\n2\n00:00:03,500 --> 00:00:05,000\nLisa: I fly.\n"
WHISPERX = json.dumps(
    {
        "language": "en",
        "segments": [
            {
                "start": 1.0,
                "end": 4.0,
                "text": " In 1984 we flew. Yes.",
                "words": [
                    {"word": "In", "start": 1.0, "end": 1.2, "score": 0.9, "speaker": "Kenna Gray"},
                    {"word": "1984"},
                    {"word": "we", "start": 2.0, "end": 2.1, "score": 0.8, "speaker": "Kenna Gray"},
                    {"word": "flew.", "start": 2.2, "end": 2.5, "score": 0.7, "speaker": "Kenna Gray"},
                    {"word": "Yes.", "start": 3.0, "end": 3.2, "score": 0.6, "speaker": "Lisa"},
                ],
            },
            {"start": 4.0, "end": 5.0, "text": " Really."},
        ],
    }
)


def ours(**changes) -> str:
    words = (Word(text="Welcome.", start_s=1, end_s=2, score=0.9),)
    transcript = Transcript(
        id="elsewhere",
        recording="other",
        show="else",
        kind="correction",
        parent="before",
        speakers=(Speaker(label="S1", role=Role.HOST, name="Kenna"), Speaker(label="S2", role=Role.OTHER)),
        host_method=HostMethod.SET,
        turns=(
            Turn(id="t1", speaker="S1", role=Role.HOST, start_s=1, end_s=2, text="Welcome.", words=words),
            Turn(id="t4", speaker="S2", role=Role.OTHER, start_s=3, end_s=4, text="Hm.", needs_review=True, doubt=0.5),
        ),
        state=TranscriptState.APPROVED,
        judged_by="bob",
        lineage=lineage(),
    )
    return transcript.model_copy(update=changes).model_dump_json()


def bring(
    store: MemoryStore, job: FakeJob, text: str | bytes, filename: str = "one.vtt", offer=None
) -> TranscriptResult:
    store.objects[KEY] = text.encode() if isinstance(text, str) else text
    request = ImportTranscriptRequest(show="demo", recording="rec1", upload_key=KEY, filename=filename)
    return story.run(request, job=job, store=store, offer=offer or offered)


def revision(store: MemoryStore, found: TranscriptResult) -> Transcript:
    return load(store, found.key, Transcript)


@pytest.mark.parametrize(("text", "said"), [(VTT, "I fly <planes>."), (SRT, "I fly.")], ids=["vtt", "srt"])
def test_subtitles_become_turns_with_roles_by_name(store: MemoryStore, job: FakeJob, text: str, said: str):
    found = bring(store, job, text)

    transcript = revision(store, found)
    assert store.get(keys.transcript_head("demo", "rec1")).decode() == transcript.id
    assert (transcript.kind, transcript.host_method, transcript.parent) == ("import", HostMethod.NAMED, None)
    assert [(one.name, one.role) for one in transcript.speakers] == [
        ("Kenna Gray", Role.HOST),
        ("Lisa", Role.GUEST),
    ]
    assert [(turn.id, turn.start_s, turn.end_s) for turn in transcript.turns] == [("t1", 1.0, 3.0), ("t2", 3.5, 5.0)]
    assert transcript.turns[1].text == said
    assert transcript.change and transcript.change.summary == "imported from one.vtt"
    assert KEY not in store.objects, "the upload is taken over"


def test_words_of_whisperx_without_times_or_speaker_stay(store: MemoryStore, job: FakeJob):
    transcript = revision(store, bring(store, job, WHISPERX, "one.json"))

    assert [(turn.speaker, turn.text) for turn in transcript.turns] == [
        ("S1", "In 1984 we flew."),
        ("S2", "Yes. Really."),
    ]
    assert [(word.start_s, word.end_s) for word in transcript.turns[0].words][1] == (1.2, 2.0)
    assert [word.score for turn in transcript.turns for word in turn.words] == [0.9, None, 0.8, 0.7, 0.6, None]


def test_voices_that_have_no_names_are_asked_about(store: MemoryStore, job: FakeJob):
    text = WHISPERX.replace("Kenna Gray", "SPEAKER_00").replace("Lisa", "SPEAKER_01")

    transcript = revision(store, bring(store, job, text))

    assert [(one.label, one.name, one.role) for one in transcript.speakers] == [
        ("S1", None, Role.UNKNOWN),
        ("S2", None, Role.UNKNOWN),
    ]
    assert transcript.host_method is HostMethod.UNKNOWN
    assert any("diary transcripts host" in warning for warning in transcript.warnings)


def test_our_own_json_keeps_words_roles_and_review_but_nobodys_approval(store: MemoryStore, job: FakeJob):
    transcript = revision(store, bring(store, job, ours(), "one.json"))

    original = Transcript.model_validate_json(ours())
    assert (transcript.turns, transcript.speakers) == (original.turns, original.speakers)
    assert (transcript.show, transcript.recording, transcript.kind, transcript.parent) == (
        "demo",
        "rec1",
        "import",
        None,
    )
    assert (transcript.state, transcript.judged_by) == (TranscriptState.MACHINE, None)
    assert transcript.host_method is HostMethod.NAMED


def test_a_revision_that_people_worked_on_stays_current_and_the_import_is_there_to_compare(store, job):
    create_manifest(store, keys.transcript("demo", "rec1", "edited"), Transcript.model_validate_json(ours(id="edited")))
    point(store, keys.transcript_head("demo", "rec1"), b"edited")

    def stays(store: Store, transcript: Transcript) -> TranscriptResult:
        return result(transcript).model_copy(update={"current": False})

    found = bring(store, job, VTT, offer=stays)

    assert not found.current and store.exists(found.key)
    assert store.get(keys.transcript_head("demo", "rec1")) == b"edited"


def test_a_transcript_that_is_longer_than_its_recording_is_a_warning(store: MemoryStore, job: FakeJob):
    key = keys.recording("demo", "rec1")
    store.objects[key] = store.objects[key].replace(b'"duration_s":null', b'"duration_s":2.0')
    far = VTT.replace("00:00:05", "00:59:05")

    assert any("is it of this recording?" in warning for warning in revision(store, bring(store, job, far)).warnings)


@pytest.mark.parametrize(
    ("content", "fix"),
    [
        (b"\xff\xd8\xff\xe0 a picture", "WebVTT"),
        ("just a letter", "WebVTT"),
        ('{"segments": [{"text": 5, "start": "x", "end": 1}]}', "whisperX"),
        ('{"turns": 1, "host_method": 2}', "valid Transcript"),
        (ours(turns=()), "no turns"),
        (ours(speakers=()), "S1, S2"),
        (ours(schema_version=99), "newer version"),
        ("WEBVTT\n\n00:05.000 --> 00:02.000\n<v A>x", "line 3"),
        ("Kenna Gray: Hello\nLisa: Hi", "does not say when"),
        ("", "WebVTT"),
    ],
)
def test_what_is_no_transcript_is_refused_with_the_fix_and_leaves_nothing(store, job, content: str | bytes, fix: str):
    before = dict(store.objects)

    with pytest.raises(BadInputError, match=fix):
        bring(store, job, content)

    assert store.objects == before


def test_text_without_times_is_enough_where_there_is_no_audio(store: MemoryStore, job: FakeJob):
    add_recording(store, audio=None, recording_id="rec2")
    store.objects[KEY] = b"Kenna Gray: Hello\nLisa: Hi"
    request = ImportTranscriptRequest(show="demo", recording="rec2", upload_key=KEY)

    found = story.run(request, job=job, store=store, offer=offered)

    assert revision(store, found).engines == {"times": "estimated"}


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"recording": "nowhere"}, NotFoundError), ({"upload_key": "shows/demo/show.json"}, BadInputError)],
)
def test_what_it_is_for_has_to_be_there(store: MemoryStore, job: FakeJob, changes: dict[str, str], error):
    store.objects[KEY] = VTT.encode()
    request = ImportTranscriptRequest(show="demo", recording="rec1", upload_key=KEY).model_copy(update=changes)

    with pytest.raises(error):
        story.run(request, job=job, store=store, offer=offered)

    assert store.exists(keys.show("demo"))


@pytest.mark.parametrize("changes_left", range(4))
def test_a_repeat_after_a_kill_finds_what_is_there(store: MemoryStore, tmp_path: Path, changes_left: int):
    dying = DyingStore(store.objects)
    dying.objects[KEY] = VTT.encode()
    dying.changes_left = changes_left
    request = ImportTranscriptRequest(show="demo", recording="rec1", upload_key=KEY, filename="one.vtt")
    job = FakeJob(tmp_path)
    with suppress(KeyboardInterrupt):
        story.run(request, job=job, store=dying, offer=offered)

    alive = MemoryStore(dying.objects)
    found = story.run(request, job=job, store=alive, offer=offered)

    assert alive.get(keys.transcript_head("demo", "rec1")).decode() == found.transcript
    assert [key for key in alive.list(keys.transcripts("demo", "rec1")) if key.endswith(".json")] == [found.key]
    assert not alive.exists(KEY)
