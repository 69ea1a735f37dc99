"""The packaged base model's folder: made whole, and once."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from services.trainer.base import make_base
from shared.models import read_base


def fill(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text('{"max_position_embeddings": 99}')


def nobody_waits() -> None:
    raise AssertionError("somebody else has the lock")


def test_a_base_model_is_made_whole_named_by_its_content_and_only_once(tmp_path):
    out = tmp_path / "models" / "base"

    assert [make_base(out, "tests/tiny", fill, nobody_waits) for _ in range(2)] == [True, False]
    made = read_base(out)
    assert (made.name, made.revision, made.context) == ("tests/tiny", hashlib.sha256(b"weights").hexdigest(), 99)
    assert not [path for path in out.parent.iterdir() if path.is_dir() and path != out]


def test_a_base_model_that_fails_halfway_leaves_nothing_that_could_be_taken_for_one(tmp_path):
    def stumble(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"wei")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make_base(tmp_path / "base", "tests/tiny", stumble, nobody_waits)
    assert [path.name for path in tmp_path.iterdir()] == [".base.lock"]


def test_two_that_make_it_at_once_make_it_once(tmp_path):
    out, filling, waited = tmp_path / "base", threading.Event(), threading.Event()
    made = []

    def slowly(folder: Path) -> None:
        filling.set()
        assert waited.wait(10)
        fill(folder)

    first = threading.Thread(target=lambda: made.append(make_base(out, "tests/tiny", slowly, nobody_waits)))
    first.start()
    assert filling.wait(10)
    made.append(make_base(out, "tests/tiny", slowly, waited.set))
    first.join()

    assert sorted(made) == [False, True]
