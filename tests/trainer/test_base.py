"""Base model folders: read, refused, made whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.trainer.base import make_base, read_base
from shared.errors import BadInputError


@pytest.mark.parametrize("missing", ["revision.json", "config.json"])
def test_an_incomplete_folder_is_refused_with_the_command_that_makes_one(base, missing):
    (base.folder / missing).unlink()

    with pytest.raises(BadInputError, match="engine prepare"):
        read_base(base.folder)


def test_a_damaged_folder_is_refused(base):
    (base.folder / "revision.json").write_text('{"name": 1}')

    with pytest.raises(BadInputError, match="damaged"):
        read_base(base.folder)


def test_a_base_model_is_made_whole_named_by_its_content_and_only_once(tmp_path):
    def fill(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "config.json").write_text('{"max_position_embeddings": 99}')

    out = tmp_path / "models" / "base"

    assert [make_base(out, "tests/tiny", fill) for _ in range(2)] == [True, False]
    made = read_base(out)
    assert (made.name, made.revision, made.context) == ("tests/tiny", hashlib.sha256(b"weights").hexdigest(), 99)


def test_a_base_model_that_fails_halfway_leaves_nothing(tmp_path):
    def fill(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"wei")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make_base(tmp_path / "base", "tests/tiny", fill)
    assert list(tmp_path.iterdir()) == []
