"""An erasure in a store in memory: what goes, what stays for others, what is marked, and kills at every change."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest

from services.studio.care import erasure, traces
from services.studio.care.erasure import EraseRequest
from services.studio.care.exports import take_stock, tar_bytes
from services.studio.care.imports import bring_in
from services.studio.care.lineage import damage, walk
from services.studio.care.memories import Memories
from services.studio.care.withdrawal import in_the_way, recording_of
from services.studio.doors.facts import GivenChanges, edit_recording
from shared import keys
from shared.errors import ConflictError, NotFoundError
from shared.forgetting import Forgetting, Forgotten, RememberedJob
from shared.recordings import facts_of
from shared.schemas import (
    Absences,
    Adapter,
    Dataset,
    Episode,
    JobState,
    Lineage,
    MetricPoint,
    Recording,
    RecordingEdits,
    Tombstone,
    Transcript,
    Voiceprint,
)
from shared.store import create_manifest, load, made_from, point, put_blob
from shared.subscriptions import FailedItem, FoundItem, KnownItem, LastRefresh, RefreshResult
from shared.uploads import Upload
from tests.fakes import DyingStore, FakeJob, MemoryStore
from tests.studio.a_show import put_show

REQUEST = EraseRequest(show="lamp", recording="spoken", reason="asked for")


class Remembering:
    """What other services answer: `unfinished` jobs, and what they were asked to forget."""

    def __init__(self, *unfinished: RememberedJob) -> None:
        self.unfinished = unfinished
        self.asked: list[Forgetting] = []

    def __call__(self, forgetting: Forgetting) -> list[Forgotten]:
        self.asked.append(forgetting)
        return [Forgotten(service="ingest", ended=(), unfinished=self.unfinished)]


def a_job(kind: str, *, mentions: bool = False, **request) -> RememberedJob:
    asked = {"show": "lamp", **request}
    return RememberedJob(
        id=f"a-{kind}", service="trainer", kind=kind, state=JobState.RUNNING, mentions=mentions, request=asked
    )


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    fill(store)
    return store


def fill(store: MemoryStore) -> None:
    """The whole small show, and all that a recording may have left besides."""
    put_show(store)
    recording = load(store, keys.recording("lamp", "spoken"), Recording)
    assert recording.working is not None
    create_manifest(store, keys.edits("lamp", "spoken"), RecordingEdits(title="Ann again", by="ann"))
    lineage = Lineage(
        made_from=made_from(store, keys.recording("lamp", "spoken"), recording.working.key),
        by="test",
        version="0.1.0",
        job="j1",
        actor="ann",
    )
    voice = Voiceprint(show="lamp", model="ge2e", vector=(0.2801, 0.96), speech_s=9, lineage=lineage)
    point(store, keys.voiceprint("lamp"), voice.model_dump_json().encode())
    other = "blobs/" + "5" * 64
    store.create(
        keys.absence("lamp", "before"),
        Absences(show="lamp", why="collected", keys=(recording.working.key, other)).model_dump_json().encode(),
    )
    items = (
        FoundItem(id="i1", title="Ann on spoken lamps", state="known", recording="spoken"),
        FoundItem(id="i2", title="Bob on published lamps", state="known", recording="published"),
    )
    result = RefreshResult(
        source="s1", title="Feed", dry_run=False, found=2, new=0, known=2, erased=0, left_out={}, hours=0, bytes=0,
        recordings=("spoken",), first=items,
    )  # fmt: skip
    create_manifest(store, keys.refresh("lamp", "s1"), LastRefresh(result=result))
    store.create(keys.upload("again"), store.get(recording.original.key))
    store.create(keys.upload("other"), b"x" * recording.original.bytes)
    store.parts[f"u1@{recording.original.key}"] = store._modified("any")


def erase(store: MemoryStore, tmp_path: Path, remembering: Remembering | None = None) -> erasure.EraseResult:
    return erasure.run(REQUEST, job=FakeJob(tmp_path), store=store, memories=Memories(remembering or Remembering()))


def secrets_of(store: MemoryStore) -> list[bytes]:
    """Strings that stand in the show because of the recording that is erased."""
    recording = load(store, keys.recording("lamp", "spoken"), Recording)
    assert recording.working is not None
    return [
        b"Ann",
        b"the spoken one",
        b"mp3 mp3",
        b"flac flac",
        b"0.2801",
        recording.original.sha256.encode(),
        recording.working.sha256.encode(),
    ]


def found_in(store: MemoryStore, secrets: list[bytes]) -> list[tuple[str, bytes]]:
    whole = {key: key.encode() + b" " + data for key, data in store.objects.items()}
    return [(key, secret) for key, data in whole.items() for secret in secrets if secret in data]


def test_nothing_of_it_is_left_and_the_other_recording_is_untouched(store: MemoryStore, tmp_path: Path):
    secrets, before = secrets_of(store), dict(store.objects)
    assert {secret for _, secret in found_in(store, secrets)} == set(secrets)

    result = erase(store, tmp_path)

    assert found_in(store, secrets) == [] and store.parts == {}
    published = load(store, keys.recording("lamp", "published"), Recording)
    own = [published.original.key, *(key for key in before if "published" in key)]
    assert all(store.objects[key] == before[key] for key in own)
    assert store.exists(keys.upload("other"))
    assert (
        result.objects == len(before.keys() - store.objects.keys()) - 3
    )  # the old model card and figures, the old absences
    tombstone = load(store, keys.tombstone("lamp", "spoken"), Tombstone)
    assert (tombstone.by, tombstone.reason, tombstone.descendants) == ("tester", "asked for", result.marked)


def test_what_was_made_from_it_says_so_and_is_no_damage(store: MemoryStore, tmp_path: Path):
    result = erase(store, tmp_path)

    dataset = load(store, keys.dataset("lamp", "d1"), Dataset)
    adapter = load(store, keys.adapter("lamp", "lamp.r1.c4"), Adapter)
    episode = load(store, keys.episode("lamp", "e1"), Episode)
    assert dataset.source_withdrawn == adapter.source_withdrawn == episode.source_withdrawn == ("spoken",)
    assert (dataset.train_guests, dataset.eval_guests) == ((), ("Bob",))
    assert len(result.marked) == 3 and not store.exists(dataset.train.key) and not store.exists(dataset.eval.key)
    rows = {row.recording: (row.guest, row.tokens) for row in dataset.report.recordings} if dataset.report else {}
    assert rows == {"spoken": ("withdrawn", 10), "published": ("Bob", 10)}
    assert dataset.report and dataset.report.advice == ("Add guests.", "Bob says little.")
    assert dataset.warnings == ("Bob is easy to understand",)
    card = store.get(adapter.files["README.md"].key).decode()
    assert "Source withdrawn" in card and "Bob" not in card
    assert store.exists(adapter.files["adapter_model.safetensors"].key)
    assert store.list("shows/lamp/checkpoints/") == []
    links = walk(store, keys.episode("lamp", "e1"))
    assert damage(links) == []
    states = {link.key: link.state for link in links}
    assert states[keys.transcript("lamp", "spoken", "rev1")] == states[dataset.train.key] == "withdrawn"
    assert states[keys.dataset("lamp", "d1")] == states[keys.adapter("lamp", "lamp.r1.c4")] == "withdrawn"
    assert states[keys.recording("lamp", "published")] == "here"


def test_an_adapter_keeps_its_figures_without_names_and_without_what_it_said(store: MemoryStore, tmp_path: Path):
    before = load(store, keys.adapter("lamp", "lamp.r1.c4"), Adapter)

    erase(store, tmp_path)

    adapter = load(store, keys.adapter("lamp", "lamp.r1.c4"), Adapter)
    told = [adapter.base_judged, *(point.judged for point in adapter.metrics)]
    assert len(told) == 4
    for judged in told:
        assert judged and judged.samples == () and judged.recited == 0.01
        assert [(one.guest, one.loss) for one in judged.guests] == [("withdrawn", 2.0), ("Bob", 2.0)]
    assert [point.eval_loss for point in adapter.metrics] == [point.eval_loss for point in before.metrics]
    assert adapter.warnings == ("it does not recite Bob",)
    lines = store.get(adapter.files["metrics.jsonl"].key).decode().splitlines()
    assert [MetricPoint.model_validate_json(line) for line in lines] == list(adapter.metrics)
    assert not store.exists(before.files["metrics.jsonl"].key)


def test_figures_that_another_adapter_has_too_stay_with_it(store: MemoryStore, tmp_path: Path):
    key = keys.adapter("lamp", "lamp.r1.c4")
    adapter = load(store, key, Adapter)
    unrelated = Lineage(by="test", version="0.1.0", job="j1", actor="ann")
    other = adapter.model_copy(update={"name": "other.r1.c4", "show": "other", "lineage": unrelated})
    create_manifest(store, keys.adapter("other", "other.r1.c4"), other)

    erase(store, tmp_path)

    assert all(store.exists(blob.key) for blob in other.files.values())
    assert load(store, key, Adapter).files["metrics.jsonl"] != adapter.files["metrics.jsonl"]


def test_two_adapters_of_it_with_the_same_figures_are_both_written_anew(store: MemoryStore, tmp_path: Path):
    secrets = secrets_of(store)
    adapter = load(store, keys.adapter("lamp", "lamp.r1.c4"), Adapter)
    create_manifest(store, keys.adapter("lamp", "lamp.r2.c4"), adapter.model_copy(update={"name": "lamp.r2.c4"}))

    erase(store, tmp_path)

    assert found_in(store, secrets) == []
    first, second = (load(store, keys.adapter("lamp", f"lamp.r{run}.c4"), Adapter) for run in (1, 2))
    assert first.files["metrics.jsonl"] == second.files["metrics.jsonl"]
    assert store.exists(first.files["metrics.jsonl"].key)


def test_an_adapter_whose_dataset_is_not_stored_keeps_no_name(store: MemoryStore, tmp_path: Path):
    found = load(store, keys.adapter("lamp", "lamp.r1.c4"), Adapter)
    lineage = found.lineage.model_copy(update={"made_from": made_from(store, keys.recording("lamp", "spoken"))})
    store.objects[keys.adapter("lamp", "lamp.r1.c4")] = (
        found.model_copy(update={"lineage": lineage}).model_dump_json().encode()
    )
    store.delete(keys.dataset("lamp", "d1"))

    erase(store, tmp_path)

    adapter = load(store, keys.adapter("lamp", "lamp.r1.c4"), Adapter)
    assert adapter.base_judged and {one.guest for one in adapter.base_judged.guests} == {"withdrawn"}


def test_facts_of_a_guest_go_with_the_recording(store: MemoryStore, tmp_path: Path):
    edit_recording(store, "lamp", "spoken", GivenChanges(facts=("She keeps vermilion kettles.",)), "ed")
    edit_recording(store, "lamp", "published", GivenChanges(facts=("He keeps cups.",)), "ed")

    erase(store, tmp_path)

    assert found_in(store, [b"vermilion"]) == []
    assert facts_of(store, "lamp", "published") == ("He keeps cups.",)


def test_a_name_that_a_person_gave_a_guest_who_is_still_here_stays(store: MemoryStore, tmp_path: Path):
    key = keys.dataset("lamp", "d1")
    dataset = load(store, key, Dataset).model_copy(update={"eval_guests": ("Robert",)})
    store.objects[key] = dataset.model_dump_json().encode()
    edit_recording(store, "lamp", "published", GivenChanges(guest="Robert"), "ed")

    erase(store, tmp_path)

    assert load(store, key, Dataset).eval_guests == ("Robert",)


def test_brought_back_later_its_old_descendants_stay_withdrawn(store: MemoryStore, tmp_path: Path):
    erase(store, tmp_path)
    store.delete(keys.tombstone("lamp", "spoken"))  # as ingest does when it is asked for it again

    assert damage(walk(store, keys.episode("lamp", "e1"))) == []


def test_bytes_that_another_show_holds_stay(store: MemoryStore, tmp_path: Path):
    recording = load(store, keys.recording("lamp", "spoken"), Recording)
    create_manifest(store, keys.recording("other", "spoken"), recording.model_copy(update={"show": "other"}))

    told = erasure.preview(store, Memories(Remembering()), "lamp", "spoken")
    erase(store, tmp_path)

    assert recording.working is not None
    held = {recording.original.key, recording.working.key}
    assert {one.by for one in told.held} == {("another show",)}
    assert {one.key for one in told.held} == held and all(store.exists(key) for key in held)
    assert not store.exists(keys.recording("lamp", "spoken"))


def test_a_preview_lists_what_goes_and_changes_nothing(store: MemoryStore, tmp_path: Path):
    before = dict(store.objects)

    told = erasure.preview(store, Memories(Remembering(a_job("dataset"))), "lamp", "spoken")

    assert store.objects == before
    assert told.title == "Ann again" and [job.kind for job in told.in_the_way] == ["dataset"]
    went = erase(store, tmp_path)
    assert (went.objects, went.bytes, went.marked) == (len(told.going), told.bytes, told.marked)


def test_what_is_unknown_or_erased_is_told_apart(store: MemoryStore, tmp_path: Path):
    with pytest.raises(NotFoundError, match="diary recordings list lamp"):
        erasure.preview(store, Memories(Remembering()), "lamp", "nothing")
    erase(store, tmp_path)
    with pytest.raises(NotFoundError, match=r"was erased on \d{4}"):
        erasure.preview(store, Memories(Remembering()), "lamp", "spoken")


# ---- jobs ------------------------------------------------------------------------------------------------------------


def test_it_is_refused_while_a_job_works_with_it_naming_the_job(store: MemoryStore, tmp_path: Path):
    before = dict(store.objects)

    with pytest.raises(ConflictError, match=r"dataset a-dataset \(trainer\).*diary jobs cancel"):
        erase(store, tmp_path, Remembering(a_job("dataset")))
    assert store.objects == before


@pytest.mark.parametrize(
    ("job", "blocks"),
    [
        (a_job("transcribe", recording="spoken", mentions=True), True),
        (a_job("transcribe", recording="published"), False),
        (a_job("dataset", recordings=["published"]), False),
        (a_job("dataset", recordings=[]), True),
        (a_job("pipeline", dataset={"recordings": []}), True),
        (a_job("train", dataset="d1"), True),
        (a_job("train", dataset="d2"), False),
        (a_job("train", dataset="d2", continue_from="lamp.r1.c4"), True),
        (a_job("write", adapter="lamp.r1.c4"), True),
        (a_job("write", adapter="best"), True),
        (a_job("write", adapter="base"), True),
        (a_job("revise", episode="e1"), True),
        (a_job("refresh", source="s1"), False),
    ],
)
def test_jobs_that_read_it_or_what_was_made_of_it_are_in_the_way(job: RememberedJob, blocks: bool):
    assert bool(in_the_way([job], "spoken", {"d1", "lamp.r1.c4"})) is blocks


def test_services_are_asked_to_forget_by_ids_and_names(store: MemoryStore, tmp_path: Path):
    key = keys.recording("lamp", "spoken")
    recording = load(store, key, Recording)
    lineage = recording.lineage.model_copy(update={"job": "order-17.ingest.0"})
    store.objects[key] = recording.model_copy(update={"lineage": lineage}).model_dump_json().encode()
    remembering = Remembering()

    erase(store, tmp_path, remembering)

    asked = remembering.asked[-1]
    assert not asked.dry_run and asked.spare == ("erase",) and asked.show == "lamp"
    assert asked.jobs == ("order-17.ingest.0", "order-17")
    assert {"spoken", "rev1", recording.original.sha256} <= {*asked.words}
    assert {"Ann on spoken lamps", "Ann again", "spoken"} <= {*asked.texts}


def test_what_a_source_called_it_is_forgotten_too(store: MemoryStore, tmp_path: Path):
    for name, recording in (("i1", "spoken"), ("i7", "spoken"), ("i2", "published")):
        create_manifest(store, keys.item("lamp", name), KnownItem(recording=recording, job="r1"))
    failed = FailedItem(id="i7", title="As the feed says", problem="busy", again=True)
    key = keys.refresh("lamp", "s1")
    last = load(store, key, LastRefresh)
    result = last.result.model_copy(update={"failed": (failed,)})
    store.objects[key] = last.model_copy(update={"result": result}).model_dump_json().encode()
    remembering = Remembering()

    erase(store, tmp_path, remembering)

    words = {*remembering.asked[-1].words}
    assert {"i1", "i7"} <= words and "i2" not in words
    assert found_in(store, [b"As the feed says"]) == []


def test_its_own_job_keeps_ids_and_sums_only(store: MemoryStore, tmp_path: Path):
    secrets, job = secrets_of(store), FakeJob(tmp_path)

    result = erasure.run(REQUEST, job=job, store=store, memories=Memories(Remembering()))

    kept = json.dumps(job.steps).encode() + result.model_dump_json().encode()
    assert not [secret for secret in secrets if secret in kept]


# ---- kills -----------------------------------------------------------------------------------------------------------


def dying(filled: MemoryStore, changes_left: int) -> DyingStore:
    store = DyingStore(filled.objects)
    store.parts = dict(filled.parts)
    store.changes_left = changes_left
    return store


def test_a_kill_before_any_change_and_a_repeat_end_the_same(store: MemoryStore, tmp_path: Path):
    secrets, whole = secrets_of(store), dying(store, 10**6)
    erase(whole, tmp_path)

    for at in range(10**6 - whole.changes_left):
        killed, job = dying(store, at), FakeJob(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            erasure.run(REQUEST, job=job, store=killed, memories=Memories(Remembering()))
        killed.changes_left = 10**6
        erasure.run(REQUEST, job=job, store=killed, memories=Memories(Remembering()))

        assert found_in(killed, secrets) == [], f"killed before change {at}"
        assert without_tombstone(killed) == without_tombstone(whole), f"killed before change {at}"


def without_tombstone(store: MemoryStore) -> dict[str, bytes]:
    """Which tells when."""
    return {key: data for key, data in store.objects.items() if "/erased/" not in key}


def test_another_order_after_one_that_was_lost_completes_it(store: MemoryStore, tmp_path: Path):
    secrets, whole = secrets_of(store), dying(store, 10**6)
    erase(whole, tmp_path)

    for at in range(10**6 - whole.changes_left - 1):  # before the manifest, which goes last
        killed = dying(store, at)
        with pytest.raises(KeyboardInterrupt):
            erase(killed, tmp_path)
        killed.changes_left = 10**6
        if killed.exists(keys.recording("lamp", "spoken")):
            erase(killed, tmp_path)  # a new job: nothing of the first one's steps is known

        assert found_in(killed, secrets) == [], f"killed before change {at}"
        assert without_tombstone(killed) == without_tombstone(whole), f"killed before change {at}"


# ---- exports and imports ---------------------------------------------------------------------------------------------


def exported(store: MemoryStore) -> bytes:
    return b"".join(tar_bytes(store, take_stock(store, "lamp", "all")))


def bring(file: bytes, store: MemoryStore, work: Path) -> None:
    bring_in(io.BytesIO(file), store, work, "STUDIO_WORK_DIR", lambda show: None)


def test_a_show_with_a_tombstone_moves_whole_and_without_what_was_erased(store: MemoryStore, tmp_path: Path):
    secrets, there = secrets_of(store), MemoryStore()
    store.create(keys.source_secret("lamp", "s1"), b'{"address": "https://ann:word@feed.example"}')
    erase(store, tmp_path)

    file = exported(store)
    bring(file, there, tmp_path)

    assert not [secret for secret in (*secrets, b"feed.example") if secret in file]
    assert there.exists(keys.tombstone("lamp", "spoken"))
    assert damage(walk(there, keys.episode("lamp", "e1"))) == []
    assert exported(there) == file


def test_what_was_erased_here_does_not_come_back_by_an_import(store: MemoryStore, tmp_path: Path):
    file = exported(store)
    erase(store, tmp_path)
    before = dict(store.objects)

    with pytest.raises(ConflictError, match=r"spoken was erased from lamp here.*add --again"):
        bring(file, store, tmp_path)
    assert store.objects == before


def test_what_was_erased_there_is_to_be_erased_here_first(store: MemoryStore, tmp_path: Path):
    here = MemoryStore(dict(store.objects))
    erase(store, tmp_path)

    with pytest.raises(ConflictError, match="erased where the file was made"):
        bring(exported(store), here, tmp_path)
    erase(here, tmp_path)
    bring(exported(store), here, tmp_path)


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "recording"),
    [
        (keys.recording("lamp", "r.1"), "r.1"),
        (keys.transcript("lamp", "r1", "rev"), "r1"),
        (keys.transcript_head("lamp", "r1"), "r1"),
        (keys.edits("lamp", "r1"), "r1"),
        (keys.dataset("lamp", "d1"), None),
        (keys.blob("0" * 64), None),
    ],
)
def test_a_key_tells_the_recording_it_belongs_to(key: str, recording: str | None):
    assert recording_of(key) == recording


def test_an_upload_in_pieces_is_known_by_its_content(store: MemoryStore):
    recording = load(store, keys.recording("lamp", "spoken"), Recording)
    data = store.get(recording.original.key)
    place = keys.upload("pieces")
    for at in (0, 1000):
        store.create(keys.upload_part(place, at), data[at : at + 1000] if at == 0 else data[at:])
    store.create(keys.upload_facts(place), b"{}")

    found = traces.read(store, "lamp", "spoken").uploads

    assert len(found) == 4 and hashlib.sha256(data).hexdigest() == recording.original.sha256


def test_an_upload_that_broke_off_is_known_by_its_beginning(store: MemoryStore):
    recording = load(store, keys.recording("lamp", "spoken"), Recording)
    data = store.get(recording.original.key)
    for name, began in (("its", data[:700]), ("another", b"x" * 700)):
        store.create(keys.upload_part(keys.upload(name), 0), began)
        create_manifest(store, keys.upload_facts(keys.upload(name)), Upload(bytes=len(data), by="ann"))

    found = traces.read(store, "lamp", "spoken").uploads

    assert {key.split("/")[1] for key in found} == {"again", "its"}


def test_what_an_import_noted_before_a_kill_holds_nothing(store: MemoryStore, tmp_path: Path):
    secrets = secrets_of(store)
    stock = take_stock(store, "lamp", "all")
    store.create(keys.importing("killed"), stock.export.model_dump_json().encode())

    erase(store, tmp_path)

    assert found_in(store, secrets) == [] and store.list(keys.IMPORTS) == []


def test_what_is_erased_while_an_import_runs_stays_erased(store: MemoryStore, tmp_path: Path):
    file, secrets = exported(store), secrets_of(store)
    without_episodes = {key: data for key, data in store.objects.items() if "/episodes/" not in key}

    class Erasing(MemoryStore):
        """Where the recording is erased once an import has compared what is here, and begins."""

        def create(self, key: str, data: bytes) -> bool:
            created = super().create(key, data)
            if key.startswith(keys.IMPORTS):
                erase(self, tmp_path)
            return created

    there = Erasing(without_episodes)
    with pytest.raises(ConflictError, match="spoken was erased from lamp here"):
        bring(file, there, tmp_path)

    named = [(key, secret) for key, secret in found_in(there, secrets) if not key.startswith(keys.BLOBS)]
    assert there.exists(keys.tombstone("lamp", "spoken")) and named == []


def test_a_guest_of_another_recording_too_stays_named(store: MemoryStore, tmp_path: Path):
    key = keys.transcript("lamp", "published", "rev1")
    transcript = load(store, key, Transcript)
    store.objects[key] = transcript.model_copy(update={"guest": "Ann"}).model_dump_json().encode()

    erase(store, tmp_path)

    assert load(store, keys.dataset("lamp", "d1"), Dataset).train_guests == ("Ann",)
    assert put_blob(store, b"later", "text/plain")
