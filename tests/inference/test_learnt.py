"""What an adapter has learnt from is not written again, and where it is, the report says whose words they are."""

from __future__ import annotations

import pytest

from services.inference import job as story
from services.inference.gate import Draft, recitals
from services.inference.learnt import recited, training_text
from shared import keys
from shared.schemas import Adapter, Blob, Dataset, Episode, EpisodeTurn, HostMethod, Role, Speaker, Transcript, Turn
from shared.store import create_manifest, load, put_blob
from tests.fakes import MemoryStore, ScriptedVllmEngine
from tests.inference.conftest import BASE, LINEAGE, SHOW, add_adapter
from tests.inference.test_job import BRIEF
from tests.trainer.test_exam import example

SAID = "the clock on the old tower stood still for eleven minutes and nobody in the town dared to breathe"


@pytest.fixture
def adapter(store: MemoryStore) -> Adapter:
    """One that was trained on a recording in which SAID is said at second 12."""
    line = example("rec1", "What happened?", SAID).model_dump_json()
    train = put_blob(store, f"{line}\n".encode(), "application/jsonl")
    nothing: Blob = put_blob(store, b"", "application/jsonl")
    dataset = Dataset(
        id="d1", show=SHOW.slug, host=SHOW.host, train=train, eval=nothing, train_examples=1, eval_examples=0,
        train_tokens=1, eval_tokens=0, train_guests=("Ann",), eval_guests=(), left_out=(), max_length=512,
        loss_on="both", base_model=BASE.name, base_revision=BASE.revision, lineage=LINEAGE,
    )  # fmt: skip
    create_manifest(store, keys.dataset(SHOW.slug, "d1"), dataset)
    turns = (
        Turn(speaker="S1", role=Role.HOST, start_s=2.0, end_s=4.0, text="What happened?"),
        Turn(speaker="S2", role=Role.GUEST, start_s=12.0, end_s=20.0, text=SAID.capitalize()),
    )
    transcript = Transcript(
        id="t", recording="rec1", show=SHOW.slug, kind="machine", speakers=(Speaker(label="S1", role=Role.HOST),),
        host_method=HostMethod.VOICEPRINT, turns=turns, lineage=LINEAGE,
    )  # fmt: skip
    create_manifest(store, keys.transcript(SHOW.slug, "rec1", "t"), transcript)
    return add_adapter(store, "lamp.r1.c8")


def turn(text: str) -> EpisodeTurn:
    return EpisodeTurn(index=3, role="guest", speaker="Theo", text=text, tokens=1)


def test_a_recited_span_is_traced_to_its_recording_and_second(store, adapter, tmp_path):
    learnt = training_text(store, adapter, tmp_path)

    spans = recited([turn(f"You know, {SAID.upper()}"), turn("Something of my own.")], learnt, store, SHOW.slug)

    assert spans is not None
    [span] = spans
    assert (span.turn, span.first_word, span.last_word) == (3, 2, 2 + len(SAID.split()))
    assert (span.recording, span.start_s) == ("rec1", 12.0)


def test_without_its_transcript_only_the_second_is_missing(store, adapter, tmp_path):
    learnt = training_text(store, adapter, tmp_path)
    store.delete(keys.transcript(SHOW.slug, "rec1", "t"))

    spans = recited([turn(SAID)], learnt, store, SHOW.slug)

    assert spans is not None and [(span.recording, span.start_s) for span in spans] == [("rec1", None)]


def test_where_the_examples_are_gone_nobody_looked(store, adapter, tmp_path):
    store.delete(load(store, keys.dataset(SHOW.slug, "d1"), Dataset).train.key)

    assert training_text(store, adapter, tmp_path) is None and training_text(store, None, tmp_path) is None
    assert recited([turn(SAID)], None, store, SHOW.slug) is None


def test_the_gate_names_what_a_turn_recites(store, adapter, tmp_path):
    learnt = training_text(store, adapter, tmp_path)

    [fault] = recitals(Draft(SAID, closed=True), learnt)

    assert fault.reason == f"recites {len(SAID.split())} words of rec1" and not fault.grave
    assert recitals(Draft("Nothing that anybody said before me.", closed=True), learnt) == []
    assert recitals(Draft(SAID, closed=True), None) == []


def test_a_turn_that_recites_is_said_again(store, adapter, renderer, job, settings):
    engine = ScriptedVllmEngine(renderer, ["How was it, back then in the tower?", f"{SAID.capitalize()}."])

    result = story.run(BRIEF, job=job, store=store, engine=engine, settings=settings)

    episode = load(store, result.key, Episode)
    assert episode.turns[1].attempts == 2 and "recites" in episode.turns[1].rejected[0]
    assert episode.report.recited == () and "recites" not in episode.report.verdict


def test_an_episode_of_the_base_model_says_that_nobody_looked(store, renderer, job, settings):
    result = story.run(BRIEF, job=job, store=store, engine=ScriptedVllmEngine(renderer), settings=settings)

    assert load(store, result.key, Episode).report.recited is None
