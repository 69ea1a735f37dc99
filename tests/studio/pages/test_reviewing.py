"""What the pages of the review are filled with."""

from __future__ import annotations

from services.studio.glances import glance_of
from services.studio.pages.reviewing import packed, queue_of
from shared import keys
from shared.corrections import Exclude, Reassign, Split
from shared.schemas import Recording, TranscriptState, Turn
from shared.store import load
from tests.fakes import MemoryStore
from tests.studio.pages.a_review import SHOW, Line, correct, put_reviewed_show, put_talk


def store_with(**talks: tuple[Line, ...]) -> MemoryStore:
    store = MemoryStore()
    put_reviewed_show(store)
    for name, lines in talks.items():
        put_talk(store, name, lines, sound=False)
    return store


def recording(store: MemoryStore, name: str) -> Recording:
    return load(store, keys.recording(SHOW, name), Recording)


LOW: tuple[Line, ...] = (("S1", "One two.", 0.2), ("S2", "Three.", 0.2))
HIGH: tuple[Line, ...] = (("S1", "One two.", 0.9), ("S2", "Three.", 0.0))


def test_recordings_with_the_most_doubt_come_first_and_show_their_worst_turn():
    store = store_with(low=LOW, high=HIGH)
    known = {name: recording(store, name) for name in ("low", "high")}
    talks = [put_talk(store, f"other{n}", lines, sound=False) for n, lines in enumerate((LOW, HIGH))]
    glances = [glance_of(talk.model_copy(update={"recording": name})) for talk, name in zip(talks, known, strict=True)]

    found = queue_of(glances, known)

    assert [(one.recording, one.doubtful, one.worst) for one in found.waiting] == [
        ("high", 1, "One two."),
        ("low", 2, "One two."),
    ]
    assert found.doubtful == 3
    assert found.review_s == sum(one.review_s for one in found.waiting)


def test_what_nothing_is_doubtful_in_waits_for_approval_or_is_approved_and_what_is_erased_is_nowhere():
    store = store_with(one=LOW)
    talk = put_talk(store, "two", LOW, sound=False)
    calm = talk.model_copy(
        update={"turns": tuple(turn.model_copy(update={"needs_review": False}) for turn in talk.turns)}
    )
    states = {"one": TranscriptState.REVIEWED, "two": TranscriptState.APPROVED, "gone": TranscriptState.MACHINE}
    glances = [glance_of(calm.model_copy(update={"recording": name, "state": state})) for name, state in states.items()]

    found = queue_of(glances, {name: recording(store, name) for name in ("one", "two")})

    assert [one.recording for one in found.ready] == ["one"]
    assert [one.recording for one in found.approved] == ["two"]
    assert found.waiting == ()


def test_a_revision_is_packed_whole_or_by_what_changed_since_another():
    store = store_with(one=LOW)
    before = put_talk(store, "talk", LOW, sound=False)
    after = correct(store, "talk", Split(turn="t1", before_word=1), Exclude(start_s=0, end_s=0.5, reason="advert"))
    about = recording(store, "talk")

    whole, changes = packed(after, about), packed(after, about, since=before)

    assert [turn["id"] for turn in whole["turns"]] == whole["order"] == ["t1", "t3", "t2"]
    assert [turn["id"] for turn in changes["turns"]] == ["t1", "t3"]
    assert changes["order"] == whole["order"]
    assert whole["turns"][1]["words"] == ["two."]
    assert whole["turns"][1]["times"] == [50, 100]
    assert whole["turns"][0]["doubt"] is None
    assert whole["turns"][2]["doubt"] == 0.2
    assert whole["left_out"] == [{"start_s": 0, "end_s": 0.5, "reason": "advert", "own": True}]


def test_words_without_times_are_counted_as_edits_count_them():
    store = store_with(one=LOW)
    talk = put_talk(store, "talk", LOW, sound=False)
    bare = talk.model_copy(update={"turns": tuple(_without_words(turn) for turn in talk.turns)})

    [first, _] = packed(bare, recording(store, "talk"))["turns"]

    assert first["words"] == ["One", "two."]
    assert first["times"] == [0, 50, 50, 100]


def test_a_changed_turn_is_sent_again_when_only_its_speaker_is_another_one():
    store = store_with(one=LOW)
    before = put_talk(store, "talk", LOW, sound=False)
    after = correct(store, "talk", Reassign(turns=("t2",), to="S1"))

    assert [turn["id"] for turn in packed(after, recording(store, "talk"), before)["turns"]] == ["t2"]


def _without_words(turn: Turn) -> Turn:
    return turn.model_copy(update={"words": ()})
