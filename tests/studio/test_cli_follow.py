"""`diary episodes follow` and `write --live`: turns on the screen as they come, to the end or to what went wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from services.studio.crew import remote_job_id
from shared import keys
from shared.errors import RemoteJobError
from shared.schemas import Episode, EpisodeTurn
from shared.store import create_manifest, load
from tests.fakes import MemoryStore, ScriptedCrew
from tests.kit import until
from tests.studio.a_door import Desk, serving, studio_of
from tests.studio.a_show import put_show

pytestmark = pytest.mark.timeout(120)


class StepwiseCrew(ScriptedCrew):
    """A crew whose inference stores a turn, waits for `go` to be set, and then writes the rest of what the brief asks:
    the guest `Nobody` makes it fail, `Forever` makes it wait until it is cancelled."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._store = store
        self.go = threading.Event()

    def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
        name = keys.episode_id(remote_job_id(job.id, step))
        turns = (
            EpisodeTurn(index=0, role="host", speaker="Mara [red]", text="So, :smile: who?\x1b[31m", tokens=2),
            EpisodeTurn(index=1, role="guest", speaker=request.guest, text=f"I am {request.guest}.", tokens=2),
        )
        create_manifest(self._store, keys.episode_turn("lamp", name, 0), turns[0])
        while not self.go.wait(0.05) or request.guest == "Forever":
            job.check()
        if request.guest == "Nobody":
            raise RemoteJobError("the engine died five times")
        create_manifest(self._store, keys.episode_turn("lamp", name, 1), turns[1])
        plain = load(self._store, keys.episode("lamp", "e1"), Episode)
        create_manifest(self._store, keys.episode("lamp", name), plain.model_copy(update={"id": name, "turns": turns}))
        result = {"episode": name, "key": keys.episode("lamp", name), "words": 4, "turns": 2, "canary": None}
        return result_type.model_validate(result)


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, StepwiseCrew]]:
    folder, store = tmp_path_factory.mktemp("desk"), MemoryStore()
    put_show(store)
    crew = StepwiseCrew(store)
    app, token = studio_of(folder, store, crew)
    with serving(app) as url:
        yield Desk(url, token, folder / "state-home"), crew


def begun(desk: Desk, *arguments: str) -> subprocess.Popen[str]:
    """It hears Ctrl-C, also where the tests run in the background: who is started there ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(**desk.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)


def test_turns_are_printed_as_they_are_written_and_the_verdict_ends_them(desk: tuple[Desk, StepwiseCrew]):
    place, crew = desk
    process = begun(place, "episodes", "write", "lamp", "--guest", "Orla", "--live")
    assert process.stdout is not None

    first = process.stdout.readline()
    crew.go.set()
    rest, told = process.communicate(timeout=60)

    assert first == "Mara [red]: So, :smile: who? [31m\n", "as it was said, without any power over the screen"
    assert rest.split("\n\n")[-1] == "4 words in 2 turns; fine\n" and "Orla: I am Orla." in rest
    assert process.returncode == 0 and "the first turn comes once" in told


def test_a_job_or_an_episode_can_be_followed_from_its_first_turn(desk: tuple[Desk, StepwiseCrew]):
    place, crew = desk
    crew.go.set()
    job = json.loads(place.diary("episodes", "write", "lamp", "--guest", "Orla", "--no-wait", "--json").stdout)
    episode = job["links"]["turns"].split("/")[-2]

    by_job = place.diary("episodes", "follow", "lamp", job["id"])
    by_episode = place.diary("episodes", "follow", "lamp", episode)

    assert by_job.returncode == 0 and "Orla: I am Orla." in by_job.stdout
    assert by_episode.stdout == by_job.stdout


def test_a_job_that_fails_is_told_with_its_error(desk: tuple[Desk, StepwiseCrew]):
    place, crew = desk
    crew.go.set()

    done = place.diary("episodes", "write", "lamp", "--guest", "Nobody", "--live")

    assert done.returncode == 1 and "who?" in done.stdout and "the engine died five times" in done.stderr


def test_ctrl_c_cancels_the_episode_that_is_being_written(desk: tuple[Desk, StepwiseCrew]):
    place, _ = desk
    process = begun(place, "episodes", "write", "lamp", "--guest", "Forever", "--live")
    assert process.stdout is not None and "who?" in process.stdout.readline()

    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)

    assert process.returncode == 1 and "cancelling write" in told and "was cancelled" in told
    until(
        lambda: json.loads(place.diary("jobs", "list", "--json").stdout)[0]["state"] == "cancelled", "it is cancelled"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("follow", "lamp", "e9"), "diary episodes list lamp"),
        (("follow", "lamp", "../x"), "is neither an episode nor a job"),
        (("write", "lamp", "--guest", "Orla", "--live", "--json"), "leave out --json"),
    ],
)
def test_what_cannot_be_followed_names_the_fix(desk: tuple[Desk, StepwiseCrew], arguments: tuple[str, ...], told: str):
    done = desk[0].diary("episodes", *arguments)

    assert done.returncode != 0 and told in " ".join(done.stderr.split()) and "Traceback" not in done.stderr
