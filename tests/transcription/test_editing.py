"""Corrections in a store: who is slower, what counts as a change, what is asked twice, histories."""

from __future__ import annotations

import pytest

from services.transcription import editing, revisions
from services.transcription.corrections import content
from shared import keys
from shared.corrections import CorrectionRequest, Edit, Judge, Reassign, Rename, Restore, Settle, Undo
from shared.errors import BadInputError, ConflictError, NotFoundError
from shared.schemas import Tombstone, Transcript, TranscriptState
from shared.store import create_manifest
from shared.transcripts import current
from tests.fakes import InterruptedStore, MemoryStore
from tests.transcription.talks import put, transcript


def correct(store: MemoryStore, *edits: Edit, base: str | None = None, by: str = "ann") -> Transcript:
    base = base or current(store, "demo", "rec1").id
    request = CorrectionRequest(show="demo", recording="rec1", base=base, edits=edits, reason="because")
    return editing.correct(request, store=store, actor=by)


def later(head: Transcript, name: str, kind: str) -> Transcript:
    return head.model_copy(update={"id": name, "parent": head.id, "kind": kind, "change": None})


def test_a_correction_is_a_new_revision_with_author_and_reason(store):
    put(store, transcript())

    made = correct(store, Rename(speaker="S2", name="Lisa M"))

    assert (made.parent, made.kind, made.lineage.actor) == ("rev1", "correction", "ann")
    assert made.change and (made.change.reason, made.change.summary) == ("because", "S2 is called Lisa M")
    assert current(store, "demo", "rec1") == made
    assert made.lineage.made_from[0].key == keys.transcript("demo", "rec1", "rev1")


def test_who_is_slower_is_told_what_changed(store):
    put(store, transcript())
    correct(store, Rename(speaker="S2", name="Lisa M"), by="bob")

    with pytest.raises(ConflictError, match="bob changed this transcript meanwhile") as refused:
        correct(store, Reassign(turns=("t1",), to="S2"), base="rev1")

    assert [change["summary"] for change in refused.value.changes] == ["S2 is called Lisa M"]


@pytest.mark.parametrize("kind", ["aligned", "recognised"])
def test_better_times_and_recognised_roles_are_in_nobodys_way(store, kind):
    put(store, transcript())
    put(store, later(transcript(), "rev2", kind))

    made = correct(store, Rename(speaker="S2", name="Lisa M"), base="rev1")

    assert made.parent == "rev2"


def test_who_loses_the_race_to_the_head_looks_again(store):
    put(store, transcript())
    racing = InterruptedStore(store.objects, lambda: correct(store, Rename(speaker="S3", name="Cook"), by="bob"))

    with pytest.raises(ConflictError, match="bob"):
        correct(racing, Rename(speaker="S2", name="Lisa M"))

    assert revisions.history(store, "demo", "rec1")[0].by == "bob"


def test_the_same_request_again_finds_its_revision(store):
    put(store, transcript())
    first = correct(store, Rename(speaker="S2", name="Lisa M"), base="rev1")
    put(store, later(first, "rev3", "aligned"))

    again = correct(store, Rename(speaker="S2", name="Lisa M"), base="rev1")

    assert again.id == "rev3" and len(revisions.history(store, "demo", "rec1")) == 3


def test_a_recording_that_is_erased_takes_no_corrections(store):
    put(store, transcript())
    create_manifest(store, keys.tombstone("demo", "rec1"), Tombstone(recording="rec1", by="ann"))

    with pytest.raises(ConflictError, match="being erased"):
        correct(store, Rename(speaker="S2", name="Lisa M"))


def test_undo_walks_back_over_peoples_changes_and_no_further(store):
    put(store, transcript())
    first = correct(store, Rename(speaker="S2", name="One"))
    correct(store, Rename(speaker="S2", name="Two"))

    once, twice = correct(store, Undo()), correct(store, Undo())

    assert (content(once), content(twice)) == (content(first), content(transcript()))
    assert once.change and once.change.summary == "undone: S2 is called Two"
    with pytest.raises(BadInputError, match="nothing to undo"):
        correct(store, Undo())


def test_a_change_after_an_undo_is_undone_before_what_was_there_first(store):
    put(store, transcript())
    first = correct(store, Rename(speaker="S2", name="One"))
    correct(store, Rename(speaker="S2", name="Two"))
    correct(store, Undo())
    correct(store, Rename(speaker="S3", name="Cook"))

    assert content(correct(store, Undo())) == content(first)
    assert content(correct(store, Undo())) == content(transcript())


def test_what_was_timed_since_stays_when_the_edit_before_it_is_undone(store):
    put(store, transcript())
    timed = put(store, later(transcript(), "rev2", "aligned"))
    correct(store, Rename(speaker="S2", name="One"))

    assert correct(store, Undo()).restores == timed.id


def test_a_restored_revision_can_be_undone_itself(store):
    put(store, transcript())
    renamed = correct(store, Rename(speaker="S2", name="One"))
    correct(store, Restore(revision="rev1"))

    assert content(correct(store, Undo())) == content(renamed)


def test_an_unknown_revision_is_not_restored(store):
    put(store, transcript())

    with pytest.raises(NotFoundError, match="transcripts history"):
        correct(store, Restore(revision="nothing"))


def test_what_people_worked_on_is_not_replaced_by_another_transcription(store):
    put(store, transcript(doubtful=[2]))
    correct(store, Settle(turns=("t3",)))
    heard = transcript([("S1", "Something else.")]).model_copy(update={"id": "rev9"})

    offered = revisions.offer(store, heard)

    assert not offered.current and current(store, "demo", "rec1").state is TranscriptState.REVIEWED
    assert [one.id for one in revisions.history(store, "demo", "rec1")][-1] == "rev9"


def test_what_nobody_worked_on_is_replaced(store):
    put(store, transcript())
    heard = transcript([("S1", "Something else.")]).model_copy(update={"id": "rev9"})

    assert revisions.offer(store, heard).current and current(store, "demo", "rec1").id == "rev9"


def test_approval_counts_as_work_even_if_nothing_was_changed(store):
    put(store, transcript())
    correct(store, Judge(state=TranscriptState.APPROVED))

    assert not revisions.offer(store, transcript().model_copy(update={"id": "rev9"})).current
