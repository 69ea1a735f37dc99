"""`diary episodes render` against studio's real doors, before a scripted crew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.renderings import RenderRequest
from tests.fakes import MemoryStore, ScriptedCrew
from tests.studio.a_door import Desk, serving, studio_of
from tests.studio.a_show import put_audio, put_show
from tests.studio.test_cli import as_json

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def crew() -> ScriptedCrew:
    return ScriptedCrew()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, crew: ScriptedCrew) -> Iterator[Desk]:
    folder, store = tmp_path_factory.mktemp("desk"), MemoryStore()
    put_show(store)
    put_audio(store)
    app, token = studio_of(folder, store, crew)
    with serving(app) as url:
        yield Desk(url, token, folder / "state-home")


def test_an_episode_is_ordered_whole_and_saved_when_it_is_done(desk: Desk, crew: ScriptedCrew, tmp_path: Path):
    file = tmp_path / "e1.mp3"

    done = as_json(desk.diary("episodes", "render", "lamp", "e1", "--out", str(file), "--json"))

    assert crew.asked[-1] == ("render", [RenderRequest(show="lamp", episode="e1")])
    assert (done["episode"], done["duration_s"]) == ("e1", 9.5)
    assert file.read_bytes() == b"mp3 of e1 " * 100 + b"lamp" and list(tmp_path.iterdir()) == [file]


def test_turns_are_named_one_by_one(desk: Desk, crew: ScriptedCrew):
    desk.diary("episodes", "render", "lamp", "e1", "--turn", "0", "--turn", "3")

    assert crew.asked[-1][1][0].turns == (0, 3)


def test_a_file_that_cannot_be_had_is_not_begun(desk: Desk, tmp_path: Path):
    done = desk.diary("episodes", "render", "lamp", "e9", "--out", str(tmp_path / "e9.mp3"))

    assert done.returncode == 1 and "Traceback" not in done.stderr and list(tmp_path.iterdir()) == []
