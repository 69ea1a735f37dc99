"""A folder of the operator as a source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.ingest import folders
from shared.errors import BadInputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(
        ("talks/a.mp3", "talks/deep/b.M4A", "talks/notes.txt", "talks/.hidden.mp3", "other/c.mp3")
    ):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 10)
        os.utime(path, (1_700_000_000 + number * 86_400,) * 2)
    (tmp_path / "secret.mp3").write_bytes(b"outside")
    (tmp_path / "root/talks/link.mp3").symlink_to(tmp_path / "secret.mp3")
    return tmp_path / "root"


def test_audio_files_below_it_are_items_newest_first(root: Path):
    catalogue = folders.look(str(root), "talks", 100)

    assert [item.url for item in catalogue.items] == ["talks/deep/b.M4A", "talks/a.mp3"]
    assert [item.bytes for item in catalogue.items] == [10, 10]


@pytest.mark.parametrize("below", ["..", "../root/../..", "talks/../../secret.mp3", "/etc"])
def test_nothing_outside_is_read(root: Path, below: str):
    with pytest.raises(BadInputError, match="INGEST_FOLDER"):
        folders.look(str(root), below, 100)


def test_a_folder_that_is_not_there_or_not_allowed_says_what_to_do(root: Path):
    with pytest.raises(BadInputError, match="no folder 'gone'"):
        folders.look(str(root), "gone", 100)
    with pytest.raises(BadInputError, match="operator has to set INGEST_FOLDER"):
        folders.look("", "talks", 100)
    with pytest.raises(BadInputError, match="INGEST_MAX_ITEMS=1"):
        folders.look(str(root), "talks", 1)


def test_a_file_that_changed_is_another_item_and_one_that_went_is_said(root: Path):
    before = folders.look(str(root), "other", 100).items[0]
    (root / "other/c.mp3").write_bytes(b"longer than before")
    fresh = folders.look(str(root), "other", 100)
    os.utime(root / "other/c.mp3", (1_700_000_000,) * 2)

    assert fresh.items == () and "changed within the last minute" in fresh.warnings[0]
    assert folders.look(str(root), "other", 100).items[0].identity != before.identity
    (root / "other/c.mp3").unlink()
    with pytest.raises(BadInputError, match="not in the folder any more"):
        folders.path_of(str(root), before)


def test_a_name_that_is_not_utf8_is_left_out_with_a_warning_and_stops_nobody(root: Path):
    Path(os.fsdecode(bytes(root / "talks") + b"/caf\xe9.mp3")).write_bytes(b"x")

    catalogue = folders.look(str(root), "talks", 100)

    assert len(catalogue.items) == 2
    assert "left out 1 whose name is not UTF-8" in catalogue.warnings[0]
