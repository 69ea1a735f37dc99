"""What may go, and what must stay; and that only that goes, whatever happens meanwhile."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from services.studio.care import collection
from services.studio.care.collection import CollectionRequest, CollectionResult
from services.studio.care.holdings import KNOWN_SCHEMA, survey
from services.studio.care.lineage import damage, walk
from services.studio.care.retention import Mark, Rules, plan
from shared import keys
from shared.errors import NewerDataError
from shared.schemas import Run, now
from shared.store import put_blob, revise
from tests.fakes import DyingStore, FakeJob, HookedFakeJob, MemoryStore
from tests.studio.a_dataset import points, put_dataset, put_run
from tests.studio.a_show import put_show

DAYS = Rules(working=timedelta(days=7))


def marks(store: MemoryStore, rules: Rules | None = None, show: str | None = None) -> list[Mark]:
    return plan(store, survey(store), rules or Rules(), now(), show)


def first_piece(upload_key: str) -> str:
    return keys.upload_part(upload_key, 0)


def by_kind(found: list[Mark]) -> dict[str, int]:
    return {kind: sum(mark.kind == kind for mark in found) for kind in sorted({mark.kind for mark in found})}


def collect(store: MemoryStore, tmp_path: Path, rules: Rules | None = None, **wishes) -> CollectionResult:
    request = CollectionRequest(dry_run=False, **wishes)
    return collection.run(request, job=FakeJob(tmp_path), store=store, rules=rules or Rules())


def test_checkpoints_of_a_finished_run_go_and_what_the_adapter_shares_with_them_stays():
    store = MemoryStore()
    put_show(store)
    store.grow_old(hours=25)

    found = marks(store)

    assert by_kind(found) == {"checkpoints": 4}  # two manifests, two states of the optimizer
    assert {mark.show for mark in found} == {"lamp"} and not [mark for mark in found if mark.waits]
    assert "finished" in found[0].why and "only checkpoints" in found[-1].why


def test_an_unfinished_run_keeps_its_checkpoints_until_it_counts_as_abandoned():
    store = MemoryStore()
    put_show(store, finished=False)
    store.grow_old(hours=29 * 24)
    assert marks(store) == []

    store.grow_old(hours=2 * 24)

    found = marks(store)
    assert by_kind(found) == {"checkpoints": 5} and "no checkpoint for 30 days" in found[0].why


def test_a_run_that_somebody_resumed_is_not_abandoned_before_its_next_checkpoint():
    store = MemoryStore()
    put_dataset(store)
    put_run(store, 1, points(3.0, 2.0))
    store.grow_old(hours=31 * 24)
    assert by_kind(marks(store))["checkpoints"] == 1

    revise(store, keys.run("lamp", 1), Run, lambda known: known.model_copy(update={"job": "another"}))

    assert "checkpoints" not in by_kind(marks(store))


def test_a_run_that_kept_an_earlier_step_than_its_last_is_finished_all_the_same():
    store = MemoryStore()
    put_dataset(store)
    put_run(store, 1, points(3.0, 2.0, 2.5), kept=1)
    put_run(store, 11, points(3.0, 2.0))
    store.grow_old(hours=25)

    assert {mark.key for mark in marks(store)} == {keys.checkpoint("lamp", 1, step) for step in (1, 2)}


def test_a_finished_run_keeps_its_checkpoints_as_long_as_the_operator_wants():
    store = MemoryStore()
    put_show(store)
    store.grow_old(hours=25)

    assert marks(store, Rules(finished=timedelta(hours=48))) == []


def test_blobs_of_the_last_day_wait_for_a_manifest_that_may_still_come():
    store = MemoryStore()
    young = put_blob(store, b"its manifest comes in a moment", "text/plain")
    old = put_blob(store, b"its job was killed for good", "text/plain")
    store.written[old.key] = now() - timedelta(hours=25)

    found = {mark.key: mark for mark in marks(store)}

    assert found[young.key].waits and "goes once it is 24 h old" in found[young.key].why
    assert not found[old.key].waits and found[old.key].why == "no manifest names it"


def test_a_writer_that_finds_an_old_blob_sends_it_again_so_that_it_is_young():
    store = MemoryStore()
    blob = put_blob(store, b"left by a killed job", "text/plain")
    store.grow_old(hours=25)

    put_blob(store, b"left by a killed job", "text/plain")

    assert [mark.waits for mark in marks(store)] == [True] and store.exists(blob.key)


def test_working_copies_stay_unless_the_operator_says_otherwise():
    store = MemoryStore()
    put_show(store, finished=False)
    store.grow_old(hours=8 * 24)

    assert "working copies" not in by_kind(marks(store))
    assert by_kind(marks(store, DAYS)) == {"working copies": 1}


def test_the_working_copy_of_a_recording_without_a_transcript_is_still_needed():
    store = MemoryStore()
    put_show(store, finished=False)
    store.delete(keys.transcript_head("lamp", "spoken"))
    store.grow_old(hours=8 * 24)

    assert "working copies" not in by_kind(marks(store, DAYS))


def test_what_goes_although_it_is_named_is_written_down_and_is_no_damage(tmp_path: Path):
    store = MemoryStore()
    episode = put_show(store)
    store.grow_old(hours=8 * 24)

    done = collect(store, tmp_path, DAYS)

    assert "working copies" in {group.kind for group in done.groups}
    states = {link.state for link in walk(store, episode)}
    assert states == {"here", "collected"} and damage(walk(store, episode)) == []


def test_uploads_that_no_job_took_over_and_leftovers_of_killed_starts_go():
    store = MemoryStore({"uploads/u1": b"file", keys.probe("p"): b"x", keys.importing("i"): b"{}"})
    store.grow_old(hours=71)
    assert by_kind(marks(store)) == {"probes": 1}

    store.grow_old(hours=1)

    assert by_kind(marks(store)) == {"probes": 1, "uploads": 2}


def test_an_upload_in_pieces_stays_while_they_come_and_goes_as_a_whole(tmp_path: Path):
    old, alive = keys.upload("u1"), keys.upload("u2")
    store = MemoryStore({name(key): b"piece" for key in (old, alive) for name in (keys.upload_facts, first_piece)})
    store.grow_old(hours=73)
    store.create(keys.upload_part(alive, 5), b"goes on after a weekend")

    going = [mark.key for mark in marks(store)]
    collect(store, tmp_path)

    assert going == [keys.upload_facts(old), first_piece(old)]
    assert store.list("") == sorted([keys.upload_facts(alive), first_piece(alive), keys.upload_part(alive, 5)])


def test_parts_of_a_write_whose_writer_was_killed_are_dropped(tmp_path: Path):
    store = MemoryStore()
    store.parts = {"u1@blobs/old": now() - timedelta(hours=73), "u2@blobs/new": now() - timedelta(hours=71)}

    done = collect(store, tmp_path)

    assert list(store.parts) == ["u2@blobs/new"] and done.groups[0].kind == "parts of broken writes"


def test_one_show_is_looked_at_alone():
    store = MemoryStore({"uploads/u1": b"file"})
    put_show(store, "lamp")
    put_show(store, "other")
    put_blob(store, b"of nobody", "text/plain")
    store.grow_old(hours=100)

    assert {mark.show for mark in marks(store, show="lamp")} == {"lamp"}
    assert {mark.show for mark in marks(store)} == {"lamp", "other", None}


def test_nobody_judges_data_of_a_newer_version():
    store = MemoryStore()
    put_show(store)
    store.objects[keys.dataset("lamp", "d2")] = json.dumps({"schema_version": KNOWN_SCHEMA + 1}).encode()

    with pytest.raises(NewerDataError, match="newer version"):
        survey(store)


# ---- doing it -------------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_go_and_removes_nothing(tmp_path: Path):
    store = MemoryStore()
    put_show(store)
    store.grow_old(hours=25)
    before = dict(store.objects)

    told = collection.run(CollectionRequest(), job=FakeJob(tmp_path), store=store, rules=Rules())

    assert told.dry_run and told.objects == 4 and told.bytes == sum(group.bytes for group in told.groups)
    assert store.objects == before


def test_a_collection_removes_what_was_marked_and_every_artifact_stays_whole(tmp_path: Path):
    store = MemoryStore()
    episode = put_show(store)
    put_blob(store, b"of nobody", "text/plain")
    store.grow_old(hours=25)
    size = sum(stored.bytes for stored in store.sizes("").values())

    done = collect(store, tmp_path)

    assert size - sum(stored.bytes for stored in store.sizes("").values()) == done.bytes > 0
    assert store.list("shows/lamp/checkpoints/") == [] and marks(store) == []
    assert damage(walk(store, episode)) == []
    assert collect(store, tmp_path / "again").objects == 0


def test_what_is_needed_again_between_marking_and_removing_is_spared(tmp_path: Path):
    store = MemoryStore()
    blob = put_blob(store, b"made again", "text/plain")
    named = put_blob(store, b"named meanwhile", "text/plain")
    store.grow_old(hours=25)

    def meanwhile(job: FakeJob, stage: str) -> None:
        if stage == "removing":
            put_blob(store, b"made again", "text/plain")

    job = HookedFakeJob(tmp_path, at_progress=meanwhile)
    job.steps["mark"] = collection.Marks(marks=tuple(marks(store))).model_dump(mode="json")
    store.objects[keys.dataset("lamp", "d1")] = json.dumps({"train": named.model_dump()}).encode()

    done = collection.run(CollectionRequest(dry_run=False), job=job, store=store, rules=Rules())

    assert store.exists(blob.key) and store.exists(named.key) and done.objects == 0


@pytest.mark.parametrize("changes", range(6))
def test_a_collection_killed_anywhere_is_repeated_and_tells_the_same(tmp_path: Path, changes: int):
    whole, dying = MemoryStore(), DyingStore()
    dying.changes_left = 1000
    for store in (whole, dying):
        put_show(store)
        store.grow_old(hours=8 * 24)
    told = collect(whole, tmp_path / "whole", DAYS)
    job = FakeJob(tmp_path)
    dying.changes_left = changes

    with pytest.raises(KeyboardInterrupt):
        collection.run(CollectionRequest(dry_run=False), job=job, store=dying, rules=DAYS)
    dying.changes_left = 1000
    repeated = collection.run(CollectionRequest(dry_run=False), job=job, store=dying, rules=DAYS)

    assert (repeated.objects, repeated.bytes) == (told.objects, told.bytes)
    assert dying.objects.keys() == whole.objects.keys()
