from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import NoSpaceError
from shared.space import GB, demand_space, free_bytes


def test_work_that_fits_is_let_through(tmp_path: Path):
    demand_space(tmp_path, 1000, "a small file", setting="INGEST_WORK_DIR")


def test_work_that_does_not_fit_is_refused_with_figures_the_folder_and_the_fix(tmp_path: Path):
    with pytest.raises(NoSpaceError) as refused:
        demand_space(tmp_path, 10**18, "the checkpoints", setting="TRAINER_WORK_DIR")

    said = str(refused.value)
    assert "no room for the checkpoints" in said and "1000000000 GB needed" in said and " GB free in " in said
    assert str(tmp_path) in said and "TRAINER_WORK_DIR" in said


def test_a_folder_that_is_not_made_yet_counts_as_the_disk_it_will_be_on(tmp_path: Path):
    assert abs(free_bytes(tmp_path / "a" / "b") - free_bytes(tmp_path)) < GB


def test_a_relative_folder_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    assert free_bytes(Path("work/of/nobody")) > 0
