"""`diary recordings` and `diary shows edit` against studio's real doors, before a scripted crew."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from services.studio.commands.recordings import TrackFile, as_row, expanded, files_in, track_file
from shared import keys
from shared.recordings import facts_of
from shared.schemas import Blob, ExcludedSpan, GuestGuess, Lineage, Recording, Show
from shared.store import create_manifest, load
from tests.fakes import FeedingCrew, HesitantStore
from tests.kit import until
from tests.studio.a_door import Desk, serving, studio_of
from tests.studio.test_cli import as_json

MIB = 1024 * 1024

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def store() -> HesitantStore:
    store = HesitantStore(slow_from=16 * MIB)
    store.may_go_on.set()
    create_manifest(store, keys.show("lamp"), Show(slug="lamp", title="The Lamplight Hour", host="Mara Quill"))
    return store


@pytest.fixture(scope="module")
def crew(store: HesitantStore) -> FeedingCrew:
    return FeedingCrew(store)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, store: HesitantStore, crew: FeedingCrew) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    app, token = studio_of(folder, store, crew)
    with serving(app) as url:
        yield Desk(url, token, folder / "state-home")


def recording_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def asked_of(crew: FeedingCrew) -> int:
    return sum(len(requests) for _, requests in crew.asked)


def test_a_folder_is_added_file_by_file_and_one_that_fails_stops_no_other(desk: Desk, crew, tmp_path: Path):
    for name in ("b.mp3", "a/deep.WAV", "broken.ogg", "notes.txt", ".hidden/c.mp3", "._a.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() * 100)

    said = desk.diary("recordings", "add", "lamp", str(tmp_path), "--guest", "Ann Ash")
    before = asked_of(crew)
    again = desk.diary("recordings", "add", "lamp", str(tmp_path), "--json")

    assert said.returncode == 1 and "choose another file" in said.stdout and "1 of 3 failed" in said.stderr
    told = json.loads(again.stdout)
    assert [Path(one["source"]).name for one in told] == ["deep.WAV", "b.mp3", "broken.ogg"]
    assert [one.get("new") for one in told] == [False, False, None] and again.returncode == 1
    assert asked_of(crew) == before + 1  # what is known was not sent again


def test_what_was_collected_of_a_known_file_comes_back(desk: Desk, crew, store, tmp_path: Path):
    file = tmp_path / "talk.mp3"
    file.write_bytes(b"of teacups " * 100)
    added = as_json(desk.diary("recordings", "add", "lamp", str(file), "--json"))
    known = as_json(desk.diary("recordings", "add", "lamp", str(file), "--json"))
    working = load(store, added["key"], Recording).working
    assert working is not None
    store.delete(working.key)

    back = as_json(desk.diary("recordings", "add", "lamp", str(file), "--json"))

    assert added["new"] and known == {**added, "new": False} == back and store.exists(working.key)


def test_a_killed_command_goes_on_where_it_was_when_it_is_given_again(desk: Desk, store, tmp_path: Path):
    file = tmp_path / "long.wav"
    file.write_bytes(bytes(range(256)) * 4096 * 26)  # 26 MiB: four pieces
    store.may_go_on.clear()
    killed = subprocess.Popen(
        **desk.command("recordings", "add", "lamp", str(file)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert store.waiting.wait(60)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    [facts] = [key for key in store.list("uploads/") if key.endswith("upload.json")]
    came = {key: stored.modified for key, stored in store.sizes("uploads/").items()}
    store.may_go_on.set()
    until(lambda: len(store.list("uploads/")) == len(came) + 1, "the piece on its way was kept")

    added = as_json(desk.diary("recordings", "add", "lamp", str(file), "--guest", "Ann Ash", "--json"))

    assert len(came) == 3 and facts in came
    assert added["recording"] == recording_of(file.read_bytes()) and added["new"]
    assert load(store, added["key"], Recording).original.bytes == 26 * MIB
    assert store.list("uploads/") == [] and not list((desk.home / "diary" / "uploads").iterdir())


def test_one_file_per_speaker_is_one_recording(desk: Desk, crew, tmp_path: Path):
    for name in ("mara.wav", "ann@home.wav"):
        (tmp_path / name).write_bytes(name.encode())
    tracks = [f"host:Mara Quill={tmp_path}/mara.wav", f"Ann Ash={tmp_path}/ann@home.wav@12.5"]

    as_json(
        desk.diary("recordings", "add", "lamp", "--track", tracks[0], "--track", tracks[1], "--title", "T", "--json")
    )

    request = crew.asked[-1][1][0]
    told = [(track.speaker, track.role, track.offset_s, track.filename) for track in request.tracks]
    assert told == [("Mara Quill", "host", 0, "mara.wav"), ("Ann Ash", None, 12.5, "ann@home.wav")]
    assert request.title == "T" and request.upload_key is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--track", "Mara=mara.wav"], "at least two"),
        (["--track", "host:M=mara.wav", "--track", "host:A=ann.wav"], "only one --track"),
        (["--track", "Mara"], "NAME=FILE"),
        (["--track", "Mara=gone.wav", "--track", "A=ann.wav"], "no file gone.wav"),
        (["mara.wav", "--track", "A=ann.wav"], "either --track"),
        (["mara.wav", "ann.wav", "--title", "Both"], "--title is for one"),
        (["empty"], "no audio or video"),
        ([], "name what to add"),
    ],
)
def test_what_makes_no_sense_is_explained(desk: Desk, tmp_path: Path, monkeypatch, arguments: list[str], why: str):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("mara.wav", "ann.wav"):
        (tmp_path / name).write_bytes(name.encode())

    said = desk.diary("recordings", "add", "lamp", *arguments)

    assert said.returncode != 0 and why in " ".join(said.stderr.replace("│", " ").split())


def test_facts_of_recordings_and_shows_are_corrected(desk: Desk, store, tmp_path: Path):
    file = tmp_path / "cups.mp3"
    file.write_bytes(b"of cups " * 100)
    added = as_json(desk.diary("recordings", "add", "lamp", str(file), "--json"))

    edited = as_json(
        desk.diary("recordings", "edit", "lamp", added["recording"], "--guest", "Ann Ash", "--title", "Cups", "--json")
    )
    show = as_json(desk.diary("shows", "edit", "lamp", "--speakers", "3", "--rights", "own", "--json"))
    created = as_json(
        desk.diary("shows", "create", "panel", "--title", "P", "--host", "M", "--speakers", "4", "--json")
    )
    nothing = desk.diary("recordings", "edit", "lamp", added["recording"])
    facts = ("--fact", "Ann bakes.", "--fact", "Ann was a pilot.")
    told = desk.diary("recordings", "edit", "lamp", added["recording"], *facts)
    kept = facts_of(store, "lamp", added["recording"])
    cleared = desk.diary("recordings", "edit", "lamp", added["recording"], "--no-facts")

    shown = as_json(desk.diary("recordings", "show", "lamp", added["recording"], "--json"))
    assert (shown["guest"], shown["title"]) == (edited["guest"], edited["title"]) == ("Ann Ash", "Cups")
    assert (show["speakers"], show["rights"], show["title"], created["speakers"]) == (3, "own", "The Lamplight Hour", 4)
    assert nothing.returncode != 0 and "say what to change" in nothing.stderr
    assert "facts: Ann bakes.; Ann was a pilot." in told.stdout and kept == ("Ann bakes.", "Ann was a pilot.")
    assert "facts: none" in cleared.stdout and facts_of(store, "lamp", added["recording"]) == ()


# ---- pure ----------------------------------------------------------------------------------------------------------


def test_folders_become_files_and_everything_else_stays(tmp_path: Path):
    (tmp_path / "a.mp3").touch()
    (tmp_path / "b.MKV").touch()
    (tmp_path / "c.jpg").touch()

    assert files_in(tmp_path) == [tmp_path / "a.mp3", tmp_path / "b.MKV"]
    assert expanded(["https://example.org/1.mp3", str(tmp_path), str(tmp_path / "c.jpg")]) == [
        "https://example.org/1.mp3",
        *(str(tmp_path / name) for name in ("a.mp3", "b.MKV", "c.jpg")),
    ]
    with pytest.raises(typer.BadParameter, match="neither a URL nor a file"):
        expanded(["nowhere"])


def test_an_at_sign_may_belong_to_the_name(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("take@2", "a=b.wav"):
        (tmp_path / name).touch()

    assert track_file("Ann=take@2") == TrackFile("Ann", None, Path("take@2"), 0.0)
    assert track_file("Ann=take@2@1.5") == TrackFile("Ann", None, Path("take@2"), 1.5)
    assert track_file("host: Mara =a=b.wav") == TrackFile("Mara", "host", Path("a=b.wav"), 0.0)


def test_a_recording_in_a_list_says_what_a_person_looks_for():
    blob = Blob(key=keys.blob("0" * 64), sha256="0" * 64, bytes=1)
    recording = Recording(
        id="r1",
        show="lamp",
        title="Bread",
        guest="Ben Marsh",
        guest_guess=GuestGuess(name="Ben Marsh", confidence=0.75, found_in="title"),
        source="upload:a.mp3",
        original=blob,
        working=blob,
        duration_s=3600,
        excluded_spans=(ExcludedSpan(start_s=5, end_s=65, reason="advert", found_by="chapters"),),
        lineage=Lineage(by="ingest", version="1", job="j", actor="a"),
    )

    row = as_row(recording.model_dump(mode="json"))

    assert [row[name] for name in ("guest", "minutes", "left out", "audio")] == ["Ben Marsh ?", "60", "60 s", "yes"]
