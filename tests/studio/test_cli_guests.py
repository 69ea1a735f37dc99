"""`diary guests` against studio's real doors; ingest's own job finds the facts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.ingest import biographies
from shared import keys
from shared.guests import fact_sheet
from shared.schemas import Show
from shared.store import create_manifest
from tests.fakes import FakeJob, MemoryStore, ScriptedCrew, ScriptedIngestEngine
from tests.studio.a_door import Desk, serving, studio_of
from tests.studio.test_cli import as_json

pytestmark = pytest.mark.timeout(240)


class ReadingCrew(ScriptedCrew):
    """A Crew whose ingest reads given texts as the real one does; pages are as the test says."""

    pages: dict[str, str]

    def _answer(self, path: str, request: Any) -> dict[str, Any]:
        engine = ScriptedIngestEngine(pages={url: text.encode() for url, text in self.pages.items()})
        return biographies.run(request, job=FakeJob(Path()), engine=engine).model_dump(mode="json")


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    store = MemoryStore()
    create_manifest(store, keys.show("lamp"), Show(slug="lamp", title="The Lamplight Hour", host="Mara Quill"))
    return store


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, store: MemoryStore) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("desk")
    crew = ReadingCrew()
    crew.pages = {"https://example.org/ann?token=s3cr3tw0rd": "Ann Ash was born on 4 May 1970. She makes lamps."}
    app, token = studio_of(folder, store, crew)
    with serving(app) as url:
        yield Desk(url, token, folder / "state-home")


def test_a_sheet_is_made_of_a_file_read_edited_and_removed(desk: Desk, store: MemoryStore, tmp_path: Path):
    file = tmp_path / "orla.txt"
    file.write_text("Orla Finch makes lamps. She left in 1998.", "utf-8")

    added = desk.diary("guests", "add", "lamp", "--name", "Orla Finch", "--text", str(file))
    shown = desk.diary("guests", "show", "lamp", "orla finch")
    edited = as_json(
        desk.diary(
            "guests", "edit", "lamp", "Orla Finch", "--remove", "1", "--add", "She hums.", "--date", "1999-05", "--json"
        )
    )
    listed = as_json(desk.diary("guests", "list", "lamp", "--json"))
    removed = as_json(desk.diary("guests", "remove", "lamp", "Orla Finch", "--json"))

    assert added.returncode == 0 and "Orla Finch: 2 facts of the source, 0 of people" in added.stdout, added.stderr
    assert "revision 1, from a text" in shown.stdout and "She left in 1998." in shown.stdout
    assert [(fact["text"], fact["date"], fact["by"]) for fact in edited["facts"]] == [
        ("She left in 1998.", "1998", "source"),
        ("She hums.", "1999-05", "person"),
    ]
    assert edited["revision"] == 2 and [sheet["name"] for sheet in listed] == ["Orla Finch"]
    assert removed == {"guest": "Orla Finch", "removed": True} and fact_sheet(store, "lamp", "Orla Finch") is None


def test_a_page_is_given_by_its_address_which_may_hold_secrets(desk: Desk, store: MemoryStore):
    url = "https://example.org/ann?token=s3cr3tw0rd"

    made = as_json(desk.diary("guests", "add", "lamp", "--name", "Ann Ash", "--url", "-", "--json", stdin=f"{url}\n"))
    listed = desk.diary("guests", "list", "lamp")

    assert (made["found"], made["kept"], made["warnings"]) == (2, 0, [])
    assert "token=***" in listed.stdout and "s3cr3t" not in listed.stdout
    sheet = fact_sheet(store, "lamp", "Ann Ash")
    assert sheet is not None and sheet.facts[0].date == "1970-05-04"


def test_what_cannot_be_done_is_one_line_that_says_what_to_do(desk: Desk, tmp_path: Path):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "rain.txt").write_text("Rain fell.")
    add = ("guests", "add", "lamp", "--name", "Orla Finch", "--text")

    said = {
        "cannot be read": desk.diary(*add, str(tmp_path / "none.txt")),
        "no UTF-8 text": desk.diary(*add, str(bad)),
        "looked for sentences": desk.diary(*add, str(tmp_path / "rain.txt")),
        "has no fact sheet of 'Nobody'": desk.diary("guests", "show", "lamp", "Nobody"),
        "there is no fact 9": desk.diary("guests", "edit", "lamp", "Ann Ash", "--remove", "9"),
    }

    for words, done in said.items():
        assert (done.returncode, done.stdout) == (1, "") and words in " ".join(done.stderr.split()), done.stderr
    for wrong in (
        ("add", "lamp", "--name", "Orla"),
        ("edit", "lamp", "Ann Ash"),
        ("edit", "lamp", "A", "--date", "1998"),
    ):
        assert desk.diary("guests", *wrong).returncode == 2
