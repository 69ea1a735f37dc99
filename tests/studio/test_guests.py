"""A guest's fact sheet: made by a job, edited by people, on its way with its show."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from services.studio import guests
from services.studio.care.exports import take_stock, tar_bytes
from services.studio.care.holdings import KINDS, folder_of, survey
from services.studio.care.imports import bring_in
from services.studio.care.lineage import damage, walk
from services.studio.care.memories import Memories
from services.studio.care.retention import Rules, plan
from shared import keys
from shared.errors import BadInputError, ConflictError, NotFoundError, ServiceUnavailableError
from shared.forgetting import Forgetting, Forgotten, RememberedJob
from shared.guests import MOST_IN_SHEET, Fact, GuestFacts, GuestRequest, GuestSheet, fact_sheet, guest_id
from shared.schemas import Episode, JobState, now
from shared.store import load, made_from
from tests.fakes import FakeJob, InterruptedStore, MemoryStore, ScriptedCrew
from tests.studio.a_show import put_show
from tests.studio.test_exports import exported, members

NAME = "Orla Finch"
ID = guest_id(NAME)
KEY = keys.guest("lamp", ID)


def said(text: str, date: str | None = None) -> Fact:
    return Fact(text=text, date=date, sentence=text, source="text", by="source")


BORN, LAMPS, LEFT = said("Orla Finch was born in 1970.", "1970"), said("She makes lamps."), said("She left.")


class FindingCrew(ScriptedCrew):
    """A Crew whose ingest finds these facts."""

    def __init__(self, *facts: Fact) -> None:
        super().__init__()
        self.facts = facts

    def _answer(self, path: str, request: Any) -> dict[str, Any]:
        assert path == "/v1/guests"
        found = GuestFacts(
            show=request.show, guest=guest_id(request.name), name=request.name, facts=self.facts, sentences=9
        )
        return found.model_dump(mode="json")


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    return store


def make(store: MemoryStore, folder: Path, *facts: Fact, job_id: str = "j1", name: str = NAME) -> GuestSheet:
    request = GuestRequest(show="lamp", name=name, text="Orla Finch ...")
    guests.run(request, job=FakeJob(folder, job_id), store=store, crew=FindingCrew(*facts))
    sheet = fact_sheet(store, "lamp", name)
    assert sheet is not None
    return sheet


def change(store: MemoryStore, revision: int, *facts: Fact, by: str = "ed") -> GuestSheet:
    return guests.change(store, "lamp", NAME, guests.GivenFacts(revision=revision, facts=facts), by)


# ---- making ----------------------------------------------------------------------------------------------------------


def test_a_sheet_keeps_what_ingest_found_and_from_what(store: MemoryStore, tmp_path: Path):
    request = GuestRequest(show="lamp", name=NAME, text="Orla Finch ...")
    crew = FindingCrew(BORN, LAMPS)

    result = guests.run(request, job=FakeJob(tmp_path), store=store, crew=crew)

    sheet = load(store, KEY, GuestSheet)
    assert (result.guest, result.key, result.revision, result.found, result.kept) == (ID, KEY, 1, 2, 0)
    assert (sheet.facts, sheet.changed_by, sheet.lineage.job) == ((BORN, LAMPS), "tester", "job-1")
    assert crew.asked == [("guest", [request])]


def test_a_sheet_made_again_has_new_facts_and_keeps_what_people_wrote(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN, LAMPS, LEFT)
    corrected = BORN.model_copy(update={"text": "Orla Finch was born in 1971.", "date": "1971"})
    change(store, 1, corrected, LAMPS, LEFT, Fact(text="She hums."))

    sheet = make(store, tmp_path, LEFT, BORN, said("She is tall."), job_id="j2", name="orla finch")

    assert [(fact.text, fact.by) for fact in sheet.facts] == [
        ("She left.", "source"),
        ("Orla Finch was born in 1971.", "person"),
        ("She is tall.", "source"),
        ("She hums.", "person"),
    ]
    assert sheet.revision == 3 and sheet.name == "orla finch" and len(store.list(keys.guests("lamp"))) == 1


def test_a_repeat_of_the_job_leaves_what_people_changed_since(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN, LAMPS)
    edited = change(store, 1, LAMPS)

    assert make(store, tmp_path, BORN, LAMPS) == edited


def test_people_who_write_while_it_is_made_again_lose_nothing(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN)
    raced = InterruptedStore(store.objects, lambda: change(store, 1, BORN, Fact(text="She hums.")))

    sheet = make(raced, tmp_path, LAMPS, job_id="j2")

    assert [fact.text for fact in sheet.facts] == ["She makes lamps.", "She hums."] and sheet.revision == 3


def test_facts_of_people_have_room_before_those_of_a_source():
    people = [Fact(text=f"She hums song {number}.") for number in range(MOST_IN_SHEET - 1)]

    facts = guests.merged(people, [BORN, LAMPS])

    assert facts == (BORN, *people)


@pytest.mark.parametrize(
    ("show", "url", "error", "words"),
    [
        ("nowhere", "https://example.org/", NotFoundError, "there is no show 'nowhere'"),
        ("lamp", "file:///etc/passwd", BadInputError, "only http and https"),
        ("lamp", "orla.html", BadInputError, "only http and https"),
    ],
)
def test_what_cannot_be_made_is_refused_before_ingest_is_asked(
    store: MemoryStore, show: str, url: str, error: type[Exception], words: str
):
    with pytest.raises(error, match=words):
        guests.demand(store, GuestRequest(show=show, name=NAME, url=url))


# ---- changing --------------------------------------------------------------------------------------------------------


def test_who_changes_or_adds_a_fact_has_said_it_and_the_rest_is_the_sources(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN, LAMPS)
    dated = LAMPS.model_copy(update={"date": "1998"})
    claimed = Fact(text="She hums.", sentence="She hums loudly.", source="text", by="source")

    sheet = change(store, 1, BORN.model_copy(update={"by": "person"}), dated, claimed)

    assert sheet.facts == (
        BORN,
        LAMPS.model_copy(update={"date": "1998", "by": "person"}),
        Fact(text="She hums.", by="person"),
    )
    assert (sheet.revision, sheet.changed_by) == (2, "ed")


def test_the_same_facts_again_are_no_change(store: MemoryStore, tmp_path: Path):
    sheet = make(store, tmp_path, BORN)

    assert change(store, 1, BORN) == sheet


def test_a_change_of_what_somebody_changed_meanwhile_is_refused_and_says_what_to_do(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN, LAMPS)
    changed = change(store, 1, BORN, by="mel")

    with pytest.raises(
        ConflictError, match=r"mel changed .* revision 2, and you have read 1.*send revision 2"
    ) as caught:
        change(store, 1, LAMPS)
    assert caught.value.changes[0]["by"] == "mel" and fact_sheet(store, "lamp", NAME) == changed


def test_of_two_who_change_at_the_same_moment_one_is_told(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN, LAMPS)
    raced = InterruptedStore(store.objects, lambda: change(store, 1, BORN, by="mel"))

    with pytest.raises(ConflictError, match="mel changed"):
        change(raced, 1, LAMPS)
    assert [fact.text for fact in load(store, KEY, GuestSheet).facts] == [BORN.text]


def test_a_change_of_what_was_removed_meanwhile_writes_nothing(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN, LAMPS)

    class Removing(MemoryStore):
        def read(self, key: str) -> tuple[bytes, str]:
            store.delete(KEY)
            return super().read(key)

    raced = Removing()
    raced.objects = store.objects
    with pytest.raises(NotFoundError, match="removed meanwhile"):
        change(raced, 1, LAMPS)
    assert not store.exists(KEY)


# ---- removing --------------------------------------------------------------------------------------------------------


def remembering(*unfinished: RememberedJob) -> tuple[Memories, list[Forgetting]]:
    asked: list[Forgetting] = []

    def others(forgetting: Forgetting) -> list[Forgotten]:
        asked.append(forgetting)
        return [Forgotten(service="ingest", ended=(), unfinished=unfinished)]

    return Memories(others), asked


def making(name: str) -> RememberedJob:
    request = {"show": "lamp", "name": name}
    return RememberedJob(
        id="j9", service="ingest", kind="guest", state=JobState.RUNNING, mentions=False, request=request
    )


def test_a_sheet_is_removed_with_what_jobs_remember_of_it(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN)
    memories, asked = remembering(making("Ann Ash"))

    guests.remove(store, memories, "lamp", "ORLA finch")

    assert not store.exists(KEY) and [one.dry_run for one in asked] == [True, False]
    assert (asked[1].only, asked[1].words, asked[1].texts, asked[1].jobs) == (("guest",), (ID,), (NAME,), ("j1",))


def test_a_sheet_that_is_being_made_stays(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN)
    memories, asked = remembering(making("orla  finch"))

    with pytest.raises(ConflictError, match=r"being made by job j9 \(ingest\); wait for it"):
        guests.remove(store, memories, "lamp", NAME)
    assert store.exists(KEY) and [one.dry_run for one in asked] == [True]


def test_while_a_service_is_away_nothing_is_removed(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN)

    def away(forgetting: Forgetting) -> list[Forgotten]:
        raise ServiceUnavailableError("ingest does not answer")

    with pytest.raises(ServiceUnavailableError):
        guests.remove(store, Memories(away), "lamp", NAME)
    assert store.exists(KEY)


# ---- with its show ---------------------------------------------------------------------------------------------------


def test_a_sheet_travels_with_its_show(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path / "job", BORN, LAMPS)
    there = MemoryStore()

    for only in ("all", "text"):
        assert KEY in members(exported(store, only))  # type: ignore[arg-type]
    bring_in(io.BytesIO(exported(store)), there, tmp_path / "work", "STUDIO_WORK_DIR", lambda show: None)

    assert there.objects == store.objects and fact_sheet(there, "lamp", NAME) is not None


def test_a_sheet_that_was_edited_here_is_no_less_than_the_one_in_the_file(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path / "job", BORN, LAMPS)
    file = exported(store)
    change(store, 1, BORN)

    with pytest.raises(ConflictError, match=r"guests.*differs"):
        bring_in(io.BytesIO(file), store, tmp_path / "work", "STUDIO_WORK_DIR", lambda show: None)
    assert len(load(store, KEY, GuestSheet).facts) == 1


def test_an_export_holds_the_sheet_as_it_was_when_it_began(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN, LAMPS)
    before = store.get(KEY)

    stock = take_stock(store, "lamp", "all")
    change(store, 1, BORN)

    assert members(b"".join(tar_bytes(store, stock)))[KEY] == before


def test_an_episode_outlives_a_sheet_that_was_changed_or_removed(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN, LAMPS)
    key = keys.episode("lamp", "e1")
    episode = load(store, key, Episode)
    lineage = episode.lineage.model_copy(update={"made_from": (*episode.lineage.made_from, *made_from(store, KEY))})
    store.objects[key] = episode.model_copy(update={"lineage": lineage}).model_dump_json().encode()

    change(store, 1, BORN)
    assert damage(walk(store, key)) == []
    store.delete(KEY)

    assert damage(walk(store, key)) == []
    assert [link.state for link in walk(store, key) if link.key == KEY] == ["withdrawn"]
    assert KEY not in members(exported(store))


def test_a_collection_leaves_sheets_alone(store: MemoryStore, tmp_path: Path):
    make(store, tmp_path, BORN)
    store.grow_old(hours=24 * 365)

    assert KEY not in {mark.key for mark in plan(store, survey(store), Rules(), now())}
    assert KINDS[folder_of(KEY)] == "show"
