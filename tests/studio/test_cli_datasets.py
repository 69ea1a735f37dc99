"""`diary datasets`, `adapters train` and `runs` against studio's real doors, before a scripted crew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from services.studio.commands.datasets import HALF_WRITTEN, whole_folder
from services.studio.dataset_files import FILES
from tests.fakes import MemoryStore, ScriptedCrew
from tests.studio.a_dataset import REPORT, points, put_dataset, put_run
from tests.studio.a_door import Desk, serving, studio_of
from tests.studio.test_cli import as_json

pytestmark = pytest.mark.timeout(240)


class BuildingCrew(ScriptedCrew):
    """A Crew whose trainer stores the dataset that it is asked for."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._store = store

    def _answer(self, path: str, request: Any) -> dict[str, Any]:
        if path == "/v1/datasets":
            dataset = put_dataset(self._store, id=f"d{len(self.asked)}")
            return {"dataset": dataset.id, "key": "d", "tokens": 130, "examples": 3}
        return super()._answer(path, request)

    def last(self) -> dict[str, Any]:
        """The last order, where it differs from an empty one."""
        return self.asked[-1][1][0].model_dump(mode="json", exclude_defaults=True)


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    store = MemoryStore()
    put_dataset(store)
    put_run(store, 1, points(3.0, None, 2.0, 2.2), kept=2)
    put_run(store, 2, points(3.0, None, 2.5))
    return store


@pytest.fixture(scope="module")
def crew(store: MemoryStore) -> BuildingCrew:
    return BuildingCrew(store)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, store: MemoryStore, crew: BuildingCrew) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    app, token = studio_of(folder, store, crew)
    with serving(app) as url:
        yield Desk(url, token, folder / "state-home")


def test_a_build_sends_what_was_given_and_says_whether_it_is_enough(desk: Desk, crew: BuildingCrew):
    plain = desk.diary("datasets", "build", "lamp")
    first = crew.last()
    options = (
        *("--max-length", "1024", "--eval-guests", "2", "--recording", "r1", "--recording", "r2"),
        *("--min-state", "reviewed", "--max-doubt", "0.5", "--drop-fillers", "--loss-on", "host"),
    )
    told = as_json(desk.diary("datasets", "build", "lamp", *options, "--json"))

    assert first == {"show": "lamp"}
    assert crew.last() == {
        "show": "lamp",
        "recordings": ["r1", "r2"],
        "min_state": "reviewed",
        "max_doubt": 0.5,
        "fillers": "drop",
        "max_length": 1024,
        "eval_guests": 2,
        "loss_on": "host",
    }
    assert "is it enough? A little." in plain.stdout and f"- {REPORT.advice[0]}" in plain.stdout
    assert "diary datasets report lamp" in plain.stdout
    assert set(told) == {"dataset", "key", "tokens", "examples"}


def test_a_wish_that_cannot_be_is_refused_with_its_reason(desk: Desk):
    done = desk.diary("datasets", "build", "lamp", "--min-state", "perfect")

    assert done.returncode == 1 and "min_state" in done.stderr and "approved" in done.stderr


def test_training_sends_what_was_given_and_nothing_else(desk: Desk, crew: BuildingCrew):
    as_json(desk.diary("adapters", "train", "lamp", "d9", "--json"))
    first = crew.last()
    options = (
        *("--steps", "9", "--epochs", "1.5", "--learning-rate", "1e-4", "--rank", "8", "--quantisation", "nf4"),
        *("--continue-from", "lamp.r1.c2", "--gpus", "2", "--no-packing", "--patience", "0", "--seed", "7"),
    )
    as_json(desk.diary("adapters", "train", "lamp", "d9", *options, "--json"))

    assert first == {"show": "lamp", "dataset": "d9"}
    assert crew.last() == {
        "show": "lamp",
        "dataset": "d9",
        "steps": 9,
        "epochs": 1.5,
        "learning_rate": 1e-4,
        "lora_rank": 8,
        "quantisation": "nf4",
        "continue_from": "lamp.r1.c2",
        "gpus": 2,
        "packing": False,
        "patience": 0,
        "seed": 7,
    }


def test_a_run_is_resumed_by_its_number_alone(desk: Desk, crew: BuildingCrew):
    as_json(desk.diary("adapters", "train", "lamp", "--resume", "2", "--steps", "9", "--json"))

    assert crew.last() == {"show": "lamp", "dataset": "d9", "resume": 2, "steps": 9}
    finished = desk.diary("adapters", "train", "lamp", "--resume", "1")
    assert finished.returncode == 1 and "continue_from" in finished.stderr
    neither = desk.diary("adapters", "train", "lamp")
    assert neither.returncode == 2 and "diary datasets list lamp" in neither.stderr


