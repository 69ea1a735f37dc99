"""`diary episodes plan`, `questions`, `revise`, `extend`, and what `write` tells at once, before a scripted crew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.studio.crew import remote_job_id
from shared import keys
from shared.schemas import EpisodeRequest, Lineage, PlannedQuestion, QuestionChapter, QuestionSheet
from shared.store import create_manifest
from tests.fakes import MemoryStore, ScriptedCrew
from tests.kit import until
from tests.studio.a_door import Desk, serving, studio_of
from tests.studio.a_show import put_show
from tests.studio.test_cli import as_json

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def crew() -> ScriptedCrew:
    return ScriptedCrew()


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    return store


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, crew: ScriptedCrew, store: MemoryStore) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    app, token = studio_of(folder, store, crew)
    with serving(app) as url:
        yield Desk(url, token, folder / "state-home")


def sent(crew: ScriptedCrew) -> dict:
    return crew.asked[-1][1][0].model_dump(mode="json", exclude_defaults=True)


def test_a_plan_is_a_brief_to_change_and_to_write_with(desk: Desk, crew: ScriptedCrew, tmp_path: Path):
    file = tmp_path / "brief.json"
    options = ("--guest", "Orla Finch", "--words", "5000", "--fact", "She mends lamps.", "--tone", "dry")

    done = desk.diary("episodes", "plan", "lamp", *options, "--out", str(file))
    asked = sent(crew)
    brief = json.loads(file.read_text())
    brief["plan"][0]["title"] = "The workshop"
    file.write_text(json.dumps(brief))
    told = ("--seed", "7", "--fact", "She hums.")
    as_json(desk.diary("episodes", "write", "lamp", "--brief", str(file), *told, "--json"))

    assert done.returncode == 0 and f"diary episodes write lamp --brief {file}" in " ".join(done.stderr.split())
    assert asked["review_plan"] and asked["facts"] == ["She mends lamps."] and asked["tone"] == "dry"
    written = sent(crew)
    assert written["plan"][0]["title"] == "The workshop" and "review_plan" not in written
    assert (written["guest"], written["words"], written["seed"]) == ("Orla Finch", 5000, 7)
    assert written["facts"] == ["She mends lamps.", "She hums."]


def test_a_length_that_is_given_replaces_the_briefs(desk: Desk, crew: ScriptedCrew, tmp_path: Path):
    file = tmp_path / "brief.json"
    file.write_text(json.dumps({"guest": "Orla Finch", "words": 5000}))

    as_json(desk.diary("episodes", "write", "lamp", "--brief", str(file), "--minutes", "4", "--json"))

    assert (sent(crew).get("words"), sent(crew)["minutes"]) == (None, 4.0)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "is no file"),
        ("{", "is not JSON"),
        ("[1]", "holds no brief"),
        ('{"guest": "A", "lenght": 9}', "a brief has no 'lenght'"),
        ("{}", "who is the guest?"),
    ],
)
def test_a_file_that_is_no_brief_is_refused_with_the_fix(desk: Desk, tmp_path: Path, content: str | None, told: str):
    file = tmp_path / "brief.json"
    if content is not None:
        file.write_text(content)

    done = desk.diary("episodes", "write", "lamp", "--brief", str(file))

    assert done.returncode == 1 and told in " ".join(done.stderr.split()) and "Traceback" not in done.stderr


def test_an_order_tells_at_once_who_writes_and_what_it_comes_to(desk: Desk, crew: ScriptedCrew):
    before = len(crew.asked)

    done = desk.diary("episodes", "write", "lamp", "--guest", "Orla Finch", "--words", "3000", "--no-wait")

    said = " ".join(done.stderr.split())
    assert done.returncode == 0
    assert "3,000 words" in said and "min of talk" in said and "lamp.r1.c4" in said
    until(lambda: len(crew.asked) > before, "inference is asked")


def test_an_adapter_that_is_not_there_is_refused_before_anything_is_queued(desk: Desk):
    done = desk.diary("episodes", "write", "lamp", "--guest", "Orla Finch", "--adapter", "lamp.r9.c9")

    assert done.returncode == 1 and "lamp.r1.c4" in done.stderr and "`best` or `base`" in done.stderr


def test_turns_are_replaced_and_written_again(desk: Desk, crew: ScriptedCrew):
    text = ("--turn", "2", "--text", "And then?", "--turn", "4", "--text", "Why?")

    as_json(desk.diary("episodes", "revise", "lamp", "e1", *text, "--again", "5-6", "--rest", "rewrite", "--json"))

    assert sent(crew) == {
        "show": "lamp",
        "episode": "e1",
        "replace": [{"index": 2, "text": "And then?"}, {"index": 4, "text": "Why?"}],
        "regenerate": [5, 6],
        "rest": "rewrite",
    }


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "nothing to do"),
        (("--turn", "2"), "one --text for each --turn"),
        (("--again", "two"), "names no turns; write 4, or 4-6"),
        (("--again", "6-4"), "the first and the last turn"),
        (("--again", "4", "--rest", "burn"), "'keep' or 'rewrite'"),
    ],
)
def test_a_revision_that_cannot_be_is_refused(desk: Desk, options: tuple[str, ...], told: str):
    done = desk.diary("episodes", "revise", "lamp", "e1", *options)

    assert done.returncode == 1 and told in " ".join(done.stderr.split()) and "Traceback" not in done.stderr


def test_a_sample_is_made_longer_and_an_unknown_one_is_named(desk: Desk, crew: ScriptedCrew):
    as_json(desk.diary("episodes", "extend", "lamp", "e1", "--minutes", "60", "--json"))
    unknown = desk.diary("episodes", "extend", "lamp", "nothere", "--minutes", "60")

    assert sent(crew) == {"show": "lamp", "episode": "e1", "minutes": 60.0}
    assert unknown.returncode == 1 and "has no finished episode nothere" in unknown.stderr


def test_questions_are_printed_with_room_for_answers(desk: Desk, crew: ScriptedCrew, store: MemoryStore):
    put_questions(store, "e0sheet")

    done = desk.diary("questions", "export", "lamp", "e0sheet")
    listed = as_json(desk.diary("questions", "list", "lamp", "--json"))

    assert done.returncode == 0 and done.stdout.startswith("---\nai_generated: true\n")
    assert "## Lamps (0 to 12 min)" in done.stdout and "- Who taught you?" in done.stdout
    assert "**Orla \\*Finch\\*:** \\_\\_\\_\\_" in done.stdout
    assert [sheet["id"] for sheet in listed] == ["e0sheet"]


def test_asking_for_questions_orders_them_and_prints_the_sheet(desk: Desk, crew: ScriptedCrew, store: MemoryStore):
    done = desk.diary("episodes", "questions", "lamp", "--guest", "Orla Finch", "--no-such-option")
    assert done.returncode == 2

    put_questions(store, "asked")  # what the scripted crew answers with
    done = desk.diary("episodes", "questions", "lamp", "--guest", "Orla Finch")

    assert sent(crew)["write"] == "questions"
    assert done.returncode == 0 and "## Lamps" in done.stdout


def put_questions(store: MemoryStore, name: str) -> None:
    question = PlannedQuestion(about="the first lamp", question="How did you begin?", follow_ups=("Who taught you?",))
    sheet = QuestionSheet(
        id=name, show="lamp", guest="Orla *Finch*", host="Mara Quill",
        brief=EpisodeRequest(show="lamp", guest="Orla *Finch*", write="questions"), adapter=None,
        label="tests/tiny, not fine-tuned", base_model="tests/tiny", base_revision="0" * 40,
        chapters=(QuestionChapter(title="Lamps", start_min=0, end_min=12, questions=(question,)),),
        lineage=Lineage(by="tests", version="0", job=remote_job_id("j", "write"), actor="tester"),
    )  # fmt: skip
    create_manifest(store, keys.questions("lamp", name), sheet)
