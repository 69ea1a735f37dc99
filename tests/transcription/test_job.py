"""The stories of the transcription service, with a scripted engine and a store in memory."""

from __future__ import annotations

import pytest

from services.transcription import hosts
from services.transcription import job as story
from services.transcription.hearing import Voice
from shared import keys
from shared.errors import (
    ArtifactMissingError,
    BadAudioError,
    BadInputError,
    JobCancelledError,
    NoSpaceError,
    NotFoundError,
)
from shared.schemas import (
    HostMethod,
    Recording,
    Role,
    SetHostRequest,
    Speaker,
    TranscribeRequest,
    Transcript,
    Turn,
    Voiceprint,
)
from shared.store import create_manifest, load, point
from tests.fakes import GUEST_VECTOR, HOST_VECTOR, FakeJob, MemoryStore, ScriptedSpeechEngine
from tests.transcription.conftest import add_recording, lineage

REQUEST = TranscribeRequest(show="demo", recording="rec1")


def head(store: MemoryStore, recording: str = "rec1") -> Transcript:
    revision = store.get(keys.transcript_head("demo", recording)).decode()
    return load(store, keys.transcript("demo", recording, revision), Transcript)


def voiceprint(vector=HOST_VECTOR, model="voices 1") -> Voiceprint:
    return Voiceprint(show="demo", model=model, vector=vector, speech_s=20.0, lineage=lineage())


def test_a_recording_becomes_a_transcript_of_two_speakers(store, job):
    result = story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())

    transcript = load(store, result.key, Transcript)
    assert [turn.speaker for turn in transcript.turns] == ["S1", "S2", "S1", "S2"]
    assert (result.speakers, result.turns, transcript.kind) == (2, 4, "machine")
    assert transcript.engines["diariser"] == "voices 1"
    assert head(store) == transcript


def test_without_a_voiceprint_the_host_is_guessed_and_said_to_be_a_guess(store, job):
    story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())

    transcript = head(store)
    assert transcript.host_method is HostMethod.GUESSED
    assert [(s.label, s.role, s.name) for s in transcript.speakers] == [
        ("S1", Role.HOST, "Kenna Gray"),
        ("S2", Role.GUEST, "Lisa"),
    ]
    assert any("guessed" in warning for warning in transcript.warnings)


def test_the_voiceprint_finds_the_host_whoever_talks_first(store, job):
    create_manifest(store, keys.voiceprint("demo"), voiceprint(GUEST_VECTOR))

    result = story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())

    transcript = head(store)
    assert result.host_method is HostMethod.VOICEPRINT
    assert [speaker.role for speaker in transcript.speakers] == [Role.GUEST, Role.HOST]
    assert transcript.speakers[1].host_score == pytest.approx(1.0)


def test_a_voiceprint_of_another_model_is_not_compared_but_warned_about(store, job):
    create_manifest(store, keys.voiceprint("demo"), voiceprint(GUEST_VECTOR, model="voices 0"))

    result = story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())

    assert result.host_method is HostMethod.GUESSED
    assert any("voices 0" in warning for warning in head(store).warnings)


def test_a_voiceprint_that_nobody_matches_leaves_a_guess_with_a_warning(store, job):
    create_manifest(store, keys.voiceprint("demo"), voiceprint((0.0, 0.0, 1.0)))

    result = story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())

    assert result.host_method is HostMethod.GUESSED
    assert any("no voice is surely the host's" in warning for warning in head(store).warnings)


def test_a_working_copy_that_was_collected_says_how_to_make_it_again(store, job):
    recording = load(store, keys.recording("demo", "rec1"), Recording)
    assert recording.working is not None
    store.delete(recording.working.key)

    with pytest.raises(NotFoundError, match=r"not stored any more.*diary recordings add demo"):
        story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())


def test_audio_that_the_work_folder_has_no_room_for_is_not_fetched(store, job):
    recording = load(store, keys.recording("demo", "rec1"), Recording)
    assert recording.working is not None
    huge = recording.model_copy(update={"working": recording.working.model_copy(update={"bytes": 10**18})})
    store.objects[keys.recording("demo", "rec1")] = huge.model_dump_json().encode()

    with pytest.raises(NoSpaceError, match="TRANSCRIPTION_WORK_DIR"):
        story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())
    assert list(job.work_dir.iterdir()) == []


