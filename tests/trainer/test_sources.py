"""What is repeated in a show stays out of its datasets until somebody says that it is talk: the demo's own texts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.trainer import job as story
from services.trainer.sources import read_sources
from shared import keys, published, roles
from shared.classifications import UNCLASSIFIED
from shared.corrections import Classification, SpanKind
from shared.repeats import find, said_in
from shared.schemas import Blob, Dataset, DatasetRequest, Example, ExcludedSpan, Recording, RecordingEdits, Show
from shared.spoken import spelt
from shared.store import create_manifest, get_blob, load, point
from shared.transcripts import current, transcribed
from tests.fakes import FakeJob, MemoryStore, ScriptedTrainingEngine
from tests.trainer.conftest import LINEAGE

EXAMPLES = Path(__file__).parents[2] / "examples"
SPONSOR = (
    "This show is brought to you by Puddle Socks, the warm wool socks that dry while you walk. Every pair is made to "
    "last ten winters, and if a toe comes through, they send a new one free. Use the code lamp at checkout for ten "
    "percent off."
)
GREETING = "Welcome back to The Lamplight Hour, I'm Mara Quill, and"
QUESTION = "Last question, the one we ask everybody. What would you leave a light on for?"


@pytest.fixture(scope="module")
def texts() -> dict[str, published.Published]:
    """Every script with all that is said in it: nobody marked the sponsor's text."""
    paths = sorted(EXAMPLES.glob("spoken/*.txt")) + sorted(EXAMPLES.glob("published/*"))
    unmarked = {path.stem: re.sub(r"(?m)^# \w+\n", "", path.read_text()) for path in paths}
    return {name: published.parse(text) for name, text in unmarked.items()}


@pytest.fixture
def demo(texts: dict[str, published.Published]) -> MemoryStore:
    store = MemoryStore()
    show = Show.model_validate_json((EXAMPLES / "show.json").read_text()).model_copy(update={"slug": "lamp"})
    create_manifest(store, keys.show("lamp"), show)
    original = Blob(key=keys.blob("0" * 64), sha256="0" * 64, bytes=1)
    for name, text in texts.items():
        facts = {"id": name, "show": "lamp", "title": text.title, "guest": text.guest, "source": name}
        recording = Recording(**facts, original=original, lineage=LINEAGE)
        create_manifest(store, keys.recording("lamp", name), recording)
        transcript = roles.build_transcript(text, recording, show, "rev1", LINEAGE)
        create_manifest(store, keys.transcript("lamp", name, "rev1"), transcript)
        point(store, keys.transcript_head("lamp", name), b"rev1")
    return store


def build(store: MemoryStore, job: FakeJob, engine: ScriptedTrainingEngine, **wishes) -> Dataset:
    request = DatasetRequest(show="lamp", max_length=2048, **wishes)
    return load(store, story.build(request, job=job, store=store, engine=engine).key, Dataset)


def classify(store: MemoryStore, beginning: str, kind: SpanKind) -> None:
    said = [said_in(current(store, "lamp", recording)) for recording in transcribed(store, "lamp")]
    (cluster,) = [cluster for cluster in find(said) if cluster.text.startswith(beginning)]
    said_so = Classification(id=cluster.id, show="lamp", kind=kind, grams=cluster.grams, by="ann")
    create_manifest(store, keys.classification("lamp", cluster.id), said_so)


def taught(store: MemoryStore, dataset: Dataset) -> list[str]:
    """The turns of all examples, without headers."""
    lines = [line for half in (dataset.train, dataset.eval) for line in get_blob(store, half).decode().splitlines()]
    examples = [Example.model_validate_json(line) for line in lines]
    return [message.text for example in examples for message in example.messages if message.role != "system"]


def grams_left(turns: list[str], text: str, size: int = 8) -> set[str]:
    def grams(words: list[str]) -> set[str]:
        return {" ".join(words[at : at + size]) for at in range(len(words) - size + 1)}

    own = grams([token for word in text.split() for token in spelt(word)])
    return {gram for turn in turns for gram in grams([token for word in turn.split() for token in spelt(word)]) & own}


