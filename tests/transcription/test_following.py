"""What follows a correction: edited words get exact times, and voices are learnt."""

from __future__ import annotations

from services.transcription import editing, following
from services.transcription.settings import Limits
from shared.corrections import CorrectionRequest, Edit, EditText, FollowUpRequest, Rename
from shared.transcripts import current
from tests.fakes import FakeJob, MemoryStore, ScriptedSpeechEngine
from tests.transcription.conftest import add_recording
from tests.transcription.talks import put, transcript

REQUEST = FollowUpRequest(show="demo", recording="rec1", revision="any")
NEW_TEXT = EditText(turn="t4", text="So we all flew to the Moon.")


def correct(store: MemoryStore, edit: Edit) -> None:
    base = current(store, "demo", "rec1").id
    request = CorrectionRequest(show="demo", recording="rec1", base=base, edits=(edit,))
    editing.correct(request, store=store, actor="ann")


def follow(store: MemoryStore, job: FakeJob, engine: ScriptedSpeechEngine, learn=None):
    def nothing(*names: str, **work: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (), ()

    return following.run(REQUEST, job=job, store=store, engine=engine, limits=Limits(), learn=learn or nothing)


def test_edited_words_get_the_aligners_times_in_a_revision_of_their_own(store, job):
    put(store, transcript())
    correct(store, NEW_TEXT)
    corrected = current(store, "demo", "rec1")

    result = follow(store, job, ScriptedSpeechEngine())

    head = current(store, "demo", "rec1")
    assert (head.kind, head.parent, result.aligned_turns) == ("aligned", corrected.id, 1)
    before, after = corrected.turns[3], head.turns[3]
    assert [word.text for word in after.words] == NEW_TEXT.text.split() and not after.estimated
    assert [word.start_s for word in after.words] != [word.start_s for word in before.words]
    assert corrected.turns[2].end_s <= after.start_s and after.end_s <= corrected.turns[4].start_s
    assert head.lineage.models == {"aligner": "scripted"}
    assert [turn for turn in head.turns if turn.id != "t4"] == [turn for turn in corrected.turns if turn.id != "t4"]


def test_a_repeat_finds_nothing_to_do(store, job):
    put(store, transcript())
    correct(store, NEW_TEXT)
    engine = ScriptedSpeechEngine()
    follow(store, job, engine)
    head = current(store, "demo", "rec1")

    assert follow(store, job, engine).aligned_turns == 0
    assert current(store, "demo", "rec1") == head and engine.calls == ["align"]


def test_a_turn_that_was_edited_again_while_it_was_timed_keeps_its_newer_words(store, job):
    put(store, transcript())
    correct(store, NEW_TEXT)

    class Slow(ScriptedSpeechEngine):
        def align(self, *args, **kwargs):
            correct(store, EditText(turn="t4", text="No, we swam."))
            return super().align(*args, **kwargs)

    follow(store, job, Slow())

    turn = current(store, "demo", "rec1").turns[3]
    assert (turn.text, turn.estimated) == ("No, we swam.", True)


def test_another_change_meanwhile_is_kept_beside_the_times(store, job):
    put(store, transcript())
    correct(store, NEW_TEXT)

    class Slow(ScriptedSpeechEngine):
        def align(self, *args, **kwargs):
            correct(store, Rename(speaker="S2", name="Lisa M"))
            return super().align(*args, **kwargs)

    follow(store, job, Slow())

    head = current(store, "demo", "rec1")
    assert head.speakers[1].name == "Lisa M" and not head.turns[3].estimated


def test_without_audio_times_stay_estimated_and_voices_are_still_unlearnt(store, job):
    add_recording(store, audio=None, recording_id="rec2")
    put(store, transcript().model_copy(update={"recording": "rec2"}))
    editing.correct(
        CorrectionRequest(show="demo", recording="rec2", base="rev1", edits=(NEW_TEXT,)), store=store, actor="ann"
    )
    asked: list[str] = []

    def learn(show: str, name: str, **work: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
        asked.append(name)
        return ("Kenna Gray",), ("careful",)

    request = FollowUpRequest(show="demo", recording="rec2", revision="any")
    result = following.run(request, job=job, store=store, engine=ScriptedSpeechEngine(), limits=Limits(), learn=learn)

    assert (result.aligned_turns, result.learnt, result.warnings, asked) == (0, ("Kenna Gray",), ("careful",), ["rec2"])
    assert current(store, "demo", "rec2").turns[3].estimated