def test_no_embedding_of_a_guest_is_stored(store, job):
    story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())
    hosts.set_host(
        SetHostRequest(show="demo", recording="rec1", speaker="S1"), job=job, store=store, engine=ScriptedSpeechEngine()
    )

    assert not any(b"0.6,0.8" in value for value in store.objects.values())


def test_a_repeat_finds_the_revision_and_does_no_work(store, job):
    engine = ScriptedSpeechEngine()
    first = story.run(REQUEST, job=job, store=store, engine=engine)
    before = dict(store.objects)

    again = story.run(REQUEST, job=job, store=store, engine=engine)

    assert again == first
    assert engine.calls == ["transcribe", "diarise"]
    assert store.objects == before


def test_a_kill_between_revision_and_pointer_is_healed_by_the_repeat(store, job):
    engine = ScriptedSpeechEngine()
    first = story.run(REQUEST, job=job, store=store, engine=engine)
    store.delete(keys.transcript_head("demo", "rec1"))

    story.run(REQUEST, job=job, store=store, engine=engine)

    assert head(store).id == first.transcript
    assert engine.calls == ["transcribe", "diarise"]
    assert len(store.list(keys.transcripts("demo", "rec1"))) == 2


def test_a_repeat_keeps_the_corrections_that_people_made(store, job):
    engine = ScriptedSpeechEngine()
    story.run(REQUEST, job=job, store=store, engine=engine)
    corrected = hosts.set_host(
        SetHostRequest(show="demo", recording="rec1", speaker="S2"), job=job, store=store, engine=engine
    )

    again = story.run(REQUEST, job=job, store=store, engine=engine)

    assert again == corrected
    assert head(store).id == corrected.transcript


def test_a_guessed_host_is_heard_again_once_there_is_a_voiceprint(store, job):
    engine = ScriptedSpeechEngine()
    story.run(REQUEST, job=job, store=store, engine=engine)
    create_manifest(store, keys.voiceprint("demo"), voiceprint())

    again = story.run(REQUEST, job=job, store=store, engine=engine)

    assert again.host_method is HostMethod.VOICEPRINT
    assert head(store).id == again.transcript


def test_other_parameters_make_another_revision(store, job):
    engine = ScriptedSpeechEngine()
    first = story.run(REQUEST, job=job, store=store, engine=engine)

    second = story.run(REQUEST.model_copy(update={"speakers": 3}), job=job, store=store, engine=engine)

    assert second.transcript != first.transcript
    assert head(store).id == second.transcript
    assert any("3 were expected" in warning for warning in head(store).warnings)


def test_a_recording_without_audio_is_refused_with_the_reason(store, job):
    add_recording(store, audio=None, recording_id="rec2")

    with pytest.raises(BadInputError, match="published transcript"):
        story.run(TranscribeRequest(show="demo", recording="rec2"), job=job, store=store, engine=ScriptedSpeechEngine())


def test_an_unknown_show_or_recording_says_how_to_make_one(store, job):
    with pytest.raises(ArtifactMissingError, match="diary shows create"):
        story.run(TranscribeRequest(show="nope", recording="rec1"), job=job, store=store, engine=ScriptedSpeechEngine())
    with pytest.raises(ArtifactMissingError, match="diary recordings add"):
        story.run(TranscribeRequest(show="demo", recording="nope"), job=job, store=store, engine=ScriptedSpeechEngine())


def test_bad_audio_leaves_nothing_behind(store, job):
    deaf = ScriptedSpeechEngine(fails=BadAudioError("no speech was heard"))

    with pytest.raises(BadAudioError):
        story.run(REQUEST, job=job, store=store, engine=deaf)

    assert store.list(keys.transcripts("demo")) == []


def test_a_cancelled_job_writes_nothing(store, job):
    slow = ScriptedSpeechEngine(before_diarising=job.cancel)

    with pytest.raises(JobCancelledError):
        story.run(REQUEST, job=job, store=store, engine=slow)

    assert store.list(keys.transcripts("demo")) == []


def test_unsure_turns_are_flagged_for_review(store, job):
    engine = ScriptedSpeechEngine([(0, "What did you say to them?"), (1, "No."), (0, "And then you left the house?")])

    story.run(REQUEST, job=job, store=store, engine=engine)

    flagged = [turn.text for turn in head(store).turns if turn.needs_review]
    assert flagged == ["No."]
    assert "shorter than 1 s" in head(store).turns[1].review_reasons[0]


# ---- who is the host -----------------------------------------------------------------------------------------------


