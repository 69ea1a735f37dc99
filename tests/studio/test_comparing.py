"""A comparison: one brief by several adapters, which fail one by one; what is stored, and what it says later."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.studio import comparing
from services.studio.care import erasure
from services.studio.care.erasure import EraseRequest
from services.studio.care.exports import take_stock, tar_bytes
from services.studio.care.imports import bring_in
from services.studio.care.lineage import damage, walk
from services.studio.care.memories import Memories
from services.studio.care.withdrawal import in_the_way
from services.studio.comparisons import Comparison, ComparisonRequest, ComparisonResult, rows_of, side_of
from services.studio.library import Library
from shared import keys
from shared.errors import BadInputError, NotFoundError, RemoteJobError
from shared.forgetting import RememberedJob
from shared.schemas import Adapter, Episode, JobState
from shared.store import create_manifest, load
from tests.fakes import FakeJob, MemoryStore, ScriptedCrew
from tests.studio.a_show import put_show

FIRST, SECOND = "lamp.r1.c4", "lamp.r2.c9"


class WritingCrew(ScriptedCrew):
    """A crew whose inference writes e-NUMBER for each adapter; `fails` names those with which it cannot."""

    def __init__(self, store: MemoryStore, fails: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._store, self._fails = store, fails

    def _answer(self, path: str, request: Any) -> dict[str, Any]:
        if request.adapter in self._fails:
            return {"problem": f"the canary of {request.adapter} failed"}
        name = f"e-{request.adapter}"
        adapter = None if request.adapter == "base" else request.adapter
        written = load(self._store, keys.episode("lamp", "e1"), Episode).model_copy(
            update={"id": name, "adapter": adapter, "brief": request, "label": f"tiny with {request.adapter}"}
        )
        create_manifest(self._store, keys.episode("lamp", name), written)
        return {"episode": name, "key": keys.episode("lamp", name), "words": 4, "turns": 2, "canary": None}


@pytest.fixture
def store() -> MemoryStore:
    """The small show with two adapters, of which the second has the lower held-out loss."""
    store = MemoryStore()
    put_show(store)
    put_adapter(store, SECOND, eval_loss_after=1.5)
    return store


def put_adapter(store: MemoryStore, name: str, **facts: Any) -> None:
    adapter = load(store, keys.adapter("lamp", FIRST), Adapter).model_copy(update={"name": name, **facts})
    create_manifest(store, keys.adapter("lamp", name), adapter)


def asked_for(*adapters: str, **facts: Any) -> ComparisonRequest:
    return ComparisonRequest(show="lamp", guest="Orla", adapters=adapters, **facts)


def compare(
    store: MemoryStore, tmp_path: Path, request: ComparisonRequest, crew: ScriptedCrew | None = None
) -> ComparisonResult:
    return comparing.run(request, job=FakeJob(tmp_path), store=store, crew=crew or WritingCrew(store))


# ---- the story -------------------------------------------------------------------------------------------------------


def test_the_same_brief_is_written_once_per_adapter_and_the_episodes_are_named(store: MemoryStore, tmp_path: Path):
    crew = WritingCrew(store)

    result = compare(store, tmp_path, asked_for("best", FIRST, "base", words=900, seed=7, about="lamps"), crew)

    ((step, briefs),) = crew.asked
    assert step == "write" and [brief.adapter for brief in briefs] == [SECOND, FIRST, "base"]
    assert {(brief.guest, brief.words, brief.seed, brief.about) for brief in briefs} == {("Orla", 900, 7, "lamps")}
    stored = load(store, keys.comparison("lamp", result.comparison), Comparison)
    assert [(one.adapter, one.episode) for one in stored.episodes] == [
        (SECOND, f"e-{SECOND}"),
        (FIRST, f"e-{FIRST}"),
        ("base", "e-base"),
    ]
    assert {source.key for source in stored.lineage.made_from} == {
        keys.show("lamp"),
        keys.adapter("lamp", FIRST),
        keys.adapter("lamp", SECOND),
    }


def test_one_that_fails_is_named_with_its_error_and_the_others_stay(store: MemoryStore, tmp_path: Path):
    result = compare(store, tmp_path, asked_for(FIRST, "base"), WritingCrew(store, fails=(FIRST,)))

    assert [(one.episode, one.error) for one in result.episodes] == [
        (None, f"the canary of {FIRST} failed"),
        ("e-base", ""),
    ]
    assert store.exists(result.key)


def test_where_all_fail_nothing_is_stored_and_the_first_error_is_told(store: MemoryStore, tmp_path: Path):
    with pytest.raises(RemoteJobError, match=f"none of the 2 episodes was written; {FIRST}: the canary of"):
        compare(store, tmp_path, asked_for(FIRST, "base"), WritingCrew(store, fails=(FIRST, "base")))

    assert store.list(keys.comparisons("lamp")) == []


def test_a_restart_writes_nothing_twice(store: MemoryStore, tmp_path: Path):
    crew, job = WritingCrew(store), FakeJob(tmp_path)

    first = comparing.run(asked_for(FIRST, "base"), job=job, store=store, crew=crew)
    second = comparing.run(asked_for(FIRST, "base"), job=job, store=store, crew=crew)

    assert first == second and len(crew.asked) == 1 and len(store.list(keys.comparisons("lamp"))) == 1


# ---- who is compared -------------------------------------------------------------------------------------------------


def test_best_is_the_lowest_held_out_loss_of_those_that_recite_least(store: MemoryStore):
    assert comparing.resolved(store, asked_for("best", "base")) == [SECOND, "base"]
    store.objects.pop(keys.adapter("lamp", SECOND))
    judged = load(store, keys.adapter("lamp", FIRST), Adapter)
    limit = judged.lineage.model_copy(update={"parameters": {"memorisation_limit": 0.0}})
    put_adapter(store, SECOND, eval_loss_after=1.5, step=4, lineage=limit)

    assert comparing.resolved(store, asked_for("best", "base")) == [FIRST, "base"]


@pytest.mark.parametrize(
    ("adapters", "told"), [(("best", SECOND), "`best` is lamp.r2.c9"), ((SECOND, "base", "best"), "`best` is")]
)
def test_best_must_not_be_one_that_is_named_too(store: MemoryStore, adapters: tuple[str, ...], told: str):
    with pytest.raises(BadInputError, match=told):
        comparing.resolved(store, asked_for(*adapters))


def test_best_of_a_show_without_adapters_is_the_base_model_which_is_named_too(store: MemoryStore):
    for key in store.list(keys.adapters("lamp")):
        store.delete(key)

    with pytest.raises(BadInputError, match="`best` is base"):
        comparing.resolved(store, asked_for("best", "base"))


def test_an_unknown_adapter_is_answered_with_those_there_are(store: MemoryStore):
    with pytest.raises(NotFoundError, match=f"has no adapter lamp.r9.c9; it has: {FIRST}, {SECOND}"):
        comparing.resolved(store, asked_for("lamp.r9.c9", "base"))


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"adapters": ("base",)}, "at least 2"),
        ({"adapters": tuple("abcdefg")}, "at most 6"),
        ({"adapters": ("base", "base")}, "names one of them twice"),
        ({"adapters": ("base", "best"), "adapter": "base"}, "no single `adapter`"),
        ({"adapters": ("base", "best"), "review_plan": True}, "whole episodes"),
        ({"adapters": ("base", "best"), "write": "questions"}, "whole episodes"),
        ({"adapters": ("base", "best"), "guest_is": "consented"}, "--consent"),
    ],
)
def test_what_is_no_comparison_is_refused_with_the_fix(facts: dict[str, Any], told: str):
    with pytest.raises(ValidationError, match=told):
        ComparisonRequest(show="lamp", guest="Orla", **facts)


def test_a_request_survives_the_way_through_the_job_database():
    request = asked_for("best", "base", words=900)

    assert ComparisonRequest.model_validate(request.model_dump(mode="json")) == request


# ---- side by side ----------------------------------------------------------------------------------------------------


def test_figures_stand_beside_each_other_in_reading_order(store: MemoryStore):
    plain = load(store, keys.episode("lamp", "e1"), Episode)
    richer = plain.model_copy(update={"report": plain.report.model_copy(update={"tail_rep4": 0.5})})

    rows = rows_of([side_of(plain), side_of(richer)])

    labels = [row.label for row in rows]
    own = [figure.label for figure in side_of(richer).figures]
    assert labels == own and len(labels) == len(set(labels))
    tail = next(row for row in rows if row.label == "repeated 4-grams, last fifth")
    assert tail.figures[0] is None and tail.figures[1] is not None and tail.figures[1].grade == "bad"


def test_lengths_that_differ_have_no_common_range(store: MemoryStore):
    plain = load(store, keys.episode("lamp", "e1"), Episode)
    short, long = (
        plain.model_copy(update={"brief": plain.brief.model_copy(update={"words": words})}) for words in (500, 900)
    )

    assert rows_of([side_of(short), side_of(long)])[0].normal == ""
    assert rows_of([side_of(plain), side_of(long)])[0].normal.startswith("900"), "one that has none changes nothing"


def test_an_episode_that_was_deleted_since_says_so_and_the_others_are_shown(store: MemoryStore, tmp_path: Path):
    result = compare(store, tmp_path, asked_for(FIRST, SECOND, "base"), WritingCrew(store, fails=("base",)))
    store.delete(keys.episode("lamp", f"e-{FIRST}"))
    library = Library(store)

    sides = comparing.sides(library, library.comparison("lamp", result.comparison))

    assert [side.error for side in sides] == [
        "this episode is not stored any more",
        "",
        "the canary of base failed",
    ]
    assert sides[1].label == f"tiny with {SECOND}" and sides[1].verdict == "fine" and sides[1].report is not None
    assert [turn.index for turn in sides[1].first_exchange] == [0, 1]


# ---- data care -------------------------------------------------------------------------------------------------------


def test_a_comparison_travels_with_its_show_also_without_a_deleted_episode(store: MemoryStore, tmp_path: Path):
    result = compare(store, tmp_path, asked_for(FIRST, "base"))
    store.delete(keys.episode("lamp", "e-base"))
    there = MemoryStore()

    file = io.BytesIO(b"".join(tar_bytes(store, take_stock(store, "lamp", "all"))))
    bring_in(file, there, tmp_path / "work", "STUDIO_WORK_DIR", lambda show: None)

    assert there.get(result.key) == store.get(result.key)
    assert damage(walk(there, result.key)) == []


def test_an_erasure_marks_the_episodes_and_the_comparison_says_what_they_say(store: MemoryStore, tmp_path: Path):
    crew = WritingCrew(store)
    result = compare(store, tmp_path, asked_for(FIRST, "base"), crew)

    request = EraseRequest(show="lamp", recording="spoken")
    erasure.run(request, job=FakeJob(tmp_path, "job-2"), store=store, memories=Memories(lambda forgetting: []))

    library = Library(store)
    sides = comparing.sides(library, library.comparison("lamp", result.comparison))
    assert [side.source_withdrawn for side in sides] == [("spoken",)] * 2  # the script copies the lineage of e1
    assert damage(walk(store, result.key)) == []


@pytest.mark.parametrize("adapters", [(FIRST, "base"), ("best", "base"), ("lamp.r7.c7", "base")])
def test_a_comparison_that_is_being_written_is_in_the_way_of_an_erasure(adapters: tuple[str, ...]):
    asked = {"show": "lamp", "adapters": list(adapters)}
    job = RememberedJob(id="c", service="studio", kind="compare", state=JobState.RUNNING, mentions=False, request=asked)

    assert in_the_way([job], "spoken", {FIRST, "d1"}) == [job]