def left_out(dataset: Dataset) -> dict[str, int]:
    words: dict[str, int] = {}
    for one in dataset.left_out:
        words[one.reason] = words.get(one.reason, 0) + one.words
    return words


def test_nothing_of_the_sponsor_is_taught_and_most_of_the_talk_is(demo, job, engine):
    all_words = sum(
        len(turn.text.split()) for name in transcribed(demo, "lamp") for turn in current(demo, "lamp", name).turns
    )

    dataset = build(demo, job, engine)

    turns = taught(demo, dataset)
    assert grams_left(turns, SPONSOR) == set()
    assert grams_left(turns, GREETING, 5) == grams_left(turns, QUESTION, 5) == set(), "nobody said what they are yet"
    assert left_out(dataset)[UNCLASSIFIED] == 7 * 48 + 26 * (10 + 15 + 12)
    assert sum(len(turn.split()) for turn in turns) > 0.8 * all_words
    assert any("diary repeats" in warning for warning in dataset.warnings)


def test_what_people_say_a_span_is_decides_and_makes_another_dataset(demo, job, engine):
    before = build(demo, job, engine)
    classify(demo, "This show", "advert")
    classify(demo, "Welcome back", "greeting")
    classify(demo, "Last question", "keep")

    dataset = build(demo, job, engine)

    turns = taught(demo, dataset)
    assert sum(GREETING in turn for turn in turns) == 26
    assert sum(QUESTION in turn for turn in turns) == 26
    assert grams_left(turns, SPONSOR) == set()
    assert left_out(dataset)["advert, classified by a person"] == 7 * 48
    assert left_out(dataset)[UNCLASSIFIED] == 26 * 12
    assert dataset.id != before.id and dataset.eval_guests == before.eval_guests
    assert "advert, classified by a person" in dataset.lineage.parameters["repeated"].values()
    assert build(demo, job, engine) == dataset


def test_an_answer_whose_question_is_left_out_is_not_taught_as_the_end_of_another(demo, job, engine):
    unseen = taught(demo, build(demo, job, engine))
    classify(demo, "Last question", "closing")

    seen = taught(demo, build(demo, job, engine))

    answer = "For whoever's next. You always look over your shoulder"
    assert not any(answer in turn for turn in unseen)
    assert any(turn.startswith(answer) for turn in seen)


def test_an_advert_is_found_by_all_recordings_also_where_two_are_asked_for(demo, job, engine):
    dataset = build(demo, job, engine, recordings=("01-ben-marsh", "04-barnaby-okoro"))

    turns = taught(demo, dataset)
    assert len({*dataset.train_guests, *dataset.eval_guests}) == 2
    assert grams_left(turns, SPONSOR) == set()
    assert {source.key.split("/")[3] for source in dataset.lineage.made_from} == {"01-ben-marsh", "04-barnaby-okoro"}


def test_what_a_person_left_out_of_a_transcript_stays_out_too(demo, job):
    transcript = current(demo, "lamp", "01-ben-marsh")
    span = ExcludedSpan(start_s=0, end_s=5, reason="other", found_by="person")
    edited = transcript.model_copy(update={"id": "rev2", "excluded_spans": (span,)})
    create_manifest(demo, keys.transcript("lamp", "01-ben-marsh", "rev2"), edited)
    point(demo, keys.transcript_head("lamp", "01-ben-marsh"), b"rev2")

    sources = read_sources(DatasetRequest(show="lamp", recordings=("01-ben-marsh",)), job, demo)

    assert [source.excluded_spans for source in sources] == [(span,)]


def test_a_persons_word_for_the_guest_counts_more_than_what_was_guessed_when_the_recording_came(demo, job):
    names = transcribed(demo, "lamp")[:2]
    request = DatasetRequest(show="lamp", recordings=tuple(names))
    for name in names:
        renamed = current(demo, "lamp", name).model_copy(update={"id": "rev2", "guest": "Renamed"})
        create_manifest(demo, keys.transcript("lamp", name, "rev2"), renamed)
        point(demo, keys.transcript_head("lamp", name), b"rev2")
    create_manifest(demo, keys.edits("lamp", names[1]), RecordingEdits(by="ann", guest="Edited"))

    assert [source.guest for source in read_sources(request, job, demo)] == ["Renamed", "Edited"]