def set_host(store: MemoryStore, job: FakeJob, engine=None, **who) -> Transcript:
    request = SetHostRequest(show="demo", recording=who.pop("recording", "rec1"), **who)
    hosts.set_host(request, job=job, store=store, engine=engine or ScriptedSpeechEngine())
    return head(store, request.recording)


@pytest.mark.parametrize("who", [{"speaker": "S2"}, {"at_s": 6.0}], ids=["by label", "by second"])
def test_one_answer_sets_all_roles_and_learns_the_voice(store, job, who):
    made = story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())

    transcript = set_host(store, job, **who)

    assert (transcript.kind, transcript.parent, transcript.host_method) == (
        "correction",
        made.transcript,
        HostMethod.SET,
    )
    assert [turn.role for turn in transcript.turns] == [Role.GUEST, Role.HOST, Role.GUEST, Role.HOST]
    assert [speaker.name for speaker in transcript.speakers] == ["Lisa", "Kenna Gray"]
    assert not any("guessed" in warning for warning in transcript.warnings)
    assert load(store, keys.voiceprint("demo"), Voiceprint).vector == HOST_VECTOR


def test_saying_it_again_changes_nothing(store, job):
    story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())
    set_host(store, job, speaker="S1")
    before = dict(store.objects)

    set_host(store, job, speaker="S1")

    assert store.objects == before


def test_too_little_speech_sets_the_roles_but_not_the_voiceprint(store, job):
    engine = ScriptedSpeechEngine()
    engine.voice = Voice(vector=HOST_VECTOR, speech_s=3.0, model="voices 1")
    story.run(REQUEST, job=job, store=store, engine=engine)

    transcript = set_host(store, job, engine, speaker="S1")

    assert transcript.host_method is HostMethod.SET
    assert any("5 s are needed" in warning for warning in transcript.warnings)
    assert not store.exists(keys.voiceprint("demo"))


def test_another_voice_replaces_the_voiceprint_with_a_warning(store, job):
    story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())
    set_host(store, job, speaker="S1")
    other = ScriptedSpeechEngine()
    other.voice = Voice(vector=GUEST_VECTOR, speech_s=20.0, model="voices 1")

    transcript = set_host(store, job, other, speaker="S2")

    assert any("unlike the host's earlier voiceprint" in warning for warning in transcript.warnings)
    assert load(store, keys.voiceprint("demo"), Voiceprint).vector == GUEST_VECTOR


def test_an_imported_transcript_takes_roles_without_a_voice(store, job):
    add_recording(store, audio=None, recording_id="rec2")
    imported = Transcript(
        id="imported",
        recording="rec2",
        show="demo",
        kind="import",
        speakers=(
            Speaker(label="S1", role=Role.UNKNOWN, name="Ann"),
            Speaker(label="S2", role=Role.UNKNOWN, name="Kenna"),
        ),
        host_method=HostMethod.UNKNOWN,
        turns=(
            Turn(speaker="S1", role=Role.UNKNOWN, start_s=0.0, end_s=2.0, text="Hello."),
            Turn(speaker="S2", role=Role.UNKNOWN, start_s=2.0, end_s=4.0, text="How are you?"),
        ),
        lineage=lineage(),
    )
    create_manifest(store, keys.transcript("demo", "rec2", "imported"), imported)
    point(store, keys.transcript_head("demo", "rec2"), b"imported")

    transcript = set_host(store, job, recording="rec2", speaker="S2")

    assert [turn.role for turn in transcript.turns] == [Role.GUEST, Role.HOST]
    assert any("no audio" in warning for warning in transcript.warnings)
    assert not store.exists(keys.voiceprint("demo"))


@pytest.mark.parametrize(
    ("who", "fix"),
    [
        ({"speaker": "S9"}, "choose of S1, S2"),
        ({}, "exactly one"),
        ({"speaker": "S1", "at_s": 1.0}, "exactly one"),
        ({"at_s": 900.0}, "another second"),
    ],
)
def test_an_answer_that_names_nobody_is_refused_with_the_choices(store, job, who, fix):
    story.run(REQUEST, job=job, store=store, engine=ScriptedSpeechEngine())

    with pytest.raises(BadInputError, match=fix):
        set_host(store, job, **who)


def test_the_host_cannot_be_set_before_there_is_a_transcript(store, job):
    with pytest.raises(ArtifactMissingError, match="diary transcripts make"):
        set_host(store, job, speaker="S1")