@pytest.mark.parametrize(("given", "steps"), [((), None), (("--steps", "5"), 5)])
def test_the_whole_story_trains_for_some_epochs_unless_steps_are_given(
    desk: Desk, crew: BuildingCrew, given: tuple[str, ...], steps: int | None
):
    as_json(desk.diary("shows", "run", "lamp", *given, "--json"))

    [(_, [request])] = [asked for asked in crew.asked if asked[0] == "train"][-1:]
    assert request.steps == steps and request.epochs == 3


def test_a_report_is_read_saved_and_given_to_programs(desk: Desk, tmp_path: Path):
    page = tmp_path / "report.html"

    said = desk.diary("datasets", "report", "lamp", "d9", "--out", str(page))
    told = as_json(desk.diary("datasets", "report", "lamp", "d9", "--json"))

    assert said.returncode == 0, said.stderr
    words = " ".join(said.stdout.replace("│", " ").split())
    for part in (
        "is it enough?",
        *REPORT.advice,
        "130 tokens, 3 examples",
        "About 24 minutes on NVIDIA H100",
        "0 of 56 runs",
    ):
        assert part in words
    assert "r2 Bob machine judge by 1 40 5" in words and "advert 50 1" in words
    assert page.read_text().startswith("<!doctype html>") and "Since I was nine." in page.read_text()
    assert told == REPORT.model_dump(mode="json")


def test_a_report_that_was_never_written_is_said_and_is_null(desk: Desk, store: MemoryStore):
    put_dataset(store, id="old", schema_version=1, report=None, family=None)

    said = desk.diary("datasets", "report", "lamp", "old")
    told = desk.diary("datasets", "report", "lamp", "old", "--json")

    assert "wrote no report" in said.stdout and "advert" in said.stdout
    assert told.returncode == 0 and json.loads(told.stdout) is None


def test_a_dataset_goes_out_as_a_folder(desk: Desk, tmp_path: Path):
    (tmp_path / "empty").mkdir()

    made = as_json(desk.diary("datasets", "export", "lamp", "d9", "--to", str(tmp_path / "new" / "d9"), "--json"))
    into = desk.diary("datasets", "export", "lamp", "d9", "--to", str(tmp_path / "empty"))
    again = desk.diary("datasets", "export", "lamp", "d9", "--to", str(tmp_path / "empty"))

    assert made["files"] == list(FILES) and into.returncode == 0, into.stderr
    for folder in (tmp_path / "new" / "d9", tmp_path / "empty"):
        assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == sorted(FILES)
        assert len((folder / "data" / "train.jsonl").read_text().splitlines()) == 2
    assert again.returncode != 0 and "not empty" in again.stderr


def test_a_dataset_that_is_withdrawn_leaves_no_folder_and_names_the_fix(desk: Desk, store: MemoryStore, tmp_path: Path):
    put_dataset(store, id="gone", source_withdrawn=("r1",))

    done = desk.diary("datasets", "export", "lamp", "gone", "--to", str(tmp_path / "gone"))

    assert done.returncode == 1 and "diary datasets build lamp" in done.stderr
    assert not (tmp_path / "gone").exists()


def test_runs_are_listed_and_shown(desk: Desk):
    listed = desk.diary("runs", "list", "lamp")
    shown = desk.diary("runs", "show", "lamp", "1")
    told = as_json(desk.diary("runs", "show", "lamp", "2", "--json"))
    unknown = desk.diary("runs", "show", "lamp", "9")

    assert "2.0000 at step 2" in listed.stdout and "lamp.r1.c2" in listed.stdout
    assert "adapter: lamp.r1.c2" in shown.stdout and "2.2000" in shown.stdout and "1.0%" in shown.stdout
    assert told["checkpoints"] == [2] and len(told["metrics"]) == 3
    assert unknown.returncode == 1 and "diary adapters train" in unknown.stderr


# ---- folders ---------------------------------------------------------------------------------------------------------


def test_what_breaks_off_leaves_a_folder_as_it_was(tmp_path: Path):
    (tmp_path / "there").mkdir()

    for folder in (tmp_path / "there", tmp_path / "new"):
        with pytest.raises(KeyboardInterrupt), whole_folder(folder) as half:
            (half / "README.md").write_text("half a card")
            raise KeyboardInterrupt

    assert list((tmp_path / "there").iterdir()) == [] and not (tmp_path / "new").exists()


def test_what_a_killed_command_left_is_no_obstacle(tmp_path: Path):
    (tmp_path / HALF_WRITTEN / "data").mkdir(parents=True)
    (tmp_path / HALF_WRITTEN / "data" / "train.jsonl").write_text("half")

    with whole_folder(tmp_path) as half:
        (half / "README.md").write_text("whole")

    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "file").write_text("mine")

    with pytest.raises(typer.BadParameter, match="is a file"), whole_folder(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "mine"
